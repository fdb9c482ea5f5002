"""The files of a benchmark's results: tables of numbers, `table.md`, `report.html` and pictures."""

from __future__ import annotations

import re
from pathlib import Path

from tagxai import storage
from tagxai.benchmark import result_files
from tagxai.benchmark.results import Results
from tagxai.report.benchmark_clips import stale_pages, write_clip_pages
from tagxai.report.benchmark_tables import FAILED, Table, tables
from tagxai.report.html import content_hash, data_uri, resource, template, text_of_script
from tagxai.text.printable import printable

_OWN = re.compile(r"(results|leaderboard|pairs)\.parquet|plan(-\d+)?\.toml")
"""Files that one plan writes, and another may not."""


def write_benchmark(results: Results, folder: Path) -> list[Path]:
    """Write all files from the results, in place of earlier ones: all, or none; nothing is computed.

    The page holds its pictures and links the pages of the clips; the table links its pictures. Raises OSError where
    the disk is full.
    """
    pages = write_clip_pages(results, folder)
    shown = tables(results, pages, drawn=True)
    content = {"table.md": markdown(shown).encode(), "report.html": html(shown).encode()}
    content |= {table.picture: table.png for table in shown if table.picture}
    with storage.whole_folder(folder, lambda at: [*_earlier(at), *stale_pages(at, pages)]) as new:
        names = [file.name for file in result_files.write(results, new)]
        for name, data in content.items():
            storage.write_bytes(new / name, data)
    return [folder / name for name in (*names, *content)]


def _earlier(folder: Path) -> list[str]:
    """What an earlier plan wrote and this one may not write again; other pictures are left alone."""
    own = [file.name for file in folder.iterdir() if _OWN.fullmatch(file.name)] if folder.is_dir() else []
    return [*_pictures(folder / "table.md"), *own]


def _pictures(table: Path) -> list[str]:
    """The pictures that an existing table links."""
    text = table.read_text(encoding="utf-8", errors="replace") if table.is_file() else ""
    return re.findall(r"^!\[.*\]\(([\w-]+\.png)\)$", text, re.MULTILINE)


def markdown(shown: list[Table]) -> str:
    """The tables as Markdown.

    >>> print(markdown([Table("Cost", "", ["method", "passes"], [["a|b", "2"]])]).strip())
    ## Cost
    <BLANKLINE>
    | method | passes |
    | --- | --- |
    | a\\|b | 2 |
    """
    lines = []
    for table in shown:
        lines += [f"## {escaped(table.title)}", "", *([escaped(table.text), ""] if table.text else [])]
        lines += [f"![{escaped(table.title)}]({table.picture})", ""] if table.picture else []
        for row in (table.header, ["---"] * len(table.header), *table.rows):
            lines.append("| " + " | ".join(map(escaped, row)) + " |")
        lines.append("")
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: no HTML, no link, no other column or line.

    >>> print(escaped("<img src=x>[a](b)|c"))
    &lt;img src=x&gt;[a]\\(b)\\|c
    """
    safe = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace("|", "\\|").replace("](", "]\\(")


def html(shown: list[Table]) -> str:
    """The tables as a page that sorts them."""
    script, style = text_of_script(("dom", "sorting")), resource("style.css")
    return template("benchmark.html.j2").render(
        tables=shown,
        failed=FAILED,
        data_uri=data_uri,
        script=script,
        style=style,
        script_hash=content_hash(script),
        style_hash=content_hash(style),
    )
