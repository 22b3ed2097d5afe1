"""The pushes that messages would have caused."""

from __future__ import annotations

import pytest

from tests.support.inside import on_emulator
from tests.support.wire_client import chat
from tests.wire.emulator.xmpp.in_rooms import group_chat, join


@pytest.fixture
def subscribe(emulator):
    """Give a user a device for pushes."""

    def add(user_id):
        device = {
            "channel": "gcm",
            "environment": "development",
            "platform": "android",
            "udid": f"device-{user_id}",
            "token": f"token-{user_id}",
        }
        on_emulator(emulator, lambda service: service.pushes.subscribe(user_id, device))

    return add


@pytest.fixture
def hers(rest, alice):
    return rest("alice")


def send(person, user_id, **fields):
    body = {"recipient_id": user_id, "message": "hi", "send_to_chat": 1, **fields}
    answer = person("POST", "chat/Message", json=body)
    assert answer.status_code == 201
    return answer.json()


def test_a_rest_message_to_the_chat_pushes_to_its_offline_recipient(
    emulator, hers, subscribe, alice, bob
):
    subscribe(bob)
    subscribe(alice)
    send(hers, bob, send_to_chat=0)
    assert emulator.pushes == []
    message = send(hers, bob)
    (push,) = emulator.pushes
    assert (push.user_id, push.cause, push.token) == (bob, "message", f"token-{bob}")
    assert push.payload == {
        "message": "hi",
        "message_id": message["_id"],
        "dialog_id": message["chat_dialog_id"],
        "user_id": alice,
    }


def test_a_message_of_the_chat_pushes_once_also_when_it_is_repeated(
    emulator, connect, subscribe, alice, bob
):
    subscribe(bob)
    client = connect().log_in(alice)
    for _ in range(2):
        client.send(chat(bob, "hello"))
    client.sync()
    (push,) = emulator.pushes
    assert (push.user_id, push.payload["message"]) == (bob, "hello")


@pytest.mark.parametrize("silent", ["1", 1, True])
def test_silent_messages_push_nothing(emulator, hers, subscribe, bob, silent):
    subscribe(bob)
    send(hers, bob, silent=silent)
    assert emulator.pushes == []


def test_silent_messages_of_the_chat_push_nothing(emulator, connect, subscribe, alice, bob):
    subscribe(bob)
    client = connect().log_in(alice)
    client.send(chat(bob, params="<silent>1</silent>"))
    client.sync()
    assert emulator.pushes == []


def test_who_is_connected_gets_none(emulator, hers, connect, subscribe, bob):
    subscribe(bob)
    connect().log_in(bob)
    send(hers, bob)
    assert emulator.pushes == []


def test_who_turned_a_dialog_off_gets_none_from_it(emulator, hers, rest, subscribe, bob):
    subscribe(bob)
    dialog_id = send(hers, bob, send_to_chat=0)["chat_dialog_id"]
    his = rest("bob")
    his("PUT", f"chat/Dialog/{dialog_id}/notifications", json={"enabled": 0})
    send(hers, bob)
    assert emulator.pushes == []
    his("PUT", f"chat/Dialog/{dialog_id}/notifications", json={"enabled": 1})
    send(hers, bob)
    assert len(emulator.pushes) == 1


def test_everybody_in_a_group_gets_one(emulator, hers, connect, subscribe, alice, bob):
    carol, dave = (emulator.add_user(name, "secret") for name in ("carol", "dave"))
    for user_id in (alice, bob, carol, dave):
        subscribe(user_id)
    connect().log_in(carol)
    body = {"type": 2, "name": "g", "occupants_ids": [bob, carol, dave]}
    group = hers("POST", "chat/Dialog", json=body).json()["_id"]
    hers("POST", "chat/Message", json={"chat_dialog_id": group, "message": "x", "send_to_chat": 1})
    assert {push.user_id for push in emulator.pushes} == {bob, dave}


def test_a_message_in_a_room_pushes_once_to_those_who_are_not_available(
    emulator, logged_in, connect, people, subscribe, group, room
):
    for person in (people.alice, people.bob, people.carol, people.dave, people.eve):
        subscribe(person.id)
    alice = logged_in("alice")
    logged_in("bob")
    silent = connect().authenticated(people.carol.id)
    silent.bind()
    people.dave("PUT", f"chat/Dialog/{group['_id']}/notifications", json={"enabled": 0})
    alice.send(group_chat(room) * 2 + group_chat(room, id="b" * 24, params="<silent>1</silent>"))
    alice.sync()
    (push,) = emulator.pushes
    assert push.user_id == people.carol.id
    assert push.payload == {
        "message": "hello",
        "message_id": "aa" * 12,
        "dialog_id": group["_id"],
        "user_id": people.alice.id,
    }


def test_who_is_banned_gets_none(emulator, logged_in, people, subscribe):
    subscribe(people.bob.id)
    news = emulator.add_broadcast_dialog("News", people.alice.id)
    emulator.ban(news, people.bob.id)
    alice = logged_in("alice")
    alice.send(group_chat(f"1_{news}@muc.localhost"))
    alice.message()
    assert emulator.pushes == []
    emulator.unban(news, people.bob.id)
    alice.send(group_chat(f"1_{news}@muc.localhost", id="b" * 24))
    alice.message()
    assert len(emulator.pushes) == 1


def test_who_has_joined_and_got_the_message_needs_no_push(
    emulator, logged_in, connect, people, subscribe, room
):
    subscribe(people.bob.id)
    bob = connect().authenticated(people.bob.id)
    bob.bind()
    join(bob, room)
    logged_in("alice").send(group_chat(room))
    bob.message()
    assert emulator.pushes == []
