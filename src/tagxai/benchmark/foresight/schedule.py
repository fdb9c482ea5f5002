"""How long jobs take on several workers: each worker takes the next job as soon as it is free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heapreplace


def makespan(jobs: Iterable[float], free: Sequence[float]) -> float:
    """Seconds until the last of `jobs`, of so many seconds each, is done; `free` says when each worker can begin.

    >>> makespan([3, 1, 1, 1], free=[0, 0]), makespan([3, 1, 1, 1], free=[2])
    (3.0, 8.0)
    """
    workers = list(free)
    heapify(workers)
    last = 0.0
    for seconds in jobs:
        end = workers[0] + seconds
        heapreplace(workers, end)
        last = max(last, end)
    return float(last)
