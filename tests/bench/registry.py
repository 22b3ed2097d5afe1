"""What a benchmark is: a named function that returns rows, each a value beside its goal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

__all__ = ["MEGABYTES", "TIMES", "TOPICS", "Row", "topic"]

TIMES = "x"
MEGABYTES = "MB"


@frozen(kw_only=True)
class Row:
    """One result: ``value``, measured against ``peer``, should not exceed ``goal``, both in ``unit``."""

    name: str
    peer: str
    value: float
    goal: float
    unit: str = TIMES

    @property
    def reached(self) -> bool:
        return self.value <= self.goal


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
