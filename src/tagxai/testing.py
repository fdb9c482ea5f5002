"""For authors of plugins: checks of the contract for each kind of plugin, and a small random model to run them on.

    from tagxai.testing import check_method

    def test_my_method_keeps_the_contract():
        check_method(MyMethod())

Every check raises ConformanceError, which says which promise of `tagxai.base` was broken, and how.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, get_args

from tagxai.attribution import Attribution
from tagxai.base import Capability, Generator, Method, MethodMetric, Metric
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.hooks import AttentionSite, Capture, Gate, edit_attention, position, scale_values
from tagxai.lazy import torch
from tagxai.truth import Level, TrueWord, Truth
from tagxai.types import Generation, Progress

PROMPTS = ("a dog barks while rain falls", "thunder then a bell", "the sound of a bell ringing then a siren")


class ConformanceError(AssertionError):
    """A plugin that breaks a promise of its contract."""


class _Promise:
    """`promise(kept, broken)` raises ConformanceError "<subject> <broken>" where the promise was not kept."""

    def __init__(self, kind: str, subject: object) -> None:
        self.subject = f"{kind} {getattr(subject, 'name', None) or type(subject).__name__!r}"

    def __call__(self, kept: bool, broken: str) -> None:
        if not kept:
            raise ConformanceError(f"{self.subject} {broken}")

    def raises(self, expected: type[Exception], call: Callable[[], object], situation: str) -> None:
        try:
            call()
        except expected:
            return
        except Exception as error:
            raise ConformanceError(
                f"{self.subject} raises {type(error).__name__} {situation}; expected {expected.__name__}"
            ) from error
        raise ConformanceError(f"{self.subject} raises nothing {situation}; expected {expected.__name__}")

    def is_close(self, found: torch.Tensor, expected: torch.Tensor, tolerance: float, broken: str) -> None:
        same_shape = found.shape == expected.shape
        self(same_shape, f"{broken}: shape {tuple(found.shape)} against {tuple(expected.shape)}")
        difference = (found - expected).abs().max().item()
        close = torch.allclose(found, expected, atol=tolerance, rtol=tolerance)
        self(close, f"{broken}: they differ by up to {difference:.3g}, tolerance {tolerance:g}")

    def is_json(self, value: object, what: str) -> None:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConformanceError(f"{self.subject} has {what} that JSON cannot hold: {error}") from None

    def is_described(self, cls: type) -> None:
        """A name, and a docstring whose first line `tagxai list` shows."""
        name = getattr(cls, "name", None)
        self(isinstance(name, str) and bool(name.strip()), f"has no `name`: {name!r}")
        first = (vars(cls).get("__doc__") or "").strip().partition("\n")[0]
        generated = is_dataclass(cls) and first.startswith(f"{cls.__name__}(")  # what @dataclass writes by itself
        self(bool(first) and not generated, "has no docstring; its first line is what `tagxai list` shows")

    @contextmanager
    def leaves_alone(self, generator: Generator, generation: Generation, when: str = "") -> Iterator[None]:
        """The block must leave nothing behind: in the generator, its outputs, or the process's random state."""
        output = _outputs(generator, generation)
        state = _state(generator)
        yield
        after = _state(generator)
        for what, before in state.items():
            self(after[what] == before, f"changes {what}{when}")
        self(
            torch.equal(_outputs(generator, generation), output),
            f"changes the generator's output{when}: an attention edit or other state is left behind",
        )


# -- methods ---------------------------------------------------------------------------------------------------------


