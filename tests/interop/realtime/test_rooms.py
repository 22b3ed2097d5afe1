"""Rooms: entering, leaving, who is there, who may not be, and who is put out. (XEP-0045.)"""

from __future__ import annotations

import threading

import pytest

from connectycube import ArgumentValueError, ChatTimeoutError, DialogRef, Occupant, StanzaError
from tests.interop.realtime.rooms import check_online, hear, users_of
from tests.support.waiting import TIMEOUT

UNKNOWN = "5f1e0a0b0c0d0e0f10111213"


@pytest.mark.referee("slixmpp")
def test_slixmpp_members_share_a_room_message_and_a_stranger_is_refused(server):
    owner, member, stranger = server.user(), server.user(), server.user()
    dialog = server.room(server.person(owner), member)
    one, other, outsider = map(server.slixmpp, (owner, member, stranger))
    assert one.join(server.room_jid(dialog), str(owner.id))["type"] == "available"
    assert other.join(server.room_jid(dialog), str(member.id))["type"] == "available"
    refusal = outsider.join(server.room_jid(dialog), str(stranger.id))
    assert (refusal["type"], refusal["error"]["condition"]) == ("error", "registration-required")
    sent = one.send_message(server.room_jid(dialog), "hello, room", type="groupchat")
    for peer in (one, other):
        heard = peer.messages.wait_for(lambda stanza: stanza["body"])
        assert (heard["id"], heard["body"]) == (sent, "hello, room")
        assert heard["from"].full == f"{server.room_jid(dialog)}/{owner.id}"


# --- coming and going -----------------------------------------------------------------------------


def test_who_has_joined_is_in_the_room_and_who_has_left_is_not(three, server):
    ana, ben, _, room = three
    ben.chat.join(room)
    check_online(server, ben, room, ben)
    ana.chat.join(room)
    ana.chat.join(room.id)
    check_online(server, ben, room, ana, ben)
    ana.chat.leave(room)
    ana.chat.leave(room)
    check_online(server, ben, room, ben)
    assert users_of(ben.events.wait_for("occupant_left")) == [ana.id]
    assert users_of(ben.events.of("occupant_joined")) == [ana.id]
    assert ana.events.of("room_left") == []


def test_those_who_are_there_see_others_come_and_go_once(three):
    ana, ben, cleo, room = three
    ben.chat.join(room)
    ana.chat.join(room)
    cleo.chat.join(room)
    assert ana.events.wait_for("occupant_joined") == [Occupant(user_id=cleo.id, dialog_id=room.id)]
    cleo.chat.leave(room)
    assert ana.events.wait_for("occupant_left") == [Occupant(user_id=cleo.id, dialog_id=room.id)]
    ben.chat.logout()
    assert users_of(ana.events.wait_for("occupant_left", 2)) == [cleo.id, ben.id]
    assert users_of(ana.events.of("occupant_joined")) == [cleo.id]
    assert cleo.events.of("room_left") == []


def test_two_devices_of_a_user_are_one_occupant_until_both_have_left(server):
    ana, user = server.person(), server.user()
    phone, desk = server.person(user), server.person(user)
    room = server.room(ana, user)
    ana.chat.join(room)
    phone.chat.join(room)
    desk.chat.join(room)
    check_online(server, ana, room, ana, user)
    phone.chat.leave(room)
    hear("still there", desk, ana, room)
    check_online(server, ana, room, ana, user)
    assert users_of(ana.events.of("occupant_joined")) == [user.id]
    assert ana.events.of("occupant_left") == []
    desk.chat.leave(room)
    assert users_of(ana.events.wait_for("occupant_left")) == [user.id]
    for device in (phone, desk):
        told = [name for name, _ in device.events.all if name.startswith(("occupant", "room"))]
        assert told == []


def test_a_message_enters_the_room_first(three, server):
    ana, ben, _, room = three
    ben.chat.join(room)
    ana.chat.send_message(room, "I am new here").result(TIMEOUT)
    assert ben.events.wait_for("occupant_joined")[0].user_id == ana.id
    assert ben.events.wait_for("message_received")[0].body == "I am new here"
    check_online(server, ben, room, ana, ben)


# --- who may not ----------------------------------------------------------------------------------


