"""What generators of codes in a delay pattern share: clips, prompts, and passes over a clip's own codes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, ClassVar

from tagxai.contract.attention import at_position
from tagxai.contract.continuing import Beginning, Sound, fitted
from tagxai.contract.encoding import conditioning_of
from tagxai.contract.generator import Capability
from tagxai.contract.request import Replay, Request, Setting
from tagxai.contract.state import plain
from tagxai.contract.timeline import DelayPattern
from tagxai.contract.values import Branch, Conditioning, Generation, OnProgress, PrefixState, StepOutput
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators.codes.batches import sample_in_batches
from tagxai.generators.codes.replays import replay_in_batches
from tagxai.generators.jobs import read_jobs
from tagxai.generators.prompted import PromptedGenerator
from tagxai.lazy import Float, Int, torch


class DelayPatternGenerator(PromptedGenerator):
    """A decoder of codes in a delay pattern that reads the prompt by cross-attention, under classifier-free guidance.

    A backend sets the attributes in its constructor, and says how its model is called: `_embed`, `_states`,
    `_streaming`, `_heads` and `decode_codes`. The null condition of guidance is an embedding of zeros, over which
    attention adds nothing; a model that has another overrides `_null`, and one without a fast tokenizer `_tokenize`.
    """

    offers: ClassVar[frozenset[Capability]] = frozenset({"gradients", "attention", "closes", "causal"})
    default_source: ClassVar[str]
    default_duration: ClassVar[float] = 5.0  # seconds
    default_top_k: int = 250  # these two where a checkpoint names none
    default_temperature: float = 1.0
    mixes_prompts: ClassVar[bool] = False  # whether its attention sites heed the `parts` of a position

    channels: int = 1
    delays: tuple[int, ...]  # of each codebook, in steps
    pad: int  # what the decoder reads where the pattern has no code

    @property
    def codebooks(self) -> int:
        return len(self.delays)

    @property
    @abstractmethod
    def _heads(self) -> Sequence[Callable[[Any], Any]]:
        """Hidden states to logits, for each codebook."""

    def _null(self, embeddings: torch.Tensor) -> torch.Tensor:
        """The null condition of guidance, in the shape of `embeddings`."""
        return torch.zeros_like(embeddings)

    @abstractmethod
    def _states(self, columns: torch.Tensor, embeddings: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """What the heads read, in a causal pass over `columns[batch, codebooks, steps]`; see `Conditioning.padding`."""

    @abstractmethod
    def _streaming(self, embeddings: torch.Tensor) -> AbstractContextManager[Callable[[Any], Any]]:
        """A function of the next `columns[batch, codebooks, 1]` that remembers the columns before."""

    # -- making audio --------------------------------------------------------------------------------------------

    def timeline(self, duration: float | None = None) -> DelayPattern:
        return DelayPattern(self.frames_of(duration), self.frame_rate, self.delays)

    def sampling_settings(self) -> Sequence[Setting]:
        return (
            Setting("guidance_scale", float, self.default_guidance_scale, "Classifier-free guidance; 1 is none."),
            Setting("top_k", int, self.default_top_k, "Sample among so many likeliest codes; 0 takes all.", 0),
            Setting("temperature", float, self.default_temperature, "Of sampling; 0 takes the likeliest code.", 0),
        )

    def generate_many(self, requests: Sequence[Request], *, on_progress: OnProgress | None = None) -> list[Generation]:
        """As many clips in one stream as memory allows; see `tagxai.generators.codes.stream`."""
        with torch.no_grad():
            jobs = read_jobs(self, requests)
            codes = sample_in_batches(self, jobs, on_progress)
            return [
                self._generation(job, {"codes": codes[job.number]}, self.decode_codes(codes[job.number]))
                for job in jobs
            ]

    def decode(self, generation: Generation) -> Float[torch.Tensor, "channels samples"]:
        with torch.no_grad():
            return self.decode_codes(generation.record["codes"])

    @abstractmethod
    def decode_codes(self, codes: Int[torch.Tensor, "codebooks frames"]) -> Float[torch.Tensor, "channels samples"]:
        """Codes to sound at `sample_rate`."""

    def encode_audio(self, waveform: Float[torch.Tensor, "channels samples"], sample_rate: int) -> Beginning:
        with torch.no_grad():
            sound = fitted(Sound(waveform, sample_rate), self.sample_rate, self.channels)
            seconds = sound.shape[1] / self.sample_rate
            frames = int(seconds * self.frame_rate + 1e-6)
            if not 1 <= frames < self.max_frames:
                raise TagxaiError(
                    f"generator {self.name!r} cannot continue {seconds:g} s of sound: keep at least "
                    f"{1 / self.frame_rate:g} s and less than {self.max_duration:g} s, the longest clip"
                )
            whole = round(frames * self.sample_rate / self.frame_rate)
            return Beginning({"codes": self.encode_codes(sound[:, :whole].to(self.device))[:, :frames]}, frames)

    def encode_codes(self, waveform: Float[torch.Tensor, "channels samples"]) -> Int[torch.Tensor, "codebooks frames"]:
        """Sound at `sample_rate` to codes: what `decode_codes` undoes, but for the codec's error."""
        raise UnsupportedError(f"generator {self.name!r} cannot continue a sound: it has no encoder of audio")

    def without_beginning(self, generation: Generation) -> Generation:
        timeline, codes = generation.timeline.after(generation.given), generation.record["codes"][:, generation.given :]
        return replace(generation, timeline=timeline, record={"codes": codes}, given=0)

    # -- looking at it -------------------------------------------------------------------------------------------

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
            return self._states(columns, conditioning.embeddings, conditioning.padding)

    def hidden_states_many(self, replays: Sequence[Replay]) -> list[Float[torch.Tensor, "_batch _positions dim"]]:
        return replay_in_batches(self, replays)

    def until(self, generation: Generation, frame: int) -> Generation:
        timeline = generation.timeline.until(frame)
        codes = generation.record["codes"][:, : timeline.frames]
        return replace(
            generation, timeline=timeline, record={"codes": codes}, given=min(generation.given, codes.shape[1])
        )

    def prefix_state(
        self, generation: Generation, conditioning: Conditioning, positions: int, *, branch: Branch = "conditional"
    ) -> PrefixState:
        state = None
        if positions:
            columns = self._columns(self._codes(generation))[None, :, :positions]
            with self._lower():
                state = self._remember(columns, conditioning.embeddings, conditioning.padding)
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
                hidden = self._continue(prefix, columns, conditioning.embeddings, conditioning.padding)
        else:
            hidden = self.hidden_states(generation, conditioning)
        null = prefix.unconditional[:, first:] if branch == "guided" and prefix.unconditional is not None else None
        return StepOutput(hidden, self._log_prob(generation, codes[:, first:], hidden, null))

    def isolated_states(
        self, generation: Generation, conditioning: Conditioning
    ) -> Float[torch.Tensor, "batch positions dim"]:
        batch, positions = len(conditioning), generation.positions
        columns = self._columns(self._codes(generation)).expand(batch, -1, -1)
        columns = columns.transpose(1, 2).reshape(batch * positions, self.codebooks, 1)
        embeddings = conditioning.embeddings.repeat_interleave(positions, 0)
        padding = conditioning.padding
        if padding is not None:
            padding = padding.repeat_interleave(positions, 0)
        with self._lower():
            return self._states(columns, embeddings, padding).reshape(batch, positions, -1)

    def _codes(self, generation: Generation) -> Int[torch.Tensor, "codebooks frames"]:
        return plain(generation.record["codes"]).to(self.device)

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

    def _remember(self, columns: torch.Tensor, embeddings: torch.Tensor, padding: torch.Tensor | None) -> Any:
        """What `_continue` needs of the first `columns[1, codebooks, positions]`."""
        raise self._unsupported("continue from the middle of a clip")

    def _continue(self, prefix: PrefixState, columns: Any, embeddings: Any, padding: Any) -> torch.Tensor:
        """As `_states`, after what `_remember` gave; a backend with the one has the other."""
        raise self._unsupported("continue from the middle of a clip")

    def _log_prob(
        self,
        generation: Generation,
        codes: torch.Tensor,
        hidden: torch.Tensor,
        unconditional: torch.Tensor | None = None,
    ) -> Float[torch.Tensor, "batch codebooks frames"]:
        """Log-probabilities of `codes`, the clip's last, one codebook at a time so that only one vocabulary is in
        memory. Those of given frames are 0: the model did not choose them."""
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
        given = max(0, generation.given - (generation.frames - codes.shape[1]))
        found = torch.stack(chosen, dim=1)
        return torch.cat([torch.zeros_like(found[..., :given]), found[..., given:]], -1) if given else found
