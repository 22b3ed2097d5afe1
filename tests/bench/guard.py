"""``python -m tests.bench.guard [--store]``: what a message and a REST call cost, counted and not timed.

For each hot path: how many functions of the package are called, and how much memory Python allocates at most
while the path runs. Both are the same in every run on one version of Python, whatever else the machine does.
They are compared with ``guard.json``, which ``--store`` writes: 3 % more of either fails, 3 % less asks for
new figures. Memory depends on the version of Python; where there are no figures for it, calls alone count.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import FrameType

from attrs import frozen

import connectycube
from connectycube import ConnectyCube, HttpTransport, Request, Response
from tests.bench import chat_material as material
from tests.bench.chat_ours import ours
from tests.bench.service import PASSWORD, service
from tests.support.inside import api_of
from tests.support.paths import ROOT

__all__ = ["Cost", "changes", "main", "measured"]

FIGURES = ROOT / "tests" / "bench" / "guard.json"
TOLERANCE = 0.03
_PACKAGE = connectycube.__file__.removesuffix("__init__.py")
# From Python 3.12 on a comprehension is no call any more.
_COMPREHENSIONS = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@frozen
class Cost:
    """What one unit of a path costs: calls of functions of the package, bytes at the peak."""

    calls: float
    memory: float | None


Path = tuple[Callable[[], object], int]
"""A path: what runs it, and how many units (messages, calls, pages) that is."""


@contextmanager
def paths() -> Iterator[Mapping[str, Path]]:
    """Make what the paths need; each can run any number of times."""
    with ExitStack() as stack:
        # A message that was seen before is not delivered again, so each path has a client of its own.
        bulk, live, sender = (stack.enter_context(ours()) for _ in range(3))
        bursts, singles = material.bursts(), material.singles()
        place = stack.enter_context(service(messages=100))
        cube = stack.enter_context(ConnectyCube(config=place.config))
        cube.login(login="alice", password=PASSWORD)
        user = _canned(cube, lambda cube: cube.users.get(place.bob))
        page = _canned(cube, lambda cube: cube.messages.list(place.dialog, mark_as_read=False))
        yield {
            "inbound message": (lambda: bulk.receive_burst(next(bursts)), material.BURST),
            "one message a read": (lambda: live.receive_burst(next(singles)), material.BURST),
            "send_message": (sender.send_burst, material.BURST),
            "REST call": (user, 1),
            "page of 100": (page, 1),
        }


def _canned(cube: ConnectyCube, call: Callable[[ConnectyCube], object]) -> Callable[[], object]:
    """Let a call run with the response that it gets now, and without the network."""
    other = ConnectyCube(config=cube.config, transport=_Recorder(api_of(cube).transport))
    assert cube.session is not None
    api_of(other).adopt(cube.session)

    def run() -> object:
        return call(other)

    run()
    return run


class _Recorder:
    """A transport that sends the first request, and repeats its response."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self._response: Response | None = None

    def send(self, request: Request) -> Response:
        if self._response is None:
            self._response = self._transport.send(request)
        return Response(
            self._response.status,
            body=self._response.body,
            headers=self._response.headers,
            request=request,
        )


def measured() -> dict[str, Cost]:
    """Run each path and count."""
    with paths() as found:
        return {name: _cost(run, units) for name, (run, units) in found.items()}


def _cost(run: Callable[[], object], units: int) -> Cost:
    for _ in range(3):  # caches and pools are full then
        run()
    return Cost(calls=round(_calls(run) / units, 2), memory=round(_memory(run) / units))


def _calls(run: Callable[[], object]) -> int:
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        code = frame.f_code
        if event == "call" and code.co_name not in _COMPREHENSIONS and _is_ours(code.co_filename):
            count += 1

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def _is_ours(filename: str) -> bool:
    return filename.startswith((_PACKAGE, "<attrs generated")) and (
        filename[0] != "<" or "connectycube." in filename
    )


def _memory(run: Callable[[], object]) -> int:
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        run()  # what stays from one run to the next is there
        gc.collect()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    return peak - before


def changes(stored: Mapping[str, Cost], now: Mapping[str, Cost]) -> tuple[list[str], list[str]]:
    """Return what has become dearer, and what has become cheaper or is not stored, in words."""
    dearer, other = [], [f"{name}: not stored" for name in now.keys() - stored.keys()]
    other += [f"{name}: not measured" for name in stored.keys() - now.keys()]
    for name in stored.keys() & now.keys():
        for kind in ("calls", "memory"):
            old, new = getattr(stored[name], kind), getattr(now[name], kind)
            if old is None:
                continue
            words = f"{name}: {new:g} {kind} instead of {old:g}"
            if new > old * (1 + TOLERANCE):
                dearer.append(words)
            elif new < old * (1 - TOLERANCE):
                other.append(words)
    return sorted(dearer), sorted(other)


def _stored() -> dict[str, Cost]:
    figures = json.loads(FIGURES.read_text())
    return {
        name: Cost(calls=row["calls"], memory=row["memory"].get(_PYTHON))
        for name, row in figures.items()
    }


def _store(costs: Mapping[str, Cost]) -> None:
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for name, cost in costs.items():
        row = figures.setdefault(name, {"memory": {}})
        row["calls"] = cost.calls
        row["memory"][_PYTHON] = cost.memory
    FIGURES.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")


def main() -> int:
    """Measure, print, compare; return 1 if something has become dearer."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.guard", description=__doc__)
    parser.add_argument("--store", action="store_true", help="write the figures that are found")
    store = parser.parse_args().store
    costs = measured()
    for name, cost in costs.items():
        print(f"{name:20} {cost.calls:10g} calls {cost.memory:10g} bytes")
    if store:
        _store(costs)
        return 0
    dearer, other = changes(_stored(), costs)
    for words in other:
        print(f"store new figures (--store): {words}")
    for words in dearer:
        print(f"DEARER: {words}", file=sys.stderr)
    return 1 if dearer else 0


if __name__ == "__main__":
    sys.exit(main())
