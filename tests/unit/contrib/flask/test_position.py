"""A position of a stream: written into Last-Event-ID, read by any process, without a gap or a double."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import Message
from connectycube.contrib.flask.position import OVERLAP, Position

START = 1_764_000_000
LATENESS = OVERLAP
"""Seconds by which a message may appear after another one with a later time."""


def message(number, at):
    return Message(
        id=f"{number:024x}", body=str(number), created_at=datetime.fromtimestamp(at, timezone.utc)
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "5",
        ".",
        "5.abc",
        "-5.",
        "5.abcdef.",
        "5.abcde!",
        "123456789012.",
        "5.abcdef\n",
        "٣.",
    ],
)
def test_what_is_no_position_is_none(text):
    assert Position.parse(text) is None


@pytest.mark.parametrize("text", ["0.", "99999999999.", "5.abcdefABC-_9"])
def test_a_position_comes_back_as_it_was_written(text):
    position = Position.parse(text)
    assert str(position) == text
    assert position.since.tzinfo is not None


def test_a_position_fits_into_a_header():
    position = Position()
    for number in range(3_000):
        position.add(message(number, START))
    assert len(str(position)) < 8_000
    assert Position.parse(str(position)) == position


def test_what_is_older_than_the_overlap_was_shown():
    position = Position()
    position.add(message(1, START))
    assert not position.is_new(message(2, START - OVERLAP - 1))
    assert position.is_new(message(3, START - OVERLAP))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, LATENESS), st.booleans()), max_size=40))
def test_late_messages_and_cut_connections_cost_none_and_double_none(steps):
    """Each step stores a message, which may be stamped with an earlier time; some cut the stream."""
    position, now, stored, shown = Position(), START, [], []
    for number, (passes, late, is_cut) in enumerate(steps):
        now += passes
        newest = max((at for _, at in stored), default=now)
        stored.append((number, max(newest - late, START) if late else max(now, newest)))
        if is_cut:
            position = Position.parse(str(position))
        for known, at in stored:
            if position.is_new(message(known, at)):
                shown.append(known)
                position.add(message(known, at))
    assert shown == [number for number, _ in stored]
