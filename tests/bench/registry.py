"""What a benchmark is: a named function that returns rows, each mostly a value beside its goal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

__all__ = ["MEGABYTES", "PER_SECOND", "SECONDS", "TIMES", "TOPICS", "Row", "topic"]

TIMES = "x"
MEGABYTES = "MB"
SECONDS = "s"
PER_SECOND = "/s"


@frozen(kw_only=True)
class Row:
    """One result: ``value``, measured against ``peer``, should not exceed ``goal``, both in ``unit``.

    A row without a goal says where we stand.
    """

    name: str
    peer: str
    value: float
    goal: float | None
    unit: str = TIMES

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
