from __future__ import annotations

import concurrent.futures
import contextlib
import ssl

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectycube import (
    ChatState,
    Timeouts,
)
from connectycube.emulator import Emulator
from connectycube.emulator.control.faults import CHAT, FAULTS, REST, STORAGE
from tests.support.people import Person, logged_in
from tests.support.waiting import TIMEOUT
from tests.support.wire_client import CLIENT, SM, Client, chat

RESUME = "<resume xmlns='urn:xmpp:sm:3' h='{h}' previd='{previous}'/>"
REQUEST = "<r xmlns='urn:xmpp:sm:3'/>"
LOST = (ConnectionError, ssl.SSLError, AssertionError)


def bodies(stanzas):
    return [one.findtext(f"{CLIENT}body") for one in stanzas if one.tag == f"{CLIENT}message"]


def is_refused(emulator):
    try:
        with Client(emulator) as client:
            client.open()
    except LOST:
        return True
    return False


# --- what can be asked for ----------------------------------------------------------------------------


class TestAsking:
    def test_every_fault_of_the_table_is_a_method(self, emulator):
        assert set(FAULTS) <= set(dir(emulator.faults))
        needed = {"delay": {"seconds": 0}, "throttle": {"bytes_per_second": 1000}}
        for name in FAULTS:
            with getattr(emulator.faults, name)(user=10**6, **needed.get(name, {})) as fault:
                assert (fault.name, fault.is_on, fault.used) == (name, True, 0)
            assert not fault.is_on
        assert emulator.faults.active == ()

    def test_unknown_names_are_refused_with_those_there_are(self, emulator):
        with pytest.raises(AttributeError, match="no fault explode; there are drop, half_open, "):
            emulator.faults.explode()
        with pytest.raises(ValueError, match=r"one of drop, half_open, .*, not 'explode'"):
            emulator.faults.start("explode")

    @pytest.mark.parametrize(
        ("name", "parameters", "said"),
        [
            ("drop", {"user": 0}, "user"),
            ("drop", {"user": ""}, "user"),
            ("drop", {"user": 1.5}, "user"),
            ("drop", {"connection": 7}, "connection"),
            ("drop", {"times": 0}, "times"),
            ("drop", {"times": True}, "times"),
            ("drop", {"on": "mars"}, "on"),
            ("rate_limit", {"on": "chat"}, "on"),
            ("duplicate", {"on": "rest"}, "on"),
            ("delay", {}, "delay needs seconds"),
            ("delay", {"seconds": -1}, "seconds"),
            ("delay", {"second": 1}, "delay has no parameter second; it has seconds, user"),
            ("throttle", {"bytes_per_second": 0}, "bytes_per_second"),
            ("server_error", {"status": 404}, "status"),
            ("rate_limit", {"retry_after": "2"}, "retry_after"),
            ("stream_error", {"condition": "boredom"}, "condition"),
            ("refuse_resume", {"h": 1}, "h must be"),
        ],
    )
    def test_wrong_parameters_are_named_and_start_nothing(self, emulator, name, parameters, said):
        with pytest.raises((TypeError, ValueError), match=said):
            emulator.faults.start(name, **parameters)
        assert emulator.faults.active == ()

    def test_text_describes_the_same(self, emulator):
        text = "rate_limit:retry_after=2,times=3,user=5,connection=ab,on=rest"
        fault = emulator.faults.start_text(text)
        assert fault.parameters == {"retry_after": 2}
        assert (fault.user, fault.connection, fault.sides, fault.times) == (5, "ab", (REST,), 3)
        assert emulator.faults.start_text("drop:user=al").user == "al"
        assert emulator.faults.start_text("refuse_resume:h=no").parameters == {"h": False}
        assert emulator.faults.start_text("half_open").sides == (CHAT, REST, STORAGE)
        emulator.faults.stop_all()
        assert emulator.faults.active == ()

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "fault"),
            ("explode", "one of drop"),
            ("drop:", None),
            ("drop:user", "'user' is not KEY=VALUE with one of user, connection, on, times"),
            ("drop:colour=red", "colour"),
            ("drop:times=many", "times"),
            ("drop:times=1,times=2", "times is given twice"),
            ("refuse_resume:h=maybe", "yes or no"),
            ("delay:seconds=nan", "seconds"),
        ],
    )
    def test_wrong_text_is_refused_with_what_is_wrong(self, emulator, text, said):
        if said is None:
            emulator.faults.start_text(text).stop()
            return
        with pytest.raises(ValueError, match=said):
            emulator.faults.start_text(text)

    @given(st.text(max_size=40))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_text_starts_a_fault_or_is_a_value_or_type_error(self, text):
        faults = Emulator().faults
        for whole in (text, f"delay:{text}", f"stream_error:condition={text}"):
            with contextlib.suppress(ValueError, TypeError):
                assert faults.start_text(whole).is_on

    def test_they_can_be_started_before_the_emulator_and_outlive_a_stop(self):
        emulator = Emulator()
        fault = emulator.faults.rate_limit()
        for _ in range(2):
            with emulator:
                assert requests.get(f"{emulator.api_url}/session", timeout=5).status_code == 429
        fault.stop()
        with emulator:
            assert requests.get(f"{emulator.api_url}/session", timeout=5).status_code == 401

    def test_waiting_for_one_that_does_not_act_ends(self, emulator):
        with pytest.raises(TimeoutError, match="drop has acted 0 times, not 1"):
            emulator.faults.drop().wait(timeout=0)

    def test_a_connection_in_a_repr_is_nobodys_business(self, emulator):
        shown = repr(emulator.faults.drop(user=3, connection="a-token"))
        assert "a-token" not in shown
        assert "drop of user 3" in shown

    def test_many_threads_may_start_and_stop_them(self, emulator):
        def work(number):
            with emulator.faults.rate_limit(times=1, user=number + 1):
                return len(emulator.faults.active) >= 1

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(64)))
        assert emulator.faults.active == ()


