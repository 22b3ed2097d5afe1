from __future__ import annotations

import asyncio
import socket
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import ChatState
from connectycube.emulator import Emulator
from connectycube.emulator.control.clock import EmulatorClock
from connectycube.emulator.control.timers import Timers
from tests.support.inside import on_emulator
from tests.support.people import Person, logged_in
from tests.support.waiting import wait_until
from tests.support.wire_client import SASL, SM, Client
from tests.wire.emulator.conftest import ManualClock


class TestTime:
    def test_it_is_real_time_until_it_is_moved_and_stays_moved_over_a_stop(self):
        emulator = Emulator()
        before = time.time()
        assert before <= emulator.clock.time() <= time.time()
        emulator.clock.advance(100)
        with emulator:
            emulator.clock.advance(20.5)
        assert emulator.clock.advanced == 120.5
        assert before + 120.5 <= emulator.clock.time() <= time.time() + 120.5
        assert "advanced by 120.5 s" in repr(emulator.clock)

    def test_its_source_can_be_another_clock(self):
        source = ManualClock()
        with Emulator(clock=source) as emulator:
            emulator.clock.advance(60)
            assert emulator.clock.time() == source.now + 60
            source.now += 5
            assert emulator.clock.time() == source.now + 60

    @pytest.mark.parametrize("seconds", [-1, -0.001, float("nan"), float("inf"), 1e10])
    def test_it_moves_neither_backwards_nor_out_of_the_calendar(self, emulator, seconds):
        with pytest.raises(ValueError, match="seconds"):
            emulator.clock.advance(seconds)
        assert emulator.clock.advanced == 0

    @pytest.mark.parametrize("seconds", [None, "1", True])
    def test_seconds_are_a_number(self, emulator, seconds):
        with pytest.raises(TypeError, match="seconds"):
            emulator.clock.advance(seconds)


class TestRest:
    def test_a_session_expires_to_the_second(self, emulator, alice, rest):
        session = rest("alice")
        emulator.clock.advance(7190)
        assert session("GET", "session").status_code == 200, "which prolongs it"
        emulator.clock.advance(7190)
        assert session("GET", "session").status_code == 200
        emulator.clock.advance(7201)
        answer = session("GET", "session")
        assert answer.status_code == 401
        assert answer.json() == {"errors": {"base": ["Required session does not exist"]}}

    def test_dates_of_answers_and_of_the_session_follow(self, emulator, alice, rest):
        session = rest("alice")
        emulator.clock.advance(3600)
        headers = session("GET", "session").headers
        text = headers["CB-Token-ExpirationDate"]
        expires = datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=timezone.utc)
        answered = parsedate_to_datetime(headers["Date"])
        assert abs(answered.timestamp() - emulator.clock.time()) < 60
        assert 7199 <= (expires - answered).total_seconds() <= 7201

    def test_guests_are_gone_when_it_returns(self, emulator, alice, rest):
        session = rest("alice")
        body = {"application_id": 1, "auth_key": "key", "user": {"guest": 1, "full_name": "G"}}
        made = session("POST", "session", json=body).json()["session"]
        guest, token = made["user"]["id"], made["token"]
        emulator.clock.advance(86_300)
        assert rest("alice")("GET", f"users/{guest}").status_code == 200
        assert self.lets_in(emulator, guest, token)
        emulator.clock.advance(101)
        assert rest("alice")("GET", f"users/{guest}").status_code == 404
        assert not self.lets_in(emulator, guest, token)

    @staticmethod
    def lets_in(emulator, user_id, token):
        with Client(emulator) as chat:
            chat.open()
            return chat.authenticate(user_id, token).tag == f"{SASL}success"

    def test_our_client_renews_the_session_that_expired(self, emulator, alice):
        person = Person.in_chat(emulator, "alice", "secret")
        with person.cube as cube:
            first = cube.session.token
            emulator.clock.advance(8000)
            assert cube.users.get(alice).login == "alice"
            assert cube.session.token != first


