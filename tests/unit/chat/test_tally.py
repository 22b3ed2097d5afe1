"""The counts of a connection, against a model that walks through the states."""

import json
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import ChatState, Config, ConnectionLostError, Limits, Statistics
from connectycube.chat.dispatcher import Dispatcher
from connectycube.chat.durable.records import Kept
from connectycube.chat.protocol.core import Core
from connectycube.chat.protocol.events import Counters
from connectycube.chat.protocol.states import READY_STATES, TRANSITIONS
from connectycube.chat.tally import Tally
from connectycube.errors import (
    NotConnectedError,
    OutcomeUnknownError,
    SendDeferredError,
    StanzaError,
)
from connectycube.models import StateChange

S = ChatState


def made(kept=Kept()):  # noqa: B008
    core = Core(Config(app_id=1, auth_key="k"), new_id=lambda: "id", random=lambda: 0.5)
    dispatcher = Dispatcher("of-test", 1, Limits(), lambda: None)
    return core, Tally(core, dispatcher, SimpleNamespace(kept=kept))


def test_every_counter_of_the_core_is_a_statistic():
    names = {field.name for field in attrs.fields(Counters)}
    assert names <= {field.name for field in attrs.fields(Statistics)}


def test_the_counters_of_the_core_are_passed_on():
    core, tally = made()
    for number, field in enumerate(attrs.fields(Counters), 1):
        setattr(core.counters, field.name, number)
    statistics = tally.statistics()
    for number, field in enumerate(attrs.fields(Counters), 1):
        assert getattr(statistics, field.name) == number


def test_before_a_login_everything_is_zero():
    _, tally = made()
    statistics = tally.statistics()
    assert statistics.state is S.IDLE and statistics.last_reason is None
    assert statistics.running_receivers == ()
    assert datetime.now(timezone.utc) - statistics.since < timedelta(minutes=1)
    others = {"state", "since", "last_reason", "running_receivers"}
    counts = {field.name for field in attrs.fields(Statistics)} - others
    assert {name: getattr(statistics, name) for name in counts} == dict.fromkeys(counts, 0)


def test_what_the_file_holds_is_a_statistic():
    _, tally = made(Kept(inbox=1, outbox=2, dead_letters=3))
    statistics = tally.statistics()
    assert (statistics.durable_inbox, statistics.durable_outbox) == (1, 2)
    assert statistics.dead_letters == 3


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (OutcomeUnknownError("?"), "unknown"),
        (StanzaError("no", condition="forbidden"), "failed"),
        (NotConnectedError("no"), "failed"),
        (SendDeferredError("later"), None),
    ],
)
def test_an_outcome_is_counted_by_what_it_says(error, name):
    _, tally = made()
    tally.note_error(error)
    statistics = tally.statistics()
    counts = {each: getattr(statistics, each) for each in ("sent", "failed", "unknown")}
    assert counts == {**dict.fromkeys(counts, 0), **({name: 1} if name else {})}


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40))
def test_reconnects_are_counted_as_the_states_say(steps):
    core, tally = made()
    state, was_ready, ready, resumed, last = S.IDLE, False, 0, 0, None
    for choice, fails in steps:
        following = sorted(TRANSITIONS[state], key=lambda each: each.value)
        previous, state = state, following[choice % len(following)]
        reason = ConnectionLostError("lost") if fails else None
        back = tally.note_state(StateChange(state=state, previous=previous, reason=reason))
        core._machine.state = state
        if state is S.CONNECTING:
            was_ready = False
        is_back = state in READY_STATES and was_ready
        ready += is_back
        resumed += is_back and state is S.RESUMED
        assert (back is not None) == is_back
        assert back is None or (back.resumed == (state is S.RESUMED) and back.seconds >= 0)
        was_ready |= state in READY_STATES
        last = reason or last
        statistics = tally.statistics()
        assert (statistics.state, statistics.last_reason) == (state, last)
        assert (statistics.reconnects, statistics.resumed) == (ready, resumed)
        assert (statistics.connected_for > 0) <= (state in READY_STATES)


def test_a_return_names_why_the_link_was_lost():
    _, tally = made()
    lost = ConnectionLostError("cut")
    for state, previous, reason in (
        (S.FORCE_CLOSED, S.READY, lost),
        (S.RECONNECTING, S.FORCE_CLOSED, None),
        (S.FORCE_CLOSED, S.RECONNECTING, ConnectionLostError("refused")),
        (S.RECONNECTING, S.FORCE_CLOSED, None),
        (S.AUTHENTICATED, S.RECONNECTING, None),
    ):
        assert tally.note_state(StateChange(state=state, previous=previous, reason=reason)) is None
    back = tally.note_state(StateChange(state=S.READY, previous=S.AUTHENTICATED))
    assert back is not None and back.reason is lost and not back.resumed


def test_statistics_are_plain_values_for_json():
    core, tally = made()
    core.counters.forged = 3
    tally.note_state(
        StateChange(state=S.CLOSED, previous=S.FORCE_CLOSED, reason=ConnectionLostError("cut"))
    )
    core._machine.state = S.CLOSED
    statistics = tally.statistics()
    written = json.loads(json.dumps(statistics.to_dict()))
    assert (written["model"], written["forged"], written["received"]) == ("Statistics", 3, 0)
    assert written["state"] == S.CLOSED.value
    assert written["last_reason"]["class"] == "ConnectionLostError"
    again = Statistics.from_dict(written)
    assert str(again.last_reason) == "cut" and again.since == statistics.since


def test_statistics_are_frozen():
    _, tally = made()
    with pytest.raises(AttributeError):
        tally.statistics().received = 1
