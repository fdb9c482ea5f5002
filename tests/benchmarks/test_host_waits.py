"""Waits for the device are counted where they are made."""

import torch
from host_waits import host_waits, of_tagxai


def test_what_reads_a_number_is_counted_by_its_line():
    numbers = torch.arange(3.0)
    with host_waits("cpu") as found:
        for _ in range(2):
            numbers.sum().item()
        numbers + 1
        bool(numbers.all())
    assert sorted(found.values()) == [1, 2]
    assert all(place.startswith("benchmarks/test_host_waits.py:") for place in found)
    assert of_tagxai(found).total() == 0


def test_only_lines_of_tagxai_are_its_own():
    from tagxai.contract.finite import is_finite

    with host_waits("cpu") as found:
        is_finite(torch.zeros(2))
        is_finite(torch.zeros(2), torch.ones(3))
    assert of_tagxai(found) == found
    assert found.total() == 2  # one for each call, whatever the number of tensors
