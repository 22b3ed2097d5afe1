"""A message in compact form comes back as it was; what would not stays whole."""

from collections import UserDict
from datetime import datetime, timedelta, timezone

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import Attachment, DialogRef, Message
from connectycube.chat.compact import CompactMessage, compact
from connectycube.chat.protocol.states import ChatState
from connectycube.models import StateChange
from connectycube.models.dialogs import DialogType

TEXTS = st.text(max_size=40)
MOMENTS = st.datetimes(timezones=st.just(timezone.utc))
VALUES = st.recursive(TEXTS, lambda inner: st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6)
NUMBERS = st.none() | st.integers(0) | st.floats(0, 1e9)
FILES = st.builds(
    Attachment,
    **{
        entry.name: NUMBERS
        if entry.name in ("size", "width", "height", "duration")
        else st.none() | TEXTS
        for entry in attrs.fields(Attachment)
        if entry.name != "extra"
    },
    extra=st.dictionaries(TEXTS, TEXTS, max_size=2),
)
LIVE = st.builds(
    Message,
    id=st.none() | TEXTS,
    dialog_id=st.none() | TEXTS,
    body=st.none() | TEXTS,
    sender_id=st.none() | st.integers(),
    recipient_id=st.none() | st.integers(),
    date_sent=st.none() | MOMENTS,
    attachments=st.lists(FILES, max_size=3).map(tuple),
    custom=st.dictionaries(TEXTS, VALUES, max_size=4),
    silent=st.booleans(),
    markable=st.booleans(),
    save_to_history=st.booleans(),
    destroy_after=st.none() | st.integers(),
    delayed=st.booleans(),
    own=st.booleans(),
    dialog=st.none() | st.builds(DialogRef, id=TEXTS, type=st.none() | st.sampled_from(DialogType)),
)


@given(LIVE)
def test_a_message_comes_back_from_its_compact_form_as_it_was(message):
    made = compact(message)
    assert type(made) is CompactMessage
    back = made.whole()
    assert back == message
    assert [*map(type, attrs.astuple(back))] == [*map(type, attrs.astuple(message))]
    assert back.dialog is message.dialog


MOMENT = datetime(2026, 11, 30, tzinfo=timezone.utc)
KEPT_WHOLE = {
    "recovered": True,
    "redelivered": True,
    "read_ids": (7,),
    "created_at": MOMENT,
    "reactions": {},
    "custom": UserDict(topic="outing"),
}


@pytest.mark.parametrize("field", KEPT_WHOLE)
def test_a_message_that_says_more_than_live_ones_stays_whole(field):
    message = Message(body="Hello", **{field: KEPT_WHOLE[field]})
    assert compact(message) is message


def test_other_events_and_messages_of_other_classes_stay_whole():
    class Special(Message):
        pass

    special = Special(body="Hello")
    change = StateChange(previous=ChatState.IDLE, state=ChatState.CONNECTING)
    assert compact(special) is special
    assert compact(change) is change


def test_a_compact_message_says_that_it_is_no_repetition():
    made = compact(Message(body="Hello", date_sent=MOMENT - timedelta(days=1)))
    assert (made.recovered, made.redelivered) == (False, False)
