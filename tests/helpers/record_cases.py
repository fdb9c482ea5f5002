"""What the record holds: which models, clips, methods, metrics and samplings, with settings that are quick."""

from __future__ import annotations

import json
from typing import NamedTuple

import record_access as access
import record_numbers as numbers
import torch

STEREO_CHANGES = {
    "transformer_lm": {"n_q": 8},
    "codebooks_pattern": {"delay": {"delays": [0, 0, 1, 1, 2, 2, 3, 3]}},
    "interleave_stereo_codebooks": {"use": True, "per_timestep": False},
}

MODELS = ("tiny", "random", "random_stereo", "audiocraft", "audiocraft_stereo", "converted")


class Models:
    """The models by name, each loaded once; those with random weights are written below `folder`."""

    def __init__(self, folder):
        self.folder, self._loaded, self._specs = folder, {}, {}

    def __getitem__(self, name):
        if name not in self._loaded:
            self._loaded[name] = access.load_model(self._spec(name))
        return self._loaded[name]

    def _spec(self, name):
        if name not in self._specs:
            folder = self.folder / name
            self._specs[name] = {
                "tiny": lambda: "tiny",
                "random": lambda: access.write_random_checkpoint(folder),
                "random_stereo": lambda: access.write_random_checkpoint(folder, channels=2),
                "audiocraft": lambda: access.write_audiocraft_checkpoint(folder),
                "audiocraft_stereo": lambda: access.write_audiocraft_checkpoint(
                    folder, name="audiocraft_musicgen", changes=STEREO_CHANGES
                ),
                "converted": lambda: access.convert_to_transformers(self._spec("audiocraft"), folder),
            }[name]()
        return self._specs[name]


class Clip(NamedTuple):
    model: str
    prompt: str
    seconds: float
    seed: int

    def make(self, models, **sampling):
        return access.make_clip(models[self.model], self.prompt, seconds=self.seconds, seed=self.seed, **sampling)


# 0.96 s are 24 frames and 0.48 s are 12: two windows of half a second, and one, by either of the two rules that commit
# 0314d4e has for windows. Making them one rule changes no score here.
CLIPS = {
    "dog": Clip("tiny", "a dog barks while rain falls", 0.96, 2),  # the truth is known, and a phrase has two words
    "rain": Clip("tiny", "heavy rain without thunder", 0.48, 5),  # few enough words for exact values by all orders
    "siren": Clip("tiny", "Birds sing; no siren!", 0.48, 11),  # tokens of punctuation, a capital letter
    "mono": Clip("random", "a dog barks while rain falls", 0.48, 1),
    "stereo": Clip("random_stereo", "a bell rings then a siren", 0.48, 4),
    "audiocraft": Clip("audiocraft", "a dog barks while rain falls", 0.48, 3),
}
AS_THEY_ARE = "mono"  # the clip on which every method has its default settings; so small that all are quick

QUICK = {
    "banzhaf": {"samples": 64},
    "gradient_shap": {"samples": 3},
    "integrated_gradients": {"points": 4},
    "kernel_shap": {"samples": 64},
    "lime": {"samples": 64},
    "smooth_grad": {"samples": 3},
    "audiogenx": {"epochs": 3},
    "captum:IntegratedGradients": {"n_steps": 8},
    "captum:ShapleyValueSampling": {"n_samples": 6},
}
FEW_UNITS = {"captum:ShapleyValues": {"rain"}}
"""Methods that some prompts are too long for, and the clips whose prompt is not."""

OTHERWISE = [
    ("audiogenx", {}),
    ("audiogenx", {"mode": "reference", "epochs": 3}),
    ("audiogenx", {"epochs": 3, "seeds": 2, "distribution": "hard_concrete", "smoothness": 0.1}),
    ("audiogenx", {"epochs": 3, "explainer": "mlp", "noise": False}),
    *(("audiogenx", {"epochs": 3, "warm_start": start}) for start in ("attention", "gradient")),
    *(("occlusion", {"operator": operator}) for operator in ("gate", "attention", "null", "delete")),
    *(("occlusion", {"target": target}) for target in ("guided", "contrast", "hidden")),
    *(("shapley", {"by": by}) for by in ("phrase", "token")),
    ("shapley", {"exact_up_to": 2, "permutations": 8}),
    ("shapley", {"batch_size": 3, "operator": "delete", "target": "guided"}),
    *(("input_x_gradient", {"mode": mode}) for mode in ("forward", "reverse")),
    ("input_x_gradient", {"target": "guided"}),
    ("saliency", {"target": "guided"}),
    ("smooth_grad", {"score": "length", "samples": 2, "seed": 3}),
    ("integrated_gradients", {"points": 3, "target": "guided"}),
    ("cross_attention", {"layers": "0,-1", "heads": "1"}),
    ("value_norms", {"layers": "1"}),
    ("value_zeroing", {"layers": "-1"}),
    ("atman", {"suppression": 0.5, "threshold": 0.3, "layers": "0"}),
    ("daam", {"threshold": 0.4}),
    ("attention_rollout", {"residual": 0.8}),
    ("generic_attention", {"causal": True, "resolution": None}),
    ("attention_grad_cam", {"layers": None, "resolution": 0.16}),
    ("gradient_x_attention", {"positive": True, "resolution": 0.16}),
    ("captum:FeatureAblation", {"operator": "delete", "by": "phrase", "resolution": 0.16}),
    ("captum:Saliency", {"target": "guided", "start": 0.16, "end": 0.32}),
    ("random", {"seed": 4}),
]
"""Settings that take other ways through the code, on the clip `rain`."""

