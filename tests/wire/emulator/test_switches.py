"""Switches between the answers that the hosted service may give where nobody has told."""

from __future__ import annotations

import contextlib

import pytest

from connectycube import ChatState, OutcomeUnknownError
from connectycube.emulator import Emulator
from tests.support.people import SLOW, Person, logged_in
from tests.support.waiting import TIMEOUT
from tests.support.wire_client import CLIENT, SM, STREAM, Client, chat, condition


@pytest.fixture
def emulator_with():
    """``emulator_with(**switches)``: an emulator, and a way to connect users to it by name."""
    with contextlib.ExitStack() as stack:

        def make(**switches):
            emulator = stack.enter_context(Emulator(**switches))
            users = {name: emulator.add_user(name, "secret") for name in ("alice", "bob")}

            def connect(name):
                return stack.enter_context(Client(emulator)).authenticated(users[name])

            return emulator, users, connect

        yield make


def online(client):
    client.bind()
    client.available()
    return client


def texts(stanzas):
    return [one.findtext(f"{CLIENT}body") for one in stanzas if one.tag == f"{CLIENT}message"]


@pytest.mark.parametrize("switch", ["repeated_message", "unacknowledged_overflow"])
def test_an_unknown_answer_is_refused_with_those_there_are(switch):
    with pytest.raises(ValueError, match=f"{switch} must be one of"):
        Emulator(**{switch: "maybe"})


class TestRepeatedMessage:
    @pytest.mark.parametrize(("switch", "copies"), [("relay", 2), ("drop", 1), ("refuse", 1)])
    def test_between_two(self, emulator_with, switch, copies):
        emulator, users, connect = emulator_with(repeated_message=switch)
        writer, reader = online(connect("alice")), online(connect("bob"))
        writer.send(chat(users["bob"], "once") * 2)
        answers = writer.sync()
        assert [condition(one) for one in answers] == ["conflict"] * (switch == "refuse")
        assert texts(reader.sync()) == ["once"] * copies
        dialog = emulator.private_dialog(*users.values())
        assert [one["message"] for one in emulator.messages(dialog)] == ["once"]

    @pytest.mark.parametrize(("switch", "copies"), [("relay", 2), ("drop", 1), ("refuse", 1)])
    def test_in_a_room(self, emulator_with, switch, copies):
        emulator, users, connect = emulator_with(repeated_message=switch)
        dialog = emulator.add_broadcast_dialog("News", users["alice"])
        writer, reader = online(connect("alice")), online(connect("bob"))
        message = chat(f"1_{dialog}@muc.localhost", "once").replace("'chat'", "'groupchat'")
        writer.send(message * 2)
        writer.sync()
        assert texts(reader.sync()) == ["once"] * copies

    @pytest.mark.parametrize("switch", ["relay", "drop", "refuse"])
    @pytest.mark.parametrize("h", [True, False])
    def test_our_client_delivers_once_and_is_honest_under_each(self, switch, h):
        with Emulator(repeated_message=switch, handled_in_failed=h) as emulator:
            writer, reader = Person.new(emulator, reconnect=SLOW), Person.new(emulator)
            with logged_in(writer, reader):
                with emulator.faults.stop_acknowledging(user=writer.id):
                    writer.chat.send_private(reader.id, "once")
                    reader.events.wait_for("message_received")
                    emulator.cut(writer.id)
                    writer.wait_for_state(ChatState.FORCE_CLOSED)
                with emulator.faults.refuse_resume(user=writer.id, times=1) as refused:
                    writer.chat.relogin()
                    refused.wait()
                    writer.wait_for_state(ChatState.READY, 2)
                writer.chat.send_private(reader.id, "last").result(TIMEOUT)
                reader.events.wait_for("message_received", 2)
                received = [one.body for one in reader.events.of("message_received")]
                assert received == ["once", "last"]
                # without h, and without REST to look into history, nobody can know
                failed = [one.error for one in writer.events.of("message_failed")]
                assert [type(error) for error in failed] == ([] if h else [OutcomeUnknownError])


