"""Saves happen wholly or not at all: whatever fails in between, the earlier result is there."""

import errno
import json
import os
from contextlib import suppress
from dataclasses import replace

import pytest
import torch

from tagxai import TagxaiError, storage
from tagxai.contract.cost import Cost
from tagxai.contract.saved_folder import earlier
from tagxai.errors import DamagedFileError
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation
from tagxai.explaining.listening import Track
from tagxai.explaining.saved import load_saved
from tagxai.storage import files, saving


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def track(explanation, name="factual"):
    clip = explanation.generation
    return Track(name, name.partition("-")[0], clip.seed, clip.waveform / 2, clip.sample_rate)


def nan_in(tensor):
    changed = tensor.clone()
    changed.view(-1)[3] = float("nan")
    return changed


class Odd:
    """An object that no file holds."""


CANNOT_BE_KEPT = {
    "NaN in the diagnostics": lambda e: Explanation(replace(e, diagnostics={"loss": [0.5, float("nan")]})),
    "infinity deep in the settings": lambda e: Explanation(replace(e, settings={"a": {"b": (1, float("inf"))}})),
    "a tensor in the diagnostics": lambda e: Explanation(replace(e, diagnostics={"loss": torch.ones(2)})),
    "an object in the settings": lambda e: Explanation(replace(e, settings={"how": Odd()})),
    "a key that is no text": lambda e: Explanation(replace(e, diagnostics={"by": {3: 0.5}})),
    "text that is not Unicode": lambda e: Explanation(replace(e, settings={"name": "\udc80"})),
    "NaN in the cost": lambda e: Explanation(replace(e, cost=Cost(seconds=float("nan")))),
    "NaN in the sound": lambda e: Explanation(
        replace(e, generation=replace(e.generation, waveform=nan_in(e.generation.waveform)))
    ),
    "NaN in a factual clip": lambda e: Explanation(e, (), (replace(track(e), waveform=nan_in(track(e).waveform)),)),
    "more channels than FLAC has": lambda e: Explanation(e, (), (replace(track(e), waveform=torch.zeros(9, 160)),)),
    "a rate that FLAC does not have": lambda e: Explanation(e, (), (replace(track(e), sample_rate=2_000_000),)),
    "NaN in one of several methods": lambda e: Comparison(
        {"a": Explanation(e), "b": Explanation(replace(e, diagnostics={"x": float("nan")}))}
    ),
    "infinity in the seconds": lambda e: Comparison({"a": Explanation(e)}, {}, float("inf")),
}


