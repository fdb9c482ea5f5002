"""The methods that take derivatives, and what their tests ask of a model."""

from dataclasses import replace

from tagxai.methods.gradient_shap import GradientShap
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.methods.integrated_gradients import IntegratedGradients
from tagxai.methods.saliency import Saliency
from tagxai.methods.smooth_grad import SmoothGrad

METHODS = [
    InputXGradient(),
    IntegratedGradients(points=2),
    GradientShap(samples=2),
    Saliency(),
    SmoothGrad(samples=2),
    SmoothGrad(samples=2, score="length"),
]


def log_prob(generator, generation, conditioning, embeddings):
    """The log-probability of the clip's codes, for a batch of embeddings."""
    rows = replace(conditioning.expand(len(embeddings)), embeddings=embeddings)
    return generator.forward(generation, rows).log_prob


def of_frames(generation, frames):
    codes = generation.record["codes"][:, :frames]
    return replace(generation, record={"codes": codes}, timeline=replace(generation.timeline, frames=frames))


def named(method):
    return f"{method.name}-{getattr(method, 'score', '')}".strip("-")
