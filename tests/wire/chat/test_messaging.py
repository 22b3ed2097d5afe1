"""Rooms, edits, deletions, reactions, system messages: three users, each with REST and chat."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import ExitStack, contextmanager

import pytest

from connectycube import (
    Attachment,
    Dialog,
    DialogRef,
    DialogType,
    Message,
    MessageDeletion,
    MessageEdit,
    Occupant,
    ReactionChange,
    StanzaError,
    SystemMessage,
    Typing,
)
from connectycube.emulator import Emulator
from tests.support.inside import driver_of
from tests.support.people import PASSWORD, SLOW, Person, away, logged_in, settled
from tests.support.waiting import TIMEOUT

_numbers = itertools.count(1)


@contextmanager
def three_at(emulator: Emulator, **options) -> Iterator[tuple[Person, ...]]:
    with ExitStack() as stack:
        found = []
        for name in ("ana", "ben", "cleo"):
            login = f"{name}-{next(_numbers)}"
            emulator.add_user(login, PASSWORD)
            found.append(Person.in_chat(emulator, login, **options))
            stack.enter_context(found[-1].cube)
        yield tuple(found)


@pytest.fixture
def people(emulator):
    """Three users of a service that delivers a group's messages to who never joined, as the hosted one."""
    with three_at(emulator) as found:
        yield found


@pytest.fixture(scope="session")
def strict_emulator():
    with Emulator(join_required=True) as running:
        yield running


@pytest.fixture
def joining(strict_emulator):
    """Three users of a service where only who is in a room speaks and hears; and a group of them."""
    with three_at(strict_emulator, reconnect=SLOW) as found:
        ana, ben, cleo = found
        yield *found, ana.cube.dialogs.create_group("Hikers", [ben.id, cleo.id])


@pytest.fixture
def group(people):
    """A group dialog of all three, owned by Ana."""
    ana, ben, cleo = people
    return ana.cube.dialogs.create_group("Hikers", [ben.id, cleo.id])


# --- group messages -------------------------------------------------------------------------------


def test_a_group_message_reaches_the_others_once_and_its_sender_not_at_all(people, group, emulator):
    ana, ben, cleo = people
    for person in people:
        person.chat.join(group)
    handle = ana.chat.send_message(
        group,
        Message(
            body="Shall we?",
            custom={"colour": "blue", "nested": {"deep": {"er": 1}}},
            attachments=(Attachment(type="image", uid="u1"),),
        ),
    )
    sent = handle.result(TIMEOUT)
    for person in (ben, cleo):
        message = person.events.wait_for("message_received")[0]
        assert (message.id, message.body, message.sender_id) == (handle.id, "Shall we?", ana.id)
        assert message.custom == {"colour": "blue", "nested": {"deep": {"er": "1"}}}
        assert message.attachments[0].uid == "u1"
        assert message.date_sent == sent.date_sent and not message.own
        assert message.dialog == DialogRef.room(group.id) and message.recipient_id is None
    settled(ana)
    assert ana.events.of("message_received") == []
    assert handle.server_copy is not None and handle.server_copy.own
    assert handle.server_copy.id == handle.id
    assert [m["_id"] for m in emulator.messages(group.id)] == [handle.id]


def test_sending_enters_the_room_first_and_stays_in_it(joining):
    ana, ben, _, group = joining
    ben.chat.join(group)
    ana.chat.send_message(group, "one").result(TIMEOUT)
    assert ben.events.wait_for("occupant_joined")[0].user_id == ana.id
    assert set(ben.chat.online_occupants(group.id)) == {ana.id, ben.id}
    ben.chat.reply(ben.events.wait_for("message_received")[0], "two").result(TIMEOUT)
    assert ana.events.wait_for("message_received")[0].body == "two"
    assert ana.events.of("message_failed") == []


