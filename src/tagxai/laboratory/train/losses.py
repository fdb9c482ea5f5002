"""The codec's losses: spectra at several resolutions for all sounds, the waveform where it is tonal."""

import torch
from torch import Tensor, nn

from tagxai.laboratory import HOP
from tagxai.laboratory.sounds.mel import mel_filters
from tagxai.lazy import Float

FLOOR = 1e-2
"""Log spectra are compared above this magnitude only; a tiny floor would make the loss about silence."""


class CodecLoss(nn.Module):
    """Log and linear spectral distance for windows of 16-256 ms (long ones matter for tones) and a tonal waveform
    distance."""

    def __init__(
        self, windows: tuple[int, ...] = (256, 1024, 4096), mels: tuple[int, ...] = (40, 80, 0), waveform: float = 3.0
    ):
        super().__init__()
        self.sizes, self.weight = windows, waveform
        for size, count in zip(windows, mels, strict=True):
            self.register_buffer(f"window_{size}", torch.hann_window(size))
            self.register_buffer(f"mel_{size}", mel_filters(size, count) if count else None)

    def spectrum(self, waveform: Float[Tensor, "batch samples"], size: int) -> Float[Tensor, "batch bands frames"]:
        """Magnitudes, such that a full-scale tone has about 1/2 in its band; in mel bands where the window is short."""
        window = getattr(self, f"window_{size}")
        padded = nn.functional.pad(waveform, (size // 2, size // 2))
        complex_ = torch.stft(padded, size, size // 4, window=window, center=False, return_complex=True)
        magnitude = (complex_.abs().pow(2) + 1e-9).sqrt() * (2 / size)
        filters = getattr(self, f"mel_{size}")
        return magnitude if filters is None else (filters @ magnitude.pow(2) + 1e-9).sqrt()

    def forward(
        self,
        output: Float[Tensor, "batch samples"],
        target: Float[Tensor, "batch samples"],
        tonal: Float[Tensor, "batch samples"],
    ) -> dict[str, Tensor]:
        log, linear = torch.zeros(()), torch.zeros(())
        for size in self.sizes:
            a, b = self.spectrum(output, size), self.spectrum(target, size)
            log = log + ((a + FLOOR).log() - (b + FLOOR).log()).abs().mean()
            linear = linear + (a - b).abs().mean() / (b.mean() + 1e-3)
        # Noise has no waveform worth learning, and a waveform loss would pull it to zero: frames count by how tonal
        # they are.
        energy, rest = (part.unfold(1, HOP, HOP).pow(2).mean(2) for part in (tonal, target - tonal))
        share = energy / (energy + rest + 1e-5)
        wave = torch.zeros(())
        # High tones carry little energy; the second round, on differences, makes them count.
        for emphasis in (0.0, 0.95):
            got, wanted = ((x[:, 1:] - emphasis * x[:, :-1]) for x in (output, target))
            error = nn.functional.pad(got - wanted, (1, 0)).unfold(1, HOP, HOP).abs().mean(2)
            level = nn.functional.pad(wanted, (1, 0)).unfold(1, HOP, HOP).pow(2).mean(2).sqrt()
            wave = wave + (share * error / (level + 0.02)).mean()
        return {"log": log, "linear": 0.5 * linear, "wave": self.weight * wave}
