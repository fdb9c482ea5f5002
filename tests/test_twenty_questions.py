"""A fresh reader finds twenty answers in at most three clicks from the start page, by the links of its pages alone.

The side bar, which would be one click to any page, does not count.
"""

import re
from collections import deque
from pathlib import Path, PurePosixPath
from posixpath import normpath

import pytest

DOCS = Path(__file__).parent.parent / "docs"
QUESTIONS = {
    "How do I explain a prompt without downloading a model?": ("tutorial.md", "tagxai explain"),
    "What can I write, so that the small model understands it?": ("what-tiny-understands.md", "a dog barks"),
    "Which method should I take?": ("how-to/choose-a-method.md", "Take the default"),
    "How do I hear what the explanation leaves out?": ("listen-and-point.md", "counterfactual"),
    "How do I get from a map of scores to something I can claim?": ("tutorial-argument.md", "## 8. Write it down"),
    "Why does a word that I asked for score 0?": (
        "how-to/when-scores-look-wrong.md",
        "the model did not make it",
    ),
    "What does a mask do inside the model?": ("concepts.md", "multiplies the cross-attention weights"),
    "What is the difference of a direct and a total effect?": ("concepts.md", "## Direct and total effect"),
    "How do I know that a method is better than chance?": ("concepts.md", "## Controls"),
    "How do I explain a thousand prompts?": ("how-to/explain-many-prompts.md", "--prompts prompts.txt"),
    "How do I get the scores into pandas?": ("how-to/use-pandas-and-parquet.md", "to_pandas()"),
    "How do I explain MusicGen on a GPU?": ("how-to/use-a-gpu.md", "--device cuda"),
    "How much memory will it take?": ("how-to/run-large-models.md", "## Memory"),
    "Can I explain AudioGen without audiocraft?": ("how-to/use-audiogen-without-audiocraft.md", "tagxai convert"),
    "What do scores of a diffusion model mean?": ("families.md", "noise level"),
    "How do I write a method of my own?": ("how-to/start-a-plugin.md", "plugin new method"),
    "Why has my plugin gone after uv sync?": ("how-to/start-a-plugin.md", "uv sync --inexact"),
    "Which metrics can I believe?": ("findings.md", "## Which metrics to believe"),
    "What does this error want from me?": ("errors.md", "## UnsupportedError"),
    "How does this AudioGenX differ from the authors' scripts?": ("audiogenx.md", "## Three versions"),
    "How do I run a benchmark on a cluster?": ("how-to/use-a-cluster.md", "## Slurm"),
    "How many clips do I need for a claim?": ("findings.md", "## How many clips a claim needs"),
    "What can other tools do that this one cannot?": ("other-tools.md", "## Take another tool if"),
}
"""Each question, the page that answers it, and a piece of the answer."""


def links(page):
    """The pages of the site that a page links to."""
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)", text, re.M):
        path = "".join(target).partition("#")[0]
        if path.endswith(".md") and ":" not in path:
            yield normpath(str(PurePosixPath(page).parent / path))


def clicks():
    """How many clicks each page is from the start page."""
    found, waiting = {"index.md": 0}, deque(["index.md"])
    while waiting:
        page = waiting.popleft()
        for target in links(page):
            if target not in found and (DOCS / target).is_file():
                found[target] = found[page] + 1
                waiting.append(target)
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_is_at_most_three_clicks_away(question):
    page, answer = QUESTIONS[question]
    assert clicks().get(page, 99) <= 3, f"{page} is not reached from index.md"
    assert answer in (DOCS / page).read_text(encoding="utf-8")


def test_there_are_twenty_questions_and_every_page_is_reached_in_three_clicks():
    assert len(QUESTIONS) >= 20
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert {page: clicks().get(page) for page in pages if clicks().get(page, 99) > 3} == {}
