"""For authors of plugins: checks of the contract for each kind of plugin, and a small random model to run them on.

    from tagxai.testing import check_method

    def test_my_method_keeps_the_contract():
        check_method(MyMethod())

Every check raises ConformanceError, which names the broken promise of `tagxai.contract`, and how it was broken.
"""

from tagxai.testing.audiocraft import random_audiocraft_checkpoint
from tagxai.testing.checkpoints import random_checkpoint
from tagxai.testing.generators import check_generator
from tagxai.testing.methods import PROMPTS, check_method
from tagxai.testing.metrics import check_metric
from tagxai.testing.promises import ConformanceError

__all__ = [
    "PROMPTS",
    "ConformanceError",
    "check_generator",
    "check_method",
    "check_metric",
    "random_audiocraft_checkpoint",
    "random_checkpoint",
]
