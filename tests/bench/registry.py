"""What a benchmark is: a named function that returns rows, each mostly a value beside its goal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from tests.bench.measuring import Ratio

__all__ = [
    "EXPONENT",
    "KILOBYTES",
    "MEGABYTES",
    "MILLISECONDS",
    "PER_SECOND",
    "SECONDS",
    "TIMES",
    "TOPICS",
    "Row",
    "topic",
]

TIMES = "x"
MEGABYTES = "MB"
SECONDS = "s"
PER_SECOND = "/s"
KILOBYTES = "kB"
MILLISECONDS = "ms"
EXPONENT = "^"
"""The unit of growth: the power of its size with which something becomes dearer."""


@frozen(kw_only=True)
class Row:
    """One result: ``value``, measured against ``peer``, should not exceed ``goal``, both in ``unit``.

    A row without a goal says where we stand. ``low`` and ``high`` are the quartiles of its rounds, ``points``
    the sizes and costs behind an exponent.
    """

    name: str
    peer: str
    value: float
    goal: float | None
    unit: str = TIMES
    low: float | None = None
    high: float | None = None
    points: tuple[tuple[int, float], ...] = ()

    @classmethod
    def of(cls, name: str, peer: str, ratio: Ratio, goal: float | None = None) -> Row:
        """Return the row of a ratio that was measured in rounds."""
        return cls(
            name=name, peer=peer, value=ratio.median, goal=goal, low=ratio.low, high=ratio.high
        )

    @property
    def reached(self) -> bool:
        return self.goal is None or self.value <= self.goal


Topic = Callable[[], Sequence[Row]]

TOPICS: dict[str, Topic] = {}
"""The topics by name, in the order in which they run."""


def topic(name: str) -> Callable[[Topic], Topic]:
    """Register a topic under a name that no other has."""

    def register(function: Topic) -> Topic:
        assert name not in TOPICS, name
        TOPICS[name] = function
        return function

    return register
