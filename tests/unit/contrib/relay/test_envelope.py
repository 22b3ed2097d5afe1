"""Envelopes and answers: what is written is read back, and anything else is one clear error."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import (
    DialogRef,
    DialogType,
    Message,
    MessageEdit,
    MessageStatus,
    ReactionChange,
)
from connectycube.contrib.relay import Envelope, EnvelopeError
from connectycube.contrib.relay.envelope import SCHEMA, Answer, conversation_of, is_traceparent

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IDS = st.text("0123456789abcdef", min_size=24, max_size=24)
DIALOGS = st.one_of(
    st.builds(DialogRef.private, st.integers(1, 10**9), st.one_of(st.none(), IDS)),
    st.builds(DialogRef.room, IDS, st.sampled_from(DialogType)),
)
MESSAGES = st.builds(
    Message,
    id=IDS,
    body=st.text(),
    sender_id=st.integers(1, 10**9),
    dialog=DIALOGS,
    custom=st.dictionaries(st.text("abc", min_size=1), st.text()),
    recovered=st.booleans(),
    date_sent=st.datetimes(timezones=st.just(timezone.utc)).map(
        lambda at: at.replace(microsecond=0)
    ),
)
EVENTS = st.one_of(
    MESSAGES,
    st.builds(MessageEdit, user_id=st.integers(1), message_id=IDS, body=st.text(), dialog=DIALOGS),
    st.builds(MessageStatus, user_id=st.integers(1), message_id=IDS, dialog_id=IDS),
    st.builds(ReactionChange, user_id=st.integers(1), message_id=IDS, added=st.just(("👍",))),
)


def envelope(**fields: object) -> dict[str, object]:
    data = Envelope("e", 7, "message_received", "user:2", Message(id="0" * 24)).to_dict()
    return {**data, **fields}


@given(
    event=EVENTS,
    trace=st.sampled_from([None, TRACE]),
    conversation=st.text(),
    repeated=st.booleans(),
)
def test_an_envelope_is_read_as_it_was_written(event, trace, conversation, repeated):
    written = Envelope(
        *("id", 7, "message_received", conversation, event), traceparent=trace, repeated=repeated
    )
    assert Envelope.from_json(written.to_json()) == written
    assert written.to_dict()["schema"] == SCHEMA


@given(dialog=DIALOGS, message=MESSAGES)
def test_an_answer_is_read_as_it_was_written(dialog, message):
    written = Answer(7, dialog, message)
    assert Answer.from_json(written.to_json()) == written


@given(body=st.binary())
def test_bytes_of_others_are_an_envelope_error(body):
    for cls in (Envelope, Answer):
        with pytest.raises(EnvelopeError):
            cls.from_json(body)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(
    name=st.sampled_from(["schema", "id", "bot", "signal", "conversation", "at", "event"]),
    value=JSON,
)
def test_a_field_of_another_type_is_an_envelope_error_or_a_value(name, value):
    try:
        Envelope.from_dict(envelope(**{name: value}))
    except EnvelopeError as error:
        assert str(error)


def test_another_schema_says_what_to_do():
    with pytest.raises(
        EnvelopeError, match=r"schema 2, and this release reads 1: install the release"
    ):
        Envelope.from_dict(envelope(schema=2))


def test_an_unknown_model_is_named():
    with pytest.raises(EnvelopeError, match="model 'ConnectyCube' is unknown"):
        Envelope.from_dict(envelope(event={"schema": 1, "model": "ConnectyCube"}))


def test_a_newer_field_is_left_out():
    assert Envelope.from_dict(envelope(shard=3)).id == "e"


def test_a_time_without_its_zone_is_refused():
    with pytest.raises(EnvelopeError, match="without its zone"):
        Envelope.from_dict(envelope(at=datetime(2026, 1, 1).isoformat()))


@pytest.mark.parametrize(
    "value", ["00-x", None, 7, TRACE.replace("4bf92f", "ffffff", 1) + "0", f"ff{TRACE[2:]}"]
)
def test_what_is_no_traceparent_is_left_out(value):
    assert not is_traceparent(value)
    assert Envelope.from_dict(envelope(traceparent=value)).traceparent is None


def test_the_trace_of_an_event_arrives():
    assert (
        Envelope.from_dict(json.loads(json.dumps(envelope(traceparent=TRACE)))).traceparent == TRACE
    )


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (Message(dialog=DialogRef.private(5)), "user:5"),
        (Message(dialog=DialogRef.private(5, "d" * 24)), "user:5"),
        (Message(dialog=DialogRef.room("d" * 24)), "d" * 24),
        (Message(dialog_id="d" * 24), "d" * 24),
        (MessageStatus(user_id=3, message_id="m"), "user:3"),
        (object(), ""),
    ],
)
def test_events_of_a_dialog_have_one_key(event, key):
    assert conversation_of(event) == key
