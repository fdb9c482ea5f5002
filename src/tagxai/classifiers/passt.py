"""PaSST: 527 sounds of AudioSet (Koutini et al., "Efficient Training of Audio Transformers with Patchout", 2022).

The judge of AudioGenX's evaluation: `passt_s_swa_p16_128_ap476` of the package hear21passt, softmax over its logits.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from tagxai.classifiers import Classifier
from tagxai.errors import TagxaiError
from tagxai.lazy import Float, torch

ARCHITECTURE = "passt_s_swa_p16_128_ap476"


class Passt(Classifier):
    """PaSST's probabilities by a softmax, as in AudioGenX, or by sigmoids, as the network was trained.

    hear21passt does not name its 527 outputs: labels are "audioset/0" to "audioset/526", by AudioSet's
    own class indices.
    """

    sample_rate = 32_000

    def __init__(self, model: torch.nn.Module, *, exclusive: bool = True) -> None:
        """Wrap hear21passt's `PasstBasicWrapper` in its mode "logits"; it is frozen and set to evaluation."""
        self.model, self.exclusive = model.eval().requires_grad_(False), exclusive
        self.labels = tuple(f"audioset/{i}" for i in range(527))

    @classmethod
    def load(cls, source: str | None = None, *, exclusive: bool = True, device: str = "cpu") -> Passt:
        """With the published weights (which hear21passt downloads once), or those in a file of its state dict."""
        if source is not None and not Path(source).is_file():
            raise TagxaiError(f"no weights of PaSST at {source!r}: expected a file that holds its state dict")
        model = architecture(pretrained=source is None)
        if source is not None:
            try:
                state = torch.load(source, map_location="cpu", weights_only=True)
                model.net.load_state_dict(state)
            except Exception as error:  # whatever a wrong file makes torch raise
                first = str(error).strip().splitlines()[0]
                raise TagxaiError(f"{source!r} does not hold the weights of PaSST {ARCHITECTURE}: {first}") from None
        return cls(model.to(device), exclusive=exclusive)

    def probabilities(self, waveform: Float[torch.Tensor, "clips samples"]) -> Float[torch.Tensor, "clips labels"]:
        model: Any = self.model
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its shapes
            logits = model.get_scene_embeddings(waveform.to(model.device()))  # above 10 s: a mean over windows
        return logits.softmax(-1) if self.exclusive else logits.sigmoid()


def architecture(*, pretrained: bool) -> Any:
    """hear21passt's basic model; with random weights where it is not pretrained. What it prints is dropped."""
    try:
        from hear21passt.base import AugmentMelSTFT, PasstBasicWrapper, get_model_passt
    except ImportError as error:
        raise TagxaiError(
            f"the classifier 'passt' needs hear21passt ({error}): pip install 'tagxai[passt]', or use 'detector'"
        ) from None
    try:
        with contextlib.redirect_stdout(io.StringIO()), torch.random.fork_rng(devices=[]):
            net = get_model_passt(arch=ARCHITECTURE, pretrained=pretrained)
            mel = AugmentMelSTFT(n_mels=128, sr=32_000, win_length=800, hopsize=320, n_fft=1024, fmax_aug_range=2000)
            return PasstBasicWrapper(mel=mel, net=net, mode="logits")
    except Exception as error:  # the network has many ways to be absent
        raise TagxaiError(
            f"the weights of PaSST cannot be downloaded ({error}); give a local file as 'passt:FILE', or use 'detector'"
        ) from None