def check_method(
    method: Method | type[Method],
    generator: Generator | None = None,
    *,
    prompts: Sequence[str] = PROMPTS,
    duration: float = 0.6,
) -> None:
    """Check a method on `generator` (default: a small random one), on clips of `duration` seconds.

    The method runs up to seven times: give it settings that are quick.
    """
    method = method() if isinstance(method, type) else method
    promise = _Promise("method", method)
    promise.is_described(type(method))
    parameters = getattr(type(method), "__dataclass_params__", None)
    promise(parameters is not None and parameters.frozen, "is not a frozen dataclass")
    unknown = set(method.needs) - set(get_args(Capability))
    promise(not unknown, f"needs {unknown}; there is only {get_args(Capability)}")
    promise.is_json(method.settings(), "settings")
    promise(type(method).configure(method.settings()) == method, "is not rebuilt by `configure` from its own settings")

    generator = generator or _random_generator()
    clip, other = (generator.generate(prompt, duration=duration, seed=5) for prompt in prompts[:2])
    if method.needs:
        promise.raises(
            UnsupportedError,
            lambda: method.attribute(_OffersNothing(), clip),
            f"for a generator that does not offer {', '.join(sorted(method.needs))}",
        )

    reports: list[Progress] = []
    with _global_seed(1), promise.leaves_alone(generator, clip):
        attribution = method.attribute(generator, clip, on_progress=reports.append)
    _check_attribution(promise, method, attribution, clip)
    _check_progress(promise, reports)

    method.attribute(generator, other)  # in between, so that state kept from another clip would show
    with _global_seed(2):
        again = method.attribute(generator, clip)
    promise(
        torch.equal(again.scores, attribution.scores),
        "gives other scores in a second run: state is kept between clips, or randomness does not come from its seed",
    )
    _check_failure(promise, method, generator, clip, reported=bool(reports))


def _check_attribution(promise: _Promise, method: Method, attribution: Attribution, clip: Generation) -> None:
    promise(isinstance(attribution, Attribution), f"returns a {type(attribution).__name__}, not an Attribution")
    promise(attribution.generation is clip, "returns an attribution of another generation than it was given")
    promise(attribution.method == method.name, f"calls itself {attribution.method!r} in its attribution")
    promise(attribution.settings == method.settings(), "does not store its settings in its attribution")
    scores = attribution.scores
    promise(scores.is_floating_point() and not scores.requires_grad, "returns scores that are not plain floats")
    promise(bool(torch.isfinite(scores).all()), "returns scores that are not finite")
    if attribution.is_mask:
        promise(bool(((scores >= 0) & (scores <= 1)).all()), "calls its scores a mask, but some are outside [0, 1]")
    promise.is_json([dict(attribution.cost), dict(attribution.diagnostics)], "cost or diagnostics")
    promise(all(value >= 0 for value in attribution.cost.values()), "has a negative cost")
    with TemporaryDirectory() as folder:
        loaded = Attribution.load(attribution.save(folder))
    promise(torch.equal(loaded.scores, scores.cpu()), "gives scores that change when saved and loaded")
    promise(loaded.per_word() == attribution.per_word(), "gives word scores that change when saved and loaded")


def _check_progress(promise: _Promise, reports: Sequence[Progress]) -> None:
    promise(all(isinstance(report, Progress) for report in reports), "reports progress that is not a Progress")
    promise(all(0 <= report.done <= report.total for report in reports), "reports progress beyond its total")


def _check_failure(
    promise: _Promise, method: Method, generator: Generator, clip: Generation, *, reported: bool
) -> None:
    """An exception from inside the model, or from the progress callback, comes through and leaves nothing behind."""
    if "attention" in generator.offers:
        site = list(generator.cross_attention())[-1:]
        calls = _FailingEdit()
        with edit_attention(site, calls):
            method.attribute(generator, clip)
        for call in sorted({1, calls.seen}) if calls.seen else ():
            situation = f" after an exception in call {call} of an attention site"
            with promise.leaves_alone(generator, clip, situation), edit_attention(site, _FailingEdit(call)):
                promise.raises(_Failure, lambda: method.attribute(generator, clip), situation.strip())
    if reported:
        situation = " after an exception in on_progress"
        with promise.leaves_alone(generator, clip, situation):
            promise.raises(_Failure, lambda: method.attribute(generator, clip, on_progress=_fail), situation.strip())


# -- generators ------------------------------------------------------------------------------------------------------