class TestOfflineMessages:
    @pytest.mark.parametrize("kept", [True, False])
    def test_our_client_gets_what_was_kept_once_and_in_order(self, kept):
        with Emulator(offline_messages=kept) as emulator:
            writer, reader = Person.new(emulator), Person.new(emulator)
            with logged_in(writer):
                for body in ("one", "two"):
                    writer.chat.send_private(reader.id, body).result(TIMEOUT)
                for _ in range(2):  # what was delivered is not delivered again
                    with logged_in(reader):
                        writer.chat.send_private(reader.id, "now").result(TIMEOUT)
                        reader.events.wait(
                            lambda events: (
                                [one.body for one in events.of("message_received")][-1:] == ["now"]
                            )
                        )
                        received = [one.body for one in reader.events.of("message_received")]
                    assert received == (["one", "two"] if kept else []) + ["now"]
                    reader = reader_again(emulator, reader)
                    kept = False


def reader_again(emulator, reader):
    """The same user with another connection, whose events begin anew."""
    return Person(reader.id, emulator.config())


class TestOverflow:
    def fill(self, emulator_with, switch, count):
        emulator, users, connect = emulator_with(
            unacknowledged_overflow=switch, unacknowledged_stanzas=3
        )
        writer, reader = online(connect("alice")), online(connect("bob"))
        previous = reader.enable()
        for number in range(count):
            writer.send(chat(users["bob"], f"{number}", id=f"{number:024x}"))
        writer.sync()
        return emulator, connect, reader, previous

    def resume(self, connect, previous):
        client = connect("bob")
        client.send(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{previous}'/>")
        return client, client.next().tag

    @pytest.mark.parametrize("switch", ["end", "forget", "unresumable"])
    def test_nothing_happens_up_to_the_bound(self, emulator_with, switch):
        emulator, connect, _, previous = self.fill(emulator_with, switch, 3)
        emulator.cut()
        client, tag = self.resume(connect, previous)
        assert tag == f"{SM}resumed"
        assert texts(client.sync()) == ["0", "1", "2"]

    def test_end_ends_the_session(self, emulator_with):
        _, connect, reader, previous = self.fill(emulator_with, "end", 5)
        error = reader.find(f"{STREAM}error")
        assert error[0].tag.endswith("resource-constraint")
        assert self.resume(connect, previous)[1] == f"{SM}failed"

    def test_forget_replays_what_is_left_and_counts_on(self, emulator_with):
        emulator, connect, reader, previous = self.fill(emulator_with, "forget", 5)
        assert texts(reader.sync()) == ["0", "1", "2", "3", "4"]
        emulator.cut()
        client, tag = self.resume(connect, previous)
        assert tag == f"{SM}resumed"
        # the answer to the ping was the sixth
        assert texts(client.sync()) == ["3", "4"]
        client.send("<a xmlns='urn:xmpp:sm:3' h='3'/>")
        client.sync()

    def test_unresumable_goes_on_and_cannot_be_resumed(self, emulator_with):
        emulator, connect, reader, previous = self.fill(emulator_with, "unresumable", 5)
        assert texts(reader.sync()) == ["0", "1", "2", "3", "4"]
        emulator.cut()
        assert self.resume(connect, previous)[1] == f"{SM}failed"

    def test_unresumable_ends_who_is_away(self, emulator_with):
        emulator, users, connect = emulator_with(
            unacknowledged_overflow="unresumable", unacknowledged_stanzas=3
        )
        writer, reader = online(connect("alice")), online(connect("bob"))
        reader.enable()
        emulator.cut(users["bob"])
        for number in range(5):
            writer.send(chat(users["bob"], f"{number}", id=f"{number:024x}"))
        writer.sync()
        assert emulator.sessions(users["bob"]) == []
