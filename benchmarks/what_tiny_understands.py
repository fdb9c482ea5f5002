"""The page "What tiny understands", made from the grammar and its plain phrasings.

python benchmarks/what_tiny_understands.py docs/what-tiny-understands.md
"""

import argparse
from pathlib import Path

from tagxai.laboratory.language.phrases import ADJECTIVES, ADVERBS, NEGATIONS, PATTERNS, PHRASES, PREFIXES, SUFFIXES
from tagxai.laboratory.language.plain import PLAIN, PLAIN_PATTERNS
from tagxai.laboratory.sounds.clips import intervals
from tagxai.laboratory.sounds.styles import VALUES
from tagxai.laboratory.sounds.synthesis import ATTRIBUTES

INTRODUCTION = """# What tiny understands

The embedded model `tiny` was trained on the sentences of a small grammar. This page lists all of it, and is made from
it by `python benchmarks/what_tiny_understands.py docs/what-tiny-understands.md`.

For a prompt that is not on this page, the model may play anything. `tagxai explain` says so before it starts, with what
to write instead, and reports under every table what a detector hears in the clip. In Python, the same sentences are
warnings.

The model cannot play silence: "no dog barks" barks. A denial needs a sound beside it, as in "rain falls without a dog
barking".

## Sounds

Each event has trained phrasings, and plain ones that were never trained: on 16 clips of each plain phrasing its event
was heard every time, and no other event more than once (`python benchmarks/plain_phrasings.py --seeds 16`). Phrasings
that sound as natural but did not pass, such as "dogs bark" (footsteps) or "the wind blows" (wind and a dog), are not
understood.

| event | trained | plain | can be |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page, in Markdown."""
    rows = [
        f"| {event} | {_phrasings(PHRASES[event])} | {_phrasings(PLAIN[event])} | {', '.join(ATTRIBUTES[event])} |\n"
        for event in sorted(PHRASES)
    ]
    return INTRODUCTION + "".join(rows) + _attributes() + _sentences()


def _phrasings(phrases) -> str:
    return ", ".join(f"{phrase.article} {phrase.content}".strip() for phrase in phrases)


def _attributes() -> str:
    lines = [
        "\n## How an event sounds\n",
        "| kind | value | before the sound | after it |",
        "| --- | --- | --- | --- |",
    ]
    for kind, values in VALUES.items():
        for value in values:
            before = ", ".join(ADJECTIVES.get(value, ())) or "-"
            lines.append(f"| {kind} | {value} | {before} | {', '.join(ADVERBS[value])} |")
    lines += [
        '\nAn event takes a word only of the kinds in the last column above, and one word of each kind: "a loud dog',
        'barking", "a bell rings twice". Phrasings that begin with "someone" take words after them only.\n',
    ]
    return "\n".join(lines)


def _sentences() -> str:
    lines = ["\n## Sentences\n", "Clips are 3 s long; `{0}` is heard first.\n", "| sentence | seconds of each event |"]
    lines.append("| --- | --- |")
    for table in (PATTERNS, PLAIN_PATTERNS):
        for form, patterns in table.items():
            when = ", ".join(f"{start:g}-{end:g}" for start, end in intervals(form))
            plain = " (plain)" if table is PLAIN_PATTERNS else ""
            lines += [f"| `{pattern.text}`{plain} | {when} |" for pattern in patterns]
    before = ", ".join(f'"{filler.text}"' for filler in PREFIXES if filler.text)
    after = ", ".join(f'"{filler.text}"' for filler in SUFFIXES if filler.text)
    denials = ", ".join(f'"{words}"' for words in NEGATIONS)
    lines += [
        f"\nAt the end, one event can be denied: {denials}, and then a phrasing without a verb.",
        f"Words that change nothing, at the beginning: {before};",
        f"at the end: {after}.\n",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="Where to write the page.")
    parser.parse_args().file.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
