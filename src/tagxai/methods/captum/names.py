"""Which of captum's algorithms work here, on what inputs, and whose they are; read without loading captum."""

from __future__ import annotations

from typing import Literal, NamedTuple

PREFIX = "captum:"


class Algorithm(NamedTuple):
    """One of `captum.attr`. `join` makes one number of a token's dimensions; `adds_up` claims completeness."""

    name: str
    kind: Literal["gradient", "perturbation"]
    summary: str
    paper: str
    expense: str
    join: Literal["sum", "length"] = "sum"
    adds_up: bool = False
    takes_baselines: bool = False


_EACH = "coalitions, each scored once for all windows"
ALGORITHMS = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm(
            "FeatureAblation",
            "perturbation",
            "captum's feature ablation: what the log-probability of a window loses without each word.",
            "Zeiler, Fergus. Visualizing and Understanding Convolutional Networks. ECCV 2014.",
            f"1 + words {_EACH}",
        ),
        Algorithm(
            "GradientShap",
            "gradient",
            "captum's gradient SHAP: expected gradients from no prompt to noisy prompts, a window at a time.",
            "Lundberg, Lee. A Unified Approach to Interpreting Model Predictions. NeurIPS 2017.",
            "windows x n_samples, forward and backward",
            adds_up=True,
            takes_baselines=True,
        ),
        Algorithm(
            "InputXGradient",
            "gradient",
            "captum's input x gradient, a window at a time.",
            "Shrikumar et al. Not Just a Black Box. 2016.",
            "windows, forward and backward",
        ),
        Algorithm(
            "IntegratedGradients",
            "gradient",
            "captum's integrated gradients from no prompt to the prompt, a window at a time.",
            "Sundararajan, Taly, Yan. Axiomatic Attribution for Deep Networks. ICML 2017.",
            "windows x n_steps, forward and backward",
            adds_up=True,
            takes_baselines=True,
        ),
        Algorithm(
            "KernelShap",
            "perturbation",
            "captum's Kernel SHAP: Shapley values of words by a weighted regression on sampled coalitions.",
            "Lundberg, Lee. A Unified Approach to Interpreting Model Predictions. NeurIPS 2017.",
            f"n_samples {_EACH}",
            adds_up=True,
        ),
        Algorithm(
            "Lime",
            "perturbation",
            "captum's LIME: a sparse linear model of words, fitted to sampled coalitions.",
            "Ribeiro, Singh, Guestrin. Why Should I Trust You? KDD 2016.",
            f"n_samples {_EACH}",
        ),
        Algorithm(
            "Occlusion",
            "perturbation",
            "captum's occlusion: what a window loses without some neighbouring words.",
            "Zeiler, Fergus. Visualizing and Understanding Convolutional Networks. ECCV 2014.",
            f"1 + words {_EACH}",
        ),
        Algorithm(
            "Saliency",
            "gradient",
            "captum's saliency: the length of the gradient by each token's embedding, a window at a time.",
            "Simonyan, Vedaldi, Zisserman. Deep Inside Convolutional Networks. ICLR workshop 2014.",
            "windows, forward and backward",
            join="length",
        ),
        Algorithm(
            "ShapleyValueSampling",
            "perturbation",
            "captum's sampled Shapley values of words, over random orders of the prompt.",
            "Strumbelj, Kononenko. An Efficient Explanation of Individual Classifications. JMLR 2010.",
            f"at most n_samples x words {_EACH}",
            adds_up=True,
        ),
        Algorithm(
            "ShapleyValues",
            "perturbation",
            "captum's exact Shapley values of words, over all orders of a short prompt.",
            "Shapley. A Value for n-Person Games. 1953.",
            f"2^words {_EACH}",
            adds_up=True,
        ),
    )
}

_MODULES = (
    "its rules belong to modules such as ReLU or softmax layers, and attention applies its softmax as a function, so "
    "they would be left out unseen; "
)
REFUSED = {
    "DeepLift": _MODULES + "take integrated_gradients",
    "DeepLiftShap": _MODULES + "take gradient_shap",
    "LRP": _MODULES + "take integrated_gradients",
    "GuidedBackprop": "it changes the gradients of ReLU modules, which they lack; take saliency",
    "Deconvolution": "it changes the gradients of ReLU modules, which they lack; take saliency",
    "GuidedGradCam": "it explains convolutions; take saliency",
    "FeaturePermutation": "it swaps values between inputs, and there is one prompt; take captum:FeatureAblation",
    "NoiseTunnel": "it wraps another algorithm; take smooth_grad",
}
"""Algorithms of captum that would give no result, or one that is not theirs."""
