"""What a folder holds where it is not the model that was asked for, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagxai.errors import TagxaiError

_OTHER_GENERATORS = {
    "MusicgenForConditionalGeneration": "the generator 'musicgen' reads it",
    "MusicgenMelodyForConditionalGeneration": "the generator 'melody' of the plugin tagxai-melody reads it",
    "DiaForConditionalGeneration": "the generator 'dia' of the plugin tagxai-dia reads it",
}
_PIPELINES = {
    "StableAudioPipeline": "the generator 'stable_audio' reads it",
    "StableAudio3Pipeline": "the generator 'stable_audio_3' reads it",
    "AudioLDM2Pipeline": "the generator 'audioldm2' reads it",
    "AceStepPipeline": "the generators 'ace_step' and 'ace_step_lyrics' read it",
}
_AUDIOCRAFT = {"state_dict.bin", "compression_state_dict.bin"}


def found_instead(folder: Path) -> str | None:
    """What a folder holds, if it is something that is known by its files; with the generator that reads it."""
    names = {each.name for each in folder.iterdir()}
    if not names:
        return "it is empty"
    if "model_index.json" in names:
        pipeline = _read(folder / "model_index.json").get("_class_name", "of an unknown class")
        hint = f"; {_PIPELINES[pipeline]}" if pipeline in _PIPELINES else ""
        return f"it holds a diffusers pipeline ({pipeline}){hint}"
    if "adapter_config.json" in names:
        return "it holds an adapter without its model; merge it into the model first"
    if "config.json" in names:
        return _described(_read(folder / "config.json"))
    if names >= _AUDIOCRAFT:
        return (
            "it holds a model in audiocraft's format; the generators 'audiogen' and 'audiocraft_musicgen' read it, and "
            "`tagxai convert` converts it"
        )
    if names & {"explanation.json", "comparison.json"}:
        return "it holds an explanation by tagxai, not a model"
    return None


def check_architecture(config: Mapping[str, Any], wanted: str, source: str) -> None:
    """Raises TagxaiError where the config.json of `source` names another class of model than `wanted`."""
    described = _described(config)
    if described is not None and wanted not in config["architectures"]:
        raise TagxaiError(f"model {source!r} is not a {wanted}: {described}")


def _described(config: Mapping[str, Any]) -> str | None:
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not architectures:
        return None
    name = str(architectures[0])
    hint = f"; {_OTHER_GENERATORS[name]}" if name in _OTHER_GENERATORS else ""
    return f"it holds a {name}{hint}"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        raise TagxaiError(f"{path} is damaged: it is not JSON") from None
    return content if isinstance(content, dict) else {}
