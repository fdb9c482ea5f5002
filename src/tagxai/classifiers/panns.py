"""PANNs: 527 sounds of AudioSet by convolutions (Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for
Audio Tagging and Sound Event Detection", TASLP 2020, section III.A: CNN14).

No maintained package has it, so the network is written here, with the names of its published weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagxai.classifiers import Classifier
from tagxai.errors import TagxaiError
from tagxai.lazy import Float, torch

WEIGHTS = "https://zenodo.org/records/3987831"
_RATES = {1024: 32_000, 512: 16_000, 256: 8_000}
"""The sample rate (Hz) of the published networks by their window (samples)."""
_BLOCKS = 6


class Panns(Classifier):
    """CNN14's probabilities: each label is a yes or no by itself, as the network was trained.

    Labels are "audioset/0" to "audioset/526", by AudioSet's own class indices.
    """

    exclusive = False

    def __init__(self, model: Cnn14) -> None:
        """The model is frozen and set to evaluation."""
        self.model, self.sample_rate = model.eval().requires_grad_(False), _RATES[model.window]
        self.labels = tuple(f"audioset/{i}" for i in range(model.fc_audioset.out_features))

    @classmethod
    def load(cls, source: str | None = None) -> Panns:
        """From a file of published weights (Cnn14 for 32, 16 or 8 kHz), or of a CNN14's state dict."""
        if source is None or not Path(source).is_file():
            given = "" if source is None else f", not {source!r}"
            raise TagxaiError(
                f"the classifier 'panns' takes a file of weights, such as from {WEIGHTS}: panns:FILE{given}"
            )
        try:
            content = torch.load(source, map_location="cpu", weights_only=True)
            state = content.get("model", content)
            model = Cnn14(state)
            model.load_state_dict(state)
            return cls(model)
        except Exception as error:  # whatever a wrong file makes torch raise
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise TagxaiError(f"{source!r} does not hold the weights of a CNN14 of PANNs: {first}") from None

    def probabilities(self, waveform: Float[torch.Tensor, "clips samples"]) -> Float[torch.Tensor, "clips labels"]:
        return self.model(waveform.to(self.model.fc1.weight))


class Cnn14(torch.nn.Module):
    """Log-mel spectrogram, six blocks of two convolutions, and the sum of mean and maximum over time."""

    def __init__(self, state: Mapping[str, torch.Tensor]) -> None:
        """Build the network to the sizes of a state dict; its values are not read."""
        super().__init__()
        nn, shapes = torch.nn, {name: tensor.shape for name, tensor in state.items()}
        bins, _, self.window = shapes["spectrogram_extractor.stft.conv_real.weight"]
        self.hop = self.window * 5 // 16  # 10 ms
        mels = shapes["logmel_extractor.melW"][1]
        stft = {part: nn.Conv1d(1, bins, self.window, self.hop, bias=False) for part in ("conv_real", "conv_imag")}
        self.spectrogram_extractor = nn.ModuleDict({"stft": nn.ModuleDict(stft)})
        self.logmel_extractor = nn.ParameterDict({"melW": nn.Parameter(torch.zeros(bins, mels))})
        self.bn0 = nn.BatchNorm2d(mels)
        channels = [1, *(shapes[f"conv_block{i}.conv1.weight"][0] for i in range(1, _BLOCKS + 1))]
        for i in range(1, _BLOCKS + 1):
            self.add_module(f"conv_block{i}", _block(channels[i - 1], channels[i]))
        self.fc1 = nn.Linear(channels[-1], shapes["fc1.weight"][0])
        self.fc_audioset = nn.Linear(shapes["fc1.weight"][0], shapes["fc_audioset.weight"][0])

    def forward(self, waveform: Float[torch.Tensor, "clips samples"]) -> Float[torch.Tensor, "clips labels"]:
        maps = self.bn0(self.log_mel(waveform).transpose(1, 2)[..., None]).permute(0, 3, 2, 1)
        for i in range(1, _BLOCKS + 1):
            block: Any = self.get_submodule(f"conv_block{i}")
            for convolve, norm in ((block["conv1"], block["bn1"]), (block["conv2"], block["bn2"])):
                maps = norm(convolve(maps)).relu()
            if i < _BLOCKS:
                maps = torch.nn.functional.avg_pool2d(maps, 2)
        over_time = maps.mean(3)
        features = self.fc1(over_time.amax(2) + over_time.mean(2)).relu()
        return self.fc_audioset(features).sigmoid()

    def log_mel(self, waveform: Float[torch.Tensor, "clips samples"]) -> Float[torch.Tensor, "clips frames mels"]:
        """The log-mel spectrogram in dB. A clip under 0.32 s, too short for five halvings, is padded with silence."""
        functional, stft = torch.nn.functional, self.spectrogram_extractor["stft"]
        missing = max(0, 2 ** (_BLOCKS - 1) * self.hop - waveform.shape[-1])
        waveform = functional.pad(waveform, (0, missing))[:, None]
        padded = functional.pad(waveform, (self.window // 2, self.window // 2), mode="reflect")
        power = stft["conv_real"](padded).square() + stft["conv_imag"](padded).square()  # type: ignore[index]
        return 10 * (power.transpose(1, 2) @ self.logmel_extractor["melW"]).clamp(min=1e-10).log10()


def _block(before: int, after: int) -> torch.nn.ModuleDict:
    convolutions = {"conv1": (before, after), "conv2": (after, after)}
    parts: dict[str, torch.nn.Module] = {
        name: torch.nn.Conv2d(*sizes, 3, padding=1, bias=False) for name, sizes in convolutions.items()
    }
    return torch.nn.ModuleDict(parts | {"bn1": torch.nn.BatchNorm2d(after), "bn2": torch.nn.BatchNorm2d(after)})
