"""The page: one HTML file with its data, sounds, styles and script, which needs no network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from tagxai.contract.attribution import Attribution
from tagxai.report import tables
from tagxai.report.audio import audio_texts
from tagxai.report.content import Content
from tagxai.report.figures.colours import PALETTE
from tagxai.report.html import content_hash, resource, template, text_of_script
from tagxai.report.level_tables import level_tables, noise_levels
from tagxai.report.pieces import pieces, units_by
from tagxai.text.printable import printable
from tagxai.text.words import Unit

SCRIPT = (
    *("bytes", "dom", "scores", "state", "palette", "fourier", "clock"),
    *("words", "panels", "timeline", "table", "levels", "export", "player", "page"),
)
"""The files of the page's script, in the order in which they need one another."""

RESOLVED = 2_000_000
"""Scores that a page holds; where methods have more together, each is given as the mean over its streams."""


def render(content: Content, links: Mapping[str, str] | None = None) -> str:
    """The page as text; `links` lead to methods' own pages, by their names."""
    script, style = text_of_script(SCRIPT), resource("style.css")
    clip, attributions = content.clip, content.attributions
    return template("page.html.j2").render(
        content=content,
        prompt=printable(clip.prompt),
        clip=clip,
        methods=list(attributions),
        words=[printable(unit.text) for unit in units_by(clip)["word"]],
        columns=[[score.score for score in each.per_word()] for each in attributions.values()],
        meaning=_meaning(content),
        failures=_failures(content),
        level_tables=level_tables(clip, attributions),
        noise_levels=noise_levels(clip),
        agreement=tables.agreement(content.comparison),
        costs=[tables.cost_line(name, each, content.comparison) for name, each in attributions.items()],
        links=links or {},
        details=[*tables.details(content), *content.details],
        data=data(content),
        script=script,
        style=style,
        script_hash=content_hash(script),
        style_hash=content_hash(style),
    )


def data(content: Content) -> dict[str, Any]:
    """What the script reads: units, scores as float32, and sounds, all of the page's own clip."""
    clip = content.clip
    by = units_by(clip)
    audio, kind = audio_texts([(sound.waveform, sound.sample_rate) for sound in content.sounds])
    ending = "flac" if kind == "audio/flac" else "ogg"
    held = sum(each.scores.numel() for each in content.attributions.values())
    return {
        "prompt": printable(clip.prompt),
        "duration": clip.duration,
        "frames": clip.frames,
        "given": clip.given,
        "frame_rate": clip.frame_rate,
        "sample_rate": clip.sample_rate,
        "noise_levels": noise_levels(clip),
        "stream_name": "codebook" if clip.timeline.kind == "delay_pattern" else "noise level",
        "intervals": [list(interval) for interval in content.intervals],
        "units": {name: [_unit(unit) for unit in units] for name, units in by.items()},
        "pieces": {name: pieces(clip.prompt, units) for name, units in by.items()},
        "gains": {name: _gains(units, content.gains) for name, units in by.items()} if content.gains else {},
        "methods": [_method(name, each, held <= RESOLVED) for name, each in content.attributions.items()],
        "clips": [
            {"title": sound.title, "text": sound.text, "file": f"{sound.file}.{ending}", "type": kind, "audio": text}
            for sound, text in zip(content.sounds, audio, strict=True)
        ],
        "palette": PALETTE,
    }


def _unit(unit: Unit) -> dict[str, Any]:
    return {
        "text": printable(unit.text),
        "tokens": list(unit.tokens),
        "fold": unit.function or unit.special,
        "special": unit.special,
    }


def _gains(units: tuple[Unit, ...], gains: Any) -> list[float]:
    """Each unit's gain; 1 where its words have different ones."""
    own = [{gains[token] for token in unit.tokens} for unit in units]
    return [each.pop() if len(each) == 1 else 1.0 for each in own]


def _method(name: str, attribution: Attribution, resolved: bool) -> dict[str, Any]:
    scores, deviation = attribution.scores, attribution.deviation
    if not resolved:
        scores = scores.mean(0, keepdim=True)
        deviation = None if deviation is None else deviation.mean(0, keepdim=True)
    return {
        "name": name,
        "merge": attribution.merge,
        "is_mask": attribution.is_mask,
        "streams": len(scores),
        "scores": _float32(scores),
        "deviation": None if deviation is None else _float32(deviation),
    }


def _float32(values: Any) -> str:
    return b64encode(values.detach().float().cpu().contiguous().numpy().astype("<f4").tobytes()).decode()


def _meaning(content: Content) -> list[str]:
    """What the scores of each method are, and what `</s>` is."""
    found = []
    for name, attribution in content.attributions.items():
        if attribution.is_mask:
            found.append(f"{name}: a mask, from 0 (a word is left out) to 1 (it is kept whole).")
        else:
            adds = "how much a word adds" if attribution.merge == "sum" else "the relative weight of a word"
            found.append(f"{name}: {adds}, in the method's own unit; full colour is the strongest half second.")
    if any(attribution.scores.min() < 0 for attribution in content.attributions.values()):
        found.append("Orange speaks for a word, blue against it.")
    if content.attributions and any(unit.special for unit in units_by(content.clip)["word"]):
        found.append(
            "</s> marks the end of the text: no word, but the text encoder stores a summary of the text there."
        )
    return found


def _failures(content: Content) -> list[tuple[str, str]]:
    failures = content.comparison.failures if content.comparison else {}
    return [(name, printable(text)) for name, text in failures.items()]
