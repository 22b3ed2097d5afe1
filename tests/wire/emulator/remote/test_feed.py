"""Events of the control API: what happens is told, to those who ask, and costs nothing otherwise."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from contextlib import ExitStack

import pytest
import requests

from connectycube.emulator.remote import feed as feed_module
from connectycube.emulator.remote.feed import Subscription
from tests.support.event_stream import EventStream
from tests.support.inside import feed_of
from tests.support.waiting import wait_until
from tests.support.wire_client import chat

EXCHANGES = "?exchanges=yes"


class TestWhatIsTold:
    def test_users_dialogs_and_messages_are_told_as_they_are_listed(self, emulator, alice):
        with EventStream(emulator) as stream:
            bob = emulator.add_user("bob", "secret")
            told = stream.wait_for("users")
            assert (told["changed"], told["deleted"]) == (emulator.users()[1:], [])
            dialog = emulator.add_dialog("private", alice, [bob])
            assert stream.wait_for("dialogs")["changed"] == emulator.dialogs()
            sent = emulator.send_message(dialog, alice, "Hello")
            assert stream.wait_for("messages")["changed"] == [sent]
            assert emulator.messages(dialog) == [sent]

    def test_delivered_and_read_are_told(self, emulator, alice, bob, connect):
        dialog = emulator.add_dialog("private", alice, [bob])
        sent = emulator.send_message(dialog, alice, "Hello")["_id"]
        with EventStream(emulator) as stream:
            reader = connect().log_in(bob)
            for marker, field in (("received", "delivered_ids"), ("displayed", "read_ids")):
                reader.send(
                    f"<message to='{alice}-1@localhost' type='chat'>"
                    f"<{marker} xmlns='urn:xmpp:chat-markers:0' id='{sent}'/></message>"
                )

                def has_bob(data, field=field):
                    return any(bob in one[field] for one in data["changed"])

                stream.wait_for("messages", has_bob)

    def test_deletions_are_told_by_id(self, emulator, alice, bob, rest):
        dialog = emulator.add_dialog("private", alice, [bob])
        sent = emulator.send_message(dialog, alice, "Hello")["_id"]
        with EventStream(emulator) as stream:
            rest("alice")("DELETE", f"chat/Message/{sent}", json={"force": 1})
            assert stream.wait_for("messages", lambda data: data["deleted"])["deleted"] == [sent]
            rest("bob")("DELETE", f"users/{bob}")
            assert stream.wait_for("users", lambda data: data["deleted"])["deleted"] == [bob]

    def test_sessions_are_told_when_they_begin_and_when_they_are_cut(
        self, emulator, alice, connect
    ):
        with EventStream(emulator) as stream:
            connect().log_in(alice, "phone").enable()
            stream.wait_for("sessions", lambda data: [one["connected"] for one in data] == [True])
            emulator.cut()
            stream.wait_for("sessions", lambda data: [one["connected"] for one in data] == [False])

    def test_faults_switches_and_the_clock_are_told(self, emulator, rest):
        with EventStream(emulator) as stream:
            emulator.faults.rate_limit(times=2)
            assert stream.wait_for("faults")[0]["name"] == "rate_limit"
            requests.get(f"{emulator.api_url}/session", timeout=5)
            stream.wait_for("faults", lambda data: [one["used"] for one in data] == [1])
            emulator.faults.stop_all()
            stream.wait_for("faults", lambda data: data == [])
            emulator.set_switches(room_echo=False)
            assert stream.wait_for("switches")["room_echo"] is False
            emulator.clock.advance(60)
            assert stream.wait_for("clock")["advanced"] == 60

    def test_pushes_and_mails_are_told_once(self, emulator, rest):
        ann = emulator.add_user("ann", "secret", email="ann@example.org")
        client = rest("ann")
        device = {
            "notification_channel": "gcm",
            "push_token": {"environment": "production", "client_identification_sequence": "x" * 20},
            "device": {"platform": "android", "udid": "d"},
        }
        assert client("POST", "subscriptions", json=device).status_code == 201
        with EventStream(emulator) as stream:
            for text in ("one", "two"):
                event = {
                    "notification_type": "push",
                    "environment": "production",
                    "user": {"ids": [ann]},
                    "message": base64.b64encode(text.encode()).decode(),
                }
                assert client("POST", "events", json={"event": event}).status_code == 201
                stream.wait_for("pushes", lambda data, text=text: text in str(data))
            assert [len(data) for data in stream.of("pushes")] == [1, 1]
            answer = client("GET", "users/password/reset", params={"email": "ann@example.org"})
            assert answer.status_code < 300, answer.text
            assert stream.wait_for("reset_emails") == ["ann@example.org"]

    def test_reset_is_one_event(self, emulator, alice):
        with EventStream(emulator) as stream:
            emulator.reset()
            stream.wait_for("reset")
            emulator.add_user("bob", "secret")
            assert stream.wait_for("users")["deleted"] == []
            assert emulator.users()[0]["id"] == 1

    def test_of_many_changes_the_newest_are_told_and_the_rest_counted(self, emulator, alice, bob):
        dialog = emulator.add_dialog("private", alice, [bob])
        with EventStream(emulator) as stream:
            emulator.add_messages(
                dialog, ({"sender_id": alice, "message": str(n)} for n in range(1000))
            )
            told = stream.wait_for("messages")
            assert (len(told["changed"]), told["left_out"]) == (200, 800)
            assert told["changed"][-1]["message"] == "999"

    def test_events_of_every_name_have_a_meaning(self):
        source = feed_module.__file__
        with open(source, encoding="utf-8") as file:
            text = file.read()
        assert all(f'"{name}"' in text or f"event: {name}" in text for name in feed_module.EVENTS)


class TestExchanges:
    def test_they_are_told_only_to_those_who_ask(self, emulator, alice, rest, connect):
        with EventStream(emulator) as plain:
            assert not emulator.exchanges.active
            with EventStream(emulator, EXCHANGES) as stream:
                assert emulator.exchanges.active
                rest("alice")
                told = stream.wait_for("exchange")
                assert (told["what"], told["status"], told["user_id"]) == (
                    "POST /session",
                    201,
                    alice,
                )
                assert "request" not in told
                assert "secret" not in str(emulator.exchanges.find())
                connect().log_in(alice)
                stream.wait_for("exchange", lambda data: data["what"] == "presence")
            wait_until(lambda: not emulator.exchanges.active)
            assert plain.of("exchange") == []


class TestItsEnd:
    def test_the_stop_ends_the_stream_with_an_event(self, own_emulator):
        with EventStream(own_emulator, EXCHANGES) as stream:
            own_emulator.stop()
            stream.wait_for("end")
            wait_until(lambda: stream.has_ended)
            assert own_emulator.start().users() == []
            assert not own_emulator.exchanges.active
            with EventStream(own_emulator):
                pass

    def test_without_readers_nothing_is_noted(self, emulator):
        before = threading.active_count()
        for _ in range(3):
            with EventStream(emulator, EXCHANGES) as stream:
                emulator.add_user(f"user{len(emulator.users())}", "secret")
                stream.wait_for("users")
            wait_until(lambda: len(feed_of(emulator)) == 0)
        assert not emulator.exchanges.active
        assert threading.active_count() == before

    def test_more_streams_than_the_bound_are_refused(self, emulator):
        with ExitStack() as stack:
            for _ in range(32):
                stack.enter_context(EventStream(emulator))
            late = EventStream(emulator)
            assert late.answer.status == 503
            late.answer.close()
            late._link.close()
        wait_until(lambda: len(feed_of(emulator)) == 0)

    def test_a_reader_that_does_not_read_delays_nobody(self, emulator, alice, rest):
        port = emulator.control_port
        with socket.create_connection(("127.0.0.1", port)) as deaf, EventStream(emulator) as stream:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(
                f"GET /__emulator__/events?exchanges=yes HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                f"Authorization: Bearer {emulator.control_token}\r\n\r\n".encode()
            )
            wait_until(lambda: len(feed_of(emulator)) == 2)
            for number in range(300):
                emulator.add_user(f"user{number}", "secret", custom_data="x" * 20_000)
            stream.wait_for("users", lambda data: data["changed"][-1]["login"] == "user299")
        wait_until(lambda: len(feed_of(emulator)) == 0)

    @pytest.mark.parametrize("query", ["", EXCHANGES])
    def test_the_token_is_needed(self, emulator, query):
        answer = requests.get(f"{emulator.control_url}/events{query}", timeout=5)
        assert answer.status_code == 401


def taken_after(count, data):
    """Return what a reader gets that comes after so many events."""

    async def take():
        slow = Subscription(wants_exchanges=False)
        for number in range(count):
            slow.put("users", data(number))
        return await slow.take()

    return asyncio.run(take())


class TestTheQueue:
    def test_a_reader_that_is_too_slow_is_told_so(self):
        waiting = taken_after(12_345, lambda number: str(number).encode()).decode()
        assert waiting.startswith("event: behind\ndata: {}\n\nevent: users\n")
        assert waiting.endswith("data: 12344\n\n")
        assert waiting.count("event: ") <= 5_000

    def test_it_is_bounded_in_bytes(self):
        waiting = taken_after(50, lambda number: b"x" * 1_000_000)
        assert len(waiting) <= 4 * 1_048_576
        assert waiting.startswith(b"event: behind")

    def test_messages_to_a_client_are_not_delayed_by_a_feed(self, emulator, alice, bob, connect):
        receiver = connect().log_in(bob)
        with EventStream(emulator, EXCHANGES) as stream:
            connect().log_in(alice).send(chat(bob, "hello"))
            receiver.message()
            found = stream.wait_for("exchange", lambda data: data["what"] == "message")
            assert found["direction"] == "in"
