"""What a plugin computes is known by its code, by what that imports from beside it, and by the data in its package."""

import importlib
import sys

import pytest

from tagxai.explaining.identifying import code_of

FILES = {
    "package": {
        "mine/__init__.py": "from mine.part import Mine\n",
        "mine/part.py": "import beside\nclass Mine: ...\n",
        "mine/table.json": "[1]",
        "mine/data/weights.bin": "1",
        "beside.py": "import deeper.one\n",
        "deeper/__init__.py": "",
        "deeper/one.py": "X = 1\n",
    },
    "module": {"mine.py": "from beside import X\nclass Mine: ...\n", "beside.py": "X = 1\n"},
}
OTHER_FILES = ["stranger.py", "mine/__pycache__/part.pyc", "mine/.cache/x", "notes.txt"]


@pytest.fixture
def identity(tmp_path, monkeypatch):
    """Write a plugin; returns its folder and what gives the identity of its class."""

    def make(kind):
        for name, text in FILES[kind].items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
        cls = importlib.import_module("mine").Mine
        return tmp_path, lambda: code_of(cls)["code"]

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mine", "beside", "deeper")]:
        del sys.modules[name]


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, files in FILES.items() for name in files])
def test_whatever_is_changed_of_a_plugin_gives_another_identity(kind, name, identity):
    folder, now = identity(kind)
    before = now()
    assert now() == before
    (folder / name).write_text(FILES[kind][name] + " ")
    assert now() != before


def test_a_file_of_the_package_that_is_renamed_counts(identity):
    folder, now = identity("package")
    before = now()
    (folder / "mine" / "table.json").rename(folder / "mine" / "zable.json")
    assert now() != before


@pytest.mark.parametrize("name", OTHER_FILES)
def test_files_of_others_do_not_count(name, identity):
    folder, now = identity("package")
    before = now()
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("anything")
    assert now() == before
