"""What the backends share: sampling in a delay pattern, teacher forcing, tokens' spans, where models come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from math import isfinite
from typing import Any, ClassVar

from jaxtyping import Float, Int

from tagxai.contract.attention import at_position, edit_attention
from tagxai.contract.generator import Generator
from tagxai.contract.values import Branch, Conditioning, Generation, Memory, OnProgress, Progress, StepOutput
from tagxai.errors import TagxaiError
from tagxai.generators.codes.sampling import _check_sampling, draw
from tagxai.generators.parts import trim
from tagxai.lazy import torch
from tagxai.probing.edits import Gate


class DelayPatternGenerator(Generator):
    """A decoder of codes in a delay pattern that reads the prompt by cross-attention, under classifier-free guidance.

    A backend sets the attributes in its constructor, and says how its model is called: `_embed`, `_states`,
    `_streaming`, `_heads` and `decode`. The null condition of guidance is an embedding of zeros, over which attention
    adds nothing; a model that has another overrides `_null`, and one without a fast tokenizer `_tokenize`.
    """

    default_source: ClassVar[str]
    default_duration: ClassVar[float] = 5.0  # seconds
    default_guidance_scale: float = 3.0  # these three where a checkpoint names none
    default_top_k: int = 250
    default_temperature: float = 1.0
    max_tokens: ClassVar[int] = 4096  # of a prompt: attention in the text encoder takes the square of it

    source: str
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
        """Of the decoder's matrices. Where that is lower than float32, the rest may still be float32."""

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

    def generate(
        self,
        prompt: str,
        *,
        duration: float | None = None,
        seed: int = 0,
        guidance_scale: float | None = None,
        top_k: int | None = None,
        temperature: float | None = None,
        mask: Float[torch.Tensor, "steps tokens"] | None = None,
        branch: Branch = "guided",
        on_progress: OnProgress | None = None,
    ) -> Generation:
        settings: dict[str, Any] = {
            "guidance_scale": self.default_guidance_scale if guidance_scale is None else guidance_scale,
            "top_k": self.default_top_k if top_k is None else top_k,
            "temperature": self.default_temperature if temperature is None else temperature,
            "branch": branch,
        }
        if not prompt.strip():
            raise TagxaiError("the prompt is empty; give some words, such as 'a dog barks while rain falls'")
        _check_sampling(seed, settings)
        frames = self._frames(duration)
        conditioning = self.encode_prompt([prompt])
        steps = frames + max(self.delays)
        if mask is not None and mask.shape != (steps, len(conditioning.tokens[0])):
            raise ValueError(f"mask of shape {tuple(mask.shape)}; expected {(steps, len(conditioning.tokens[0]))}")
        with torch.no_grad(), ExitStack() as hooks:
            if mask is not None and branch != "unconditional":
                gate = Gate(mask.to(conditioning.embeddings))
                hooks.enter_context(edit_attention(self.cross_attention(), gate))
            codes = self._sample(conditioning.embeddings, frames, seed=seed, on_progress=on_progress, **settings)
            waveform = self.decode(codes)
        return Generation(
            prompt=prompt,
            tokens=conditioning.tokens[0],
            token_spans=conditioning.spans[0],
            codes=codes,
            waveform=waveform,
            sample_rate=self.sample_rate,
            frame_rate=self.frame_rate,
            delays=self.delays,
            seed=seed,
            generator=f"{self.name}:{self.source}" if self.source else self.name,
            settings=settings,
        )

    def _sample(
        self,
        embeddings: torch.Tensor,
        frames: int,
        *,
        seed: int,
        guidance_scale: float,
        top_k: int,
        temperature: float,
        branch: Branch,
        on_progress: OnProgress | None,
    ) -> Int[torch.Tensor, "codebooks frames"]:
        """Stream through the delay pattern, one step a call. Temperature 0 is greedy."""
        null = self._null(embeddings)
        halves = {"guided": [embeddings, null], "conditional": [embeddings], "unconditional": [null]}[branch]
        rows, conditional_rows = len(halves), {"guided": 1, "conditional": None, "unconditional": 0}[branch]
        random = torch.Generator(device=embeddings.device).manual_seed(seed)
        delays = torch.tensor(self.delays, device=embeddings.device)
        steps = frames + max(self.delays)
        columns = torch.full((self.codebooks, steps + 1), self.pad, device=embeddings.device)
        with self._streaming(torch.cat(halves)) as states:
            for step in range(steps):
                with at_position(step, conditional_rows), self._lower():
                    hidden = states(columns[:, step : step + 1].expand(rows, -1, -1))
                logits = torch.stack([head(hidden[:, 0]) for head in self._heads], dim=1).float()
                mixed = logits[0] if rows == 1 else logits[1] + guidance_scale * (logits[0] - logits[1])
                drawn = draw(mixed, top_k, temperature, random)
                frame = step - delays
                columns[:, step + 1] = torch.where((frame >= 0) & (frame < frames), drawn, self.pad)
                if on_progress is not None:
                    on_progress(Progress(step + 1, steps, "generating"))
        return torch.stack([columns[q, 1 + delay : 1 + delay + frames] for q, delay in enumerate(self.delays)])

    def _frames(self, duration: float | None) -> int:
        seconds = min(self.default_duration, self.max_duration) if duration is None else duration
        frames = round(seconds * self.frame_rate) if isfinite(seconds * self.frame_rate) else 0
        if not 1 <= frames <= self.max_frames:
            raise TagxaiError(
                f"generator {self.name!r} cannot make {seconds:g} s: expected {1 / self.frame_rate:g} to "
                f"{self.max_duration:g} s"
            )
        return frames

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
        self,
        generation: Generation,
        conditioning: Conditioning | None = None,
        *,
        branch: Branch = "conditional",
        log_prob: bool = True,
        isolated: bool = False,
        unconditional: Float[torch.Tensor, "1 steps dim"] | None = None,
        memory: Memory | None = None,
    ) -> StepOutput:
        if conditioning is None:
            conditioning = self.encode_prompt([generation.prompt])
        null = replace(conditioning, embeddings=self._null(conditioning.embeddings))
        codes = generation.codes.to(self.device)
        if memory is not None and (branch == "unconditional" or (branch == "guided" and unconditional is None)):
            raise ValueError("a memory is of the conditional branch: give the states of the unconditional one")
        if memory is not None:
            with at_position(memory.steps), self._lower():
                columns = self._columns(codes)[:, memory.steps :].expand(len(conditioning), -1, -1)
                hidden = self._continue(memory, columns, conditioning.embeddings, conditioning.mask)
            codes = codes[:, memory.steps :]
        elif branch == "unconditional":
            with at_position(0, conditional_rows=0):  # edits belong to the conditional branch
                hidden = self._hidden(codes, null, isolated)
        else:
            hidden = self._hidden(codes, conditioning, isolated)
        if not log_prob:
            return StepOutput(hidden)
        if branch != "guided":
            return StepOutput(hidden, self._log_prob(codes, hidden))
        if unconditional is None:
            with at_position(0, conditional_rows=0):
                null = replace(null, embeddings=null.embeddings[:1], mask=null.mask[:1])
                unconditional = self._hidden(codes, null, isolated)
        scale = generation.settings.get("guidance_scale", self.default_guidance_scale)
        return StepOutput(hidden, self._log_prob(codes, hidden, unconditional, scale))

    def _hidden(
        self, codes: torch.Tensor, conditioning: Conditioning, isolated: bool
    ) -> Float[torch.Tensor, "batch steps dim"]:
        batch, steps = len(conditioning), codes.shape[1] + max(self.delays)
        inputs, embeddings, mask = (
            self._columns(codes).expand(batch, -1, -1),
            conditioning.embeddings,
            conditioning.mask,
        )
        if isolated:
            inputs = inputs.transpose(1, 2).reshape(batch * steps, self.codebooks, 1)
            embeddings, mask = embeddings.repeat_interleave(steps, 0), mask.repeat_interleave(steps, 0)
        with self._lower():
            return self._states(inputs, embeddings, mask).reshape(batch, steps, -1)

    def _columns(self, codes: torch.Tensor) -> Int[torch.Tensor, "codebooks steps"]:
        """What the decoder reads: step t reads column t, and predicts column t + 1."""
        steps = codes.shape[1] + max(self.delays)
        columns = codes.new_full((self.codebooks, steps), self.pad)
        for q, delay in enumerate(self.delays):
            columns[q, 1 + delay : 1 + delay + codes.shape[1]] = codes[q, : steps - 1 - delay]
        return columns

    def _continue(
        self, memory: Memory, columns: torch.Tensor, embeddings: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """As `_states`, after what `remember` gave; a backend with the one has the other."""
        raise NotImplementedError

    def _log_prob(
        self, codes: torch.Tensor, hidden: torch.Tensor, unconditional: torch.Tensor | None = None, scale: float = 1.0
    ) -> Float[torch.Tensor, "batch codebooks frames"]:
        """Log-probabilities of `codes`, one codebook at a time so that only one vocabulary is in memory."""
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
