"""`tagxai plugin`: a new package is complete as it is written, a check finds what is wrong, a list shows all."""

import importlib.util
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tagxai import Method, hookimpl
from tagxai.authoring import checking, installed, writing
from tagxai.authoring.installed import InstalledPlugin
from tagxai.cli import app
from tagxai.errors import TagxaiError
from tagxai.registering import registry as registering

KINDS = ("method", "metric", "generator")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")


@pytest.fixture
def written(tmp_path, request):
    """A new plugin of the kind that a test names, and its module, imported from the file."""
    folder = writing.write_plugin(request.param, "own_idea", tmp_path / "tagxai-own-idea")
    spec = importlib.util.spec_from_file_location("tagxai_own_idea", folder / "tagxai_own_idea.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    yield request.param, folder, module
    del sys.modules[module.__name__]


def as_installed(monkeypatch, module, kind):
    """The module as if its package were installed: in the registry, and among the plugins."""
    known = registering.load(module, entry_points=False)
    origin = next(e.origin for e in getattr(known, f"{kind}s").values() if e.origin != "tagxai")
    brings = tuple(f"{kind} {e.name}" for e in getattr(known, f"{kind}s").values() if e.origin == origin)
    plugin = InstalledPlugin(origin, "", (module.__name__,), brings, "in use" if brings else "registers nothing")
    monkeypatch.setattr(InstalledPlugin, "origin", property(lambda self: self.name))
    monkeypatch.setattr(checking, "find_plugin", lambda package: plugin)
    for place in ("tagxai.authoring.checking", "tagxai.explaining.loading", "tagxai.explaining.measuring"):
        monkeypatch.setattr(f"{place}.registry", lambda: known)
    for place in ("entry_syntax", "plan_options", "plan_entry", "models"):
        monkeypatch.setattr(f"tagxai.benchmark.{place}.registry", lambda: known, raising=False)


def passed(findings):
    return {(finding.subject, finding.check): finding.outcome for finding in findings.all}


@pytest.mark.parametrize("written", KINDS, indirect=True)
def test_a_new_plugin_passes_every_check_as_it_is_written(written, monkeypatch):
    kind, folder, module = written
    as_installed(monkeypatch, module, kind)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    found = passed(checking.check_package("tagxai-own-idea"))
    assert set(found.values()) == {"ok"}, found
    checks = {check for _, check in found}
    assert {"import", "light import", "hooks", "docstring", "contract", "bench"} <= checks


@pytest.mark.parametrize("written", KINDS, indirect=True)
def test_a_new_plugin_is_formatted_and_names_its_module_as_entry_point(written):
    _, folder, _ = written
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


@dataclass(frozen=True)
class Forgetful(Method):
    """Uses the global random state; no paper, no cost."""

    name = "forgetful"

    size: int = 1

    def explain(self, run):
        import torch

        from tagxai import Scores

        return Scores(torch.rand(1, run.generation.frames, len(run.generation.tokens)))


def test_a_check_names_each_broken_promise(monkeypatch):
    class Broken:
        __name__ = "json"  # a module that can be imported

        @hookimpl
        def tagxai_methods(self):
            return [Forgetful]

    as_installed(monkeypatch, Broken(), "method")
    findings = checking.check_package("anything")
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


def test_a_package_that_is_no_plugin_is_refused_in_a_sentence():
    with pytest.raises(TagxaiError, match="no installed plugin named 'tagxai-leave-one-in'; did you mean"):
        installed.find_plugin("tagxai-leave-one-in")
    with pytest.raises(TagxaiError, match="'numpy' has no entry point in the group 'tagxai'"):
        installed.find_plugin("numpy")
    assert metadata.distribution("numpy")