VIEWED = {"audiogenx": {"epochs": 3}, "occlusion": {}}
"""A mask and scores that add up: whose views are recorded, and which the metrics measure; of the clip `dog`."""
VIEW = (0.2, 0.6)

QUICK_METRICS = {
    "cascading_randomisation": {"stages": 2},
    "infidelity": {"samples": 16},
    "linear_datamodelling": {"samples": 16},
    "soft_comprehensiveness": {"samples": 16},
    "soft_sufficiency": {"samples": 16},
    "max_sensitivity": {"samples": 2},
    "seed_robustness": {"repeats": 1},
    **{name: {"repeats": 1} for name in ("fid_f", "fid_cf", "kl_f", "kl_cf", "removal_1", "removal_2", "removal_3")},
}
OTHER_METRICS = [
    ("fid_f", {"repeats": 1, "mask": "matched", "unit": "noise_floor"}),
    ("kl_cf", {"repeats": 1, "reverse": True}),
    ("comprehensiveness", {"operator": "value"}),
    ("share_of_optimum", {"operator": "null"}),
    ("roc_auc", {"level": "attention"}),
    ("relevance_mass", {"level": "attention"}),
    ("perturbation_curves", {"operator": "gate"}),
]

SAMPLING = {
    "plain": {},
    "greedy": {"temperature": 0.0},
    "cool": {"temperature": 0.7, "top_k": 5, "guidance_scale": 1.0},
    "strong": {"guidance_scale": 6.0, "top_k": 0},
    "conditional": {"branch": "conditional"},
    "unconditional": {"branch": "unconditional"},
    "masked": {"mask": True},
    "masked_conditional": {"mask": True, "branch": "conditional"},
}
SAMPLED = {"prompt": "a bell rings then a siren", "seconds": 0.4, "seed": 7}
PASSES = {
    "conditional": {"branch": "conditional"},
    "unconditional": {"branch": "unconditional"},
    "guided": {"branch": "guided"},
    "isolated": {"isolated": True},
}
PASS_PROMPTS = ["a bell rings then a siren", "rain"]  # the shorter one is padded

QUESTIONS = {
    "ask": ["ask"],
    "ask_instead": ["ask", "--instead", "bell=siren", "--interval", "0:0.2"],
    "ask_against": ["ask", "--interval", "0:0.2", "--against", "0.2:0.4", "--by", "phrase"],
    "effects": ["effects", "--interval", "0.1:0.3"],
}
"""Commands that put a question to the model about the saved explanation."""
FOLDER_PROMPT = "a bell rings then birds sing"
FOLDER_COMMANDS = {
    "explanation": ["explain", FOLDER_PROMPT, "-m", "audiogenx", "--set", "epochs=3", "--set", "seeds=2"],
    "comparison": ["explain", FOLDER_PROMPT, "-m", "occlusion,cross_attention", "--audio-repeats", 0],
    "benchmark": [
        *("bench", "run", "-m", "occlusion,cross_attention", "--metrics", "mask_size,roc_auc,comprehensiveness,fid_f"),
        *("--reference", "occlusion", "--generators", "tiny"),
    ],
}


# What is computed, by the program that writes the record and by the tests alike


def label(where, name, settings):
    return f"{where}-{name}" + "".join(f",{key}={value}" for key, value in settings.items())


def weights_digest(model):
    return numbers.digest(access.weights_of(model))


def of_clip(clip, key):
    return {f"{key}/codes": access.codes_of(clip), f"{key}/loudness": access.loudness_of(clip)}


def sampled(model, case):
    options = dict(SAMPLING[case])
    if options.pop("mask", False):
        steps, tokens = access.steps_of(model, SAMPLED["prompt"], SAMPLED["seconds"])
        options["mask"] = (torch.arange(steps)[:, None] + torch.arange(tokens)) % 3 / 2  # 0, 0.5 and 1
    return access.make_clip(model, **SAMPLED, **options)


def passed(model, case):
    return access.log_probabilities(model, sampled(model, "plain"), PASS_PROMPTS, **PASSES[case])


def methods():
    """(clip, method, settings) of every explanation that is recorded."""
    for clip in CLIPS:
        for method in access.method_names():
            if clip in FEW_UNITS.get(method, CLIPS):
                yield clip, method, {} if clip == AS_THEY_ARE else QUICK.get(method, {})
    for method, settings in OTHERWISE:
        yield "rain", method, settings


def answer(models, clips, clip, method, settings):
    return access.answer_of(access.attribute(method, settings, models[CLIPS[clip].model], clips[clip]))


def explained(models, clips, method):
    return access.attribute(method, VIEWED[method], models["tiny"], clips["dog"])


def metrics():
    """(metric, settings) of every measure that is recorded."""
    yield from ((name, QUICK_METRICS.get(name, {})) for name in access.metric_names())
    yield from OTHER_METRICS


def asked(name, folder):
    """The numbers of an answer, in their order."""
    question, *options = QUESTIONS[name]
    result = access.command(question, folder, *options, "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    return _numbers(json.loads(result.stdout))


def _numbers(content):
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        return [number for part in content for number in _numbers(part)]
    return [content] if isinstance(content, float) else []
