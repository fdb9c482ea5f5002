"""tagxai: which words of a prompt made which seconds of the audio, heard and measured.

>>> import tagxai
>>> explanation = tagxai.explain("a dog barks while rain falls")   # doctest: +SKIP
>>> explanation.per_word(start=1.0, end=2.5)                        # doctest: +SKIP
"""

from tagxai.attribution import Attribution, Score
from tagxai.base import Generator, Method, Metric
from tagxai.errors import TagxaiError
from tagxai.explaining import explain, load_generator
from tagxai.hookspecs import hookimpl
from tagxai.registry import registry
from tagxai.types import Conditioning, Generation, Progress, StepOutput

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "Conditioning",
    "Generation",
    "Generator",
    "Method",
    "Metric",
    "Progress",
    "Score",
    "StepOutput",
    "TagxaiError",
    "explain",
    "hookimpl",
    "load_generator",
    "registry",
]
