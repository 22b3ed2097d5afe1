"""What presences of users mean: contacts that come and go, ask and answer; and that none makes us raise."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.iq import Answer
from connectycube.chat.protocol.presences import KINDS, decode_presence
from connectycube.chat.protocol.rooms import Rooms
from connectycube.models import ContactEvent, DialogRef, Presence
from tests.unit.chat.protocol.stanzas import ADDRESSES, ALICE, BOB, FROM, TO, item
from tests.unit.chat.protocol.trees import odd_stanzas


def read(xml: str) -> Any:
    return decode_presence(item(xml), ADDRESSES, ALICE)


def presence(kind: str | None, content: str = "", sender: str = FROM) -> str:
    said = f" type='{kind}'" if kind is not None else ""
    return f"<presence from='{sender}' to='{TO}'{said}>{content}</presence>"


@pytest.mark.parametrize(
    ("kind", "signal"),
    [
        ("subscribe", "contact_requested"),
        ("subscribed", "contact_confirmed"),
        ("unsubscribed", "contact_rejected"),
        ("unsubscribe", "contact_cancelled"),
    ],
)
def test_asking_and_answering_are_events_that_must_be_delivered(kind: str, signal: str) -> None:
    (delivery,) = read(presence(kind, sender="1002-7@chat.example"))
    assert (delivery.signal, delivery.event) == (signal, ContactEvent(user_id=BOB))
    assert delivery.conversation == "1002-7@chat.example"
    assert delivery.merge_key is None


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        (None, "", Presence(user_id=BOB, available=True, resource="phone")),
        (
            None,
            "<show>away</show><status>at lunch</status><priority>5</priority>",
            Presence(user_id=BOB, available=True, resource="phone", show="away", status="at lunch"),
        ),
        *(
            (
                None,
                f"<show>{show}</show>",
                Presence(user_id=BOB, available=True, resource="phone", show=show),
            )
            for show in ("chat", "dnd", "xa")
        ),
        (
            None,
            "<show>dancing</show><status/>",
            Presence(user_id=BOB, available=True, resource="phone"),
        ),
        (
            None,
            "<show xmlns='urn:foreign'>away</show><status xmlns='urn:foreign'>x</status>",
            Presence(user_id=BOB, available=True, resource="phone"),
        ),
        (
            "unavailable",
            "<status>gone</status>",
            Presence(user_id=BOB, available=False, resource="phone", status="gone"),
        ),
    ],
)
def test_coming_and_going_say_with_which_device_and_in_what_mood(
    kind: str | None, content: str, expected: Presence
) -> None:
    (delivery,) = read(presence(kind, content))
    assert (delivery.signal, delivery.event) == ("presence_changed", expected)
    assert delivery.conversation == "1002-7@chat.example"


def test_a_presence_of_the_bare_address_names_no_device() -> None:
    (delivery,) = read(presence("unavailable", sender="1002-7@chat.example"))
    assert delivery.event.resource is None


def test_only_presences_of_one_device_are_merged() -> None:
    def key(kind: str | None, sender: str) -> Any:
        return read(presence(kind, sender=sender))[0].merge_key

    assert key(None, FROM) == key("unavailable", FROM)
    assert key(None, FROM) != key(None, "1002-7@chat.example/laptop")
    assert key(None, FROM) != key(None, "1003-7@chat.example/phone")


def test_the_conversation_is_the_users_however_the_address_is_written() -> None:
    for kind in KINDS:
        (delivery,) = read(presence(kind, sender="1002-7@CHAT.Example/phone"))
        assert delivery.conversation == ADDRESSES.user(BOB)


@pytest.mark.parametrize("kind", KINDS)
def test_presences_of_ones_own_devices_are_echoes(kind: str | None) -> None:
    assert read(presence(kind, sender=f"{TO}/desk")) == "own_echoes"


@pytest.mark.parametrize("sender", ["1002-7@other.example", "chat.example", "bob@chat.example", ""])
@pytest.mark.parametrize("kind", KINDS)
def test_presences_of_nobody_here_are_not_understood(kind: str | None, sender: str) -> None:
    assert read(presence(kind, sender=sender)) == "not_understood"


@pytest.mark.parametrize("kind", ["error", "probe", "invisible", "available", ""])
def test_presences_of_other_types_are_not_understood(kind: str) -> None:
    assert read(presence(kind, "<show>away</show>")) == "not_understood"


def test_a_presence_without_a_sender_is_not_understood() -> None:
    assert read("<presence/>") == "not_understood"


@given(odd_stanzas("presence"))
def test_no_presence_makes_reading_raise(xml: str) -> None:
    decoded = read(xml)
    assert decoded in ("not_understood", "own_echoes") or len(decoded) == 1


@example(
    ['<presence xmlns="jabber:client" from="7_d1@muc.chat.example/1002" type="error"/>'],
    True,
    False,
)
@given(st.lists(odd_stanzas("presence"), max_size=8), st.booleans(), st.booleans())
def test_no_presence_makes_a_room_raise(xmls: list[str], joins: bool, leaves: bool) -> None:
    numbers = (str(number) for number in itertools.count())
    written: list[bytes] = []
    rooms = Rooms(ADDRESSES, lambda: next(numbers), written.append)
    waiters = []
    if joins:
        waiters.append(object())
        rooms.join(DialogRef.room("d1"), waiters[0], ALICE)
    if leaves:
        waiters.append(object())
        assert len(rooms.leave("d1", waiters[-1], ALICE)) == (not joins)
    answered = []
    for xml in xmls:
        outputs = rooms.receive(item(xml), ALICE)
        if isinstance(outputs, str):
            assert outputs in ("not_understood", "own_echoes", "forged")
            continue
        for output in outputs:
            assert isinstance(output, (Answer, Delivery))
            if isinstance(output, Answer):
                answered.append(output.waiter)
    assert len(answered) == len(set(answered)), "nobody is answered twice"
    assert set(answered) <= set(waiters)
