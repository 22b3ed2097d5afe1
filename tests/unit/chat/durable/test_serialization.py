"""Messages as text: what comes back is what went in."""

from __future__ import annotations

import json
from datetime import timedelta, timezone

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from connectycube import Attachment, Dialog, DialogRef, DialogType, Message
from connectycube.chat.durable.serialization import message_of, text_of

texts = st.text(max_size=20)
optional = st.none() | texts
ids = st.integers(min_value=1, max_value=2**60)
moments = st.datetimes(
    timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=5, minutes=30))])
)
custom = st.dictionaries(
    texts, texts | st.booleans() | st.integers() | st.dictionaries(texts, texts, max_size=2)
)
attachments = st.builds(
    Attachment,
    type=optional,
    id=optional,
    uid=optional,
    url=optional,
    name=optional,
    data=optional,
    size=st.none() | st.floats(0, 1e9),
    width=st.none() | ids,
    extra=st.dictionaries(texts, texts, max_size=2),
)
dialogs = st.builds(
    DialogRef,
    id=optional,
    type=st.none() | st.sampled_from(DialogType),
    peer_id=st.none() | ids,
)
messages = st.builds(
    Message,
    id=optional,
    dialog_id=optional,
    body=optional,
    sender_id=st.none() | ids,
    recipient_id=st.none() | ids,
    date_sent=st.none() | moments,
    attachments=st.lists(attachments, max_size=2).map(tuple),
    custom=custom,
    read=st.none() | st.booleans(),
    read_ids=st.lists(ids, max_size=2).map(tuple),
    delivered_ids=st.lists(ids, max_size=2).map(tuple),
    views_count=st.none() | st.integers(0, 100),
    reactions=st.none() | st.dictionaries(texts, st.integers(0, 9), max_size=2),
    created_at=st.none() | moments,
    updated_at=st.none() | moments,
    silent=st.booleans(),
    markable=st.booleans(),
    save_to_history=st.booleans(),
    destroy_after=st.none() | st.integers(1, 100),
    delayed=st.booleans(),
    recovered=st.booleans(),
    redelivered=st.booleans(),
    own=st.booleans(),
    dialog=st.none() | dialogs,
)


@given(messages)
def test_every_message_comes_back_as_it_was(message):
    assert message_of(text_of(message)) == message


@given(messages)
def test_the_text_can_be_stored_whatever_people_wrote(message):
    text_of(evolve(message, body=(message.body or "") + "\ud800")).encode("ascii")


def test_a_dialog_is_remembered_by_what_a_reply_needs():
    dialog = Dialog(id="d", type=DialogType.PUBLIC, name="a name that may change")
    again = message_of(text_of(Message(body="x", dialog=dialog)))
    assert again.dialog == DialogRef(id="d", type=DialogType.PUBLIC)


def test_fields_of_a_later_release_are_left_out():
    text = json.dumps({"body": "x", "hologram": True})
    assert message_of(text) == Message(body="x")


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "[" * 100_000, '{"a":' * 100_000),
        *(
            '{"date_sent": 5}',
            '{"dialog": 5}',
            '{"body": 5}',
            '{"custom": {"a": NaN}}',
            '{"own": 1}',
        ),
        *('{"dialog": {"id": 5, "type": null, "peer_id": null}}', '{"read_ids": ["x"]}'),
        *('{"dialog": {"id": null, "type": 9, "peer_id": null}}', '{"custom": []}'),
        *('{"attachments": [5]}', '{"attachments": [{"size": "1"}]}', '{"sender_id": "1"}'),
    ],
    ids=lambda text: text[:40],
)
def test_a_damaged_text_is_an_error_that_the_store_expects(text):
    with pytest.raises((ValueError, TypeError, KeyError)):
        message_of(text)