def test_rooms_are_left_alone_where_that_is_asked_for(people, group, emulator):
    ana, ben, _ = people
    ana.chat.join(group)
    ben = Person.in_chat(emulator, ben.name, join_rooms=False)
    with ben.cube:
        ben.chat.send_message(group, "from outside").result(TIMEOUT)
        assert ana.events.wait_for("message_received")[0].body == "from outside"
        assert ana.events.of("occupant_joined") == []


def test_no_echo_is_no_problem():
    with Emulator(room_echo=False) as emulator:
        emulator.add_user("ana", PASSWORD)
        ana = Person.in_chat(emulator, "ana")
        with ana.cube:
            group = ana.cube.dialogs.create_public("Open")
            handle = ana.chat.send_message(group, "hello")
            handle.result(TIMEOUT)
            settled(ana)
            assert handle.server_copy is None and ana.events.of("message_received") == []


def test_another_device_of_the_sender_gets_the_message_as_its_own(people, group, emulator):
    ana, ben, _ = people
    second = Person.in_chat(emulator, ana.name)
    with second.cube:
        second.chat.join(group)
        ana.chat.send_message(group, "to all").result(TIMEOUT)
        message = second.events.wait_for("own_message_received")[0]
        assert (message.body, message.own, message.sender_id) == ("to all", True, ana.id)
        settled(second, ana)
        assert second.events.of("message_received") == ana.events.of("message_received") == []
        assert ana.events.of("own_message_received") == []
        assert ana.events.of("message_delivered") != [] or ben.events.of("message_received")
        assert [s.user_id for s in ana.events.of("message_delivered") if s.user_id == ana.id] == []


def test_another_device_gets_a_private_message_as_its_own(people, emulator):
    ana, ben, _ = people
    second = Person.in_chat(emulator, ana.name)
    with second.cube:
        ana.chat.send_private(ben.id, "to Ben").result(TIMEOUT)
        message = second.events.wait_for("own_message_received")[0]
        assert (message.body, message.own, message.recipient_id) == ("to Ben", True, ben.id)
        assert message.dialog.peer_id == ben.id
        second.chat.reply(message, "and this").result(TIMEOUT)
        assert [m.body for m in ben.events.wait_for("message_received", 2)] == [
            "to Ben",
            "and this",
        ]
        assert ana.events.wait_for("own_message_received")[0].own


def test_statuses_of_a_group_message_go_to_its_sender(people, group):
    ana, ben, cleo = people
    handle = ana.chat.send_message(group, "seen?")
    for person in (ben, cleo):
        person.chat.mark_read(person.events.wait_for("message_received")[0])
    delivered = ana.events.wait_for("message_delivered", 2)
    read = ana.events.wait_for("message_read", 2)
    for statuses in (delivered, read):
        assert {status.user_id for status in statuses} == {ben.id, cleo.id}
        assert {(s.message_id, s.dialog_id) for s in statuses} == {(handle.id, group.id)}


def test_typing_in_a_group_is_seen_by_the_others_only(people, group):
    ana, ben, cleo = people
    for person in people:
        person.chat.join(group)
    ana.chat.send_typing(group)
    ana.chat.send_stop_typing(group)
    expected = [Typing(user_id=ana.id, dialog_id=group.id)]
    for person in (ben, cleo):
        assert person.events.wait_for("typing_started") == expected
        assert person.events.wait_for("typing_stopped") == expected
    settled(ana)
    assert ana.events.of("typing_started") == []


def test_typing_enters_the_room_first(joining):
    ana, ben, _, group = joining
    ben.chat.join(group)
    ana.chat.send_typing(group)
    assert ben.events.wait_for("typing_started") == [Typing(user_id=ana.id, dialog_id=group.id)]
    assert ana.events.of("message_failed") == []


def test_typing_stops_by_itself_where_that_is_asked_for(people):
    ana, ben, _ = people
    ana.chat.send_typing(DialogRef.private(ben.id), stop_after=0.05)
    assert ben.events.wait_for("typing_stopped") == [Typing(user_id=ana.id)]
    assert ben.events.of("typing_started") == [Typing(user_id=ana.id)]


# --- who may, and who may not ---------------------------------------------------------------------


