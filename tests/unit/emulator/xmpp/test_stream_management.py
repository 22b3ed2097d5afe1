from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator.xmpp.element import Element
from connectycube.emulator.xmpp.stream_management import (
    HandledCountTooHigh,
    StreamManagement,
    counter,
)

TOP = 2**32


def make(sent=0):
    management = StreamManagement("id", resumable=True)
    management._sent = sent
    return management


@given(
    st.integers(0, TOP - 1),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20),
)
def test_counts_hold_across_the_wrap(start, steps):
    management, kept = make(sent=start), []
    handled = start
    for sends, acknowledged in steps:
        for _ in range(sends):
            stanza = Element("message", "jabber:client")
            kept.append(stanza)
            management.keep(stanza)
        acknowledged = min(acknowledged, len(kept))
        handled = (handled + acknowledged) % TOP
        del kept[:acknowledged]
        management.acknowledge(handled)
        assert list(management.unacknowledged) == kept


@given(
    st.integers(0, TOP - 1),
    st.lists(st.sampled_from(["send", "acknowledge", "forget", "resume"]), max_size=30),
    st.data(),
)
def test_what_was_forgotten_is_neither_replayed_nor_an_error(start, steps, data):
    management, kept = make(sent=start), []
    pending = 0  # sent and not acknowledged, the forgotten ones included
    for step in steps:
        sent = management._sent
        if step == "send":
            kept.append(Element("message", "jabber:client"))
            management.keep(kept[-1])
            pending += 1
        elif step == "forget" and kept:
            management.forget_oldest()
            del kept[0]
        elif step in ("acknowledge", "resume"):
            left = data.draw(st.integers(0, pending))
            handled = (sent - left) % TOP
            with pytest.raises(HandledCountTooHigh):
                management.acknowledge((sent - pending - 1) % TOP)
            if step == "acknowledge":
                management.acknowledge(handled)
            else:
                management.resume_at(handled)
            del kept[: max(0, len(kept) - left)]
            pending = left if step == "acknowledge" else len(kept)
        assert list(management.unacknowledged) == kept


@given(st.integers(0, TOP - 1), st.integers(0, 5), st.integers(0, 5), st.integers(1, 1000))
def test_a_count_is_behind_when_it_was_passed(start, acknowledged, kept, distance):
    management = make(sent=start)
    for _ in range(acknowledged + kept):
        management.keep(Element("message", "jabber:client"))
    passed = (start + acknowledged) % TOP
    management.acknowledge(passed)
    assert management.is_behind((passed - distance) % TOP)
    for ahead in range(kept + distance):  # what may be acknowledged, and what was not sent yet
        assert not management.is_behind((passed + ahead) % TOP)


@pytest.mark.parametrize("start", [0, 7, TOP - 1])
def test_more_than_was_sent_is_refused_and_changes_nothing(start):
    management = make(sent=start)
    management.keep(Element("message", "jabber:client"))
    with pytest.raises(HandledCountTooHigh):
        management.acknowledge((start + 2) % TOP)
    assert management.backlog == 1


def test_acknowledgement_cannot_be_taken_back():
    management = make()
    for _ in range(2):
        management.keep(Element("message", "jabber:client"))
    management.acknowledge(2)
    with pytest.raises(HandledCountTooHigh):
        management.acknowledge(1)


def test_own_count_wraps():
    management = make()
    management.handled = TOP - 1
    management.count_handled()
    assert management.answer().get("h") == "0"


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), (str(TOP - 1), TOP - 1), (str(TOP), None), ("-1", None), ("", None), (None, None)],
)
def test_counter_reads_what_is_one(text, value):
    assert counter(text) == value
