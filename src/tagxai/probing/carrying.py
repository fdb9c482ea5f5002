"""Attention sites of methods that carry what a layer has gathered on to the next."""

from __future__ import annotations

from collections.abc import Sequence

from tagxai.contract.attention import AttentionSite
from tagxai.contract.generator import Generator
from tagxai.errors import UnsupportedError


def carrying_sites(generator: Generator) -> Sequence[AttentionSite]:
    """All sites. Raises UnsupportedError for several layers without self-attention, where nothing can be carried."""
    sites = generator.attention_sites()
    if len(sites) > 1 and all(site.kind == "cross" for site in sites):
        raise UnsupportedError(
            f"generator {generator.name!r} shows no self-attention frame by frame; expected some, to carry on what "
            "earlier layers have gathered (here a query stands for several frames, or a frame has several queries)"
        )
    return sites