def check_generator(
    generator: Generator, *, prompts: Sequence[str] = PROMPTS, duration: float = 0.6, tolerance: float = 1e-4
) -> None:
    """Check a loaded generator with at least three `prompts` of different lengths.

    `tolerance` (absolute and relative) is for log-probabilities, hidden states and attention weights that are computed
    in two ways; what is repeated in the same way must be equal bit for bit.
    """
    promise = _Promise("generator", generator)
    promise.is_described(type(generator))
    unknown = set(generator.offers) - set(get_args(Capability))
    promise(not unknown, f"offers {unknown}; there is only {get_args(Capability)}")
    promise(generator.sample_rate > 0 and generator.frame_rate > 0, "has no positive sample rate and frame rate")
    promise(generator.max_duration > 0, "has no positive max_duration")
    promise(bool(generator.delays) and min(generator.delays) >= 0, "has no delays, one for each codebook")

    reports: list[Progress] = []
    with _global_seed(1):
        clip = generator.generate(prompts[0], duration=duration, seed=11, on_progress=reports.append)
    _check_generation(promise, generator, clip, prompts[0], duration, tolerance)
    _check_progress(promise, reports)
    with _global_seed(2), promise.leaves_alone(generator, clip):
        again = generator.generate(prompts[0], duration=duration, seed=11)
        generator.forward(clip, branch="guided")
    promise(
        torch.equal(again.codes, clip.codes) and torch.equal(again.waveform, clip.waveform),
        "makes another clip from the same prompt and seed",
    )
    _check_forward(promise, generator, clip, prompts, tolerance)
    if "gradients" in generator.offers:
        _check_gradients(promise, generator, clip)
    if "attention" in generator.offers:
        _check_attention(promise, generator, clip, prompts, tolerance)
    if "truth" in generator.offers:
        _check_truth(promise, generator, clip)
    _check_refusals(promise, generator)


def _check_generation(
    promise: _Promise, generator: Generator, clip: Generation, prompt: str, duration: float, tolerance: float
) -> None:
    promise((clip.prompt, clip.seed) == (prompt, 11), "makes a generation that does not name its prompt and seed")
    promise(bool(clip.generator), "makes a generation that does not name its generator")
    promise.is_json(dict(clip.settings), "generation settings")
    promise(
        (clip.sample_rate, clip.frame_rate, clip.delays)
        == (generator.sample_rate, generator.frame_rate, generator.delays),
        "makes a generation with another sample rate, frame rate or delays than its own",
    )
    promise(
        abs(clip.duration - duration) <= 0.5 / clip.frame_rate + 1e-9,
        f"makes {clip.duration:g} s when asked for {duration:g} s",
    )
    promise(not clip.codes.is_floating_point() and int(clip.codes.min()) >= 0, "makes codes that are not indices")
    promise(clip.waveform.ndim == 2, f"makes a waveform of {clip.waveform.ndim} axes; expected [channels, samples]")
    promise(bool(torch.isfinite(clip.waveform).all()), "makes a waveform that is not finite")
    samples = clip.duration * clip.sample_rate
    promise(
        abs(clip.waveform.shape[1] - samples) <= clip.sample_rate / clip.frame_rate,
        f"makes {clip.waveform.shape[1]} samples for {clip.frames} frames; expected {samples:g}, or a frame about it",
    )
    promise.is_close(
        generator.decode(clip.codes), clip.waveform, tolerance, "decodes the codes to another sound than it returned"
    )
    inside = all(0 <= start <= end <= len(prompt) for start, end in clip.token_spans)
    promise(inside, "gives token spans outside the prompt")
    named = generator.encode_prompt([prompt])
    promise(
        (named.tokens[0], named.spans[0]) == (clip.tokens, clip.token_spans),
        "splits the prompt into other tokens in `encode_prompt` than in `generate`",
    )


