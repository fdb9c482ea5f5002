"""`tagxai plugin`: a new package is complete as it is written, a check finds what is wrong, a list shows all."""

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tagxai.authoring import checking, installed, writing
from tagxai.cli import app
from tagxai.errors import TagxaiError
from tagxai.registering import registry as registering
from tagxai.registering.plugins import DISABLE, ONLY

KINDS = ("method", "metric", "generator", "latent-generator")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")


def put_in_place(monkeypatch, folder, module, distribution):
    """Make a package that is not really installed look so: on the path, with the metadata that pip writes."""
    info = folder / f"{module}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[tagxai]\nown = {module}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    registering.registry.cache_clear()


@pytest.fixture
def written(tmp_path, request, monkeypatch):
    """A new plugin of the kind that a test names, as if it were installed."""
    folder = writing.write_plugin(request.param, "own_idea", tmp_path / "tagxai-own-idea")
    put_in_place(monkeypatch, folder, "tagxai_own_idea", "tagxai-own-idea")
    yield folder
    sys.modules.pop("tagxai_own_idea", None)
    registering.registry.cache_clear()


def passed(findings):
    return {(finding.subject, finding.check): finding.outcome for finding in findings.all}


CHECKED = [pytest.param(kind, marks=pytest.mark.slow) if kind in ("method", "metric") else kind for kind in KINDS]
"""A benchmark is part of what is checked of these two; `.ci/run` has a method checked out of the wheel."""


@pytest.mark.parametrize("written", CHECKED, indirect=True)
def test_a_new_plugin_passes_every_check_as_it_is_written(written):
    findings = checking.check_package("tagxai-own-idea")
    found = passed(findings)
    assert set(found.values()) == {"ok"}, [finding for finding in findings.all if finding.outcome != "ok"]
    checks = {check for _, check in found}
    assert {"import", "light import", "hooks", "docstring", "contract", "bench"} <= checks


@pytest.mark.parametrize("written", KINDS, indirect=True)
def test_a_new_plugin_is_formatted_and_names_its_module_as_entry_point(written):
    folder = written
    for command in (["check", "--line-length", "120", "--select", "E,F,I,UP,B,RUF"], ["format", "--check"]):
        style = [sys.executable, "-m", "ruff", *command, "--isolated"]
        if command[0] == "format":
            style += ["--line-length", "120"]
        made = subprocess.run([*style, str(folder)], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"]["tagxai"] == {"own-idea": "tagxai_own_idea"}
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "tagxai plugin check tagxai-own-idea" in readme
    assert "{{" not in readme + (folder / "test_own_idea.py").read_text(encoding="utf-8")


def test_a_plugin_of_a_checkout_finds_tagxai_there(tmp_path):
    folder = writing.write_plugin("method", "own_idea", tmp_path / "own")
    sources = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]["sources"]
    checkout = (folder / sources["tagxai"]["path"]).resolve()
    assert 'name = "tagxai"' in (checkout / "pyproject.toml").read_text(encoding="utf-8")


def test_new_prints_the_next_commands_and_refuses_what_it_cannot_write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("plugin", "new", "metric", "own-idea")
    assert result.exit_code == 0, result.output
    assert "tagxai plugin check tagxai-own-idea" in result.output
    assert Path("tagxai-own-idea", "tagxai_own_idea.py").is_file()
    for arguments, sentence in (
        (("metric", "own_idea"), "exists already"),
        (("metrics", "own_idea"), "no kind of plugin named 'metrics'; did you mean 'metric'?"),
        (("method", "9lives"), "lower-case letters, digits and underscores"),
        (("method", "shapley"), "tagxai has a method named 'shapley' already"),
    ):
        refused = run("plugin", "new", *arguments)
        assert refused.exit_code == 2
        assert sentence in " ".join(refused.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["tagxai-own-idea"]


FORGETFUL = """
from dataclasses import dataclass

from tagxai import Method, Scores, hookimpl
from tagxai.lazy import torch


@dataclass(frozen=True)
class Forgetful(Method):
    \"\"\"Uses the global random state; no paper, no cost.\"\"\"

    name = "forgetful"

    size: int = 1

    def explain(self, run):
        return Scores(torch.rand(1, run.generation.frames, len(run.generation.tokens)))


@hookimpl
def tagxai_methods():
    return [Forgetful]
"""


def test_a_check_names_each_broken_promise(monkeypatch, tmp_path):
    (tmp_path / "tagxai_forgetful.py").write_text(FORGETFUL)
    put_in_place(monkeypatch, tmp_path, "tagxai_forgetful", "tagxai-forgetful")
    try:
        findings = checking.check_package("tagxai-forgetful")
    finally:
        sys.modules.pop("tagxai_forgetful", None)
        registering.registry.cache_clear()
    found = {finding.check: finding for finding in findings.all}
    assert findings.failed
    assert found["contract"].outcome == "FAILED"
    assert "without its seed" in found["contract"].text or "random state" in found["contract"].text
    assert [found[check].outcome for check in ("paper", "cost", "options")] == ["note"] * 3
    assert "size" in found["options"].text


def test_installed_plugins_are_listed_with_what_they_bring(monkeypatch):
    pytest.importorskip("tagxai_leave_one_out")
    result = run("plugin", "list")
    assert result.exit_code == 0
    assert "method leave_one_out" in result.output
    assert installed.find_plugin("tagxai_leave_one_out").name == "tagxai-leave-one-out"
    assert installed.find_plugin("plugins/tagxai-dia" if Path("plugins").is_dir() else "tagxai-dia").brings


def test_a_plugin_that_is_switched_off_or_broken_is_listed_as_such(monkeypatch):
    pytest.importorskip("tagxai_leave_one_out")
    monkeypatch.setattr(installed, "registry", lambda: registering.load(entry_points=True))
    for name, value in ((DISABLE, "tagxai-leave-one-out"), (DISABLE, "1"), (DISABLE, "True"), (ONLY, ""), (ONLY, "x")):
        with monkeypatch.context() as environment:
            environment.setenv(name, value)
            found = installed.find_plugin("tagxai-leave-one-out")
            assert (found.state, found.brings) == (f"switched off by {name}", ())
    monkeypatch.setenv(ONLY, "tagxai_leave.one_out")
    assert installed.find_plugin("tagxai-leave-one-out").state == installed.IN_USE
    monkeypatch.setattr("tagxai_leave_one_out.LeaveOneOut.name", 3)
    with pytest.warns(registering.PluginWarning):
        broken = installed.find_plugin("tagxai-leave-one-out")
    assert (broken.brings, "which has no name" in broken.state) == ((), True)


def test_a_package_that_is_no_plugin_is_refused_in_a_sentence():
    with pytest.raises(TagxaiError, match="no installed plugin named 'tagxai-leave-one-in'; did you mean"):
        installed.find_plugin("tagxai-leave-one-in")
    with pytest.raises(TagxaiError, match="'numpy' has no entry point in the group 'tagxai'"):
        installed.find_plugin("numpy")
    assert metadata.distribution("numpy")
