"""tagxai: which words of a prompt made which seconds of the audio, heard and measured.

>>> import tagxai
>>> explanation = tagxai.explain("a dog barks while rain falls")   # doctest: +SKIP
>>> explanation.per_word(start=1.0, end=2.5)                        # doctest: +SKIP
"""

from tagxai.contract.attribution import Attribution, Score
from tagxai.contract.cost import Cost
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric
from tagxai.contract.request import Request
from tagxai.contract.run import Run
from tagxai.contract.scores import Scores
from tagxai.contract.timeline import DelayPattern, LatentFrames, Timeline
from tagxai.contract.values import Conditioning, Generation, Progress, StepOutput
from tagxai.errors import TagxaiError
from tagxai.explaining.comparing import compare
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.editing import Edit, edit
from tagxai.explaining.evaluating import evaluate, measure
from tagxai.explaining.explain import explain
from tagxai.explaining.loading import load_generator
from tagxai.explaining.saved import load
from tagxai.registering.hookspecs import hookimpl
from tagxai.registering.names import list_generators, list_methods, list_metrics
from tagxai.registering.registry import registry

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "Comparison",
    "Conditioning",
    "Cost",
    "DelayPattern",
    "Edit",
    "Generation",
    "Generator",
    "LatentFrames",
    "Method",
    "Metric",
    "Progress",
    "Request",
    "Run",
    "Score",
    "Scores",
    "StepOutput",
    "TagxaiError",
    "Timeline",
    "compare",
    "edit",
    "evaluate",
    "explain",
    "hookimpl",
    "list_generators",
    "list_methods",
    "list_metrics",
    "load",
    "load_generator",
    "measure",
    "registry",
]