def _check_forward(
    promise: _Promise, generator: Generator, clip: Generation, prompts: Sequence[str], tolerance: float
) -> None:
    plain = generator.forward(clip)
    promise(
        plain.hidden.ndim == 3 and plain.hidden.shape[:2] == (1, clip.steps),
        f"gives hidden states of shape {tuple(plain.hidden.shape)}; expected (1, {clip.steps}, dim)",
    )
    promise(plain.log_prob is not None, "gives no log-probabilities")
    log_prob = _log_prob(generator, clip)
    promise(
        log_prob.shape == (1, *clip.codes.shape),
        f"gives log-probabilities of shape {tuple(log_prob.shape)}; expected {(1, *clip.codes.shape)}",
    )
    promise(bool(torch.isfinite(log_prob).all() and (log_prob <= 1e-6).all()), "gives log-probabilities above 0")
    promise(
        generator.forward(clip, log_prob=False).log_prob is None, "computes log-probabilities that nobody asked for"
    )

    batch = generator.encode_prompt(list(prompts))
    together = generator.forward(clip, batch)
    promise(len(batch) == len(prompts), f"encodes {len(prompts)} prompts to {len(batch)} rows")
    for row, prompt in enumerate(prompts):
        alone = generator.encode_prompt([prompt])
        length = len(alone.tokens[0])
        promise(
            batch.tokens[row] == alone.tokens[0] and batch.mask[row].sum().item() == length,
            f"splits {prompt!r} into other tokens, or masks others as padding, in a batch than alone",
        )
        for found, expected, what in (
            (batch.embeddings[row][batch.mask[row]], alone.embeddings[0], "encodes a prompt"),
            (together.hidden[row], generator.forward(clip, alone).hidden[0], "computes hidden states"),
        ):
            promise.is_close(found, expected, tolerance, f"{what} otherwise in a padded batch than alone")

    null = [generator.forward(clip, generator.encode_prompt([p]), branch="unconditional").hidden for p in prompts[:2]]
    promise.is_close(null[0], null[1], tolerance, "has an unconditional branch that depends on the prompt")

    # Codes are read one step after they are predicted: the last frame's codes may change nothing at or before the
    # first step that predicts one of them, apart from their own log-probabilities.
    codes = clip.codes.clone()
    codes[:, -1] = clip.codes[:, -1].roll(1) if len(codes) > 1 else clip.codes[:, 0]
    steps = clip.frames + min(clip.delays)
    changed = generator.forward(replace(clip, codes=codes)).hidden[:, :steps]
    promise.is_close(
        changed, plain.hidden[:, :steps], tolerance, "reads a code before it is predicted, or moves frames"
    )

    isolated = generator.forward(clip, isolated=True, log_prob=False).hidden
    promise.is_close(isolated[:, :1], plain.hidden[:, :1], tolerance, "has an isolated first step unlike the plain one")
    promise(isolated.shape == plain.hidden.shape, "gives isolated hidden states of another shape")


def _check_gradients(promise: _Promise, generator: Generator, clip: Generation) -> None:
    conditioning = generator.encode_prompt([clip.prompt])
    embeddings = conditioning.embeddings.detach().clone().requires_grad_()
    output = generator.forward(clip, replace(conditioning, embeddings=embeddings))
    promise(output.hidden.requires_grad, "offers gradients, but its forward pass is not differentiable")
    (gradient,) = torch.autograd.grad(_only(output.log_prob).sum(), embeddings)
    promise(
        bool(torch.isfinite(gradient).all() and gradient.abs().sum() > 0),
        "gives gradients with respect to the prompt's embeddings that are zero or not finite",
    )
    promise(
        not any(p.requires_grad for m in _modules(generator) for p in m.parameters()), "does not freeze its weights"
    )
    promise(not any(m.training for m in _modules(generator)), "is not in evaluation mode")


