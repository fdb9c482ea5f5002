"""Which method runs on which family, tried: the table of `docs/families.md`.

uv run python tests/helpers/families.py
"""

from tagxai.contract.method import Method
from tagxai.errors import UnsupportedError
from tagxai.registering.registry import registry

START, END = "<!-- table: methods by family -->", "<!-- end of table -->"


def own_methods() -> list[str]:
    return [name for name, entry in registry().methods.items() if entry.origin == "tagxai"]


def quick(name: str) -> Method:
    few = {"audiogenx": {"epochs": 2}, "integrated_gradients": {"points": 2}, "lime": {"samples": 16}}
    few |= {"gradient_shap": {"samples": 2}, "smooth_grad": {"samples": 2}}
    return registry().method(name).configure(few.get(name, {}))


def answer(name, generator, clip) -> str:
    """ "yes", or why not."""
    try:
        quick(name).attribute(generator, clip)
    except UnsupportedError as error:
        return f"no: {str(error).partition(';')[0]}"
    return "yes"


def table(models) -> str:
    """`models` are generators and a clip of each, by what the table calls them."""
    rows = [["method", *models], ["---"] * (1 + len(models))]
    rows += [[f"`{name}`", *(answer(name, *model) for model in models.values())] for name in own_methods()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def pipelines():
    """Small random generators of diffusers' pipelines, by name."""
    import small_pipelines as small

    from tagxai.generators.diffusers.ace_step import AceStepGenerator
    from tagxai.generators.diffusers.audioldm2 import AudioLDM2Generator
    from tagxai.generators.diffusers.stable_audio import StableAudioGenerator
    from tagxai.generators.diffusers.stable_audio_3 import StableAudio3Generator

    made = {
        "stable_audio": StableAudioGenerator(small.stable_audio()),
        "stable_audio_3": StableAudio3Generator(small.stable_audio_3()),
        "ace_step": AceStepGenerator(small.ace_step()),
        "audioldm2": AudioLDM2Generator(small.audioldm2()),
    }
    for model in made.values():
        model.default_denoising_steps = 8
    return made


def models():
    from small_latent import small_latent

    from tagxai.testing.checkpoints import random_generator

    every = {"`tiny`, MusicGen, AudioGen": random_generator(), "`latent`": small_latent()}
    every |= {f"`{name}`": model for name, model in pipelines().items()}
    return {name: (each, each.generate("a dog barks", duration=0.2, seed=1)) for name, each in every.items()}


if __name__ == "__main__":
    print(table(models()))
