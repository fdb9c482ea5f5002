"""What generators of codes in a delay pattern share: clips, prompts, and passes over a clip's own codes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from math import isfinite
from typing import Any, ClassVar

from jaxtyping import Float, Int

from tagxai.contract.attention import at_position
from tagxai.contract.encoding import conditioning_of, remember_conditioning
from tagxai.contract.generator import Capability, Generator
from tagxai.contract.request import Request, Setting, read_settings
from tagxai.contract.state import neutral_state
from tagxai.contract.timeline import DelayPattern
from tagxai.contract.values import Branch, Conditioning, Generation, OnProgress, PrefixState, StepOutput
from tagxai.errors import TagxaiError
from tagxai.generators.codes.batches import sample_in_batches
from tagxai.generators.codes.stream import Job
from tagxai.generators.parts import trim
from tagxai.lazy import torch


class DelayPatternGenerator(Generator):
    """A decoder of codes in a delay pattern that reads the prompt by cross-attention, under classifier-free guidance.

    A backend sets the attributes in its constructor, and says how its model is called: `_embed`, `_states`,
    `_streaming`, `_heads` and `decode_codes`. The null condition of guidance is an embedding of zeros, over which
    attention adds nothing; a model that has another overrides `_null`, and one without a fast tokenizer `_tokenize`.
    """

    offers: ClassVar[frozenset[Capability]] = frozenset({"gradients", "attention", "closes", "causal"})
    default_source: ClassVar[str]
    default_duration: ClassVar[float] = 5.0  # seconds
    default_guidance_scale: float = 3.0  # these three where a checkpoint names none
    default_top_k: int = 250
    default_temperature: float = 1.0
    max_tokens: ClassVar[int] = 4096  # of a prompt: attention in the text encoder takes the square of it
    mixes_prompts: ClassVar[bool] = False  # whether its attention sites heed the `parts` of a position

    source: str
    delays: tuple[int, ...]  # of each codebook, in steps
    tokenizer: Any  # of transformers
    pad: int  # what the decoder reads where the pattern has no code
    max_frames: int

    @property
    def codebooks(self) -> int:
        return len(self.delays)

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Dtype of the decoder's matrices. Where that is lower than float32, the rest may still be float32."""

    @property
    @abstractmethod
    def _heads(self) -> Sequence[Callable[[Any], Any]]:
        """Hidden states to logits, for each codebook."""

    def _tokenize(self, prompt: str) -> tuple[Sequence[int], Sequence[str], Sequence[tuple[int, int]]]:
        """Token ids, their names, and their characters in the prompt; at least one token, also of an empty text."""
        encoded = self.tokenizer(prompt, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
        spans = [
            (len(prompt), len(prompt)) if is_special else trim(prompt, *offset)
            for offset, is_special in zip(encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True)
        ]
        return encoded["input_ids"], self.tokenizer.convert_ids_to_tokens(encoded["input_ids"]), spans

    def _null(self, embeddings: torch.Tensor) -> torch.Tensor:
        """The null condition of guidance, in the shape of `embeddings`."""
        return torch.zeros_like(embeddings)

    @abstractmethod
    def _embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token ids [batch, tokens] to embeddings of the decoder's width. Called without gradients."""

    @abstractmethod
    def _states(self, columns: torch.Tensor, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the heads read, in a causal pass over `columns[batch, codebooks, steps]`; `mask` is False on padding."""

    @abstractmethod
    def _streaming(self, embeddings: torch.Tensor) -> AbstractContextManager[Callable[[Any], Any]]:
        """A function of the next `columns[batch, codebooks, 1]` that remembers the columns before."""

    def _lower(self) -> AbstractContextManager[Any]:
        """Only matrix products are in a lower dtype; norms and the sum of the layers stay as exact as the model has
        them. A word often changes log-probabilities by less than rounding that sum would."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    # -- making audio --------------------------------------------------------------------------------------------

    def timeline(self, duration: float | None = None) -> DelayPattern:
        seconds = min(self.default_duration, self.max_duration) if duration is None else duration
        frames = round(seconds * self.frame_rate) if isfinite(seconds * self.frame_rate) else 0
        if not 1 <= frames <= self.max_frames:
            raise TagxaiError(
                f"generator {self.name!r} cannot make {seconds:g} s: expected {1 / self.frame_rate:g} to "
                f"{self.max_duration:g} s"
            )
        return DelayPattern(frames, self.frame_rate, self.delays)

    def sampling_settings(self) -> Sequence[Setting]:
        return (
            Setting("guidance_scale", float, self.default_guidance_scale, "Classifier-free guidance; 1 is none."),
            Setting("top_k", int, self.default_top_k, "Sample among so many likeliest codes; 0 takes all.", 0),
            Setting("temperature", float, self.default_temperature, "Of sampling; 0 takes the likeliest code.", 0),
        )

    def generate_one(self, request: Request, *, on_progress: OnProgress | None = None) -> Generation:
        return self.generate_many([request], on_progress=on_progress)[0]

    def generate_many(self, requests: Sequence[Request], *, on_progress: OnProgress | None = None) -> list[Generation]:
        """As many clips in one stream as memory allows; see `tagxai.generators.codes.stream`."""
        with neutral_state(self), torch.no_grad():
            jobs = self._jobs(requests)
            codes = sample_in_batches(self, jobs, on_progress)
            return [self._generation(job, codes[job.number]) for job in jobs]

    def _jobs(self, requests: Sequence[Request]) -> list[Job]:
        encoded: dict[str, Conditioning] = {}  # each alone, as padding would change its last digits
        jobs = []
        for number, request in enumerate(requests):
            settings = read_settings(self.sampling_settings(), request.settings, f"generator {self.name!r}")
            timeline = self.timeline(request.duration)
            conditioning = request.conditioning or encoded.get(request.prompt)
            if conditioning is None:
                conditioning = encoded[request.prompt] = self.encode_prompt([request.prompt])
            mask, expected = request.mask, (timeline.positions, len(conditioning.tokens[0]))
            if mask is not None and mask.shape != expected:
                raise ValueError(f"mask of shape {tuple(mask.shape)}; expected {expected}")
            jobs.append(Job(number, request, conditioning, timeline, settings))
        return jobs

    def _generation(self, job: Job, codes: torch.Tensor) -> Generation:
        request, conditioning = job.request, job.conditioning
        generation = Generation(
            prompt=request.prompt,
            tokens=conditioning.tokens[0],
            spans=conditioning.spans[0],
            waveform=self.decode_codes(codes),
            sample_rate=self.sample_rate,
            timeline=job.timeline,
            seed=request.seed,
            generator=f"{self.name}:{self.source}" if self.source else self.name,
            record={"codes": codes},
            settings={**job.settings, "branch": request.branch},
            model=self.identity(),
        )
        remember_conditioning(self, generation, conditioning)
        return generation

    def decode(self, generation: Generation) -> Float[torch.Tensor, "channels samples"]:
        with neutral_state(self), torch.no_grad():
            return self.decode_codes(generation.record["codes"])

    @abstractmethod
    def decode_codes(self, codes: Int[torch.Tensor, "codebooks frames"]) -> Float[torch.Tensor, "channels samples"]:
        """Codes to sound at `sample_rate`."""

    # -- looking at it -------------------------------------------------------------------------------------------

    def encode_prompt(self, prompts: Sequence[str]) -> Conditioning:
        rows = [self._tokenize(prompt) for prompt in prompts]
        longest = max(len(ids) for ids, _, _ in rows)
        if longest > self.max_tokens:
            raise TagxaiError(f"the prompt has {longest} tokens; expected at most {self.max_tokens}")
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids, _, _ in rows], device=self.device)
        mask = torch.tensor([[i < len(ids) for i in range(longest)] for ids, _, _ in rows], device=self.device)
        with torch.no_grad():
            embeddings = self._embed(ids, mask.long()) * mask[..., None]
        return Conditioning(
            embeddings, mask, tuple(tuple(tokens) for _, tokens, _ in rows), tuple(tuple(spans) for *_, spans in rows)
        )

    def forward(
        self, generation: Generation, conditioning: Conditioning | None = None, *, branch: Branch = "conditional"
    ) -> StepOutput:
        conditioning = conditioning or conditioning_of(self, generation)
        hidden = self.hidden_states(generation, conditioning, branch=branch)
        unconditional = self._unconditional(generation, conditioning) if branch == "guided" else None
        return StepOutput(hidden, self._log_prob(generation, self._codes(generation), hidden, unconditional))

    def hidden_states(
        self, generation: Generation, conditioning: Conditioning | None = None, *, branch: Branch = "conditional"
    ) -> Float[torch.Tensor, "batch positions dim"]:
        conditioning = conditioning or conditioning_of(self, generation)
        columns = self._columns(self._codes(generation)).expand(len(conditioning), -1, -1)
        if branch == "unconditional":
            conditioning = replace(conditioning, embeddings=self._null(conditioning.embeddings))
        # Edits belong to the conditional branch.
        with at_position(0, conditional_rows=0 if branch == "unconditional" else None), self._lower():
            return self._states(columns, conditioning.embeddings, conditioning.mask)

    def until(self, generation: Generation, frame: int) -> Generation:
        timeline = generation.timeline.until(frame)
        codes = generation.record["codes"][:, : timeline.frames]
        return replace(generation, timeline=timeline, record={"codes": codes})

    def prefix_state(
        self, generation: Generation, conditioning: Conditioning, positions: int, *, branch: Branch = "conditional"
    ) -> PrefixState:
        state = None
        if positions:
            columns = self._columns(self._codes(generation))[None, :, :positions]
            with self._lower():
                state = self._remember(columns, conditioning.embeddings, conditioning.mask)
        unconditional = self._unconditional(generation, conditioning) if branch == "guided" else None
        return PrefixState(positions, state, unconditional)

    def forward_from(
        self,
        prefix: PrefixState,
        generation: Generation,
        conditioning: Conditioning,
        *,
        branch: Branch = "conditional",
    ) -> StepOutput:
        if branch == "unconditional" or (branch == "guided" and prefix.unconditional is None):
            raise ValueError(f"a prefix of the conditional branch cannot be continued as {branch!r}")
        codes, first = self._codes(generation), prefix.positions
        if first:
            columns = self._columns(codes)[:, first:].expand(len(conditioning), -1, -1)
            with at_position(first), self._lower():
                hidden = self._continue(prefix, columns, conditioning.embeddings, conditioning.mask)
        else:
            hidden = self.hidden_states(generation, conditioning)
        unconditional = (
            prefix.unconditional[:, first:] if branch == "guided" and prefix.unconditional is not None else None
        )
        return StepOutput(hidden, self._log_prob(generation, codes[:, first:], hidden, unconditional))

    def isolated_states(
        self, generation: Generation, conditioning: Conditioning
    ) -> Float[torch.Tensor, "batch positions dim"]:
        batch, positions = len(conditioning), generation.positions
        columns = self._columns(self._codes(generation)).expand(batch, -1, -1)
        columns = columns.transpose(1, 2).reshape(batch * positions, self.codebooks, 1)
        embeddings, mask = (
            rows.repeat_interleave(positions, 0) for rows in (conditioning.embeddings, conditioning.mask)
        )
        with self._lower():
            return self._states(columns, embeddings, mask).reshape(batch, positions, -1)

    def _codes(self, generation: Generation) -> Int[torch.Tensor, "codebooks frames"]:
        return generation.record["codes"].to(self.device)

    def _unconditional(
        self, generation: Generation, conditioning: Conditioning
    ) -> Float[torch.Tensor, "1 positions dim"]:
        one = replace(conditioning, embeddings=conditioning.embeddings[:1], mask=conditioning.mask[:1])
        return self.hidden_states(generation, one, branch="unconditional")

    def _columns(self, codes: torch.Tensor) -> Int[torch.Tensor, "codebooks steps"]:
        """What the decoder reads: step t reads column t, and predicts column t + 1."""
        steps = codes.shape[1] + max(self.delays)
        columns = codes.new_full((self.codebooks, steps), self.pad)
        for q, delay in enumerate(self.delays):
            columns[q, 1 + delay : 1 + delay + codes.shape[1]] = codes[q, : steps - 1 - delay]
        return columns

    def _remember(self, columns: torch.Tensor, embeddings: torch.Tensor, mask: torch.Tensor) -> Any:
        """What `_continue` needs of the first `columns[1, codebooks, positions]`."""
        raise self._unsupported("continue from the middle of a clip")

    def _continue(
        self, prefix: PrefixState, columns: torch.Tensor, embeddings: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """As `_states`, after what `_remember` gave; a backend with the one has the other."""
        raise self._unsupported("continue from the middle of a clip")

    def _log_prob(
        self,
        generation: Generation,
        codes: torch.Tensor,
        hidden: torch.Tensor,
        unconditional: torch.Tensor | None = None,
    ) -> Float[torch.Tensor, "batch codebooks frames"]:
        """Log-probabilities of `codes`, one codebook at a time so that only one vocabulary is in memory."""
        scale = generation.settings.get("guidance_scale", self.default_guidance_scale)
        chosen = []
        for q, (head, delay) in enumerate(zip(self._heads, self.delays, strict=True)):
            at = slice(delay, delay + codes.shape[1])
            logits = head(hidden[:, at]).float()
            if unconditional is not None:
                null = head(unconditional[:, at]).float()
                logits = null + scale * (logits - null)
            index = codes[q].expand(len(hidden), -1)[..., None]
            chosen.append(logits.log_softmax(-1).gather(-1, index)[..., 0])
        return torch.stack(chosen, dim=1)