def _check_attention(
    promise: _Promise, generator: Generator, clip: Generation, prompts: Sequence[str], tolerance: float
) -> None:
    sites, cross = list(generator.attention_sites()), list(generator.cross_attention())
    promise(bool(cross), "offers attention, but has no cross-attention site")
    promise(len({site.name for site in sites}) == len(sites), "gives one name to several attention sites")

    plain, tokens = generator.forward(clip), len(clip.tokens)
    null = generator.forward(clip, branch="unconditional")
    for value, expected, what in ((1.0, plain, "the plain pass"), (0.0, null, "the unconditional branch")):
        with edit_attention(cross, Gate(torch.full((clip.steps, tokens), value))):
            gated = generator.forward(clip)
        promise.is_close(gated.hidden, expected.hidden, tolerance, f"is not {what} under a gate of {value:g}")
        promise.is_close(
            _only(gated.log_prob), _only(expected.log_prob), tolerance, f"is not {what} under a gate of {value:g}"
        )

    gates = torch.rand(2, clip.steps, tokens, generator=torch.Generator().manual_seed(3))
    gates[1] = 1.0
    with edit_attention(cross, Gate(gates)):
        hidden = generator.forward(clip, generator.encode_prompt([clip.prompt]).expand(2)).hidden
    promise.is_close(hidden[1], plain.hidden[0], tolerance, "lets a gate on one row of a batch change another row")

    constant = gates[:, 0]
    with edit_attention(cross, Gate(constant[:, None].expand(-1, clip.steps, -1))):
        gated_hidden = generator.forward(clip, generator.encode_prompt([clip.prompt]).expand(2)).hidden
    with scale_values(cross, constant):
        hidden = generator.forward(clip, generator.encode_prompt([clip.prompt]).expand(2)).hidden
    promise.is_close(hidden, gated_hidden, tolerance, "scales value vectors otherwise than a gate that never changes")

    # The weights that a masked, streaming, guided run shows are those of a masked teacher-forced pass over its codes.
    # They are seen before the mask, so that from the second layer or step on they show what the mask did to the states.
    streamed, forced = (Capture(keep_layers=True, keep_heads=True) for _ in range(2))
    with edit_attention(cross, streamed):
        masked = generator.generate(clip.prompt, duration=clip.duration, seed=12, mask=gates[0])
    with torch.no_grad(), edit_attention(cross, forced), edit_attention(cross, Gate(gates[0])):
        generator.forward(masked)
    weights = forced.weights()
    promise(
        weights.shape == (1, len(cross), cross[0].heads, clip.steps, tokens),
        f"shows cross-attention weights of shape {tuple(weights.shape)} [batch, layers, heads, steps, tokens]",
    )
    promise.is_close(
        weights.sum(-1), torch.ones_like(weights[..., 0]), tolerance, "shows weights that do not sum to 1 over tokens"
    )
    promise.is_close(
        streamed.weights(), weights, tolerance, "differs between masked streaming and a masked teacher-forced pass"
    )

    for site in sites:
        situation = f" after an exception in an edit at {site.name}"
        with promise.leaves_alone(generator, clip, situation), edit_attention([site], _FailingEdit(1)):
            promise.raises(_Failure, lambda: generator.forward(clip), situation.strip())
    with promise.leaves_alone(generator, clip, " after an exception while generating"):
        promise.raises(
            _Failure,
            lambda: generator.generate(clip.prompt, duration=clip.duration, mask=gates[0], on_progress=_fail),
            "when on_progress raises",
        )


def _check_truth(promise: _Promise, generator: Generator, clip: Generation) -> None:
    truth = generator.truth(clip)
    if truth is None:  # not every prompt's truth is known
        return
    shape = (len(truth.words), clip.frames)
    promise(
        truth.mask.shape == shape, f"tells a truth of shape {tuple(truth.mask.shape)} [words, frames], not of {shape}"
    )
    promise(truth.frame_rate == clip.frame_rate, "tells a truth at another frame rate than the clip's")
    promise(all(word.end <= len(clip.prompt) for word in truth.words), "tells a truth about words beyond the prompt")
    owned = sorted(token for unit in truth.units(clip) for token in unit.tokens)
    promise(owned == list(range(len(clip.tokens))), "tells a truth whose words share tokens")


def _check_refusals(promise: _Promise, generator: Generator) -> None:
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


# -- metrics ---------------------------------------------------------------------------------------------------------


def check_metric(
    metric: Metric | type[Metric],
    generator: Generator | None = None,
    *,
    prompt: str = PROMPTS[0],
    duration: float = 0.6,
) -> None:
    """Check a metric on masks and on signed scores: random, all equal, and all zero; one that asks the method again, on
    the explanation of a method that looks at attention.

    The default `generator` is a small random one; for a metric that needs the truth, made-up truth goes with it.
    """
    metric = metric() if isinstance(metric, type) else metric
    promise = _Promise("metric", metric)
    promise.is_described(type(metric))
    promise(isinstance(getattr(metric, "family", None), str), "declares no `family`")
    promise(isinstance(getattr(metric, "higher_is_better", None), bool), "declares no direction: `higher_is_better`")
    bounds = getattr(metric, "bounds", (0, 0))
    promise(len(bounds) == 2 and bounds[0] < bounds[1], "declares no `bounds`: (smallest, largest)")

    unknown = set(metric.needs) - set(get_args(Capability))
    promise(not unknown, f"needs {unknown}; there is only {get_args(Capability)}")

    generator = generator or _random_generator(truth="truth" in metric.needs)
    clip = generator.generate(prompt, duration=duration, seed=5)
    if metric.needs:
        unexplained = Attribution(clip, torch.zeros(1, clip.frames, len(clip.tokens)), "random")
        promise.raises(
            UnsupportedError,
            lambda: metric.score(_OffersNothing(), clip, unexplained),
            f"for a generator that does not offer {', '.join(sorted(metric.needs))}",
        )
    shape = (1, clip.frames, len(clip.tokens))
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    if isinstance(metric, MethodMetric):
        from tagxai.methods.cross_attention import CrossAttention

        method = CrossAttention()
        explained = method.attribute(generator, clip)
        _check_value(
            promise,
            bounds,
            "a method",
            generator,
            clip,
            lambda: metric.score_method(generator, clip, explained, method),
        )
        return
    for scores, is_mask, what in (
        (drawn, True, "a random mask"),
        (torch.ones(shape), True, "a mask of ones"),
        (torch.zeros(shape), True, "a mask of zeros"),
        (drawn - 0.5, False, "signed scores"),
        (torch.full(shape, 2.0), False, "equal scores"),
    ):
        attribution = Attribution(clip, scores, "random", is_mask=is_mask, merge="mean" if is_mask else "sum")
        _check_value(promise, bounds, what, generator, clip, partial(metric.score, generator, clip, attribution))


