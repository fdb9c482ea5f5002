"""The package as the record sees it: whatever a later commit may rename is named here, and here alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from typer.testing import CliRunner

import tagxai
from tagxai import testing
from tagxai.cli import app
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.measuring import measure

FAMILY = "captum"


# Models


def load_model(spec):
    return tagxai.load_generator(spec)


def write_random_checkpoint(folder, **options):
    """An untrained model in transformers' format, of seed 0; the spec to load it by."""
    return f"musicgen:{testing.random_checkpoint(folder, **options)}"


def write_audiocraft_checkpoint(folder, name="audiogen", **options):
    """An untrained model in audiocraft's format, of seed 0; the spec to load it by."""
    return f"{name}:{testing.random_audiocraft_checkpoint(folder, **options)}"


def convert_to_transformers(source, target):
    """The spec of a converted copy of an audiocraft checkpoint."""
    result = command("convert", source.partition(":")[2], target, "--to", "transformers")
    assert result.exit_code == 0, result.output
    return f"musicgen:{target}"


def weights_of(model):
    """The tensors that lead from the text to the codes, in a fixed order."""
    return [tensor for _, part in sorted(model.parameters_by_part().items()) for tensor in part]


# Clips


def make_clip(model, prompt, *, seconds, seed, mask=None, **sampling):
    return model.generate(prompt, duration=seconds, seed=seed, mask=mask, **sampling)


def steps_of(model, prompt, seconds):
    """(steps, tokens): the shape of a mask for a clip."""
    return model.timeline(seconds).positions, len(model.encode_prompt([prompt]).tokens[0])


def codes_of(clip):
    return clip.record["codes"]


def loudness_of(clip):
    """[channels, frames]: the root mean square of the samples of each frame."""
    return clip.waveform.unflatten(-1, (clip.frames, -1)).square().mean(-1).sqrt()


def text_of(clip):
    """What a clip says of its prompt and settings, as plain JSON."""
    return {
        "tokens": list(clip.tokens),
        "spans": [list(span) for span in clip.spans],
        "settings": dict(clip.settings),
        "delays": list(clip.timeline.delays),
    }


def log_probabilities(model, clip, prompts, *, isolated=False, **options):
    """[prompts, codebooks, frames] of a teacher-forced pass."""
    with torch.no_grad():
        conditioning = model.encode_prompt(prompts)
        if isolated:
            return model._log_prob(clip, codes_of(clip), model.isolated_states(clip, conditioning))
        return model.forward(clip, conditioning, **options).log_prob


# Methods and metrics


def method_names():
    """Every registered method, and captum's algorithms by their names."""
    return [*tagxai.registry().methods, *tagxai.registry().families[FAMILY].summaries]


def metric_names():
    return list(tagxai.registry().metrics)


AUDIOGENX_LOGITS = {
    "learning_rate": 1.0,
    "adam_beta1": 0.9,
    "alpha": 2e-2,
    "smoothness": 0.0,
    "noise": True,
    "warm_start": "half",
    "start_scale": 1.0,
}
"""What AudioGenX took by default for free logits at the record's commit; today's defaults are others."""


def attribute(name, settings, model, clip):
    if name == "audiogenx":
        usual = "mlp" if settings.get("mode") == "reference" else "logits"
        then = AUDIOGENX_LOGITS if settings.get("explainer", usual) == "logits" else {}
        settings = {"patience": 5, **then, **settings}
    return tagxai.registry().method(name).configure(settings).attribute(model, clip)


@dataclass
class Answer:
    """What is compared of an attribution: its tensors, and how its tokens join."""

    tensors: dict[str, torch.Tensor]
    text: dict[str, Any]


def answer_of(attribution):
    tensors = {"scores": attribution.scores}
    if attribution.deviation is not None:
        tensors["deviation"] = attribution.deviation
    return Answer(tensors, {"is_mask": attribution.is_mask, "merge": attribution.merge})


def views_of(attribution, start, end):
    """Scores of words, phrases and tokens in an interval, over time, and as a mask to sample under."""
    views = {
        by: torch.tensor([score.score for score in view(start, end)])
        for by, view in (
            ("words", attribution.per_word),
            ("phrases", attribution.per_phrase),
            ("tokens", attribution.per_token),
        )
    }
    return views | {"over_time": attribution.over_time(attribution.words()), "mask": attribution.to_mask()}


def measured(name, settings, model, attribution):
    return measure(tagxai.registry().metric(name).configure(settings), model, attribution)


# Folders


def load_explanation(folder):
    return tagxai.Attribution.load(folder)


def load_comparison(folder):
    """The attributions by method."""
    return {name: each.attribution for name, each in Comparison.load(folder).explanations.items()}


def command(*arguments):
    """`tagxai ...`, as its users run it."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")