@pytest.mark.parametrize("what", CANNOT_BE_KEPT)
def test_what_cannot_be_kept_leaves_the_earlier_result(what, explanation, tmp_path):
    Explanation(explanation, ((0.0, 0.4),), (track(explanation),)).save(tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(TagxaiError, match=r"^[^\n]*$"):
        CANNOT_BE_KEPT[what](explanation).save(tmp_path / "out")
    assert content(tmp_path / "out") == before
    with pytest.raises(TagxaiError):
        CANNOT_BE_KEPT[what](explanation).save(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "name", ["a\nb", "dog\udcff", "\u202edog", " dog ", "[red]", "dog.flac", "%s", "狗"], ids=ascii
)
def test_a_folder_of_any_name_that_the_system_takes_is_written_and_read(name, explanation, tmp_path):
    out = Explanation(explanation, (), (track(explanation),)).save(tmp_path / name)
    assert torch.equal(Explanation.load(out).attribution.scores, explanation.scores)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_method_whose_explanation_cannot_be_kept_does_not_end_the_others(explanation):
    bad = replace(explanation, diagnostics={"loss": float("nan")})
    found = Comparison.of("ab", lambda name: Explanation(bad if name == "a" else explanation))
    assert list(found.explanations) == ["b"]
    assert "diagnostics of method 'random'['loss'] is nan" in found.failures["a"]


def full(limit):
    """`os.write` of Python's files, which have room for `limit` bytes altogether."""

    def write(self, data, room=[limit]):  # noqa: B006
        room[0] -= len(data)
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        with self.open("wb") as file:
            return file.write(data)

    return write


@pytest.mark.parametrize("room", [0, 1, 300, 3_000, 30_000, 60_000])
def test_a_full_disk_leaves_the_earlier_result(room, explanation, tmp_path, monkeypatch):
    out = Explanation(explanation).save(tmp_path / "out")
    before = content(out)
    monkeypatch.setattr(type(out), "write_bytes", full(room))
    with pytest.raises(OSError, match="No space left"):
        Explanation(replace(explanation, settings={"seed": 1}), (), (track(explanation),)).save(out)
    assert content(out) == before


def test_a_disk_that_takes_less_than_it_says_is_noticed(explanation, tmp_path, monkeypatch):
    out = Explanation(explanation).save(tmp_path / "out")
    before = content(out)
    whole = type(out).write_bytes
    monkeypatch.setattr(type(out), "write_bytes", lambda self, data: whole(self, data[:-7]) and len(data))
    with pytest.raises(OSError, match="No space left"):
        Explanation(explanation).save(out)
    assert content(out) == before


def test_a_sound_that_is_encoded_wrongly_is_noticed(tmp_path, monkeypatch):
    import soundfile

    write = soundfile.write
    monkeypatch.setattr(
        soundfile, "write", lambda file, samples, *more, **options: write(file, samples[:-9], *more, **options)
    )
    with pytest.raises(TagxaiError, match="was not encoded faithfully"):
        storage.write_audio(tmp_path / "a.flac", torch.zeros(1, 160), 16_000)
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    """The end of a process, as far as an exception can be one."""


STEPS = ["mkdtemp", "write_bytes", "fsync", "rename", "replace", "unlink", "rmtree"]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("step", STEPS)
def test_a_save_that_ends_at_any_step_leaves_the_old_or_the_new(step, number, explanation, tmp_path, monkeypatch):
    """The steps after which nothing more happens, as after a kill: what cleans up is stopped too."""
    old = Explanation(explanation, (), (track(explanation), track(explanation, "counterfactual")))
    new = Explanation(replace(explanation, scores=explanation.scores + 1), (), (track(explanation, "unconditional"),))
    out, expected = old.save(tmp_path / "out"), new.save(tmp_path / "expected")
    results = content(out), content(expected)
    counted = [0]

    def dying(function, mine):
        def step(*given, **options):
            counted[0] += mine
            if counted[0] > number:
                raise Killed
            return function(*given, **options)

        return step

    with monkeypatch.context() as patched:
        for owner, name in (
            (saving.tempfile, "mkdtemp"),
            (type(out), "write_bytes"),
            (saving.os, "fsync"),
            (saving.os, "rename"),
            (saving.os, "replace"),
            (type(out), "unlink"),
            (saving.shutil, "rmtree"),
        ):
            patched.setattr(owner, name, dying(getattr(owner, name), name == step))
        with suppress(Killed):
            new.save(out)
    storage.settle(out)
    storage.sweep(out)
    assert content(out) in results
    loaded = Explanation.load(out)
    assert [each.name for each in loaded.tracks] in (["factual", "counterfactual"], ["unconditional"])


def test_leftovers_of_killed_saves_are_swept_and_those_of_living_ones_are_not(explanation, tmp_path):
    out = Explanation(explanation).save(tmp_path)
    (tmp_path / ".tagxai-draft-dead" / "new").mkdir(parents=True)
    (tmp_path / ".tagxai-draft-dead" / "new" / "scores.safetensors").write_bytes(b"half")
    (tmp_path / "scores" / ".tagxai-draft-dead").mkdir(parents=True)
    with saving.draft(out) as living:
        Explanation(explanation).save(out)
        assert living.is_dir()
    assert {path.name for path in tmp_path.rglob(".tagxai*")} == set()


def test_a_save_that_was_committed_is_completed_by_whoever_comes_next(explanation, tmp_path):
    out, new = tmp_path / "out", tmp_path / "new"
    Explanation(explanation, (), (track(explanation),)).save(out)
    Explanation(replace(explanation, scores=explanation.scores + 1)).save(new)
    committed = out / saving.COMMITTED
    committed.mkdir()
    new.rename(committed / "new")
    (committed / "removed.json").write_text(json.dumps(["factual.flac", "report.html"]))
    assert torch.equal(load_saved(out).attribution.scores, explanation.scores + 1)
    assert sorted(path.name for path in out.iterdir()) == ["explanation.json", "original.flac", "scores.safetensors"]


@pytest.mark.parametrize(
    "names", [["../mine.txt"], ["/tmp/mine.txt"], ["link/mine.txt"], ["out/../../mine.txt"], 7, [None], {}, "{"]
)
def test_a_folder_of_somebody_else_cannot_make_us_delete_outside_of_it(names, explanation, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    out = Explanation(explanation).save(tmp_path / "out")
    (out / "link").symlink_to(tmp_path)
    (out / saving.COMMITTED / "new").mkdir(parents=True)
    (out / saving.COMMITTED / "removed.json").write_text(json.dumps(names))
    with suppress(TagxaiError):
        load_saved(out)
    assert mine.read_text() == "mine"


def test_a_new_result_takes_away_what_the_old_one_had_and_nothing_else(explanation, tmp_path):
    two = {"a": Explanation(explanation, (), (track(explanation),)), "b c": Explanation(explanation)}
    out = Comparison(two).save(tmp_path)
    (out / "notes.txt").write_text("mine")
    (out / "a" / "notes.txt").write_text("mine")
    (out / "scores").mkdir()
    (out / "scores" / "kept.safetensors").write_bytes(b"of tagxai ask")
    Explanation(explanation).save(out)
    assert set(content(out)) == {
        *("explanation.json", "original.flac", "scores.safetensors"),
        *("notes.txt", "a/notes.txt", "scores/kept.safetensors"),
    }
    assert set(earlier(out)) >= {"explanation.json", "original.flac", "scores.safetensors"}


def test_a_committed_save_that_cannot_be_completed_is_one_sentence(explanation, tmp_path, monkeypatch):
    out = Explanation(explanation).save(tmp_path / "out")
    (out / saving.COMMITTED / "new").mkdir(parents=True)
    (out / saving.COMMITTED / "new" / "scores.safetensors").write_bytes(b"")

    def refuse(*given):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(DamagedFileError, match="a save that was interrupted, and it cannot be completed"):
        load_saved(out)