def test_a_stranger_can_neither_enter_nor_speak(people, emulator):
    ana, ben, cleo = people
    pair = ana.cube.dialogs.create_group("Two", [ben.id])
    with pytest.raises(StanzaError, match=f"dialog {pair.id} cannot be joined") as caught:
        cleo.chat.join(pair)
    assert caught.value.condition in ("forbidden", "registration-required")
    handle = cleo.chat.send_message(pair, "let me in")
    failure = cleo.events.wait_for("message_failed")[0]
    assert (failure.message_id, failure.dialog_id) == (handle.id, pair.id)
    assert failure.condition in ("forbidden", "not-acceptable")
    assert ben.events.of("message_received") == []


def test_a_public_dialog_is_subscribed_to_first(people):
    ana, ben, _ = people
    public = ana.cube.dialogs.create_public("Open")
    with pytest.raises(StanzaError, match=r"cube\.dialogs\.subscribe") as caught:
        ben.chat.join(public)
    assert caught.value.condition == "registration-required"
    ben.cube.dialogs.subscribe(public)
    ben.chat.join(public)
    ana.chat.send_message(public, "welcome").result(TIMEOUT)
    message = ben.events.wait_for("message_received")[0]
    assert message.body == "welcome" and message.dialog.type is DialogType.PUBLIC


def test_a_broadcast_dialog_is_for_reading(people, emulator):
    ana, ben, _ = people
    dialog_id = emulator.add_broadcast_dialog("News", ana.id)
    news = DialogRef.room(dialog_id, DialogType.BROADCAST)
    ben.chat.join(news)
    ana.chat.send_message(news, "read all about it").result(TIMEOUT)
    assert ben.events.wait_for("message_received")[0].body == "read all about it"
    handle = ben.chat.send_message(news, "me too")
    failure = ben.events.wait_for("message_failed")[0]
    assert (failure.message_id, failure.condition) == (handle.id, "forbidden")


def test_a_room_that_is_not_there_is_named(people):
    ana = people[0]
    with pytest.raises(StanzaError, match="there is no such room") as caught:
        ana.chat.join("5f1e0a0b0c0d0e0f10111213")
    assert caught.value.condition == "item-not-found"


# --- coming and going -----------------------------------------------------------------------------


def test_those_who_are_in_a_room_see_others_come_and_go(people, group):
    ana, ben, cleo = people
    ben.chat.join(group)
    ana.chat.join(group)
    cleo.chat.join(group)
    here = {ana.id, ben.id, cleo.id}
    assert set(ana.chat.online_occupants(group)) == here
    assert ana.events.wait_for("occupant_joined") == [Occupant(user_id=cleo.id, dialog_id=group.id)]
    cleo.chat.leave(group)
    assert ana.events.wait_for("occupant_left") == [Occupant(user_id=cleo.id, dialog_id=group.id)]
    ben.chat.logout()
    assert {o.user_id for o in ana.events.wait_for("occupant_left", 2)} == {cleo.id, ben.id}
    assert cleo.events.of("room_left") == []


def test_entering_and_leaving_twice_is_no_error(joining):
    ana, ben, _, group = joining
    ben.chat.join(group)
    ana.chat.join(group)
    ana.chat.join(group.id)
    ana.chat.leave(group)
    ana.chat.leave(group.id)
    assert ben.chat.online_occupants(group) == (ben.id,)


@pytest.mark.parametrize(("how", "reason"), [("kick", "kicked"), ("ban", "banned")])
def test_who_is_thrown_out_is_told_why(people, group, emulator, how, reason):
    ana, ben, _ = people
    ben.chat.join(group)
    ana.chat.join(group)
    assert getattr(emulator, how)(group.id, ben.id, actor_id=ana.id)
    left = ben.events.wait_for("room_left")[0]
    assert (left.dialog_id, left.reason, left.actor_id) == (group.id, reason, ana.id)
    assert ana.events.wait_for("occupant_left") == [Occupant(user_id=ben.id, dialog_id=group.id)]
    if how == "ban":
        with pytest.raises(StanzaError, match="banned") as caught:
            ben.chat.join(group)
        assert caught.value.condition == "forbidden"


