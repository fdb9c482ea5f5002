"""Exponents of measured growth against laws whose exponents are known."""

import json

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
