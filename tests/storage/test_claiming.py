"""Whose a folder is: tagxai writes into what is new, empty or its own, and never over an input."""

import os
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tagxai import TagxaiError, storage
from tagxai.cli import app
from tagxai.explaining.comparison import Comparison
from tagxai.explaining.explanation import Explanation


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of the user's own, with names that tagxai uses too; the current one."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "index.csv").write_text("caption\na dog\na bell\n")
    (folder / "results.csv").write_text("prompt\na dog\n")
    (folder / "report.html").write_text("my thesis")
    (folder / "factual.flac").write_bytes(b"my recording")
    (folder / "run.json").write_text('{"schema": "somebody else", "schema_version": 1}')
    (folder / "explanation.json").write_text("{}")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def no_model(monkeypatch):
    monkeypatch.setattr("tagxai.cli.options.load_generator", lambda *_, **__: pytest.fail("a model was loaded"))
    monkeypatch.setattr("tagxai.benchmark.models.load_generator", lambda *_, **__: pytest.fail("a model was loaded"))


BENCH = ("bench", "--methods", "random_", "--metrics", "mask_size", "--device", "cpu")
OTHER_PEOPLES = [
    ("generate", "index.csv", "--out", "."),
    ("generate", "a dog", "--out", "."),
    ("generate", "a dog", "--out", "../own/"),
    ("explain", "a dog", "-m", "random", "--out", "."),
    ("explain", "a dog", "-m", "random,occlusion", "--out", "../own"),
    ("explain", "--prompts", "index.csv", "-m", "random", "--out", "."),
    ("bench", "--methods", "occlusion", "--metrics", "mask_size", "--prompts", "results.csv", "--out", "."),
    ("bench", "--methods", "occlusion", "--metrics", "mask_size", "--prompts", "laboratory:test:1", "-o", "."),
    ("bench", "merge", "x", "--out", "."),
    ("evaluate", "../saved", "--metrics", "mask_size", "--out", "."),
    ("edit", "a dog", "--gain", "dog=0", "--out", "."),
    ("edit", "a dog", "--gain", "dog=0", "--out", ""),
    ("plugin", "new", "method", "mine", "--out", "."),
    ("plugin", "new", "method", "mine", "--out", ""),
    ("export", "../saved", "--to", "csv", "--out", "results.csv"),
    ("export", "../saved", "--to", "json", "--out", "../saved/explanation.json"),
    ("export", "../saved", "--to", "textgrid", "--force", "--out", "."),
    ("generate", "a dog", "--out", ""),
    ("explain", "a dog", "--out", ""),
    ("explain", "a dog", "--out", "  "),
    ("bench", "--out", ""),
    ("bench", "merge", "x", "--out", ""),
    ("evaluate", "../saved", "--out", ""),
    ("convert", "../model", "", "--to", "audiocraft"),
    ("convert", "../model", ".", "--to", "audiocraft"),
]


@pytest.mark.parametrize("arguments", OTHER_PEOPLES, ids=" ".join)
def test_a_folder_of_the_user_s_own_stays_as_it_is(arguments, own, no_model, explanation):
    Explanation(explanation).save(own.parent / "saved")
    before = content(own)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert any(
        told in result.stderr for told in ("--force", "would overwrite", "is empty", "already exists", "exists already")
    )
    assert content(own) == before


@pytest.mark.parametrize("kind", ["explanation", "comparison", "clips", "list", "benchmark", "tables", "model"])
def test_a_result_of_one_kind_does_not_go_into_a_folder_of_another(kind, explanation, tmp_path):
    folder = tmp_path / kind
    folder.mkdir()
    mine = {
        "explanation": lambda: Explanation(explanation).save(folder),
        "comparison": lambda: Comparison({"random": Explanation(explanation)}).save(folder),
        "clips": lambda: (folder / "index.csv").write_text("line,prompt,seed,clip,error\n"),
        "list": lambda: (folder / "index.csv").write_text("line,prompt,seed,folder,error\n"),
        "benchmark": lambda: (folder / "run.json").write_text('{"schema": "tagxai.benchmark", "cut'),
        "tables": lambda: (folder / "results.json").write_text('{"schema": "tagxai.benchmark.results"}'),
        "model": lambda: (folder / "tagxai_conversion.json").write_text('{\n "schema": "tagxai.conversion"}'),
    }
    mine[kind]()
    kinds = {
        "explanation": "tagxai.explanation",
        "comparison": "tagxai.comparison",
        "clips": "tagxai.clip",
        "list": "tagxai.explanations",
        "benchmark": "tagxai.benchmark",
        "tables": "tagxai.benchmark.results",
        "model": "tagxai.conversion",
    }
    for name, schema in kinds.items():
        if name == kind:
            storage.check_claim(folder, schema)
        else:
            with pytest.raises(TagxaiError, match="give another folder, or --force"):
                storage.check_claim(folder, schema)
            storage.check_claim(folder, schema, force=True)


