"""The estimate of AudioCaps' run against its three limits, restated."""

import pytest
from audiocaps_estimate import LAYERS, PARAMETERS, POSITIONS, clip_seconds, seconds, table


def test_a_stage_takes_the_largest_of_its_three_limits():
    assert PARAMETERS == 48 * (4 + 4 + 8) * 1536**2  # self-attention, cross-attention and feed-forward network
    arithmetic = 2 * PARAMETERS * 100 * POSITIONS / (0.35 * 989e12)
    assert seconds(100 * POSITIONS, 1) == pytest.approx(arithmetic)
    launches = 253 * LAYERS * 1e-3
    assert seconds(POSITIONS, 253) == pytest.approx(launches)
    assert clip_seconds(1) == pytest.approx(launches)  # a step at a time, sampling waits for launches
    assert clip_seconds(64) == pytest.approx(launches / 64)


def test_the_table_adds_its_stages_up():
    counts = {"generating": {"clips": 8}, "method audiogenx": {"positions": 800 * POSITIONS, "calls": 400, "times": 8}}
    counts["method random"] = {"times": 8}  # asks nothing of the model
    lines = [line for line in table(counts, 8) if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    stages, total = rows[:-1], rows[-1]
    assert [row[0] for row in stages] == ["generating", "method audiogenx"]
    assert stages[0][1] == "1,000"
    assert stages[1][2] == "100,000"
    for column in (3, 4):
        assert float(total[column]) == pytest.approx(sum(float(row[column]) for row in stages), abs=0.011)
    assert float(stages[1][3]) == pytest.approx(seconds(1e5 * POSITIONS, 5e4) / 3600, abs=0.006)
