"""The built-in generators, methods and metrics, registered through the same hooks as any plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tagxai.classifiers import Classifier
from tagxai.contract.generator import Generator
from tagxai.contract.method import Method
from tagxai.contract.metric import Metric
from tagxai.contract.prompt_set import PromptSet
from tagxai.registering.hookspecs import MethodFamily, hookimpl


@hookimpl
def tagxai_generators() -> Sequence[type[Generator]]:
    from tagxai.generators.audiocraft.model import AudiocraftMusicGenGenerator, AudioGenGenerator
    from tagxai.generators.diffusers.ace_step import AceStepGenerator, AceStepLyricsGenerator
    from tagxai.generators.diffusers.audioldm2 import AudioLDM2Generator
    from tagxai.generators.diffusers.stable_audio import StableAudioGenerator
    from tagxai.generators.diffusers.stable_audio_3 import StableAudio3Generator
    from tagxai.generators.latent import LatentEmbedded
    from tagxai.generators.tiny import TinyGenerator
    from tagxai.generators.transformers.model import TransformersGenerator

    return [
        *(TinyGenerator, LatentEmbedded),
        *(TransformersGenerator, AudioGenGenerator, AudiocraftMusicGenGenerator),
        *(StableAudioGenerator, StableAudio3Generator),
        *(AceStepGenerator, AceStepLyricsGenerator, AudioLDM2Generator),
    ]


@hookimpl
def tagxai_methods() -> Sequence[type[Method]]:
    from tagxai.methods.alti import ALTI
    from tagxai.methods.alti_logit import ALTILogit
    from tagxai.methods.atman import AtMan
    from tagxai.methods.attention_grad_cam import AttentionGradCAM
    from tagxai.methods.attention_rollout import AttentionRollout
    from tagxai.methods.attn_lrp import AttnLRP
    from tagxai.methods.audiogenx import AudioGenX
    from tagxai.methods.banzhaf import Banzhaf
    from tagxai.methods.context_cite import ContextCite
    from tagxai.methods.coupled_regeneration import CoupledRegeneration
    from tagxai.methods.cross_attention import CrossAttention
    from tagxai.methods.daam import DAAM
    from tagxai.methods.generic_attention import GenericAttention
    from tagxai.methods.gradient_shap import GradientShap
    from tagxai.methods.gradient_x_attention import GradientXAttention
    from tagxai.methods.input_x_gradient import InputXGradient
    from tagxai.methods.integrated_gradients import IntegratedGradients
    from tagxai.methods.kernel_shap import KernelShap
    from tagxai.methods.lime import Lime
    from tagxai.methods.occlusion import Occlusion
    from tagxai.methods.random import Random
    from tagxai.methods.saliency import Saliency
    from tagxai.methods.shapley import Shapley
    from tagxai.methods.share_x_alti_logit import ShareXALTILogit
    from tagxai.methods.share_x_effect import ShareXEffect
    from tagxai.methods.smooth_grad import SmoothGrad
    from tagxai.methods.value_norms import ValueNorms
    from tagxai.methods.value_zeroing import ValueZeroing

    return [
        *(AudioGenX, CrossAttention, Random),
        *(InputXGradient, IntegratedGradients, GradientShap, Saliency, SmoothGrad, AttnLRP),
        *(Shapley, Banzhaf, KernelShap, Lime, ContextCite, Occlusion),
        *(AttentionRollout, GenericAttention, AttentionGradCAM, GradientXAttention),
        *(ValueNorms, ALTI, ALTILogit, ValueZeroing, AtMan, DAAM),
        *(ShareXEffect, ShareXALTILogit, CoupledRegeneration),
    ]


@hookimpl
def tagxai_metrics() -> Sequence[type[Metric]]:
    from tagxai.metrics.areas_under_curves import AveragePrecision, RocAuc
    from tagxai.metrics.best_word import Hit, ReciprocalRank
    from tagxai.metrics.changed_caption import ChangedShare, ChangedTime
    from tagxai.metrics.concentration import EffectiveWords, Gini
    from tagxai.metrics.erasure import Comprehensiveness, Sufficiency
    from tagxai.metrics.fid import CounterfactualFidelity, FactualFidelity
    from tagxai.metrics.infidelity import Infidelity
    from tagxai.metrics.kl import CounterfactualKL, FactualKL, PaperCounterfactualKL, PaperFactualKL
    from tagxai.metrics.linear_datamodelling import LinearDatamodelling
    from tagxai.metrics.mask_size import MaskSize
    from tagxai.metrics.masked_log_prob import KeptLogProb, LostLogProb
    from tagxai.metrics.max_sensitivity import MaxSensitivity
    from tagxai.metrics.model_randomisation import (
        CascadingRandomisation,
        CrossAttentionRandomisation,
        TextEncoderRandomisation,
    )
    from tagxai.metrics.needed_now import NeededNow
    from tagxai.metrics.other_audio import OtherAudio
    from tagxai.metrics.paraphrase_robustness import ParaphraseRobustness
    from tagxai.metrics.perturbation_curves import PerturbationCurves
    from tagxai.metrics.pointing_game import PointingGame
    from tagxai.metrics.relevance import RelevanceMass, RelevanceRank
    from tagxai.metrics.removal import Removal, RemovalOfThree, RemovalOfTwo
    from tagxai.metrics.seed_robustness import SeedRobustness
    from tagxai.metrics.share_of_optimum import ShareOfOptimum
    from tagxai.metrics.soft_erasure import SoftComprehensiveness, SoftSufficiency
    from tagxai.metrics.three_valued import (
        ThreeValuedAveragePrecision,
        ThreeValuedPointingGame,
        ThreeValuedRelevanceMass,
        ThreeValuedRelevanceRank,
        ThreeValuedRocAuc,
    )
    from tagxai.metrics.twins import TwinAveragePrecision, TwinShareLost

    return [
        AveragePrecision,
        CascadingRandomisation,
        ChangedShare,
        ChangedTime,
        Comprehensiveness,
        CounterfactualFidelity,
        CounterfactualKL,
        CrossAttentionRandomisation,
        EffectiveWords,
        FactualFidelity,
        FactualKL,
        Gini,
        Hit,
        Infidelity,
        KeptLogProb,
        LinearDatamodelling,
        LostLogProb,
        MaskSize,
        MaxSensitivity,
        NeededNow,
        OtherAudio,
        ParaphraseRobustness,
        PaperCounterfactualKL,
        PaperFactualKL,
        PerturbationCurves,
        PointingGame,
        ReciprocalRank,
        RelevanceMass,
        RelevanceRank,
        Removal,
        RemovalOfThree,
        RemovalOfTwo,
        RocAuc,
        SeedRobustness,
        ShareOfOptimum,
        SoftComprehensiveness,
        SoftSufficiency,
        Sufficiency,
        TextEncoderRandomisation,
        ThreeValuedAveragePrecision,
        ThreeValuedPointingGame,
        ThreeValuedRelevanceMass,
        ThreeValuedRelevanceRank,
        ThreeValuedRocAuc,
        TwinAveragePrecision,
        TwinShareLost,
    ]


def method_families() -> Mapping[str, MethodFamily]:
    """Methods whose classes are created when they are first requested: of other libraries, and of trained networks."""
    from tagxai.methods import amortised
    from tagxai.methods.captum.factory import captum_method
    from tagxai.methods.captum.names import ALGORITHMS, PREFIX

    summaries = {PREFIX + name: algorithm.summary for name, algorithm in ALGORITHMS.items()}
    trained = {amortised.Amortised.name: "a network that `tagxai amortise` trained to predict another method's scores"}
    return {
        "captum": MethodFamily("captum", summaries, captum_method),
        "amortised": MethodFamily("tagxai", trained, amortised.amortised_method),
    }


def tagxai_classifiers() -> Sequence[type[Classifier]]:
    """None: tagxai's own, which need not have a class of one name each, are in `tagxai.classifiers`."""
    return []


def tagxai_prompt_sets() -> Sequence[type[PromptSet]]:
    """None: the laboratory's prompts are in `tagxai.benchmark.prompts`."""
    return []
