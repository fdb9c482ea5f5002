"""The references of what a benchmark ran, as BibTeX; `keywords` in `references.bib` say what an entry is of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tagxai.benchmark.results import Results


def bibliography(results: Results) -> str:
    """The entries of the methods, metrics and generators of a benchmark, and of tagxai itself."""
    names = {f"method:{method.name}" for method in results.methods} | {
        f"metric:{each.name}" for each in results.metrics
    }
    names |= {f"generator:{cell.generator.partition(':')[0]}" for cell in results.cells}
    return "\n\n".join(references({*names, "tagxai"})) + "\n"


def references(names: Iterable[str]) -> list[str]:
    """The entries that have one of these keywords, such as `method:shapley`, without their keywords."""
    wanted = {name.partition(":")[0] + ":captum" if name.startswith("method:captum:") else name for name in names}
    return [text for keywords, text in _entries() if keywords & wanted]


def known() -> set[str]:
    """All keywords."""
    return set[str]().union(*(keywords for keywords, _ in _entries()))


@cache
def _entries() -> list[tuple[frozenset[str], str]]:
    """The keywords and the text of each entry, in the order of the file."""
    text = Path(__file__).with_name("references.bib").read_text(encoding="utf-8")
    found = []
    for entry in re.findall(r"^@.*?^\}$", text, re.MULTILINE | re.DOTALL):
        (keywords,) = re.findall(r"^  keywords = \{(.*)\},\n", entry, re.MULTILINE)
        plain = re.sub(r"^  keywords = .*\n", "", entry, flags=re.MULTILINE)
        found.append((frozenset(each.strip() for each in keywords.split(",")), plain))
    return found
