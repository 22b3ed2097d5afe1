"""The connection of the official JavaScript SDK: pings, listeners, addresses, an end without a word."""

from __future__ import annotations

import pytest

from connectycube.chat.protocol.addresses import Addresses
from tests.interop.javascript_people import OBJECT_ID, in_chat, peer_on, person_at
from tests.support.people import PASSWORD
from tests.support.waiting import TIMEOUT

pytestmark = pytest.mark.referee("javascript")


@pytest.fixture
def own_peer(service):
    """A process for one test alone."""
    with peer_on(service) as peer:
        yield peer


def test_a_ping_is_answered(theirs):
    assert theirs.call("chat.ping") is None
    assert theirs.call("chat.pingWithTimeout", 5_000) is None


def test_who_is_in_the_chat_is_online(ours, theirs, third):
    everybody = {ours.id, theirs.id, third.id}
    assert {user["id"] for user in theirs.call("users.listOnline", {})["users"]} == everybody
    assert theirs.call("users.getOnlineCount") == {"count": 3}
    ours.chat.logout()
    page = theirs.call("users.listOnline", {"limit": 1, "offset": 1})["users"]
    assert [user["id"] for user in page] == [max(theirs.id, third.id)]
    assert theirs.call("users.getOnlineCount") == {"count": 2}


def test_a_session_token_is_a_password(service, alice):
    token = alice.call("getSession")["token"]
    alice.call("chat.connect", {"userId": alice.id, "password": token})
    alice.peer.user_id = alice.id
    assert [session["user_id"] for session in service.sessions(alice.id)] == [alice.id]
    alice.call("chat.disconnect")
    alice.peer.user_id = 0


def test_a_terminated_connection_ends_for_the_others_and_comes_back(service, ours, theirs):
    ours.chat.subscribe_last_activity(theirs.id)
    theirs.call("chat.terminate")
    (gone,) = ours.events.wait_for("last_activity_changed")
    assert (gone.user_id, gone.seconds) == (theirs.id, 1)
    theirs.peer.wait_for_event("onReconnectListener")
    ours.events.wait_for("last_activity_changed", 2)
    ours.chat.send_private(theirs.id, "welcome back").result(TIMEOUT)
    assert theirs.peer.wait_for_event("onMessageListener")[1]["body"] == "welcome back"


def test_listeners_are_added_by_name_and_taken_away(service, ours, own_peer):
    with in_chat(service, person_at(service, own_peer)) as person:

        def heard_of(body):
            ours.chat.send_private(person.id, body).result(TIMEOUT)
            own_peer.heard("")
            events = own_peer.events.all()
            own_peer.events.clear()
            return [event.name for event in events if event.name in ("one", "onMessageListener")]

        assert heard_of("as ever") == ["onMessageListener"]
        person.call("chat.addListener", "message", {"$listener": "one"})
        assert heard_of("of one") == ["one"], "one listener for an event, the last one"
        person.call("chat.removeListener", "message")
        assert heard_of("of none") == []
        ours.chat.send_system_message(person.id, {"k": "v"}).result(TIMEOUT)
        assert own_peer.heard("onSystemMessageListener") != []
        own_peer.events.clear()
        person.call("chat.removeAllListeners")
        ours.chat.send_system_message(person.id, {"k": "v"}).result(TIMEOUT)
        assert own_peer.heard("onSystemMessageListener") == []


def test_both_have_the_same_addresses(service, ours, theirs):
    group = ours.cube.dialogs.create_group("Hikers", [theirs.id])
    addresses = Addresses(service.app_id, service.domain)
    user, room = addresses.user(ours.id), addresses.room(group.id)
    occupant = f"{room}/{ours.id}"
    assert group.xmpp_room_jid == room
    helpers = "chat.helpers"
    for call, given, expected in (
        ("getUserJid", ours.id, user),
        ("getUserIdFromJID", f"{user}/device", ours.id),
        ("jidOrUserId", ours.id, user),
        ("jidOrUserId", group.id, room),
        ("isNumeric", str(ours.id), True),
        ("isNumeric", group.id, False),
        ("typeChat", ours.id, "chat"),
        ("typeChat", group.id, "groupchat"),
        ("getRoomJidFromDialogId", group.id, room),
        ("getDialogJid", group.id, room),
        ("getDialogIdFromJID", occupant, group.id),
        ("getRoomJid", room, f"{room}/{theirs.id}"),
        ("getRoomJidFromRoomFullJid", occupant, room),
        ("getUserIdFromRoomJid", occupant, ours.id),
        ("getIdFromResource", occupant, ours.id),
        ("getUserNickWithMucDomain", ours.id, f"{room.partition('@')[2]}/{ours.id}"),
    ):
        assert theirs.call(f"{helpers}.{call}", given) == expected, call
    assert OBJECT_ID.fullmatch(theirs.call(f"{helpers}.getBsonObjectId"))
    assert theirs.call(f"{helpers}.getUniqueId", "ping").endswith(":ping")


def test_a_wrong_password_is_refused_and_told(service, own_peer):
    # In a process of its own: this SDK does not close the connection that was refused.
    person = person_at(service, own_peer)
    assert person.refused("chat.connect", {"userId": person.id, "password": f"not {PASSWORD}"})
    own_peer.wait_for_event("onConnectionErrorListener")
    assert service.sessions(person.id) == []
