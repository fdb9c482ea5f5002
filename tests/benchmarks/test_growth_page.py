"""Exponents of measured growth against laws whose exponents are known."""

import json

import growth
import pytest
from growth_page import draw, exponent, lines, markdown, relative


def found(axis, work, sizes, seconds):
    base = {"seconds": 1.0, "words": 3, "clips": 1, "layers": 2}
    return {
        json.dumps(["small", axis, work, {**base, axis: size}]): {"seconds": seconds(size), "bytes": 1e6 * size}
        for size in sizes
    }


def test_exponents_are_those_of_the_laws_that_made_the_times():
    sizes = [1.0, 4.0, 16.0]
    measured = found("seconds", "generating", sizes, lambda s: 2 * s) | found("seconds", "ig", sizes, lambda s: s**1.5)
    measured[json.dumps(["small", "seconds", "bad", {"seconds": 1.0}])] = {"error": "RuntimeError: no"}
    works = lines(measured)["seconds"]
    assert exponent(*zip(*((s, t) for s, t, _ in works["ig"]), strict=True)) == pytest.approx(1.5)
    assert relative(works["ig"], works["generating"]) == pytest.approx(0.5)
    assert exponent([1.0], [1.0]) is None
    page = markdown(measured, "a machine")
    assert "| ig | 1 s, 1 MB | 8 s, 4 MB | 64 s, 16 MB | 1.50 | 0.50 | 1.00 |" in page
    assert "RuntimeError: no" in page
    assert draw(measured).startswith(b"\x89PNG")


def test_what_another_device_has_measured_is_neither_taken_over_nor_shown(tmp_path, monkeypatch):
    def measured(_, shape, work, size, device, dtype):
        return {"seconds": size["seconds"] * {"float32": 1.0, "bfloat16": 8.0}[dtype], "bytes": 0.0}

    monkeypatch.setattr(growth, "measured", measured)
    monkeypatch.setattr(growth, "_load_libraries", lambda shape: None)
    given = ["growth.py", "--out", str(tmp_path), "--methods", "random", "--seconds", "1", "4"]
    given += ["--words", "3", "--clips", "1", "--layers", "2"]
    for dtype, seconds in (("float32", 4), ("bfloat16", 32), ("float32", 4)):
        monkeypatch.setattr("sys.argv", [*given, "--dtype", dtype])
        growth.main()
        assert f"| random | {seconds // 4} s, 0 MB | {seconds} s, 0 MB |" in (tmp_path / "growth.md").read_text()
    assert len(json.loads((tmp_path / "growth.json").read_text())) == 8