# --- whom, and how often ---------------------------------------------------------------------------


class TestReach:
    def test_one_user_by_id_or_login_and_the_rest_not(self, emulator, alice, bob, rest):
        sessions = {name: rest(name) for name in ("alice", "bob")}
        for user in (alice, "alice"):
            with emulator.faults.rate_limit(user=user):
                assert sessions["alice"]("GET", "session").status_code == 429
                assert sessions["bob"]("GET", "session").status_code == 200
                assert rest("bob").token, "a request without a token is nobody's"
            assert sessions["alice"]("GET", "session").status_code == 200

    def test_one_session_of_a_user(self, emulator, alice, rest):
        one, other = rest("alice"), rest("alice")
        with emulator.faults.rate_limit(connection=one.token):
            assert one("GET", "session").status_code == 429
            assert other("GET", "session").status_code == 200

    def test_one_connection_to_the_chat(self, emulator, alice, connect):
        phone, desk = connect().log_in(alice, "phone"), connect().log_in(alice, "desk")
        phone.sync()
        with emulator.faults.drop(connection="phone", on="chat") as fault:
            assert phone.next() is None
            assert fault.used == 1
            desk.sync()

    @pytest.mark.parametrize("times", [1, 3])
    def test_a_count_of_times(self, emulator, alice, rest, times):
        session = rest("alice")
        fault = emulator.faults.server_error(status=503, times=times)
        statuses = [session("GET", "session").status_code for _ in range(times + 2)]
        assert statuses == [503] * times + [200, 200]
        assert (fault.used, fault.is_on) == (times, False)
        fault.wait(times, 0)

    def test_two_of_a_kind_act_one_after_the_other(self, emulator, alice, rest):
        session = rest("alice")
        emulator.faults.server_error(status=500, times=1)
        emulator.faults.server_error(status=502, times=1)
        assert [session("GET", "session").status_code for _ in range(3)] == [500, 502, 200]

    def test_one_side_alone(self, emulator, alice, rest, connect):
        session = rest("alice")
        with emulator.faults.drop(on="rest"):
            connect().log_in(alice).sync()
            with pytest.raises(requests.ConnectionError):
                session("GET", "session")
        with emulator.faults.drop(on="chat"):
            assert session("GET", "session").status_code == 200

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["rate_limit", "server_error"]),
                st.sampled_from([None, 1, 2]),
                st.sampled_from([None, 1, 2]),
                st.sampled_from(["start", "stop", "ask"]),
            ),
            max_size=20,
        )
    )
    def test_what_is_on_is_what_a_plain_list_says(self, steps):
        faults, model, made = Emulator().faults, [], []
        for name, user, times, what in steps:
            if what == "start":
                made.append(faults.start(name, user=user, times=times))
                model.append([made[-1], name, user, times])
            elif what == "stop" and model:
                model[0][0].stop()
                model.pop(0)
            else:
                wanted = [row for row in model if row[1] == name and row[2] in (None, user)]
                assert faults.take(name, REST, user) is (wanted[0][0] if wanted else None)
                if wanted and wanted[0][3] is not None:
                    wanted[0][3] -= 1
                    model = [row for row in model if row[3] != 0]
            assert list(faults.active) == [row[0] for row in model]


