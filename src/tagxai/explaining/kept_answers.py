"""Answers of `tagxai ask` and `tagxai effects`, kept beside the explanation, so that its page can show them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tagxai import storage
from tagxai.contract import generation_json
from tagxai.contract.values import Generation
from tagxai.errors import DamagedFileError

FOLDER = "answers"
SCHEMA = "tagxai.answer"


@dataclass(frozen=True)
class Answer:
    """A table: what was asked, what its numbers mean, its heading and its rows, all as text."""

    question: str
    meaning: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def keep(folder: Path, clip: Generation, answer: Answer) -> None:
    """Write an answer about the clip of `folder`, in place of an earlier one to the same question. A folder that
    cannot be written to keeps none."""
    if not os.access(folder, os.W_OK):
        return
    content: dict[str, Any] = {"schema": SCHEMA, "schema_version": 1, "clip": _key(clip), **asdict(answer)}
    name = storage.json_sha256({"question": answer.question})[:12]
    storage.write_json(storage.output_folder(folder / FOLDER) / f"{name}.json", content)


def kept(folder: Path, clip: Generation) -> list[Answer]:
    """The answers in `folder` that are about this clip, by question; damaged ones, which only repeat what can be asked
    again, are left out."""
    found = []
    for file in sorted((folder / FOLDER).glob("*.json")):
        try:
            content = storage.read_json(file)
            if content["schema"] == SCHEMA and content["clip"] == _key(clip):
                rows = [[str(cell) for cell in row] for row in content["rows"]]
                header = [str(cell) for cell in content["header"]]
                found.append(Answer(str(content["question"]), str(content["meaning"]), header, rows))
        except (DamagedFileError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda answer: answer.question)


def _key(clip: Generation) -> str:
    return storage.json_sha256(generation_json.to_json(clip))