def test_a_stranger_neither_enters_nor_writes(three, server):
    ana, _, _, room = three
    ana.chat.join(room)
    stranger = server.person()
    with pytest.raises(StanzaError, match=f"dialog {room.id} cannot be joined") as caught:
        stranger.chat.join(room)
    assert caught.value.condition == "registration-required"
    handle = stranger.chat.send_message(room, "let me in")
    failure = stranger.events.wait_for("message_failed")[0]
    assert (failure.message_id, failure.dialog_id) == (handle.id, room.id)
    assert failure.condition in ("forbidden", "not-acceptable")
    ana.chat.ping()
    assert ana.events.of("message_received") == ana.events.of("occupant_joined") == []


def test_a_room_that_is_not_there_is_refused_where_joining_makes_none(server):
    ana = server.person()
    if server.supports("rooms by joining"):
        ana.chat.join(UNKNOWN)
        check_online(server, ana, DialogRef.room(UNKNOWN), ana)
        return
    with pytest.raises(StanzaError, match="there is no such room") as caught:
        ana.chat.join(UNKNOWN)
    assert caught.value.condition == "item-not-found"
    with pytest.raises(StanzaError) as caught:
        ana.chat.online_occupants(UNKNOWN)
    assert caught.value.condition == "item-not-found"


def test_a_private_dialog_has_no_room(server):
    ana, ben = server.person(), server.person()
    ana.chat.send_private(ben.id, "between us")
    (message,) = ben.events.wait_for("message_received")
    with pytest.raises(ArgumentValueError, match="private"):
        ben.chat.join(message.dialog)
    if server.supports("dialog id"):
        with pytest.raises(StanzaError, match="there is no such room") as caught:
            ben.chat.join(message.dialog_id)
        assert caught.value.condition == "item-not-found"


def test_without_joining_messages_arrive_where_the_server_wants_none(three, server):
    ana, ben, cleo, room = three
    ben.chat.join(room)
    cleo.chat.join(room)
    cleo.chat.leave(room)
    ana.chat.send_message(room, "who hears this?").result(TIMEOUT)
    ben.events.wait_for("message_received")
    if server.supports("room messages without a join"):
        message = cleo.events.wait_for("message_received")[0]
        assert (message.body, message.dialog) == ("who hears this?", DialogRef.room(room.id))
        return
    hear("a private word", ben, cleo)
    assert [m.body for m in cleo.events.of("message_received")] == ["a private word"]


# --- being put out --------------------------------------------------------------------------------


def check_out(server, person, room, *conditions):
    """Hold that a person who was put out does not get in again, where the server keeps them out."""
    if not server.supports("bans of those who were inside"):
        person.chat.join(room)
        return
    with pytest.raises(StanzaError, match="this user is") as caught:
        person.chat.join(room)
    assert caught.value.condition in conditions


def test_who_is_kicked_is_told_why_and_may_come_again(three, server):
    ana, ben, cleo, room = three
    for person in (ana, ben, cleo):
        person.chat.join(room)
    server.kick(room, ana, ben.id, "calm down & <rest>")
    left = ben.events.wait_for("room_left")[0]
    assert (left.dialog_id, left.reason, left.text) == (room.id, "kicked", "calm down & <rest>")
    assert left.actor_id == ana.id
    for person in (ana, cleo):
        assert users_of(person.events.wait_for("occupant_left")) == [ben.id]
    ben.chat.join(room)
    hear("calm again", ben, cleo, room)
    assert len(ben.events.of("room_left")) == 1


def test_who_is_kicked_is_put_out_with_every_device(server):
    ana, user = server.person(), server.user()
    phone, desk = server.person(user), server.person(user)
    room = server.room(ana, user)
    for person in (ana, phone, desk):
        person.chat.join(room)
    server.kick(room, ana, user.id)
    for device in (phone, desk):
        left = device.events.wait_for("room_left")
        assert [(event.reason, event.actor_id) for event in left] == [("kicked", ana.id)]
    assert users_of(ana.events.wait_for("occupant_left")) == [user.id]
    phone.chat.join(room)
    hear("only the phone", phone, ana, room)
    assert users_of(ana.events.of("occupant_joined")) == [user.id, user.id]