# --- the chat -----------------------------------------------------------------------------------------


class TestConnections:
    def test_drop_resets_what_is_there_and_what_comes(self, emulator, alice, connect):
        client = connect().log_in(alice)
        client.enable()
        with emulator.faults.drop(user=alice, on="chat") as fault:
            assert client.next() is None
            again = connect().authenticated(alice)
            again.send(
                "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
            )
            fault.wait(2)
        connect().log_in(alice)

    def test_refuse_resets_new_connections_before_any_byte(self, emulator, alice, connect):
        client = connect().log_in(alice)
        with emulator.faults.refuse(on="chat") as fault:
            assert is_refused(emulator)
            assert fault.used == 1
            client.sync()
        assert not is_refused(emulator)

    def test_refuse_one_user_when_it_is_known_who_it_is(self, emulator, alice, bob, connect):
        with emulator.faults.refuse(user=alice, on="chat"):
            with pytest.raises(LOST):
                connect().log_in(alice)
            connect().log_in(bob)

    def test_half_open_neither_answers_nor_handles(self, emulator, alice, bob, connect):
        writer, reader = connect().log_in(alice), connect().log_in(bob)
        writer.enable()
        with emulator.faults.half_open(user=alice, on="chat", times=1) as fault:
            fault.wait()
            writer.send(
                chat(bob, "unheard") + "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"
            )
            other = connect().log_in(alice)  # its handling comes after that
            other.send(chat(bob, "heard"))
            assert bodies([reader.message()]) == ["heard"]
            writer.socket.settimeout(0.1)
            with pytest.raises(TimeoutError):
                writer.next()

    def test_a_session_behind_a_half_open_link_loses_nothing(self, emulator, alice, bob, connect):
        writer, reader = connect().log_in(bob), connect().log_in(alice)
        previous = reader.enable()
        emulator.faults.half_open(user=alice, on="chat", times=1)
        for number in range(3):
            writer.send(chat(alice, f"{number}", id=f"{number:024x}"))
        writer.sync()
        back = connect().authenticated(alice)
        back.send(RESUME.format(h=0, previous=previous))
        back.find(f"{SM}resumed")
        assert bodies(back.sync()) == ["0", "1", "2"]

    @pytest.mark.parametrize("resumable", [False, True])
    def test_stream_error(self, emulator, alice, connect, resumable):
        client = connect().log_in(alice)
        previous = client.enable()
        emulator.faults.stream_error(
            condition="system-shutdown", resumable=resumable, times=1, user=alice
        )
        assert client.stream_error() == "system-shutdown"
        again = connect().authenticated(alice)
        again.send(RESUME.format(h=0, previous=previous))
        assert again.next().tag == (f"{SM}resumed" if resumable else f"{SM}failed")

    def test_a_session_is_met_on_its_connection_of_now(self, emulator, alice, connect):
        connections = [connect().log_in(alice)]
        previous = connections[0].enable()
        for _ in range(5):
            connections.append(connect().authenticated(alice))
            connections[-1].send(RESUME.format(h=0, previous=previous))
            connections[-1].find(f"{SM}resumed")
        emulator.faults.stream_error(condition="system-shutdown", times=1, user=alice)
        assert connections[-1].stream_error() == "system-shutdown"
        assert connections[0].stream_error() == "conflict"
        assert emulator.sessions(alice) == []

    def test_stream_error_for_who_comes_later(self, emulator, alice, connect):
        emulator.faults.stream_error(times=1)
        client = connect().authenticated(alice)
        client.bind()
        assert client.stream_error() == "conflict"
        connect().log_in(alice)