def test_who_is_removed_over_rest_is_told(people, group):
    ana, ben, _ = people
    ben.chat.join(group)
    ana.cube.dialogs.update(group, remove_occupants=[ben.id])
    left = ben.events.wait_for("room_left")[0]
    assert (left.dialog_id, left.reason) == (group.id, "removed")


def test_a_dialog_that_is_deleted_takes_its_room_along(people, group):
    ana, ben, _ = people
    ben.chat.join(group)
    ana.cube.dialogs.delete(group, force=True)
    assert ben.events.wait_for("room_left")[0].reason == "destroyed"


def test_joined_rooms_are_entered_again_in_a_new_session(joining, strict_emulator):
    ana, ben, cleo, group = joining
    other = ana.cube.dialogs.create_group("Bikers", [ben.id, cleo.id])
    for room in (group, other):
        ana.chat.join(room)
        ben.chat.join(room)
    ben.chat.leave(other)
    with away(ben, strict_emulator):
        pass
    assert set(ana.chat.online_occupants(group)) == {ana.id, ben.id}
    assert ana.chat.online_occupants(other) == (ana.id,), "it was left"
    ana.chat.send_message(group, "still there?").result(TIMEOUT)
    assert ben.events.wait_for("message_received")[0].body == "still there?"


def test_a_resumed_session_is_in_its_rooms_still(joining, strict_emulator):
    ana, ben, _, group = joining
    ana.chat.join(group)
    ben.chat.join(group)
    with away(ben, strict_emulator, resumes=True):
        ana.chat.send_message(group, "meanwhile").result(TIMEOUT)
    assert ben.events.wait_for("message_received")[0].body == "meanwhile"
    assert ana.events.of("occupant_left") == []


def test_who_may_not_enter_again_is_told(joining, strict_emulator):
    ana, ben, _, group = joining
    ben.chat.join(group)
    ben.chat.join(ana.cube.dialogs.create_group("Bikers", [ben.id]))
    with away(ben, strict_emulator):
        ana.cube.dialogs.update(group, remove_occupants=[ben.id])
    left = ben.events.wait_for("room_left")[0]
    assert (left.dialog_id, left.reason) == (group.id, "refused")
    assert left.error.condition == "registration-required"


def test_a_message_waits_for_the_link_and_enters_the_room_then(joining, strict_emulator):
    ana, ben, _, group = joining
    ana.chat.join(group)
    with away(ben, strict_emulator):
        handle = ben.chat.send_message(group, "from underground")
    handle.result(TIMEOUT)
    assert ana.events.wait_for("message_received")[0].body == "from underground"


# --- edits, deletions, reactions ------------------------------------------------------------------


def test_an_edit_is_seen_by_the_others(people, group):
    ana, ben, cleo = people
    sent = ana.chat.send_message(group, "helo").result(TIMEOUT)
    ana.chat.edit_message(group, sent, "hello").result(TIMEOUT)
    for person in (ben, cleo):
        edit = person.events.wait_for("message_edited")[0]
        assert edit == MessageEdit(
            user_id=ana.id,
            message_id=sent.id,
            body="hello",
            dialog=DialogRef.room(group.id),
            is_last=True,
            by_author=True,
        )
        assert edit.dialog_id == group.id
    settled(ana)
    assert ana.events.of("message_edited") == []


def test_an_edit_of_a_private_message_is_seen(people):
    ana, ben, _ = people
    dialog = ana.cube.dialogs.create_private(ben.id)
    sent = ana.chat.send_message(dialog, "helo").result(TIMEOUT)
    ana.chat.edit_message(dialog, sent.id, "hello", is_last=False).result(TIMEOUT)
    edit = ben.events.wait_for("message_edited")[0]
    assert (edit.message_id, edit.body, edit.is_last) == (sent.id, "hello", False)
    assert edit.dialog == DialogRef.private(ana.id, dialog.id)


