"""How things are measured, so that two runs on one machine can be compared.

CPU is what the process spends in user and system mode (``time.process_time``), so neither waiting nor other
processes count. Both sides do the same work in turn: one round of each that is thrown away, then rounds of
one and the other, garbage collected before each. The result is the median of the ratios of neighbouring
rounds: a machine that changes its speed meanwhile changes it for both.

Memory is the process's resident set, which also holds what C libraries allocate: its peak while the work
runs, less what it was when the work began. The work runs in a fresh process, after a warm-up of the same
kind, so that imports, connections and caches do not count. Linux only: nowhere else can the peak be reset.
"""

from __future__ import annotations

import gc
import math
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from attrs import frozen

__all__ = [
    "Ratio",
    "cpu",
    "cpu_of",
    "cpu_ratio",
    "cpu_ratios",
    "exponent",
    "in_fresh_process",
    "memory_growth",
    "quartiles",
    "resident",
]

T = TypeVar("T")

ROUNDS = 15
_SHORT_ROUNDS = 5
_MEGABYTE = 1_000_000
_KIBIBYTE = 1024


@frozen
class Ratio:
    """The median of the rounds' ratios, and the quartiles below and above it."""

    median: float
    low: float
    high: float


def quartiles(ratios: Sequence[float]) -> Ratio:
    """Return median and quartiles of the ratios of some rounds."""
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, low, high)


def cpu_ratio(
    ours: Callable[[], object], theirs: Callable[[], object], *, calls: int, rounds: int = ROUNDS
) -> float:
    """Return how many times the CPU of ``theirs`` a call of ``ours`` takes; a round is ``calls`` calls."""
    return cpu_ratios(ours, theirs, calls=calls, rounds=rounds).median


def cpu_ratios(
    ours: Callable[[], object], theirs: Callable[[], object], *, calls: int, rounds: int = ROUNDS
) -> Ratio:
    """Return the same ratio with its quartiles."""
    return quartiles([_cpu(ours, calls) / _cpu(theirs, calls) for _ in range(rounds + 1)][1:])


def cpu(work: Callable[[], object], calls: int) -> float:
    """Return the seconds of CPU of one call: the least of some rounds, as other programs only add to it."""
    return min(_cpu(work, calls) for _ in range(_SHORT_ROUNDS)) / calls


def exponent(small: int, cost: float, large: int, large_cost: float) -> float:
    """Return by which power of its size the cost of something grows: 0 is not at all, 1 in proportion."""
    return math.log(large_cost / cost) / math.log(large / small)


def cpu_of(work: Callable[[], object], calls: int) -> float:
    """Return the seconds of CPU of so many calls, garbage collected before."""
    return _cpu(work, calls)


def _cpu(work: Callable[[], object], calls: int) -> float:
    gc.collect()
    before = time.process_time()
    for _ in range(calls):
        work()
    return time.process_time() - before


def memory_growth(warm_up: Callable[[], object], work: Callable[[], object]) -> float:
    """Return by how many megabytes this process grows, at most, while ``work`` runs after ``warm_up``."""
    warm_up()
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # from now on VmHWM is the peak since now
    before = _memory("VmRSS")
    work()
    return (_memory("VmHWM") - before) / _MEGABYTE


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    gc.collect()
    return _memory("VmRSS")


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * _KIBIBYTE
    raise RuntimeError(f"/proc/self/status has no {name}")


def in_fresh_process(function: Callable[..., T], *args: Any) -> T:
    """Call a function of a module in a process that has run nothing else; return what it returns."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()
