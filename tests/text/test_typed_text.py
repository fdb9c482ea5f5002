"""What people and plugins write stays text: no token, no escape code, no HTML, no formula."""

import io
import json

import pytest
from rich.text import Text

from tagxai.cli import display
from tagxai.report.benchmark import Table, escaped, markdown
from tagxai.text.normalising import normalise

ESCAPES = [
    "\x1b[2J",
    "\x9b31m",
    "\x1b]0;title\x07",
    "\r",
    "\b\b\b",
    "\u202egnp.exe",
    "\u2066",
    "\x00",
    "\x7f",
    "\u2028",
]


@pytest.mark.parametrize("typed", ["</s>", "<pad>", "<unk>", "a</s>b", "</s></s>", "a dog </s> barks", "<pad>dog"])
def test_a_special_token_that_a_person_types_is_text(typed, generator):
    encoded = generator.encode_prompt([typed, "a dog"])
    tokens, spans = encoded.tokens[0], encoded.spans[0]
    assert "</s>" not in tokens[:-1]
    assert "<pad>" not in tokens
    assert tokens[-1] == "</s>"
    assert spans[-1] == (len(typed), len(typed))
    covered = {place for start, end in spans for place in range(start, end)}
    assert covered == {place for place, character in enumerate(typed) if not character.isspace()}


@pytest.mark.parametrize(
    "written",
    ["a\ndog", "a\tdog", "a\u2028dog", "a \x1b dog", "a\x00dog", "a\u00a0dog", "a \u202edog", "\u2066a dog\u2069"],
)
def test_invisible_characters_change_nothing_that_a_model_reads(written, generator):
    assert normalise(written).text == "a dog"
    assert generator.encode_prompt([written]).tokens == generator.encode_prompt(["a dog"]).tokens


@pytest.mark.parametrize("code", ESCAPES)
def test_a_console_writes_control_characters_out(code, monkeypatch):
    for console in (display.out(), display.err()):
        console.file = io.StringIO()
        table = display.plain_table("name")
        table.add_row(Text(f"a{code}b"))
        console.print(table)
        console.print(f"a{code}b", markup=False)
        console.print(Text(f"a{code}b"), soft_wrap=True)
        shown = console.file.getvalue()
        assert all(c.isprintable() or c == "\n" for c in shown)
        assert "a" in shown


@pytest.mark.parametrize("code", ESCAPES)
def test_json_holds_control_characters_as_its_own_escapes(code, capsys):
    display.print_json({"name": f"a{code}b", "list": [1, "狗"]})
    shown = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert json.loads(shown) == {"name": f"a{code}b", "list": [1, "狗"]}
    assert "狗" in shown


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("<img src=x onerror=y>", "&lt;img src=x onerror=y&gt;"),
        ("a|b", "a\\|b"),
        ("[click](javascript:x)", "[click]\\(javascript:x)"),
        ("a\nb", "a\\x0ab"),
        ("&lt;", "&amp;lt;"),
        ("0.5 [0.4, 0.6]", "0.5 [0.4, 0.6]"),
    ],
)
def test_labels_are_text_in_markdown(label, shown):
    assert escaped(label) == shown
    table = markdown([Table(label, label, [label], [[label]])])
    assert table.splitlines()[0] == f"## {shown}"
    assert f"| {shown} |" in table
