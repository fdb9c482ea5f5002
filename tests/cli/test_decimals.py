"""Numbers of the terminal's tables."""

import pytest
from rich.console import Console

from tagxai.cli.display import bar_table, decimals


@pytest.mark.parametrize(
    ("value", "shown"), [(-0.0004, "0.000"), (-0.0, "0.000"), (-0.0006, "-0.001"), (0.25, "0.250"), (-12, "-12.000")]
)
def test_a_number_that_is_shown_as_zero_has_no_sign(value, shown):
    assert decimals(value) == shown


def test_so_it_is_in_a_table_of_scores():
    console = Console(width=80, record=True)
    console.print(bar_table("word", [("a", False), ("dog", False)], {"clip": [-0.0001, 1.0]}, console))
    assert "-0.000" not in console.export_text()
