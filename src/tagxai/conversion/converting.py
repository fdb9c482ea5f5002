"""The conversion itself: read, write, score both models, compare, and only then keep the folder."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from tagxai import storage
from tagxai.contract.values import OnProgress, Progress
from tagxai.errors import TagxaiError

Format = Literal["transformers", "audiocraft"]

SCHEMA = "tagxai.conversion"
"""Name of the manifest's schema."""


@dataclass(frozen=True)
class ConversionReport:
    """What was written, and how far apart the two models are (None where audiocraft is not installed to run one)."""

    folder: Path
    tensors: int
    differences: Mapping[str, float] | None = field(default=None)


def convert(source: str, target: str | Path, *, to: Format, on_progress: OnProgress | None = None) -> ConversionReport:
    """Write the model at `source` (a folder, or a hub id) into the new folder `target`, in the other format.

    Raises TagxaiError, and then leaves nothing behind.
    """
    from tagxai.conversion import audiocraft_files, transformers_files
    from tagxai.conversion.checkpoint import Checkpoint
    from tagxai.generators.codes import self_test

    def report(step: int, message: str) -> None:
        if on_progress is not None:
            on_progress(Progress(step, 4, message))

    read: Callable[[str], Checkpoint]
    read, write = (
        (audiocraft_files.read, transformers_files.write)
        if to == "transformers"
        else (transformers_files.read, audiocraft_files.write)
    )
    back: Format = "audiocraft" if to == "transformers" else "transformers"
    with _new_folder(Path(target)) as folder:
        report(0, "reading")
        checkpoint = read(source)
        tensors = len(checkpoint.state)
        report(1, "writing")
        write(checkpoint, folder)
        del checkpoint
        report(2, "scoring the original")
        expected = _score(source, back)
        report(3, "scoring the converted")
        found = _score(str(folder), to)
        differences = None
        if expected is not None and found is not None:
            differences = self_test.difference(found, expected)
            if broken := self_test.first_broken(differences, expected):
                raise TagxaiError(f"the converted model is not the model at {source!r}: {broken}; nothing was written")
        kept = found if expected is None else expected
        if kept is None:  # unreachable: one of the two is transformers'
            raise RuntimeError("neither model could be scored")
        storage.write_tensors(folder / self_test.TENSORS, kept)
        storage.write_json(
            folder / self_test.MANIFEST,
            {
                "schema": SCHEMA,
                "schema_version": 1,
                "format": to,
                "source": Path(source).resolve().name if Path(source).is_dir() else source,
                "prompt": self_test.PROMPT,
                "compared": differences is not None,
                "differences": differences,
                "tagxai": version("tagxai"),
            },
        )
        report(4, "converted")
    return ConversionReport(Path(target), tensors, differences)


def _score(source: str, of: Format) -> dict[str, Any] | None:
    """A model's scores of the self-test's codes, in float32; None where audiocraft is needed but not installed."""
    from tagxai.generators.audiocraft.model import AudioGenGenerator
    from tagxai.generators.codes import self_test
    from tagxai.generators.transformers.model import TransformersGenerator

    if of == "audiocraft" and find_spec("audiocraft") is None:
        return None
    cls = AudioGenGenerator if of == "audiocraft" else TransformersGenerator
    try:
        return self_test.score(cls.load(source))
    finally:
        gc.collect()  # two models of full size need not be in memory at once


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` when the block succeeds, and is deleted when it fails."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TagxaiError(f"{str(target)!r} already exists; give a folder that is new or empty")
    target = Path(os.path.realpath(target))  # where a link leads, and "." by its name
    with storage.new_folder(target.parent) as parent:
        temporary = Path(tempfile.mkdtemp(dir=parent, prefix=f".{target.name}-"))
        try:
            yield temporary
            temporary.chmod(0o755)  # mkdtemp makes folders that only their owner can read
            if target.is_dir():
                target.rmdir()
            os.replace(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