def test_who_is_banned_is_told_and_does_not_come_again(three, server):
    ana, ben, _, room = three
    ana.chat.join(room)
    ben.chat.join(room)
    server.ban(room, ana, ben.id)
    left = ben.events.wait_for("room_left")[0]
    assert (left.dialog_id, left.reason) == (room.id, "banned")
    assert users_of(ana.events.wait_for("occupant_left")) == [ben.id]
    check_out(server, ben, room, "forbidden", "registration-required")


def test_who_is_removed_from_the_dialog_is_told_and_not_let_in_again(three, server):
    ana, ben, cleo, room = three
    for person in (ana, ben, cleo):
        person.chat.join(room)
    server.remove(room, ana, ben.id)
    left = ben.events.wait_for("room_left")[0]
    assert (left.dialog_id, left.reason) == (room.id, "removed")
    assert users_of(cleo.events.wait_for("occupant_left")) == [ben.id]
    check_out(server, ben, room, "registration-required")


def test_a_room_that_is_destroyed_is_left_by_all(three, server):
    ana, ben, cleo, room = three
    for person in (ana, ben, cleo):
        person.chat.join(room)
    server.destroy(room, ana)
    for person in (ana, ben, cleo):
        left = person.events.wait_for("room_left")
        assert [(event.dialog_id, event.reason) for event in left] == [(room.id, "destroyed")]
        person.chat.ping()
        assert person.events.of("occupant_left") == []


# --- joining without an answer --------------------------------------------------------------------


def test_a_join_that_is_not_answered_ends_in_time_and_the_next_succeeds(server):
    ben, proxy = server.person(), server.proxy()
    ana = server.person(port=proxy.port)
    room = server.room(ben, ana)
    ben.chat.join(room)
    proxy.freeze()
    with pytest.raises(ChatTimeoutError):
        ana.chat.join(room, timeout=0.1)
    proxy.thaw()
    ana.chat.join(room)
    hear("at last", ana, ben, room)
    assert users_of(ben.events.of("occupant_joined")) == [ana.id]


def test_an_unanswered_leave_leaves_the_room_until_the_next_join(server):
    ben, proxy = server.person(), server.proxy()
    ana = server.person(port=proxy.port)
    room = server.room(ben, ana)
    for person in (ana, ben):
        person.chat.join(room)
    proxy.freeze()
    with pytest.raises(ChatTimeoutError):
        ana.chat.leave(room, timeout=0.1)
    proxy.thaw()
    assert users_of(ben.events.wait_for("occupant_left")) == [ana.id]
    ana.chat.ping()  # the late answer has come too: it must not pass for that of the next leave
    proxy.freeze()
    ana.chat.send_message(room, "here again")
    with pytest.raises(ChatTimeoutError):
        ana.chat.leave(room, timeout=0.1)
    ana.chat.send_message(room, "and again")
    proxy.thaw()
    assert [m.body for m in ben.events.wait_for("message_received", 2)] == [
        "here again",
        "and again",
    ]
    hear("stay", ben, ana, room)
    check_online(server, ben, room, ana, ben)
    assert ana.events.of("room_left") == ana.events.of("message_failed") == []


def test_a_link_cut_before_the_answer_only_delays_a_join(server):
    ben, proxy = server.person(), server.proxy()
    ana = server.person(port=proxy.port)
    room = server.room(ben, ana)
    ben.chat.join(room)
    proxy.cut("to_client", scope="existing")
    joining = threading.Thread(target=ana.chat.join, args=(room,))
    joining.start()
    ben.events.wait_for("occupant_joined")
    proxy.rst()
    joining.join(TIMEOUT)
    check_online(server, ana, room, ana, ben)
    hear("welcome", ben, ana, room)
    assert len(ben.events.of("occupant_joined")) == 1


def test_a_link_cut_before_the_room_was_asked_only_delays_entering_it(server):
    ben, proxy = server.person(), server.proxy()
    ana = server.person(port=proxy.port)
    room = server.room(ben, ana)
    ben.chat.join(room)
    proxy.freeze("existing")
    handle = ana.chat.send_message(room, "I come, I write")
    proxy.rst()
    handle.result(TIMEOUT)
    assert [m.body for m in ben.events.wait_for("message_received")] == ["I come, I write"]
    ana.chat.join(room)
    check_online(server, ana, room, ana, ben)
