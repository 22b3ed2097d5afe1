"""Logins, logouts and pings."""

from __future__ import annotations

import threading

import pytest

from connectycube import Chat, ChatAuthenticationError, ChatState
from tests.interop.realtime.servers import NOBODY
from tests.support.waiting import TIMEOUT


def test_a_login_goes_through_the_guides_states(server):
    alice = server.person()
    alice.wait_for_state(ChatState.READY)
    assert alice.states == [ChatState.CONNECTING, ChatState.AUTHENTICATED, ChatState.READY]


@pytest.mark.parametrize("who", ["somebody", "nobody"])
def test_a_wrong_password_and_an_unknown_user_are_refused_alike(server, who):
    user_id = server.user().id if who == "somebody" else NOBODY
    chat = Chat(server.config())
    with pytest.raises(ChatAuthenticationError, match="not-authorized") as raised:
        chat.login(user_id, "wrong")
    assert raised.value.condition == "not-authorized"
    assert chat.state is ChatState.CLOSED


def test_after_a_refused_password_the_right_one_is_accepted(server):
    user = server.user()
    chat = Chat(server.config())
    with pytest.raises(ChatAuthenticationError):
        chat.login(user.id, "wrong")
    try:
        chat.login(user.id, user.password)
        assert chat.is_ready
    finally:
        chat.logout()


def test_eight_users_log_in_at_once_and_each_hears_the_next(server):
    users = [server.user() for _ in range(8)]
    chats = [Chat(server.config()) for _ in users]
    heard, all_heard = {}, threading.Event()

    def hear(chat, message):
        heard[chat.user.id] = message.sender_id
        if len(heard) == len(users):
            all_heard.set()

    for chat in chats:
        chat.message_received.connect(hear)
    logins = [
        threading.Thread(target=chat.login, args=(user.id, user.password))
        for chat, user in zip(chats, users, strict=True)
    ]
    try:
        for thread in logins:
            thread.start()
        for thread in logins:
            thread.join()
        for chat in chats:
            chat.ping()
        for position, chat in enumerate(chats):
            chat.send_private(users[position - 1].id, "hello, neighbour")
        assert all_heard.wait(TIMEOUT)
    finally:
        for chat in chats:
            chat.logout()
    assert heard == {users[place - 1].id: user.id for place, user in enumerate(users)}


def test_a_logout_ends_the_session_and_a_login_begins_another(server):
    alice, bob = server.person(), server.person()
    handle = bob.chat.send_private(alice.id, "the last words")
    bob.chat.logout()
    assert handle.done() and handle.exception() is None
    assert bob.chat.state is ChatState.CLOSED
    assert [m.body for m in alice.events.wait_for("message_received")] == ["the last words"]
    bob.chat.login(bob.id, bob.password)
    bob.chat.ping()
    alice.chat.send_private(bob.id, "welcome back")
    assert bob.events.wait_for("message_received")[0].body == "welcome back"


def test_a_conflict_ends_the_older_connection_for_good(server):
    user = server.user()
    older = server.person(user, resource="one at a time")
    newer = server.person(user, resource="one at a time")
    change = older.wait_for_state(ChatState.CLOSED)
    assert change.reason.condition == "conflict"
    assert newer.chat.ping() < TIMEOUT


def test_the_server_answers_a_ping_and_other_users_pings_are_answered(server):
    alice, peer = server.person(resource="here"), server.slixmpp()
    assert 0 < alice.chat.ping() < TIMEOUT
    assert 0 <= peer.ping(f"{alice.id}-{alice.config.app_id}@localhost/here") < TIMEOUT