def _check_value(
    promise: _Promise,
    bounds: tuple[float, float],
    what: str,
    generator: Generator,
    clip: Generation,
    call: Callable[[], float],
) -> None:
    with _global_seed(1), promise.leaves_alone(generator, clip):
        value = call()
    promise(isinstance(value, float), f"returns a {type(value).__name__} for {what}; expected a float")
    promise(math.isfinite(value), f"is {value} for {what}")
    promise(bounds[0] <= value <= bounds[1], f"is {value:g} for {what}, outside its bounds {bounds}")
    with _global_seed(2):
        promise(call() == value, f"gives another value for {what} again")


# -- what the checks stand on ----------------------------------------------------------------------------------------


class _Failure(Exception):
    """Raised on purpose, to see what is left behind."""


def _fail(progress: Progress) -> NoReturn:
    raise _Failure


class _FailingEdit:
    """An edit that raises when it is run for the `at`-th time (never, where that is 0), and counts its runs."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.seen = at, 0

    def __call__(self, site: AttentionSite, weights: torch.Tensor) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise _Failure


class _OffersNothing(Generator):
    """A generator without capabilities; whoever uses it did not ask first."""

    name = "offers_nothing"
    offers = frozenset()

    @classmethod
    def _used(cls, *args: Any, **kwargs: Any) -> Any:
        raise ConformanceError("the method works with a generator that does not offer what it needs")

    load = generate = encode_prompt = forward = decode = attention_sites = _used


def _modules(generator: Generator) -> list[torch.nn.Module]:
    """The models that a generator holds as attributes: the contract does not say where they are kept."""
    return [value for value in vars(generator).values() if isinstance(value, torch.nn.Module)]


def _state(generator: Generator) -> dict[str, object]:
    """What nothing but loading may change, in words that complete "changes ...".

    Python's own random state is not among it: MusicGen in transformers draws from it in every layer (for a layer drop
    that is off), to no effect.
    """
    import numpy

    parts = [part for model in _modules(generator) for part in model.modules()]
    weights = [tensor for model in _modules(generator) for tensor in (*model.parameters(), *model.buffers())]
    return {
        "the model's weights": [(t.double().sum().item(), t.double().square().sum().item()) for t in weights],
        "which weights need gradients": [t.requires_grad for t in weights],
        "the gradients stored on weights": [t.grad is None for t in weights if t.is_leaf],
        "the model's training mode": [part.training for part in parts],
        "the hooks on the model's modules": [
            (len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks)) for part in parts
        ],
        "the position seen by attention edits": position(),
        "whether gradients are enabled": torch.is_grad_enabled(),
        "torch's global random state": torch.random.get_rng_state().tolist(),
        "numpy's global random state": repr(numpy.random.get_state()),
    }


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Another global random state inside the block: results may not depend on it (nor change it)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _log_prob(generator: Generator, generation: Generation) -> torch.Tensor:
    with torch.no_grad():
        return _only(generator.forward(generation).log_prob)


def _outputs(generator: Generator, generation: Generation) -> torch.Tensor:
    """A plain pass, and one with an edit that only looks: what was left behind may sleep until hooks are in use."""
    plain = _log_prob(generator, generation)
    with edit_attention(generator.attention_sites(), lambda site, weights: None):
        return torch.cat([plain, _log_prob(generator, generation)])


def _only(log_prob: torch.Tensor | None) -> torch.Tensor:
    if log_prob is None:
        raise ConformanceError("the generator's forward pass gives no log-probabilities")
    return log_prob


@cache
def _random_generator(*, truth: bool = False) -> Generator:
    from tagxai.generators.transformers import TransformersGenerator

    class Knowing(TransformersGenerator):
        """Says that the first word of every prompt makes the first half of the clip, which nothing bears out."""

        offers = TransformersGenerator.offers | {"truth"}

        def truth(self, generation: Generation, level: Level = "word") -> Truth:
            mask = torch.arange(generation.frames) < generation.frames / 2
            word = TrueWord(0, len(generation.prompt.split()[0]), "event", causal=True)
            return Truth((word,), mask[None], generation.frame_rate)

    with TemporaryDirectory() as folder:
        return (Knowing if truth else TransformersGenerator).load(str(random_checkpoint(folder)))


def random_checkpoint(
    folder: str | Path,
    *,
    seed: int = 0,
    channels: int = 1,
    codebooks: int = 4,
    vocabulary: int = 64,
    layers: int = 2,
    heads: int = 4,
    width: int = 32,
    text_width: int = 24,
    max_steps: int = 80,
    feed_forward: int | None = None,
) -> Path:
    """Write an untrained model in MusicGen's format, tokenizer included, to `folder`: about 0.4 MB, 25 frames a second.

    `codebooks` are those of one channel: a stereo decoder (`channels=2`) has twice as many. `layers`, `heads`, `width`,
    `feed_forward` (None: twice the width) and `max_steps` are the decoder's, `text_width` the text encoder's. Its
    weights are large enough that the prompt changes the audio codes. The same arguments write the same weights.
    """
    from transformers import (
        EncodecConfig,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        T5Config,
    )

    from tagxai.generators.common import quiet

    target = Path(folder)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer()
        text = T5Config(
            vocab_size=len(tokenizer), d_model=text_width, d_kv=8, d_ff=2 * text_width, num_layers=2, num_heads=3
        )
        frame_rate, bits = 25, (vocabulary - 1).bit_length()
        codec = EncodecConfig(
            sampling_rate=16_000,
            upsampling_ratios=[10, 64],  # their product is the hop: 640 samples, 25 frames a second
            num_filters=4,
            hidden_size=16,
            codebook_dim=16,
            num_lstm_layers=1,
            codebook_size=vocabulary,
            target_bandwidths=[codebooks * bits * frame_rate / 1000],
            use_causal_conv=False,
        )
        decoder = MusicgenDecoderConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            ffn_dim=feed_forward or 2 * width,
            num_codebooks=codebooks * channels,
            audio_channels=channels,
            pad_token_id=vocabulary,
            bos_token_id=vocabulary,
            max_position_embeddings=max_steps,
            dropout=0.0,
            initializer_factor=width**-0.5,
        )
        config = MusicgenConfig(text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict())
        model = MusicgenForConditionalGeneration(config)
        quantizer: Any = model.audio_encoder.quantizer
        for layer in quantizer.layers:  # transformers makes all entries zero: one sound for all codes
            layer.codebook.embed.normal_(std=3.0)
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return target


def random_audiocraft_checkpoint(
    folder: str | Path, *, seed: int = 0, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> Path:
    """Write an untrained AudioGen in audiocraft's own format, and its T5 beside it, to `folder`: about 0.8 MB.

    4 codebooks at 25 frames a second, 16 kHz, up to 3 s. `changes` are those to its configuration, such as
    `{"transformer_lm": {"num_layers": 4}}`. Needs audiocraft.
    """
    from audiocraft import __version__
    from audiocraft.models.builders import get_compression_model, get_lm_model
    from omegaconf import OmegaConf
    from transformers import T5Config, T5EncoderModel

    from tagxai.generators.common import quiet

    target = Path(folder)
    config: Any = OmegaConf.merge(OmegaConf.create(_AUDIOCRAFT_CONFIG), changes or {})
    described, t5_name = config.conditioners, config.conditioners.description.t5.name
    with quiet(), warnings.catch_warnings(action="ignore"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer()
        # 512 is the width that audiocraft takes a T5 of the name t5-small to have.
        text = T5Config(vocab_size=len(tokenizer), d_model=512, d_kv=8, d_ff=32, num_layers=1, num_heads=3)
        T5EncoderModel(text).save_pretrained(target / t5_name)
        tokenizer.save_pretrained(target / t5_name)
        projection = torch.nn.Linear(text.d_model, config.transformer_lm.dim)
        config.conditioners = {}  # audiocraft would look for the T5 on the hub
        language_model = get_lm_model(config).state_dict()
        codec = get_compression_model(config).state_dict()
    config.conditioners = described
    projected = projection.state_dict(prefix="condition_provider.conditioners.description.output_proj.")
    for name, state in (("state_dict.bin", language_model | projected), ("compression_state_dict.bin", codec)):
        package = {"best_state": dict(state), "xp.cfg": OmegaConf.to_yaml(config)}
        torch.save(package | {"version": __version__, "exported": True}, target / name)
    return target


# The keys of the released models that audiocraft's builders read, with small sizes.
_AUDIOCRAFT_CONFIG = """
device: cpu
dtype: float32
sample_rate: 16000
channels: 1
dataset: {segment_duration: 3}
lm_model: transformer_lm
transformer_lm:
  {dim: 32, num_heads: 4, num_layers: 2, hidden_scale: 2, n_q: 4, card: 64, causal: true, cross_attention: false,
   norm: layer_norm, norm_first: true, activation: gelu, dropout: 0.0, attention_dropout: null, layer_scale: null,
   bias_ff: false, bias_attn: false, bias_proj: false, qk_layer_norm: false, qk_layer_norm_cross: false, kv_repeat: 1,
   custom: false, memory_efficient: true, attention_as_float32: false, past_context: null, checkpointing: none,
   positional_embedding: sin, xpos: false, two_step_cfg: false, emb_lr: null,
   weight_init: gaussian, depthwise_init: current, zero_bias_init: true}