class TestChat:
    def test_a_session_is_forgotten_when_nobody_resumed_it_in_time(self, emulator, alice, connect):
        client = connect().log_in(alice)
        previous = client.enable()
        emulator.cut(alice)
        emulator.clock.advance(299)
        assert len(emulator.sessions(alice)) == 1
        emulator.clock.advance(2)
        assert emulator.sessions(alice) == []
        client = connect().authenticated(alice)
        client.send(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{previous}'/>")
        assert client.next().tag == f"{SM}failed"

    def test_the_time_starts_anew_with_each_lost_link(self, emulator, alice, connect):
        client = connect().log_in(alice)
        previous = client.enable()
        emulator.cut(alice)
        emulator.clock.advance(299)
        client = connect().authenticated(alice)
        client.send(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{previous}'/>")
        assert client.next().tag == f"{SM}resumed"
        emulator.clock.advance(1000)
        emulator.cut(alice)
        emulator.clock.advance(299)
        assert len(emulator.sessions(alice)) == 1

    def test_who_does_not_bind_in_time_is_sent_away(self, emulator, alice, connect):
        client = connect().authenticated(alice)
        emulator.clock.advance(31)
        assert client.stream_error() == "connection-timeout"

    def test_who_begins_no_tls_in_time_is_sent_away(self, emulator):
        with socket.create_connection((emulator.host, emulator.chat_port), 5) as raw:
            raw.settimeout(5)
            wait_until(lambda: on_emulator(emulator, lambda service: bool(service.tcp.handshakes)))
            emulator.clock.advance(11)
            assert raw.recv(1) == b""

    def test_last_activity_counts_from_the_moment_at_which_the_session_ended(
        self, emulator, alice, bob, connect
    ):
        gone = connect().log_in(alice)
        gone.enable()
        watcher = connect().log_in(bob)
        emulator.cut(alice)
        emulator.clock.advance(1000)  # 300 s until the session is over, 700 s since
        jid = f"{alice}-1@localhost"
        watcher.send(f"<iq type='get' id='l' to='{jid}'><query xmlns='jabber:iq:last'/></iq>")
        found = watcher.answer("l").find("{jabber:iq:last}query")
        assert 699 <= int(found.get("seconds")) < 1000

    def test_our_client_begins_a_new_session_when_the_old_one_is_over(self, emulator):
        person = Person.new(emulator)
        with logged_in(person):
            refused = emulator.faults.refuse(on="chat")
            emulator.cut(person.id)
            refused.wait()
            emulator.clock.advance(301)
            refused.stop()
            person.wait_for_state(ChatState.READY, 2)
            assert ChatState.RESUMED not in person.states


class Loop:
    """As much of an event loop as timers need, with a time of its own."""

    def __init__(self):
        self.now = 0.0
        self.armed = None

    def time(self):
        return self.now

    def call_at(self, due, callback):
        self.armed = (due, callback)
        return self

    def cancel(self):
        self.armed = None

    def pass_time(self, seconds):
        end = self.now + seconds
        while self.armed is not None and self.armed[0] <= end:
            due, callback = self.armed
            self.now = max(self.now, due)
            callback()
        self.now = end


class NoTime:
    def time(self):
        return 0.0


def make_timers():
    loop = Loop()
    clock = EmulatorClock(NoTime(), lambda seconds: timers.advance(seconds))
    timers = Timers(loop, clock)
    return loop, clock, timers


SECONDS = st.integers(0, 50)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("schedule"), SECONDS),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("advance"), SECONDS),
        st.tuples(st.just("pass"), SECONDS),
    ),
    max_size=30,
)


@given(STEPS)
def test_everything_happens_once_at_its_time_and_in_order(steps):
    loop, clock, timers = make_timers()
    expected, happened, made = {}, [], []
    now = 0
    for what, value in steps:
        if what == "schedule":
            number = len(made)
            made.append(
                timers.schedule(
                    value, lambda number=number: happened.append((timers.now(), number))
                )
            )
            expected[number] = now + value
        elif what == "cancel":
            if value < len(made):
                made[value].cancel()
                if value not in [number for _, number in happened]:
                    expected.pop(value, None)
        else:
            now += value
            clock.advance(value) if what == "advance" else loop.pass_time(value)
    assert timers.now() == now
    due = sorted((moment, number) for number, moment in expected.items() if moment <= now)
    zero = [(moment, number) for moment, number in due if moment == now]
    done = [entry for entry in due if entry not in zero]
    assert [entry for entry in happened if entry in done] == done
    assert set(happened) <= set(due)


def test_what_happens_can_have_consequences_in_the_same_move():
    _, clock, timers = make_timers()
    happened = []

    def again():
        happened.append(timers.now())
        timers.schedule(10, again)

    timers.schedule(10, again)
    clock.advance(35)
    assert happened == [10, 20, 30]
    assert timers.now() == 35


def test_one_that_fails_is_logged_and_keeps_no_other_from_happening(caplog):
    loop, clock, timers = make_timers()
    happened = []
    for move in (clock.advance, loop.pass_time):
        timers.schedule(1, lambda: 1 / 0)
        timers.schedule(2, lambda: happened.append("yes"))
        move(2)
    assert happened == ["yes", "yes"]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 2


def test_on_a_real_loop_time_that_passes_brings_them_due():
    async def live():
        loop = asyncio.get_running_loop()
        timers = Timers(loop, EmulatorClock(NoTime(), lambda seconds: None))
        first, second = asyncio.Event(), asyncio.Event()
        timers.schedule(0.02, second.set)
        timers.schedule(0.001, first.set)
        await asyncio.wait_for(asyncio.gather(first.wait(), second.wait()), 5)

    asyncio.run(live())
