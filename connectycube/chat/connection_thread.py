"""The steps of a connection, one after the other, on a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from attrs import define

from .lease.hold import Hold
from .link import Link, Waker

__all__ = ["Run", "Step", "Steps", "new_step", "run_connection", "seconds_until"]


@define(eq=False)
class Run:
    """One run of a connection: from a login to CLOSED. ``link`` is for the thread that makes its steps."""

    generation: int
    """The number of the run: a thread that was stuck in a call finds another number after it."""
    hold: Hold | None
    link: Link | None = None


class Step(NamedTuple):
    """What is to be done next for a connection."""

    deadline: float | None
    """When there is something to do in any case (monotonic), or None."""
    connects: bool
    """Whether a link is to be opened."""
    events: int
    """What to wait for on the link's socket: EVENT_READ, with EVENT_WRITE if there are bytes to write."""
    is_ready: bool
    """Whether messages flow."""


# Each read has a step, and __new__ of a named tuple takes three times as long.
new_step: Callable[[tuple[float | None, bool, int, bool]], Step] = partial(
    tuple[Any, ...].__new__, Step
)
"""Make a step of its values."""


class Waking(Protocol):
    """What wakes the thread that makes the steps."""

    def wake(self) -> None:
        """Wake it, now or when it waits next; from any thread, with any lock."""

    def close(self) -> None:
        """Release what belongs to one connection alone."""


class Steps(Protocol):
    """The driver, as far as the thread that makes its steps needs it."""

    name: str

    def next_step(self, run: Run) -> Step | None:
        """Do what has become due; return what to do next, None if the run is over."""

    def wait_for_turn(self, run: Run) -> float | None:
        """Let the attempt to connect begin later; return when there is something to do in any case."""

    def connect(self, run: Run, waker: Waker) -> None:
        """Open a link, which may take long; ``waker`` interrupts it."""

    def serve(self, run: Run) -> Step | None:
        """Read and write, without waiting, what the socket takes now; return what :meth:`next_step` does."""

    def give_up(self, run: Run, error: BaseException) -> None:
        """Close the connection after a defect of this package."""

    def leave(self, run: Run, waker: Waking) -> None:
        """Release what the run has, once it is over."""


def seconds_until(deadline: float | None) -> float | None:
    """Return the seconds until a moment (monotonic), at least 0; None if there is none."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def run_connection(driver: Steps, run: Run, waker: Waker) -> None:
    """Make the steps of one run on the calling thread, until the connection is closed."""
    try:
        step = driver.next_step(run)
        while step is not None:
            deadline, connects, events, _ = step
            if connects:
                driver.connect(run, waker)
                step = driver.next_step(run)
                continue
            # Readable also means that TLS has data or an end; the link tells which. Without a link only the
            # waker and the deadline count.
            descriptor = run.link.sock.fileno() if run.link is not None else -1
            if waker.wait(seconds_until(deadline), descriptor, events):
                step = driver.serve(run)
            else:
                step = driver.next_step(run)
    except BaseException as error:  # noqa: BLE001 - the driver logs it
        driver.give_up(run, error)
    finally:
        driver.leave(run, waker)