def test_force_replaces_only_what_is_written_and_deletes_nothing(own, explanation):
    Explanation(explanation).save(own, force=True)
    assert (own / "factual.flac").read_bytes() == b"my recording"
    assert (own / "report.html").read_text() == "my thesis"
    assert Explanation.load(own).attribution.method == "random"
    Explanation(explanation).save(own)  # now it says so itself


def test_an_input_is_not_overwritten_even_by_force(own, no_model):
    index = (own / "index.csv").read_bytes()
    assert "would overwrite" in run("generate", "index.csv", "--out", ".", "--force").stderr
    assert "would overwrite" in run("generate", own / "index.csv", "--out", "../own", "--force").stderr
    assert "would overwrite" in run("explain", "-p", "index.csv", "-m", "random", "-o", ".", "--force").stderr
    (own.parent / "link.csv").symlink_to(own / "index.csv")
    assert "would overwrite" in run("generate", own.parent / "link.csv", "--out", own, "--force").stderr
    assert "would overwrite" in run("bench", "--prompts", "results.csv", "--out", ".", "--force").stderr
    (own / "results.toml").write_text("methods = ['occlusion']")
    assert "would overwrite" in run("bench", "results.toml", "--out", ".", "--force").stderr
    (own / "plan.toml").write_text("prompts = {file = 'results.csv'}")
    assert "would overwrite" in run("bench", "plan.toml", "--out", ".", "--force").stderr
    assert (own / "index.csv").read_bytes() == index


def test_links_are_neither_followed_out_of_a_folder_nor_replaced_by_folders(explanation, tmp_path):
    thesis, elsewhere = tmp_path / "thesis.html", tmp_path / "elsewhere"
    thesis.write_text("mine")
    elsewhere.mkdir()
    out = Explanation(explanation).save(tmp_path / "out")
    (out / "original.flac").unlink()
    (out / "original.flac").symlink_to(thesis)
    Explanation(explanation).save(out)
    assert thesis.read_text() == "mine"
    assert not (out / "original.flac").is_symlink()
    (out / "random").symlink_to(elsewhere)
    with pytest.raises(TagxaiError, match="is a file or a link"):
        Comparison({"random": Explanation(explanation)}).save(out)
    assert list(elsewhere.iterdir()) == []
    (out / "occlusion").write_text("a file")
    with pytest.raises(TagxaiError, match="is a file or a link"):
        Comparison({"occlusion": Explanation(explanation)}).save(out)
    (out / "report").symlink_to(tmp_path / "nowhere")
    with pytest.raises(TagxaiError, match="is a file or lies below one"):
        Explanation(explanation).save(out / "report")
    Explanation.load(out)


def test_a_folder_where_a_file_should_be_is_one_sentence(explanation, tmp_path):
    out = Explanation(explanation).save(tmp_path / "out")
    before = content(out)
    (out / "original.flac").unlink()
    (out / "original.flac").mkdir()
    with pytest.raises(TagxaiError, match="is a folder, where a file is to be written"):
        Explanation(explanation).save(out)
    (out / "original.flac").rmdir()
    Explanation(explanation).save(out)
    assert set(content(out)) == set(before)


def test_a_link_to_a_folder_is_that_folder(explanation, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    Explanation(explanation).save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert Explanation.load(tmp_path / "real").attribution.method == "random"


def test_the_current_folder_stays_the_current_one(explanation, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = os.stat(".").st_ino
    for _ in range(2):
        Explanation(explanation).save(".")
    assert os.stat(".").st_ino == os.stat(tmp_path / "here").st_ino == before


def as_nobody(function):
    """What a function gives, or the error that it raises, to a user without rights; by a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            told = function()
        except TagxaiError as error:
            told = str(error)
        except BaseException as error:
            told = repr(error)
        os.write(writer, str(told).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    return os.read(reader, 10_000).decode()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_read_only_folder_or_parent_is_one_sentence(explanation):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "out").mkdir(mode=0o555)
        save = Explanation(explanation).save
        assert "cannot be written to" in as_nobody(lambda: save(folder / "out"))
        assert "cannot be created" in as_nobody(lambda: save(folder / "out" / "new"))
        out = save(folder / "saved")
        assert "cannot be written to" in as_nobody(lambda: save(out))
        assert as_nobody(lambda: Explanation.load(out).attribution.method) == "random"  # reading needs no rights
