"""What tests of the conformance kit share."""

from tagxai.generators.diffusers.pipelines import PipelineGenerator
from tagxai.registering.registry import registry

# A plugin tests its own; those of diffusers have a file each in tests/generators.
BUILT_IN = [
    name
    for name, entry in registry().generators.items()
    if entry.origin == "tagxai" and not issubclass(registry().generator(name), PipelineGenerator)
]

LEFT = []  # blocks that nobody closes: Python would close a forgotten one as soon as nothing holds it
