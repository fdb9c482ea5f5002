"""The event detector: says which of the embedded model's events are audible when."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from tagxai.laboratory import FRAME_RATE, SAMPLE_RATE, WEIGHTS
from tagxai.laboratory.sounds.mel import mel_filters
from tagxai.laboratory.sounds.synthesis import EVENTS
from tagxai.lazy import Bool, Float

WINDOW, STEP, BANDS = 1024, 320, 64


class EventDetector(nn.Module):
    """Dilated convolutions over log-mel spectra; about 2.5 s of context per frame.

    >>> EventDetector()(torch.zeros(2, 48_000)).shape  # batch, frames of 40 ms, events
    torch.Size([2, 75, 20])
    """

    window: Tensor
    filters: Tensor

    def __init__(self, events: tuple[str, ...] = EVENTS, width: int = 96):
        super().__init__()
        self.events, self.sample_rate, self.frame_rate, self.width = events, SAMPLE_RATE, FRAME_RATE, width
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("filters", mel_filters(WINDOW, BANDS), persistent=False)
        self.enter = nn.Conv1d(BANDS, width, kernel_size=4, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm1d(width), nn.GELU(), nn.Conv1d(width, width, 5, padding=2 * d, dilation=d))
            for d in (1, 2, 4, 8)
        )
        self.leave = nn.Sequential(nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.1), nn.Conv1d(width, len(events), 1))

    @classmethod
    def load(cls, folder: Path = WEIGHTS) -> "EventDetector":
        """The trained detector, frozen, in evaluation mode."""
        from safetensors.torch import load_file

        settings = json.loads((folder / "detector.json").read_text())
        model = cls(events=tuple(settings["events"]), width=settings["width"])
        model.load_state_dict(load_file(folder / "detector.safetensors"))
        return model.eval().requires_grad_(False)

    def save(self, folder: Path) -> None:
        """Write `detector.safetensors` and `detector.json`."""
        from safetensors.torch import save_file

        settings = {
            "events": self.events,
            "width": self.width,
            "sample_rate": self.sample_rate,
            "frame_rate": self.frame_rate,
        }
        (folder / "detector.json").write_text(json.dumps(settings, indent=2) + "\n")
        save_file(self.state_dict(), folder / "detector.safetensors")

    def spectrum(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch bands columns"]:
        """Log-mel energies at twice the frame rate, floored at about -60 dB."""
        padded = nn.functional.pad(waveform, (WINDOW // 2, WINDOW // 2))
        complex_ = torch.stft(padded, WINDOW, STEP, window=self.window, center=False, return_complex=True)
        power = (complex_.abs() * (2 / WINDOW)).pow(2)
        return ((self.filters @ power).sqrt() + 1e-3).log() / 2 + 2

    def logits(self, spectrum: Float[Tensor, "batch bands columns"]) -> Float[Tensor, "batch frames events"]:
        hidden = self.enter(spectrum)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.leave(hidden).transpose(1, 2)

    def forward(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames events"]:
        """The probability that an event is audible, per frame of 1 / `frame_rate` s."""
        return self.logits(self.spectrum(waveform)).sigmoid()

    def strength(
        self, waveform: Float[Tensor, "batch samples"], start: float = 0.0, end: float | None = None, frames: int = 3
    ) -> Float[Tensor, "batch events"]:
        """How surely an event is heard between `start` and `end` (s): the mean of its `frames` surest frames."""
        span = slice(round(start * self.frame_rate), None if end is None else round(end * self.frame_rate))
        return self(waveform)[:, span].topk(frames, dim=1).values.mean(1)

    def present(self, waveform: Float[Tensor, "batch samples"], threshold: float = 0.5) -> Bool[Tensor, "batch events"]:
        """Whether an event is heard anywhere in the clip."""
        return self.strength(waveform) > threshold

    def centre(self, waveform: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch events"]:
        """The mean time (s) at which an event is heard, weighted by probability: what comes first has the smaller
        one."""
        probability = self(waveform)
        time = (torch.arange(probability.shape[1], device=probability.device) + 0.5) / self.frame_rate
        return (probability * time[:, None]).sum(1) / probability.sum(1).clamp(min=1e-6)
