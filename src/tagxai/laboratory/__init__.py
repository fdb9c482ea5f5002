"""The embedded text-to-audio model: procedural sounds, a grammar with truth as data, training code and weights.

Importing this package is light; `sounds` and `language` need numpy only, `judging` and `train` need torch.
"""

from pathlib import Path

SAMPLE_RATE = 16_000
FRAME_RATE = 25
HOP = SAMPLE_RATE // FRAME_RATE
CLIP_SECONDS = 3.0
CLIP_FRAMES = int(CLIP_SECONDS * FRAME_RATE)
CODEBOOKS = 4

WEIGHTS: Path = Path(__file__).parent / "weights"