codebooks_pattern: {modeling: delay, delay: {delays: [0, 1, 2, 3], flatten_first: 0, empty_initial: 0}}
classifier_free_guidance: {training_dropout: 0.1, inference_coef: 3.0}
attribute_dropout: {}
conditioners:
  description: {model: t5, t5: {name: t5-small, finetune: false, word_dropout: 0.0, normalize_text: false}}
fuser:
  {cross: [description], sum: [], prepend: [], input_interpolate: [],
   cross_attention_pos_emb: false, cross_attention_pos_emb_scale: 1}
compression_model: encodec
encodec: {autoencoder: seanet, quantizer: rvq, sample_rate: 16000, channels: 1, causal: false, renormalize: false}
seanet:
  {dimension: 16, channels: 1, causal: false, n_filters: 4, n_residual_layers: 1, ratios: [10, 64], compress: 2,
   lstm: 1, activation: ELU, activation_params: {alpha: 1.0}, norm: weight_norm, norm_params: {}, kernel_size: 7,
   residual_kernel_size: 3, last_kernel_size: 7, dilation_base: 2, pad_mode: constant, true_skip: true,
   disable_norm_outer_blocks: 0, encoder: {},
   decoder: {trim_right_ratio: 1.0, final_activation: null, final_activation_params: null}}
rvq:
  {n_q: 4, bins: 64, q_dropout: false, decay: 0.99, kmeans_init: false, kmeans_iters: 50, threshold_ema_dead_code: 2,
   orthogonal_reg_weight: 0.0, orthogonal_reg_active_codes_only: false}
"""


_WORDS = "a the sound of dog bark rain fall while then followed by bird sing bell ring siren thunder with engine no"


def _tokenizer() -> Any:
    """A Unigram tokenizer over a few words, their endings and single letters, so that most words take 1-3 pieces."""
    from string import ascii_lowercase, punctuation

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<unk>"]
    pieces = [*(f"▁{word}" for word in _WORDS.split()), "s", "ing", "ed", "out", "▁", *ascii_lowercase, *punctuation]
    scores = [(piece, 0.0) for piece in special] + [
        (piece, -4.0 if len(piece) > 1 else -8.0) for piece in dict.fromkeys(pieces)
    ]
    unigram = Tokenizer(models.Unigram(scores, unk_id=special.index("<unk>")))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    unigram.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", special.index("</s>"))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=unigram, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
