"""Tables of LaTeX read back: whatever is not well formed is an error, as it is to LaTeX."""

import re
from typing import NamedTuple


class LatexTable(NamedTuple):
    columns: str
    rows: list[list[str]]


def read_tables(text):
    """The tables of a file, with the header as the first row."""
    text = re.sub(r"(?m)(?<!\\)%.*$", "", text)
    assert _balanced(text), "braces do not match"
    opened = re.findall(r"\\begin\{(\w+)\}", text)
    assert sorted(opened) == sorted(re.findall(r"\\end\{(\w+)\}", text)), "environments do not match"
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0, "math does not end"
    assert text.isascii(), "characters beyond ASCII"
    outside = re.sub(r"\$[^$]*\$|\\(begin|end|label)\{.*\}", "", text)
    assert not re.search(r"(?<!\\)[_^#]", outside), "a special character is not escaped"
    found = []
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        rules = re.findall(r"\\(\w+rule)", body)
        assert (rules[0], rules[-1]) == ("toprule", "bottomrule")
        assert set(rules[1:-1]) == {"midrule"}
        lines = re.sub(r"\\\w+rule", "", body).strip().split(r"\\")
        found.append(LatexTable(columns, [re.split(r"(?<!\\)&", line) for line in lines if line.strip()]))
    return found


def _balanced(text):
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0
