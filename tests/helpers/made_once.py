"""The embedded models loaded once, and each of their clips made once, however often code asks for them.

Clips are the same bit for bit whenever they are made (`tests/generators/test_batches.py`): nothing but time is saved.
"""

from contextlib import contextmanager
from functools import cache

import pytest

from tagxai.generators.codes.delay_pattern import DelayPatternGenerator
from tagxai.generators.latent import LatentEmbedded
from tagxai.generators.latents.model import LatentGenerator
from tagxai.generators.tiny import TinyGenerator


@contextmanager
def made_once():
    with pytest.MonkeyPatch.context() as patch:
        for kind in (TinyGenerator, LatentEmbedded):
            patch.setattr(kind, "load", staticmethod(cache(kind.load)))
        for kind in (DelayPatternGenerator, LatentGenerator):
            patch.setattr(kind, "generate_many", _remembering(kind.generate_many))
        yield


def _remembering(generate_many):
    made = {}

    def generate_new(self, requests, *, on_progress=None):
        keys = [_key(self, request) for request in requests]
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in made}
        made.update(zip(missing, generate_many(self, list(missing.values()), on_progress=on_progress), strict=True))
        return [made[key] for key in keys]

    return generate_new


def _key(generator, request):
    """What decides a clip. A beginning is equal to itself alone."""
    mask = None if request.mask is None else request.mask.detach().cpu().numpy().tobytes()
    settings = tuple(sorted(request.settings.items()))
    what = request.prompt, request.duration, request.seed, request.branch, request.beginning
    return generator.identity(), *what, settings, mask
