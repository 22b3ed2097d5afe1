"""Runs a target on many inputs: seeds, new ones, and mutations of those that showed something new."""

from __future__ import annotations

import gc
import hashlib
import signal
import sys
import time
import traceback
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from attrs import define, field

from tests.fuzz.mutation import LONGEST, Mutator
from tests.fuzz.target import Target

__all__ = ["Finding", "Hang", "Report", "fuzz", "replay", "work_of"]

LONGEST_RUN = 60  # seconds for 64 inputs, after which one of them hangs
_CALLS = 20_000
_CALLS_PER_BYTE = 500
"""The bound of the work for one input: so many calls, and so many for each of its bytes."""
_COUNTED_EVERY = 50
_MOST_KEPT = 20_000  # inputs of one target in memory
_MOST_FINDINGS = 5
_REDUCED = 400  # attempts to make an input of a finding smaller


class Hang(Exception):
    """One input takes longer than any may."""


class TooMuchWork(AssertionError):
    """One input needs more calls than its size allows."""


@define
class Finding:
    """An input and the exception that it caused."""

    target: str
    data: bytes = field(repr=False)
    error: BaseException
    trace: str = field(repr=False)


@define
class Report:
    """What a run of one target came to."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    kinds: int = 0
    """The number of different results of ``run()``."""
    grown: float = 0.0
    """Megabytes by which the process has grown since the first tenth of the run."""
    findings: list[Finding] = field(factory=list)


def fuzz(
    target: Target,
    *,
    seed: int,
    inputs: int | None = None,
    seconds: float | None = None,
    kept: Path | None = None,
) -> Report:
    """Run ``target`` on so many inputs, or for so many seconds.

    ``kept`` is a folder of inputs that showed something new in earlier runs; this run adds its own.
    """
    random = Random(f"{seed} {target.name}")
    pool: list[bytes] = []
    source = _inputs(target, random, Mutator(random, target.words), pool, kept)
    with _no_hang(seconds is not None) as passed:
        run = _Run(target, pool, kept, seconds)
        while run.report.inputs != inputs and len(run.report.findings) < _MOST_FINDINGS:
            if run.report.inputs % 64 == 0 and run.is_over(passed()):
                break
            run.take(next(source))
        target.settle()
        return run.done(passed())


class _Run:
    """One run of a target: what its inputs have shown so far."""

    def __init__(
        self, target: Target, pool: list[bytes], kept: Path | None, seconds: float | None
    ) -> None:
        self.report = Report(target.name)
        self._target = target
        self._pool = pool
        self._kept = kept
        self._seconds = seconds
        self._known: set[Hashable] = set()
        self._first_size: float | None = None

    def is_over(self, passed: float) -> bool:
        if self._seconds is None:
            return False
        if self._first_size is None and passed >= self._seconds / 10:
            self._first_size = _megabytes()
        return passed >= self._seconds

    def take(self, data: bytes) -> None:
        report = self.report
        try:
            result = _checked(self._target, data, counts=report.inputs % _COUNTED_EVERY == 0)
        except Exception as error:
            result = _place(error)
            if result not in self._known:
                report.findings.append(_finding(self._target, data, error))
        report.inputs += 1
        if result in self._known:
            return
        self._known.add(result)
        if len(self._pool) < _MOST_KEPT:
            self._pool.append(data)
        if self._kept is not None:
            _keep(self._kept, data)

    def done(self, passed: float) -> Report:
        self.report.seconds, self.report.kinds = passed, len(self._known)
        if self._first_size is not None:
            self.report.grown = _megabytes() - self._first_size
        return self.report


def _inputs(
    target: Target, random: Random, mutator: Mutator, pool: list[bytes], kept: Path | None
) -> Iterator[bytes]:
    seeds = target.seeds()
    yield from seeds
    if kept is not None and kept.is_dir():
        for path in sorted(kept.iterdir()):
            yield path.read_bytes()
    while True:
        if random.random() >= target.mutations:
            yield target.make(random)
        elif random.random() < 0.3:
            yield mutator.mutate(target.make(random))
        else:
            sources = pool or seeds
            yield mutator.mutate(random.choice(sources), random.choice(sources))


def _checked(target: Target, data: bytes, *, counts: bool) -> Hashable:
    """Run one input within its bounds of time and, if it ``counts``, of work."""
    if not counts:
        return target.run(data)
    result, calls = work_of(lambda: target.run(data))
    most = _CALLS + _CALLS_PER_BYTE * len(data)
    if calls > most:
        raise TooMuchWork(f"{calls} calls for {len(data)} bytes, more than {most}")
    return result


def work_of(run: Callable[[], Any]) -> tuple[Any, int]:
    """Return what ``run()`` returns, and the number of calls that this thread has made for it."""
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        result = run()
    finally:
        sys.setprofile(before)
    return result, calls


# --- findings ---------------------------------------------------------------------------------------


def _finding(target: Target, data: bytes, error: Exception) -> Finding:
    place = _place(error)
    trace = "".join(traceback.format_exception(error))
    if not target.over_sockets:
        data = _reduced(target, data, place)
    return Finding(target.name, data, error, trace)


def _place(error: BaseException) -> tuple[str, str]:
    """Return what tells one fault from another: the kind of error and the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return type(error).__name__, f"{Path(frame.filename).name}:{frame.lineno}"


def _reduced(target: Target, data: bytes, place: tuple[str, str]) -> bytes:
    """Return a part of ``data`` that shows the same fault."""
    attempts = 0
    size = len(data) // 2
    while size and attempts < _REDUCED:
        start = 0
        while start < len(data) and attempts < _REDUCED:
            attempts += 1
            shorter = data[:start] + data[start + size :]
            if _fault_of(target, shorter) == place:
                data = shorter
            else:
                start += size
        size //= 2
    return data


def _fault_of(target: Target, data: bytes) -> tuple[str, str] | None:
    try:
        _checked(target, data, counts=True)
    except Exception as error:
        return _place(error)
    return None


def replay(target: Target, data: bytes) -> Hashable:
    """Run one input again, with all bounds; raises what it causes."""
    return _checked(target, data, counts=True)


def _keep(folder: Path, data: bytes) -> None:
    if len(data) <= LONGEST:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha256(data).hexdigest()[:20]).write_bytes(data)


# --- bounds -----------------------------------------------------------------------------------------


@contextmanager
def _no_hang(watches: bool) -> Iterator[Callable[[], float]]:
    """Give a clock; if it is not asked for LONGEST_RUN seconds, raise Hang in the main thread."""
    began = time.monotonic()

    def expire(number: int, frame: FrameType | None) -> None:
        raise Hang(f"an input takes more than {LONGEST_RUN} seconds")

    def passed() -> float:
        if watches:
            signal.setitimer(signal.ITIMER_REAL, LONGEST_RUN)
        return time.monotonic() - began

    before = signal.signal(signal.SIGALRM, expire) if watches else None
    try:
        yield passed
    finally:
        if watches:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _megabytes() -> float:
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
