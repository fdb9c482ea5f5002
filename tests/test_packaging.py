"""What is shipped: a light import, matching versions, extras kept apart, no lock file and no machine's own paths."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import tagxai

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def modules_after(code):
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint('loaded:', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(run.stdout.split("loaded:")[-1].split())


HEAVY = {"torch", "transformers", "spacy", "audiocraft", "captum", "torchaudio", "hear21passt", "matplotlib", "ray"}
HEAVY |= {"numpy", "jaxtyping", "soundfile", "pandas"}


@pytest.mark.parametrize(
    "code", ["import tagxai", "import tagxai.testing", "import tagxai; tagxai.registering.registry()"]
)
def test_importing_and_listing_load_nothing_heavy(code):
    if "registry" in code:  # a plugin may import torch at its top, as the reference plugin does
        code = "from tagxai.registering.registry import load; load(entry_points=False)"
    assert not modules_after(code) & HEAVY


def test_versions_agree():
    assert tagxai.__version__ == PROJECT["project"]["version"] == metadata.version("tagxai")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {tagxai.__version__}\n" in citation
    assert f"## [{tagxai.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_public_name_exists():
    assert all(hasattr(tagxai, name) for name in tagxai.__all__)
    assert list(tagxai.__all__) == sorted(tagxai.__all__)


def test_what_one_backend_needs_is_an_extra_and_not_a_dependency():
    required = {re.match(r"[\w.-]+", line)[0] for line in metadata.requires("tagxai") if "extra ==" not in line}
    assert not required & {
        "audiocraft",
        "captum",
        "hear21passt",
        "ray",
        "torchaudio",
        "torchvision",
        "tagxai-analytic",
        "tagxai-leave-one-out",
    }
    assert set(PROJECT["project"]["optional-dependencies"]) == set(
        metadata.metadata("tagxai").get_all("Provides-Extra")
    )


def test_the_plugins_of_the_repository_stay_out_of_the_published_metadata():
    assert not any("leave-one-out" in line or "analytic" in line for line in metadata.requires("tagxai"))


def tracked():
    run = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in run.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_lock_file_and_no_pickle_is_tracked():
    assert not [
        path.name for path in tracked() if path.suffix in {".lock", ".pkl", ".pt", ".pth"} or path.name == "uv.lock"
    ]


def test_no_tracked_text_names_a_place_on_one_machine():
    places = re.compile(r"(?<![\w.])/(work|root|home)/\w+")
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # weights and audio
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in places.finditer(text)]
    assert not found