def test_a_deletion_is_seen_by_the_others(people, group):
    ana, ben, cleo = people
    sent = ana.chat.send_message(group, "oops").result(TIMEOUT)
    ana.chat.delete_message(group, sent).result(TIMEOUT)
    for person in (ben, cleo):
        assert person.events.wait_for("message_deleted") == [
            MessageDeletion(
                user_id=ana.id, message_id=sent.id, dialog=DialogRef.room(group.id), by_author=True
            )
        ]


def test_what_is_changed_over_rest_is_seen_in_the_room(people, group):
    ana, ben, _ = people
    ben.chat.join(group)
    sent = ana.chat.send_message(group, "helo").result(TIMEOUT)
    ana.cube.messages.update(group, sent, body="hello")
    assert ben.events.wait_for("message_edited")[0].body == "hello"
    ben.cube.messages.add_reaction(sent, "👍")
    change = ana.events.wait_for("reaction_changed")[0]
    assert change == ReactionChange(
        user_id=ben.id, message_id=sent.id, dialog_id=group.id, added=("👍",)
    )
    ana.cube.messages.delete(sent, force=True)
    assert ben.events.wait_for("message_deleted")[0].message_id == sent.id
    stored = ana.cube.messages.create(group, "from the back end", send_to_chat=True)
    received = ben.events.wait_for("message_received", 2)[1]
    assert (received.id, received.body) == (stored.id, "from the back end")


# --- system messages ------------------------------------------------------------------------------


def test_a_system_message_reaches_the_users_program(people):
    ana, ben, _ = people
    custom = {"albums": "reload", "nested": {"k": "v", "n": 5}}
    handle = ana.chat.send_system_message(ben.id, custom)
    assert handle.result(TIMEOUT).recipient_id == ben.id
    received = ben.events.wait_for("system_message_received")[0]
    assert received == SystemMessage(
        id=handle.id,
        sender_id=ana.id,
        recipient_id=ben.id,
        custom={"albums": "reload", "nested": {"k": "v", "n": "5"}},
    )
    assert ben.events.of("message_received") == []


def test_a_system_message_over_rest_arrives_the_same(people):
    ana, ben, _ = people
    ana.cube.messages.create_system(ben.id, {"albums": "reload"})
    received = ben.events.wait_for("system_message_received")[0]
    assert (received.sender_id, received.custom) == (ana.id, {"albums": "reload"})


