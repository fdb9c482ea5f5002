"""What committed results say of each method, as `tagxai methods` shows it. As a program: write that file again.

uv run python tests/helpers/measured.py
"""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "src" / "tagxai" / "cli" / "measured.toml"
SOURCE = ("benchmarks/results/leaderboard/README.md", "| method | hit_at_1", "average_precision ↑")


def column(path: str, heading: str, title: str) -> dict[str, float]:
    """A column of the table that starts so, for the methods that it names plainly."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(heading))
    place = [cell.strip() for cell in lines[start].split("|")].index(title)
    found = {}
    for line in lines[start + 2 :]:
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) <= place:
            break
        if re.fullmatch(r"`?[a-z]\w*`?", cells[1]) and cells[place][0].isdigit():
            found[cells[1].strip("`")] = float(cells[place].split()[0])
    return found


def text() -> str:
    rows = "".join(f"{method} = {value:.2f}\n" for method, value in sorted(column(*SOURCE).items()))
    note = "# Average precision by truth on held-out prompts of tiny. Written by tests/helpers/measured.py."
    return f"{note}\n\n[leaderboard] # {SOURCE[0]}\n{rows}"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