class TestStanzas:
    @pytest.fixture
    def two(self, alice, bob, connect):
        """Alice writes, Bob reads, with stream management."""
        writer, reader = connect().log_in(alice), connect().log_in(bob)
        reader.enable()
        return writer, reader

    @staticmethod
    def write(client, to, *texts):
        for text in texts:
            client.send(chat(to, text, id=(text.encode().hex() * 24)[:24]))
        client.sync()

    def test_delay_keeps_the_order_and_ends_by_the_emulators_clock(self, emulator, bob, two):
        writer, reader = two
        with emulator.faults.delay(seconds=60, user=bob, on="chat"):
            self.write(writer, bob, "a", "b")
        self.write(writer, bob, "c")
        emulator.clock.advance(30)
        reader.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            reader.next()
        reader.socket.settimeout(5)
        emulator.clock.advance(31)
        assert bodies([reader.message() for _ in "abc"]) == ["a", "b", "c"]

    def test_throttle_lets_one_after_the_other_through(self, emulator, bob, two):
        writer, reader = two
        emulator.faults.throttle(bytes_per_second=10, user=bob, on="chat")
        self.write(writer, bob, "a", "b")
        emulator.clock.advance(60)
        assert bodies([reader.message()]) == ["a"]
        reader.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            reader.message()
        reader.socket.settimeout(5)
        emulator.clock.advance(120)
        assert bodies([reader.message()]) == ["b"]

    def test_what_waits_for_a_throttled_client_is_bounded(self):
        with (
            Emulator(unsent_bytes=20_000) as emulator,
            Client(emulator) as writer,
            Client(emulator) as reader,
        ):
            ids = [emulator.add_user(name, "secret") for name in ("carl", "dora")]
            writer.log_in(ids[0])
            reader.log_in(ids[1])
            emulator.faults.throttle(bytes_per_second=1, user=ids[1], on="chat")
            self.write(writer, ids[1], *("z" * 5000 for _ in range(6)))
            assert reader.next() is None

    def test_duplicate_is_counted_as_two_stanzas(self, emulator, bob, two):
        writer, reader = two
        fault = emulator.faults.duplicate(user=bob, times=1)
        self.write(writer, bob, "a", "b")
        assert bodies([reader.message() for _ in "aab"]) == ["a", "a", "b"]
        assert not fault.is_on
        reader.send("<a xmlns='urn:xmpp:sm:3' h='3'/>")
        reader.sync()

    def test_reorder_swaps_two(self, emulator, bob, two):
        writer, reader = two
        fault = emulator.faults.reorder(user=bob, times=1)
        self.write(writer, bob, "a", "b", "c")
        assert bodies([reader.message() for _ in "abc"]) == ["b", "a", "c"]
        assert not fault.is_on

    @pytest.mark.parametrize("how", ["time", "stop", "cut"])
    def test_reorder_keeps_nothing_for_itself(self, emulator, alice, bob, connect, how):
        writer, reader = connect().log_in(alice), connect().log_in(bob)
        previous = reader.enable()
        fault = emulator.faults.reorder(user=bob)
        self.write(writer, bob, "a")
        if how == "time":
            emulator.clock.advance(1)
        elif how == "stop":
            fault.stop()
        else:
            emulator.cut(bob)
            fault.stop()
            reader = connect().authenticated(bob)
            reader.send(RESUME.format(h=0, previous=previous))
        assert bodies([reader.message()]) == ["a"]

    def test_a_stanza_that_overflows_an_ending_session_ends_it_once(self):
        with Emulator(unacknowledged_stanzas=1) as emulator:
            alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
            with Client(emulator) as writer, Client(emulator) as reader:
                writer.log_in(alice)
                reader.log_in(bob)
                reader.enable()
                emulator.cut(bob)
                self.write(writer, bob, "kept")
                emulator.faults.reorder(user=bob)
                self.write(writer, bob, "held back")
                writer.sync()
                assert emulator.forget_sessions(bob) == 1
                assert emulator.sessions(bob) == []

    @given(st.integers(1, 6), st.integers(1, 3), st.booleans())
    @settings(
        max_examples=10,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_duplicate_and_reorder_lose_nothing(self, emulator, bob, two, count, times, both):
        writer, reader = two
        texts = [f"{number}" for number in range(count)]
        with contextlib.ExitStack() as stack:
            if both:
                stack.enter_context(emulator.faults.duplicate(user=bob, times=times))
            stack.enter_context(emulator.faults.reorder(user=bob, times=times))
            self.write(writer, bob, *texts)
        found = bodies(reader.sync())
        assert sorted(set(found)) == texts
        assert len(found) == count + (min(count, times) if both else 0)


class TestStreamManagement:
    def test_stop_acknowledging_handles_all_the_same(self, emulator, alice, bob, connect):
        writer, reader = connect().log_in(alice), connect().log_in(bob)
        writer.enable()
        with emulator.faults.stop_acknowledging(user=alice, times=1) as fault:
            writer.send(chat(bob, "heard") + REQUEST)
            fault.wait()
        assert bodies([reader.message()]) == ["heard"]
        writer.send(REQUEST)
        assert writer.find(f"{SM}a").get("h") == "1"

    @pytest.mark.parametrize("given_h", [True, False, None])
    @pytest.mark.parametrize("switch", [True, False])
    def test_refuse_resume_with_and_without_h(self, given_h, switch):
        with Emulator(handled_in_failed=switch) as emulator, contextlib.ExitStack() as stack:
            user = emulator.add_user("carl", "secret")
            client = stack.enter_context(Client(emulator)).log_in(user)
            previous = client.enable()
            client.sync()
            emulator.cut(user)
            again = stack.enter_context(Client(emulator)).authenticated(user)
            emulator.faults.refuse_resume(user="carl", h=given_h)
            again.send(RESUME.format(h=0, previous=previous))
            failed = again.find(f"{SM}failed")
            with_h = switch if given_h is None else given_h
            assert failed.get("h") == ("1" if with_h else None)
            assert failed[0].tag.endswith("item-not-found")
            assert emulator.sessions() == []
            again.bind()


class TestChatOfOurClient:
    """What docs/chat/reconnection.md promises, under each fault."""

    QUICK = Timeouts(connect=1.0, login=2.0, liveness_interval=0.2, liveness_answer=0.2)

    @pytest.fixture
    def pair(self, emulator):
        writer = Person.new(emulator, timeouts=self.QUICK)
        reader = Person.new(emulator)
        with logged_in(writer, reader):
            yield writer, reader

    @staticmethod
    def received(reader, count):
        return [message.body for message in reader.events.wait_for("message_received", count)]

    @pytest.mark.parametrize("name", ["drop", "half_open"])
    def test_a_link_that_broke_heals_and_nothing_is_lost(self, emulator, pair, name):
        writer, reader = pair
        writer.chat.send_private(reader.id, "before").result(TIMEOUT)
        emulator.faults.start(name, user=writer.id, on="chat", times=2).wait(1)
        writer.chat.send_private(reader.id, "after").result(TIMEOUT)
        assert self.received(reader, 2) == ["before", "after"]
        writer.wait_for_state(ChatState.RESUMED)

    def test_it_knocks_until_it_is_let_in(self, emulator, pair):
        writer, reader = pair
        fault = emulator.faults.refuse(on="chat", times=3)
        emulator.cut(writer.id)
        fault.wait(3)
        writer.chat.send_private(reader.id, "there").result(TIMEOUT)
        assert self.received(reader, 1) == ["there"]

    @pytest.mark.parametrize("condition", ["system-shutdown", "reset", "internal-server-error"])
    def test_it_comes_back_after_a_stream_error_that_is_not_final(self, emulator, pair, condition):
        writer, reader = pair
        emulator.faults.stream_error(condition=condition, user=writer.id, times=1)
        writer.wait_for_state(ChatState.READY, 2)
        writer.chat.send_private(reader.id, "there").result(TIMEOUT)
        assert self.received(reader, 1) == ["there"]

    def test_a_conflict_is_final(self, emulator, pair):
        writer, _ = pair
        emulator.faults.stream_error(condition="conflict", user=writer.id)
        assert "conflict" in str(writer.wait_for_state(ChatState.CLOSED).reason)

    @pytest.mark.parametrize("h", [True, False])
    def test_a_resumption_that_is_refused_loses_nothing(self, emulator, pair, h):
        writer, reader = pair
        with emulator.faults.refuse_resume(user=writer.id, h=h, times=1) as refused:
            with emulator.faults.stop_acknowledging(user=writer.id):
                handle = writer.chat.send_private(reader.id, "once")
                assert self.received(reader, 1) == ["once"]
                emulator.cut(writer.id)
                refused.wait()
            writer.wait_for_state(ChatState.READY, 2)
            if h:
                handle.result(TIMEOUT)
        writer.chat.send_private(reader.id, "last").result(TIMEOUT)
        reader.events.wait(lambda events: "last" in [m.body for m in events.of("message_received")])
        assert [m.body for m in reader.events.of("message_received")] == ["once", "last"]

    def test_a_message_that_came_twice_is_told_once(self, emulator, pair):
        writer, reader = pair
        with emulator.faults.duplicate(user=reader.id, times=2) as fault:
            for text in ("a", "b"):
                writer.chat.send_private(reader.id, text).result(TIMEOUT)
            fault.wait(2)
        writer.chat.send_private(reader.id, "c").result(TIMEOUT)
        assert self.received(reader, 3) == ["a", "b", "c"]

    def test_messages_that_changed_places_all_come(self, emulator, pair):
        writer, reader = pair
        with emulator.faults.reorder(user=reader.id, times=1) as fault:
            for text in ("a", "b", "c"):
                writer.chat.send_private(reader.id, text).result(TIMEOUT)
            fault.wait()
        assert sorted(self.received(reader, 3)) == ["a", "b", "c"]

    def test_stopped_acknowledgements_neither_lose_nor_repeat_a_message(self, emulator, pair):
        writer, reader = pair
        with emulator.faults.stop_acknowledging(user=writer.id) as fault:
            handle = writer.chat.send_private(reader.id, "heard")
            fault.wait()
            assert self.received(reader, 1) == ["heard"]
        handle.result(TIMEOUT)
        assert self.received(reader, 1) == ["heard"]

    @pytest.mark.parametrize(
        ("name", "parameters"),
        [("delay", {"seconds": 0.02}), ("throttle", {"bytes_per_second": 20_000})],
    )
    def test_a_slow_link_is_still_a_link(self, emulator, pair, name, parameters):
        writer, reader = pair
        with emulator.faults.start(name, on="chat", **parameters):
            handles = [writer.chat.send_private(reader.id, f"{n}") for n in range(10)]
            for handle in handles:
                handle.result(TIMEOUT)
            assert self.received(reader, 10) == [f"{n}" for n in range(10)]
        assert ChatState.FORCE_CLOSED not in writer.states
