"""Memory while a long history is read with messages.iter, nothing of it kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from tests.bench.measuring import in_fresh_process, memory_growth
from tests.bench.registry import MEGABYTES, Row, topic
from tests.bench.service import Place, logged_in, service

_MESSAGES = 100_000
_WARM_UP = 1_000
_GOAL = 5.0


@topic("history")
def history() -> Sequence[Row]:
    """Read every message of a dialog once."""
    with service(messages=_MESSAGES) as place:
        value = in_fresh_process(_growth, place)
    name = f"memory, iter {_MESSAGES:,} messages"
    return [Row(name=name, peer="the start", value=value, goal=_GOAL, unit=MEGABYTES)]


def _growth(place: Place) -> float:
    with logged_in(place) as cube:

        def read(most: int) -> None:
            messages = islice(cube.messages.iter(place.dialog, mark_as_read=False), most)
            count = sum(1 for message in messages if message.body)
            assert count == most, count

        return memory_growth(lambda: read(_WARM_UP), lambda: read(_MESSAGES))
