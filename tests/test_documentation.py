"""What the documentation says of the code is so: names that exist, rooms, layers and paths, and plain English."""

import re
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "tagxai"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
OWN_WORDS = {ROOT / "CONTRIBUTING.md"}  # shows what to avoid
RESULTS = ROOT / "benchmarks" / "results"  # as printed


def pages():
    run = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "*.md"], capture_output=True, text=True, check=False
    )
    if run.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in run.stdout.split("\0") if name and not name.startswith("tests/")]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def exists(name):
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_names_in_the_documentation_exist():
    missing = {
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages()
        for name in set(re.findall(r"\btagxai(?:\.[A-Za-z_]\w*)+", page.read_text(encoding="utf-8")))
        if not exists(name)
    }
    assert not missing


def test_the_architecture_names_every_room_and_no_other():
    tree = ARCHITECTURE.read_text(encoding="utf-8").split("## The tree")[1].split("## Layers")[0]
    rows = [row.split("|")[1] for row in tree.splitlines() if row.startswith("| `")]
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)}
    rooms = {path.name for path in SOURCE.iterdir() if path.name[0] not in "_." and path.suffix != ".typed"}
    assert named == rooms


def test_the_architecture_has_the_layers_of_the_import_contract():
    block = ARCHITECTURE.read_text(encoding="utf-8").split("## Layers")[1].split("```")[1]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert block.split("\n")[1:-1] == [layer.replace("tagxai.", "") for layer in layers]


def test_paths_that_the_architecture_sends_people_to_exist():
    table = ARCHITECTURE.read_text(encoding="utf-8").split("## To change X, open Y")[1]
    paths = [
        path for path in re.findall(r"`([^` ]+)`", table) if "/" in path or path.endswith((".py", ".toml", ".yml"))
    ]
    assert len(paths) > 30
    assert [path for path in paths if not any((base / path).exists() for base in (ROOT, SOURCE))] == []


def test_lines_are_at_most_120_wide_but_in_tables():
    wide = [
        f"{page.relative_to(ROOT)}:{number}"
        for page in pages()
        if RESULTS not in page.parents
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120 and not line.startswith("|")
    ]
    assert wide == []


def test_the_documentation_is_in_plain_english():
    foreign = re.compile(
        r"\b(told|anew|dearer)\b|that there (is|are)|goes? before the|held against|what there is", re.I
    )
    found = [
        f"{page.relative_to(ROOT)}: {match[0]}"
        for page in pages()
        if page not in OWN_WORDS
        for match in foreign.finditer(page.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_what_the_comparison_says_of_tagxai_is_counted():
    from tagxai.registering.registry import load

    own = load(entry_points=False)
    captum = len(own.families["captum"].summaries)
    families = len({entry.cls.family for entry in own.metrics.values()})
    page = (ROOT / "docs" / "other-tools.md").read_text(encoding="utf-8")
    assert f"| {len(own.methods)}, and {captum} of captum's" in page
    assert f"| {len(own.metrics)} in {families} families" in page
