"""Ids of events and answers."""

from __future__ import annotations

from attrs import evolve

from connectycube import Message, MessageStatus
from connectycube.contrib.relay.ids import EventIds, answer_id, letter_id

MESSAGE = Message(id="65a1b2c3" + "0" * 16, sender_id=3, body="hello")


def test_a_message_has_the_same_id_in_each_process_and_delivery():
    again = evolve(MESSAGE, redelivered=True, recovered=True)
    ids = {EventIds().id_of(1, "message_received", "user:3", each) for each in (MESSAGE, again)}
    assert len(ids) == 1


def test_messages_of_other_senders_dialogs_and_bots_have_other_ids():
    ids = EventIds()
    found = {
        ids.id_of(1, "message_received", "user:3", MESSAGE),
        ids.id_of(2, "message_received", "user:3", MESSAGE),
        ids.id_of(1, "message_received", "d" * 24, MESSAGE),
        ids.id_of(1, "own_message_received", "user:3", MESSAGE),
        ids.id_of(1, "message_received", "user:3", evolve(MESSAGE, sender_id=4)),
    }
    assert len(found) == 5


def test_an_event_without_an_id_keeps_one_until_the_engine_has_it():
    ids, event = EventIds(), MessageStatus(user_id=3, message_id="m")
    first = ids.id_of(1, "message_read", "user:3", event)
    assert ids.id_of(1, "message_read", "user:3", event) == first
    ids.forget(event)
    assert ids.id_of(1, "message_read", "user:3", event) != first


def test_each_answer_of_each_group_has_its_own_id_of_the_services_form():
    found = [answer_id("e", MESSAGE.id, group, n) for group in "ab" for n in range(3)]
    assert len({*found}) == 6
    assert all(len(each) == 24 and each.startswith("65a1b2c3") for each in found)
    assert found == [answer_id("e", MESSAGE.id, group, n) for group in "ab" for n in range(3)]
    assert len(answer_id("e", None, "a", 0)) == len(answer_id("e", "strange", "a", 0)) == 24


def test_a_letter_has_one_id_for_each_group():
    assert letter_id("e", "a") == letter_id("e", "a") != letter_id("e", "b")
