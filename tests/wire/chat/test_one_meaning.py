"""One message, one meaning: its copies that arrive live, from history and from the file are equal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve, fields
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from connectycube import Attachment, Dialog, Message
from connectycube.chat.durable.serialization import message_of, text_of
from connectycube.emulator import Emulator
from connectycube.models.messages import RESERVED_NAMES
from tests.support.people import PASSWORD, SLOW, Person, away
from tests.support.waiting import TIMEOUT
from tests.unit.chat.protocol.texts import LEGAL

OF_HISTORY = {
    "read",
    "read_ids",
    "delivered_ids",
    "views_count",
    "reactions",
    "created_at",
    "updated_at",
}
"""Fields that only history can fill."""
OF_ARRIVAL = {"delayed", "recovered", "redelivered"}
"""Fields that tell the ways apart."""
COMPARED = [entry.name for entry in fields(Message) if entry.name not in OF_HISTORY | OF_ARRIVAL]
_numbers = itertools.count(1)

# A carriage return is told apart from a line feed by few servers; the emulator is one of them.
texts = st.text(LEGAL, max_size=12)
awkward = st.sampled_from(
    ["50%25", "%", "100%", "%zz", "%C3%28", "%00", "", " x ", "a\tb\nc", "<&>'\""]
)
names = st.sampled_from(["colour", "größe", "x-1", "body", "type", "name", "price"])
scalars = texts | awkward | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9)
parameters = st.dictionaries(
    names,
    st.recursive(scalars, lambda inner: st.dictionaries(names, inner, max_size=2), max_leaves=4),
    max_size=3,
)
numbers = st.none() | st.integers(0, 2**53) | st.floats(0, 1e9) | st.just(12.5)
words = st.none() | texts | awkward
attachments = st.builds(
    Attachment,
    type=words,
    id=words,
    uid=words,
    url=words,
    content_type=words,
    name=words,
    data=words,
    size=numbers,
    width=numbers,
    height=numbers,
    duration=numbers,
    extra=st.dictionaries(st.sampled_from(["colour", "größe", "x-1"]), texts | awkward, max_size=2),
).filter(lambda file: file != Attachment())
messages = st.builds(
    Message,
    body=st.just("x") | texts.filter(bool),
    custom=parameters,
    attachments=st.lists(attachments, max_size=2).map(tuple),
    markable=st.booleans(),
    silent=st.booleans(),
    date_sent=st.none()
    | st.integers(0, 10**9).map(
        lambda seconds: datetime(2020, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    ),
)


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Emulator]:
    """A service that keeps no messages for users who are offline, except in history."""
    with Emulator(offline_messages=False) as emulator:
        yield emulator


@pytest.fixture
def pair(forgetful: Emulator) -> Iterator[tuple[Emulator, Person, Person]]:
    """Two users; one who is cut off comes back only when the test says so."""
    found = []
    for _ in range(2):
        name = f"one-meaning-{next(_numbers)}"
        forgetful.add_user(name, PASSWORD)
        found.append(Person.in_chat(forgetful, name, reconnect=SLOW))
    with found[0].cube, found[1].cube:
        yield forgetful, *found


def differences(one: Message, other: Message) -> list[tuple[str, Any, Any]]:
    pairs = ((name, getattr(one, name), getattr(other, name)) for name in COMPARED)
    return [(name, first, second) for name, first, second in pairs if first != second]


def in_order(found: list[Message]) -> list[Message]:
    """By id: history is sorted by date, and some messages have the same."""
    return sorted(found, key=lambda message: message.id or "")


@pytest.mark.parametrize("kind", ["private", "group", "public"])
@pytest.mark.parametrize("way", ["chat", "rest"])
def test_each_copy_of_a_message_says_the_same(pair, kind, way):
    emulator, sender, reader = pair
    dialog, place = dialog_of(kind, sender, reader)

    def send(batch: list[Message]) -> None:
        for message in batch:
            if way == "chat":
                sender.chat.send_message(dialog, message).result(TIMEOUT)
            else:
                content = evolve(message, date_sent=None)
                sender.cube.messages.create(dialog, content, send_to_chat=True)

    @given(st.lists(messages, min_size=1, max_size=12), st.booleans())
    @settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate])
    def check(batch: list[Message], is_away: bool) -> None:
        with reader.chat.events(reader.chat.message_received, TIMEOUT) as events:
            if is_away:
                with away(reader, emulator):
                    send(batch)
            else:
                send(batch)
            received = [events.next() for _ in batch]
        assert {message.recovered for message in received} == {is_away}
        ids = [message.id for message in received]
        listed = list(reader.cube.messages.list(place, mark_as_read=False, id__in=ids))
        for one, other in zip(in_order(received), in_order(listed), strict=True):
            assert differences(one, other) == []
        assert [message_of(text_of(message)) for message in received] == received

    check()


def dialog_of(kind: str, sender: Person, reader: Person) -> tuple[Dialog, Dialog]:
    """Make a dialog; return it as each of the two users sees it."""
    if kind == "private":
        dialog = sender.cube.dialogs.create_private(reader.id)
    elif kind == "group":
        dialog = sender.cube.dialogs.create_group("Hikers", [reader.id])
    else:
        dialog = sender.cube.dialogs.create_public("Open")
        reader.cube.dialogs.subscribe(dialog)
    place = next(one for one in reader.cube.dialogs.list() if one.id == dialog.id)
    if kind == "public":
        sender.chat.join(dialog)
        reader.chat.join(place)
    return dialog, place


@given(messages)
def test_a_message_in_the_file_is_equal_in_every_field(message: Message) -> None:
    assert message_of(text_of(message)) == message


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
@pytest.mark.parametrize("way", ["chat", "rest"])
def test_a_reserved_name_is_refused_on_both_ways(pair, name, way):
    _, sender, reader = pair
    with pytest.raises(ValueError, match=f"custom must not have the key '{name}'"):
        if way == "chat":
            sender.chat.send_private(reader.id, "x", custom={name: "x"})
        else:
            sender.cube.messages.create(reader.id, "x", custom={name: "x"})


@pytest.mark.parametrize("way", ["chat", "rest"])
def test_an_empty_attachment_is_refused_on_both_ways(pair, way):
    _, sender, reader = pair
    message = Message(body="x", attachments=(Attachment(uid="u"), Attachment()))
    with pytest.raises(ValueError, match=r"attachments\[1\] is empty"):
        if way == "chat":
            sender.chat.send_private(reader.id, message)
        else:
            sender.cube.messages.create(reader.id, message)
