"""The benchmarks measure the memory that the work of a process adds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PIECE = 20_000_000

GROWTH = f"""
from tests.bench.measuring import memory_growth

def work(kept):
    for number in range(5):
        piece = bytearray(b"x" * {PIECE})
        kept += [piece] if KEEP else []

print(memory_growth(lambda: None, lambda: work([])))
"""


def growth(*, keep: bool) -> float:
    """By how much a process grows that makes five pieces and keeps them, or one at a time."""
    code = f"KEEP = {keep}\n{GROWTH}"
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured on Linux"
)
def test_memory_growth_adds_up_kept_pieces_but_not_freed_ones():
    assert 5 * PIECE / 1e6 <= growth(keep=True) <= 8 * PIECE / 1e6
    assert PIECE / 1e6 <= growth(keep=False) <= 4 * PIECE / 1e6
