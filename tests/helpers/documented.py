"""Blocks of code in the documentation, and what its commands would do."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CODE = {"python", "bash", "console"}
OTHER = {"text", "toml"}
_BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>.+?) -->\n)?^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. `reason` says why it is not run; only its options are checked then."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None
    follows: bool
    """Whether nothing but blank lines is between it and the block before."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_included(self) -> bool:
        """Whether it is a file of the repository, which has tests of its own."""
        return self.text.lstrip().startswith("--8<--")

    def commands(self) -> list[list[str]]:
        """The words of each command of a shell block; continued lines are joined, comments dropped."""
        text = self.text.replace("\\\n", " ")
        lines = text.splitlines() if self.language == "bash" else re.findall(r"^\$ (.*)", text, re.M)
        parts = (part for line in lines for part in line.split(" && "))
        return [words for part in parts if (words := shlex.split(part, comments=True))]

    def shown(self) -> list[str]:
        """The output that a console block shows."""
        return [line.rstrip() for line in self.text.splitlines() if line.strip() and not line.startswith("$ ")]


def pages() -> list[str]:
    """The pages under version control whose code is run: README, the site, and the plugins' own."""
    patterns = ("README.md", "CONTRIBUTING.md", "docs/*.md", "plugins/*/README.md")
    run = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", *patterns], capture_output=True, text=True)
    return sorted(name for name in run.stdout.split("\0") if name and (ROOT / name).is_file())


def blocks(page: str) -> list[Block]:
    """A page's blocks in order. One without a language is a shell's if it starts as a command, else text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for match in _BLOCK.finditer(text):
        indent, body = match["indent"], match["text"]
        body = "\n".join(line.removeprefix(indent) for line in body.splitlines()) + "\n"
        language = match["language"] or ("bash" if re.match(r"(tagxai|uv|pip|ray) ", body) else "text")
        line, follows = text.count("\n", 0, match.start()) + 1, bool(found) and not text[end : match.start()].strip()
        found.append(Block(page, line, language, body, match["reason"], follows))
        end = match.end()
    return found


def program(words: list[str]) -> list[str]:
    """A command without settings of variables, without `uv run`, and without the file that its output goes to."""
    words = words[: words.index(">")] if ">" in words else words
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if words[:2] == ["uv", "run"]:
        words = words[2:]
        while words and words[0].startswith("-"):
            words = words[2:] if words[0] in {"--project", "--with", "--extra"} else words[1:]
    return words