def test_a_system_message_to_nobody_fails_by_its_own_signal(people):
    ana = people[0]
    handle = ana.chat.send_system_message(999_999, {"k": "v"})
    failure = ana.events.wait_for("system_message_failed")[0]
    assert (failure.message_id, failure.condition) == (handle.id, "service-unavailable")
    assert ana.events.of("message_failed") == []


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda chat: chat.join(5), "dialog must be a Dialog, a DialogRef or an id"),
        (lambda chat: chat.join(""), "dialog must not be empty"),
        (lambda chat: chat.join(DialogRef.private(5)), "dialog is private"),
        (lambda chat: chat.leave(DialogRef(type=DialogType.GROUP)), "dialog does not say its id"),
        (lambda chat: chat.online_occupants(None), "dialog must be a Dialog, a DialogRef or an id"),
        (lambda chat: chat.edit_message(DialogRef.room("d"), "", "b"), "message must not be empty"),
        (lambda chat: chat.edit_message(DialogRef.room("d"), "m", 5), "body must be a string"),
        (lambda chat: chat.edit_message(DialogRef.room("d"), "m", ""), "body must not be empty"),
        (lambda chat: chat.edit_message(DialogRef.room("d"), "m", "\x08"), "body holds U"),
        (
            lambda chat: chat.edit_message(DialogRef.private(5), "m", "b"),
            "dialog does not say its id",
        ),
        (
            lambda chat: chat.edit_message(DialogRef.room("d"), "m", "b", is_last=1),
            "is_last must be a bool",
        ),
        (lambda chat: chat.delete_message(DialogRef.room("d"), 5), "message must be a Message"),
        (lambda chat: chat.delete_message(DialogRef.room("d"), Message()), "must have an id"),
        (lambda chat: chat.send_private("5", "b"), r"user_id must be an int.*: use int\('5'\)$"),
        (lambda chat: chat.send_private("bob", "b"), r"not str: users.get_by\(login=…\) returns"),
        (
            lambda chat: chat.send_private(None, "b"),
            r"not NoneType: users.get_by\(…\) returns None",
        ),
        (lambda chat: chat.send_private(True, "b"), "user_id must be an int, .*, not bool"),
        (
            lambda chat: chat.send_private(DialogRef.private(5), "b"),
            r"send_message\(dialog, …\) writes",
        ),
        (lambda chat: chat.send_private(Dialog(id="d"), "b"), r"send_message\(dialog, …\) writes"),
        (lambda chat: chat.login("5", "password"), r"user_id must be an int.*: use int\('5'\)$"),
        (lambda chat: chat.send_system_message("5", {}), "user_id must be an int"),
        (lambda chat: chat.send_system_message(5, []), "custom must be a mapping"),
        (
            lambda chat: chat.send_system_message(5, {"moduleIdentifier": "x"}),
            "'moduleIdentifier': it is reserved",
        ),
        (lambda chat: chat.last_activity(0), "user_id must be at least 1"),
        (lambda chat: chat.subscribe_last_activity("5"), "user_id must be an int"),
        (lambda chat: chat.wait_for("x", 1), "signal must be a signal of this .*: write chat.x$"),
        (lambda chat: chat.wait_for(chat.room_left, -1), "timeout must be at least 0"),
        (lambda chat: chat.wait_for(chat.room_left, 1, where=5), "where must be callable"),
    ],
)
def test_wrong_arguments_are_named_and_send_nothing(people, call, words):
    ana = people[0]
    with pytest.raises((TypeError, ValueError), match=words):
        call(ana.chat)


# --- what makes no event --------------------------------------------------------------------------


def test_call_signals_are_counted_and_logged_without_their_content(people, caplog):
    ana, ben, _ = people
    caplog.set_level(logging.DEBUG, logger="connectycube.chat")
    offer = (
        f'<message type="headline" to="{ben.chat._addresses.user(ben.id)}" id="c1"><extraParams'
        ' xmlns="jabber:client"><moduleIdentifier>WebRTCVideoChat</moduleIdentifier>'
        "<signalType>call</signalType><sdp>secret words</sdp></extraParams></message>"
    )
    with ben.chat.events(ben.chat.message_received, TIMEOUT) as events:
        driver_of(ana.chat).command(
            lambda core, now: core.open_session.send_later(offer.encode(), now)
        )
        ana.chat.send_private(ben.id, "did you hear it ring?")
        events.next()
    settled(ben)
    assert ben.chat.statistics().calls == 1
    lines = [record.getMessage() for record in caplog.records if "calls" in record.getMessage()]
    assert len(lines) == 1 and lines[0].startswith("calls: message of type headline from")
    assert "signalType" in lines[0] and "secret words" not in lines[0]
    assert ben.events.of("system_message_received") == []


# --- handles as futures -----------------------------------------------------------------------------


def test_handles_are_waited_for_as_any_futures(alice, bob):
    with logged_in(alice, bob):
        dialog = DialogRef.private(bob.id)
        handles = [alice.chat.send_message(dialog, f"message {n}") for n in range(5)]
        done, not_done = wait(handles, TIMEOUT)
        assert (done, not_done) == (set(handles), set())
        assert [handle.result(0) for handle in handles] == [handle.message for handle in handles]


def test_an_event_loop_awaits_a_handle(alice, bob):
    async def send():
        handle = alice.chat.send_message(DialogRef.private(bob.id), "awaited")
        return await asyncio.wait_for(asyncio.wrap_future(handle), TIMEOUT)

    with logged_in(alice, bob):
        assert asyncio.run(send()).body == "awaited"
