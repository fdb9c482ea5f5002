"""The check of a generator's contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from tagxai.contract.generator import Capability, Generator
from tagxai.contract.request import Replay, Request
from tagxai.contract.values import Branch, Generation, Progress
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.lazy import torch
from tagxai.testing.attention import check_attention
from tagxai.testing.methods import PROMPTS
from tagxai.testing.promises import Promise, check_progress, global_seed, log_prob_of, models_of


def check_generator(
    generator: Generator, *, prompts: Sequence[str] = PROMPTS, duration: float = 0.6, tolerance: float = 1e-4
) -> None:
    """Check a loaded generator with at least three `prompts` of different lengths.

    `tolerance` (absolute and relative) is for log-probabilities, hidden states and attention weights that are computed
    in two ways; the same computation repeated must be equal bit for bit.
    """
    promise = Promise("generator", generator)
    promise.is_described(type(generator))
    unknown = set(generator.offers) - set(get_args(Capability))
    promise(not unknown, f"offers {unknown}; the capabilities are {get_args(Capability)}")
    promise(generator.sample_rate > 0 and generator.frame_rate > 0, "has no positive sample rate and frame rate")
    promise(generator.max_duration > 0, "has no positive max_duration")

    reports: list[Progress] = []
    with global_seed(1):
        clip = generator.generate(prompts[0], duration=duration, seed=11, on_progress=reports.append)
    _check_generation(promise, generator, clip, prompts[0], duration, tolerance)
    check_progress(promise, reports)
    with global_seed(2), promise.leaves_alone(generator, clip):
        again = generator.generate(prompts[0], duration=duration, seed=11)
        generator.forward(clip, branch="guided")
    promise(
        again.sounds_as(clip) and torch.equal(again.waveform, clip.waveform),
        "makes another clip from the same prompt and seed",
    )
    _check_forward(promise, generator, clip, prompts, tolerance)
    _check_many(promise, generator, prompts, duration)
    if "gradients" in generator.offers:
        _check_gradients(promise, generator, clip)
    if "attention" in generator.offers:
        check_attention(promise, generator, clip, prompts, tolerance)
    if "causal" in generator.offers:
        _check_causal(promise, generator, clip, tolerance)
    if "truth" in generator.offers:
        _check_truth(promise, generator, clip)
    _check_refusals(promise, generator)


def _check_generation(
    promise: Promise, generator: Generator, clip: Generation, prompt: str, duration: float, tolerance: float
) -> None:
    promise((clip.prompt, clip.seed) == (prompt, 11), "makes a generation that does not name its prompt and seed")
    promise(bool(clip.generator), "makes a generation that does not name its generator")
    promise.is_json(dict(clip.settings), "generation settings")
    promise(
        (clip.sample_rate, clip.timeline) == (generator.sample_rate, generator.timeline(duration)),
        "makes a generation with another sample rate or timeline than its own",
    )
    promise(
        abs(clip.duration - duration) <= 0.5 / clip.frame_rate + 1e-9,
        f"makes {clip.duration:g} s when asked for {duration:g} s",
    )
    promise(clip.waveform.ndim == 2, f"makes a waveform of {clip.waveform.ndim} axes; expected [channels, samples]")
    promise(bool(torch.isfinite(clip.waveform).all()), "makes a waveform that is not finite")
    samples = clip.duration * clip.sample_rate
    promise(
        abs(clip.waveform.shape[1] - samples) <= clip.sample_rate / clip.frame_rate,
        f"makes {clip.waveform.shape[1]} samples for {clip.frames} frames; expected {samples:g}, to within a frame",
    )
    promise.is_close(
        generator.decode(clip), clip.waveform, tolerance, "decodes the record to another sound than it returned"
    )
    inside = all(0 <= start <= end <= len(prompt) for start, end in clip.spans)
    promise(inside, "gives token spans outside the prompt")
    named = generator.encode_prompt([prompt])
    promise(
        (named.tokens[0], named.spans[0]) == (clip.tokens, clip.spans),
        "splits the prompt into other tokens in `encode_prompt` than in `generate`",
    )


def _check_forward(
    promise: Promise, generator: Generator, clip: Generation, prompts: Sequence[str], tolerance: float
) -> None:
    plain = generator.forward(clip)
    promise(
        plain.hidden.ndim == 3 and plain.hidden.shape[:2] == (1, clip.positions),
        f"gives hidden states of shape {tuple(plain.hidden.shape)}; expected (1, {clip.positions}, dim)",
    )
    log_prob = log_prob_of(generator, clip)
    promise(
        log_prob.shape == (1, clip.streams, clip.frames),
        f"gives log-probabilities of shape {tuple(log_prob.shape)}; expected {(1, clip.streams, clip.frames)}",
    )
    promise(bool(torch.isfinite(log_prob).all() and (log_prob <= 1e-6).all()), "gives log-probabilities above 0")
    promise.is_close(
        generator.hidden_states(clip), plain.hidden, tolerance, "gives other states without log-probabilities than with"
    )

    batch = generator.encode_prompt(list(prompts))
    together = generator.forward(clip, batch)
    promise(len(batch) == len(prompts), f"encodes {len(prompts)} prompts to {len(batch)} rows")
    for row, prompt in enumerate(prompts):
        alone = generator.encode_prompt([prompt])
        length = len(alone.tokens[0])
        promise(
            batch.tokens[row] == alone.tokens[0] and batch.mask[row].sum().item() == length,
            f"splits {prompt!r} into different tokens, or masks different padding, in a batch than alone",
        )
        for found, expected, what in (
            (batch.embeddings[row][batch.mask[row]], alone.embeddings[0], "encodes a prompt"),
            (together.hidden[row], generator.forward(clip, alone).hidden[0], "computes hidden states"),
        ):
            promise.is_close(found, expected, tolerance, f"{what} differently in a padded batch than alone")

    # Of prompts of one length, as what stands for no prompt may be as long as the prompt.
    for alike in (alone, replace(alone, embeddings=alone.embeddings.flip(-1))):
        promise.is_close(
            generator.forward(clip, alike, branch="unconditional").hidden,
            generator.forward(clip, alone, branch="unconditional").hidden,
            tolerance,
            "has an unconditional branch that depends on the prompt",
        )
    if "closes" in generator.offers:
        null = [generator.forward(clip, generator.encode_prompt([p]), branch="unconditional") for p in prompts[:2]]
        promise.is_close(
            null[0].hidden, null[1].hidden, tolerance, "has an unconditional branch that depends on the prompt"
        )


def _check_many(promise: Promise, generator: Generator, prompts: Sequence[str], duration: float) -> None:
    """Clips that are made together are those made alone, whatever their prompts, seeds, lengths, branches and masks."""
    branches = get_args(Branch)
    requests = [
        Request(prompt, duration / (1 + i % 2), 20 + i, branch=branches[i % len(branches)])
        for i, prompt in enumerate((*prompts, *prompts))
    ]
    if "attention" in generator.offers:
        tokens = len(generator.encode_prompt([prompts[0]]).tokens[0])
        positions = generator.timeline(duration).positions
        gate = torch.rand(positions, tokens, generator=torch.Generator().manual_seed(4))
        requests.append(Request(prompts[0], duration, 20, gate))
        _check_replays(promise, generator, prompts, duration)
    reports: list[Progress] = []
    clips = generator.generate_many(requests, on_progress=reports.append)
    check_progress(promise, reports)
    given = [(request.prompt, request.seed, generator.timeline(request.duration)) for request in requests]
    promise(
        [(clip.prompt, clip.seed, clip.timeline) for clip in clips] == given,
        "answers several requests with other clips, or in another order, than was asked for",
    )
    dtype, device = getattr(generator, "dtype", torch.float32), getattr(generator, "device", torch.device("cpu"))
    if dtype == torch.float32 and device.type == "cpu":  # elsewhere a batch may round otherwise
        for request, clip in zip(requests, clips, strict=True):
            alone = generator.generate_one(request)
            same = clip.sounds_as(alone) and torch.equal(clip.waveform, alone.waveform)
            promise(same, f"makes another clip of {request.prompt!r} in a batch than alone ({request.branch})")


def _check_replays(promise: Promise, generator: Generator, prompts: Sequence[str], duration: float) -> None:
    """Passes over several clips under gates are those over each."""
    replays = []
    for seed, prompt in enumerate(prompts):
        clip, conditioning = generator.generate(prompt, duration=duration, seed=seed), generator.encode_prompt([prompt])
        random = torch.Generator().manual_seed(seed)
        gate = torch.rand(2, clip.positions, len(clip.tokens), generator=random).to(conditioning.embeddings)
        replays.append(Replay(clip, conditioning.expand(2), gate))
    found, expected = generator.hidden_states_many(replays), Generator.hidden_states_many(generator, replays)
    for one, other, replay in zip(found, expected, replays, strict=True):
        prompt = replay.generation.prompt
        promise.is_close(one, other, 1e-4, f"computes hidden states of {prompt!r} differently among several clips")


def _check_causal(promise: Promise, generator: Generator, clip: Generation, tolerance: float) -> None:
    """A frame depends on earlier ones alone: a shorter clip, and a clip continued from its middle, say the same."""
    plain, conditioning = generator.forward(clip), generator.encode_prompt([clip.prompt])
    for frame in sorted({1, clip.frames // 2, clip.frames}):
        shorter = generator.until(clip, frame)
        promise(shorter.timeline == clip.timeline.until(frame), "cuts a clip to another timeline than its own `until`")
        promise.is_close(
            generator.forward(shorter).log_prob[..., :frame],
            plain.log_prob[..., :frame],
            tolerance,
            "reads frames before it predicts them: a shorter clip has other log-probabilities",
        )
    isolated = generator.isolated_states(clip, conditioning)
    promise(isolated.shape == plain.hidden.shape, "gives isolated hidden states of another shape")
    promise.is_close(
        isolated[:, :1], plain.hidden[:, :1], tolerance, "has an isolated first position unlike the plain one"
    )
    for branch in ("conditional", "guided"):
        for first in (0, clip.frames // 2):
            try:
                prefix = generator.prefix_state(clip, conditioning, first, branch=branch)
            except UnsupportedError:  # a causal model whose caches cannot be kept says so
                continue
            promise.is_close(
                generator.forward_from(prefix, clip, conditioning, branch=branch).log_prob,
                generator.forward(clip, branch=branch).log_prob[..., first:],
                tolerance,
                f"continues a clip from position {first} otherwise than it runs the whole ({branch})",
            )


def _check_gradients(promise: Promise, generator: Generator, clip: Generation) -> None:
    conditioning = generator.encode_prompt([clip.prompt])
    embeddings = conditioning.embeddings.detach().clone().requires_grad_()
    output = generator.forward(clip, replace(conditioning, embeddings=embeddings))
    promise(output.hidden.requires_grad, "offers gradients, but its forward pass is not differentiable")
    (gradient,) = torch.autograd.grad(output.log_prob.sum(), embeddings)
    promise(
        bool(torch.isfinite(gradient).all() and gradient.abs().sum() > 0),
        "gives gradients with respect to the prompt's embeddings that are zero or not finite",
    )
    promise(
        not any(p.requires_grad for m in models_of(generator) for p in m.parameters()), "does not freeze its weights"
    )
    promise(not any(m.training for m in models_of(generator)), "is not in evaluation mode")


def _check_truth(promise: Promise, generator: Generator, clip: Generation) -> None:
    truth = generator.truth(clip)
    if truth is None:  # not every prompt's truth is known
        return
    shape = (len(truth.words), clip.frames)
    promise(
        truth.mask.shape == shape, f"gives a truth of shape {tuple(truth.mask.shape)} [words, frames], not of {shape}"
    )
    promise(truth.frame_rate == clip.frame_rate, "gives a truth at another frame rate than the clip's")
    promise(all(word.end <= len(clip.prompt) for word in truth.words), "gives a truth about words beyond the prompt")
    owned = sorted(token for unit in truth.units(clip) for token in unit.tokens)
    promise(owned == list(range(len(clip.tokens))), "gives a truth whose words share tokens")


def _check_refusals(promise: Promise, generator: Generator) -> None:
    for empty in ("", "  "):
        promise.raises(TagxaiError, lambda empty=empty: generator.generate(empty), "for an empty prompt")  # type: ignore[misc]
    for seconds in (0.0, -1.0, generator.max_duration + 1):
        promise.raises(
            TagxaiError,
            lambda seconds=seconds: generator.generate(PROMPTS[0], duration=seconds),  # type: ignore[misc]
            f"for a clip of {seconds:g} s",
        )
    with TemporaryDirectory() as folder:
        missing = str(Path(folder) / "missing")
        promise.raises(TagxaiError, lambda: type(generator).load(missing), "for a model folder that does not exist")
