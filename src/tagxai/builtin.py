"""What tagxai brings itself, registered through the same hooks as any plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tagxai.base import Generator, Method, Metric
from tagxai.hookspecs import MethodFamily, hookimpl


@hookimpl
def tagxai_generators() -> Sequence[type[Generator]]:
    from tagxai.generators.audiocraft import AudiocraftMusicGenGenerator, AudioGenGenerator
    from tagxai.generators.tiny import TinyGenerator
    from tagxai.generators.transformers import TransformersGenerator

    return [TinyGenerator, TransformersGenerator, AudioGenGenerator, AudiocraftMusicGenGenerator]


@hookimpl
def tagxai_methods() -> Sequence[type[Method]]:
    from tagxai.methods.audiogenx import AudioGenX
    from tagxai.methods.cross_attention import CrossAttention
    from tagxai.methods.gradient_shap import GradientShap
    from tagxai.methods.input_x_gradient import InputXGradient
    from tagxai.methods.integrated_gradients import IntegratedGradients
    from tagxai.methods.random import Random
    from tagxai.methods.saliency import Saliency
    from tagxai.methods.shapley import Shapley
    from tagxai.methods.smooth_grad import SmoothGrad

    return [
        AudioGenX,
        CrossAttention,
        GradientShap,
        InputXGradient,
        IntegratedGradients,
        Random,
        Saliency,
        Shapley,
        SmoothGrad,
    ]


@hookimpl
def tagxai_metrics() -> Sequence[type[Metric]]:
    from tagxai.metrics.mask_size import MaskSize

    return [MaskSize]


def method_families() -> Mapping[str, MethodFamily]:
    """Methods that another library brings: their classes are made when one is asked for."""
    from tagxai.methods.captum import captum_method
    from tagxai.methods.captum_names import ALGORITHMS, PREFIX

    summaries = {PREFIX + name: algorithm.summary for name, algorithm in ALGORITHMS.items()}
    return {"captum": MethodFamily("captum", summaries, captum_method)}
