"""A fleet of many users against the emulator: order, fairness, failures, losses and the end."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections import Counter, defaultdict
from concurrent.futures import Future

import pytest

from connectycube import (
    ApiAuthenticationError,
    ArgumentTypeError,
    ArgumentValueError,
    CallbackContextError,
    ChatState,
    ClientClosedError,
    ConnectyCube,
    Fleet,
    Limits,
    LoginTimeoutError,
    MemoryTokenStore,
    NotConnectedError,
    Observer,
    RateLimitError,
    RetryPolicy,
    ServerError,
    StreamError,
    Timeouts,
)
from connectycube.chat.dispatcher import Task
from connectycube.emulator import Emulator
from tests.support.inside import driver_of
from tests.support.people import FAST, PASSWORD, SLOW, Person
from tests.support.waiting import TIMEOUT, Gate, wait_until

numbers = itertools.count(1)
NO_RETRIES = RetryPolicy(max_retries=0)


@pytest.fixture
def fleet_of(emulator):
    """Makes a fleet of so many new users, or of none, that is closed at the end of the test."""
    made = []

    def make(count=0, *, config=None, logged_in=True, **options):
        cube = ConnectyCube(config=emulator.config(**{"reconnect": FAST, **(config or {})}))
        members = [new_user(emulator) for _ in range(count)]
        fleet = Fleet(cube, members, **options)
        made.append((cube, fleet))
        if logged_in:
            assert fleet.login(timeout=TIMEOUT * 3) == ()
        return fleet

    yield make
    for cube, fleet in made:
        fleet.close()
        cube.close()


def new_user(emulator):
    """Add a user; return the credentials."""
    name = f"member{next(numbers)}"
    emulator.add_user(name, PASSWORD)
    return {"login": name, "password": PASSWORD}


class Received:
    """The bodies that each member got from each user, in order."""

    def __init__(self, fleet):
        self.bodies = defaultdict(list)
        self._changed = threading.Condition()
        fleet.message_received.connect(self._receive)

    def _receive(self, chat, message):
        with self._changed:
            self.bodies[chat.user.id, message.sender_id].append(message.body)
            self._changed.notify_all()

    def wait_for(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: self.count() >= count, TIMEOUT * 6), self.count()

    def count(self):
        return sum(map(len, self.bodies.values()))


class Failures:
    """What ``member_failed`` told."""

    def __init__(self, fleet):
        self.all = []
        self._changed = threading.Condition()
        fleet.member_failed.connect(self._note)

    def _note(self, chat, failure):
        assert (chat.user and chat.user.id) in (None, failure.user_id)
        with self._changed:
            self.all.append(failure)
            self._changed.notify_all()

    def wait(self, count=1):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.all) >= count, TIMEOUT)
        return self.all


def threads_of(fleet):
    return [each.name for each in threading.enumerate() if each.name.startswith(fleet.name)]


# --- many members -----------------------------------------------------------------------------------


def test_a_hundred_members_lose_and_repeat_nothing_over_a_cut(emulator, fleet_of):
    fleet = fleet_of(100, workers=3)
    received, chats = Received(fleet), list(fleet)
    assert len(threads_of(fleet)) == 4
    for number in range(10):
        if number == 5:
            assert emulator.cut() > 0  # in the middle of what is under way
        for position, chat in enumerate(chats):
            chat.send_private(chats[(position + 1) % 100].user, f"{number}")
    received.wait_for(1_000)
    wanted = [str(number) for number in range(10)]
    ring = zip(chats[1:] + chats[:1], chats, strict=True)
    assert received.bodies == {(to.user.id, one.user.id): wanted for to, one in ring}
    assert fleet.statistics().sums["received"] == 1_000


def test_after_a_restart_of_the_server_all_members_come_back(tmp_path):
    with (
        Emulator(data=tmp_path / "server.db") as server,
        ConnectyCube(config=server.config(reconnect=FAST)) as cube,
        Fleet(cube, [new_user(server) for _ in range(20)], logins=3) as fleet,
    ):
        received, chats = Received(fleet), list(fleet)
        server.stop()
        wait_until(lambda: not any(chat.is_ready for chat in chats))
        handles = [chat.send_private(chats[0].user, "kept") for chat in chats[1:]]
        server.start()
        for handle in handles:
            handle.result(TIMEOUT * 2)
        received.wait_for(19)
        assert set(map(tuple, received.bodies.values())) == {("kept",)}
        assert fleet.failures == ()


def test_no_more_members_connect_at_once_than_logins_allows(emulator, fleet_of, monkeypatch):
    fleet = fleet_of(12, logins=2)
    lock, now, most = threading.Lock(), Counter(), []

    def counted(driver):
        original = driver.connect

        def connect(run, waker):
            with lock:
                now["connecting"] += 1
                most.append(now["connecting"])
            try:
                original(run, waker)
            finally:
                with lock:
                    now["connecting"] -= 1

        monkeypatch.setattr(driver, "connect", connect)

    for chat in fleet:
        counted(driver_of(chat))
    emulator.cut()
    wait_until(lambda: len(most) >= 12)
    wait_until(lambda: all(chat.is_ready for chat in fleet))
    assert max(most) <= 2
    wait_until(lambda: fleet._reader._slots == 2 and not fleet._reader._waiting)


# --- receivers --------------------------------------------------------------------------------------


def test_a_receiver_of_the_fleet_gets_the_chat_of_the_member(fleet_of, alice):
    alice.login()
    fleet = fleet_of(2)
    seen: Future = Future()
    fleet.message_received.connect(lambda chat, event: seen.set_result((chat, event.body)))
    one, _ = fleet
    alice.chat.send_private(one.user, "hello")
    assert seen.result(TIMEOUT) == (one, "hello")


def test_a_receiver_may_be_connected_for_one_member(fleet_of, alice):
    alice.login()
    fleet = fleet_of(2)
    one, other = fleet
    own, every = [], Received(fleet)
    fleet.message_received.connect(lambda chat, event: own.append(chat), sender=one)
    for chat in (one, other):
        alice.chat.send_private(chat.user, "hello")
    every.wait_for(2)
    assert own == [one]
    fleet.remove(one)
    assert [entry.name for entry in fleet.message_received.connections_for(one)] == [
        entry.name for entry in fleet.message_received.connections_for(other)
    ]


def test_callbacks_of_the_future_of_a_member_may_use_the_fleet(fleet_of, emulator):
    fleet, seen = fleet_of(), []
    added = fleet.add(new_user(emulator))
    added.add_done_callback(lambda future: seen.append((len(fleet), fleet.failures)))
    fleet.login(timeout=TIMEOUT)
    emulator.faults.delay(seconds=0.2)
    credentials = new_user(emulator)
    other = fleet.add(credentials)
    other.add_done_callback(lambda future: seen.append((len(fleet), fleet.failures)))
    fleet.remove(credentials["login"])
    wait_until(lambda: len(seen) == 2)
    assert seen == [(1, ()), (1, ())]


def test_a_callback_that_raises_system_exit_stops_no_login(fleet_of, emulator, caplog):
    fleet = fleet_of(logins=1)
    called = threading.Event()
    fleet.add(new_user(emulator)).add_done_callback(lambda first: (called.set(), sys.exit(3)))
    assert fleet.add(new_user(emulator)).result(TIMEOUT).is_ready
    assert called.is_set() and "a callback of add() raised" in caplog.text


def test_a_callback_that_raises_system_exit_stops_no_removal_and_no_end(fleet_of, emulator):
    fleet = fleet_of(logged_in=False)
    gone, *others = [new_user(emulator) for _ in range(3)]
    called = []
    for member in (gone, *others):
        fleet.add(member).add_done_callback(lambda first: (called.append(1), sys.exit(3)))
    with pytest.raises(SystemExit):
        fleet.remove(gone["login"])
    assert len(fleet) == 2
    with pytest.raises(SystemExit):
        fleet.close()
    assert len(called) == 3
    assert not fleet.close()


def test_the_end_does_not_wait_for_a_receiver_that_waits_for_a_login(fleet_of, emulator, alice):
    alice.login()
    fleet = fleet_of(1)
    waits, error = threading.Event(), Future()

    @fleet.message_received.connect
    def receive(chat, event):
        emulator.faults.delay(seconds=TIMEOUT)
        first = fleet.add(new_user(emulator))
        waits.set()
        error.set_result(first.exception(TIMEOUT * 6))

    (one,) = fleet
    alice.chat.send_private(one.user, "hello")
    assert waits.wait(TIMEOUT)
    assert not fleet.close(timeout=TIMEOUT)
    emulator.faults.stop_all()
    assert isinstance(error.result(0), ClientClosedError)


def test_an_observer_on_the_readers_thread_may_not_wait_for_it(fleet_of):
    refused: Future = Future()

    class Pinging(Observer):
        def state_changed(self, chat, change):
            if change.state is ChatState.READY and not refused.done():
                try:
                    chat.ping()
                except CallbackContextError as error:
                    refused.set_result(str(error))

    fleet_of(1, config={"observer": Pinging()})
    assert "connection thread" in refused.result(TIMEOUT)


def test_removing_a_member_keeps_the_receivers_of_the_others(fleet_of, alice):
    alice.login()
    fleet = fleet_of(2)
    one, other = fleet
    received = Received(fleet)
    assert not fleet.remove(one.user)
    assert list(fleet) == [other] and one.user not in fleet and other.user in fleet
    assert one.state is ChatState.IDLE
    alice.chat.send_private(other.user, "hello")
    received.wait_for(1)


def test_a_member_whose_receivers_are_slow_leaves_workers_to_the_others(fleet_of, emulator, alice):
    alice.login()
    fleet = fleet_of(2, workers=2)
    slow, quick = fleet
    people = [Person.new(emulator) for _ in range(2)]
    received = Received(fleet)
    with Gate() as gate:
        fleet.message_received.connect(gate, sender=slow)
        for person in (alice, *people):
            person.login()
            person.chat.send_private(slow.user, "slow").result(TIMEOUT)
        gate.wait_until_entered()
        alice.chat.send_private(quick.user, "quick").result(TIMEOUT)
        wait_until(lambda: received.bodies[quick.user.id, alice.id] == ["quick"])
    for person in people:
        person.chat.logout()


def test_a_full_fleet_leaves_room_to_a_member_with_few_events(fleet_of, alice):
    alice.login()
    limits = Limits(fleet_queued_bytes=8_000)
    fleet = fleet_of(2, workers=1, config={"limits": limits})
    loud, quiet = fleet
    bodies = []
    with Gate() as gate:
        fleet.message_received.connect(gate, key="gate")
        fleet.message_received.connect(lambda chat, event: bodies.append((chat, event.body)))
        for number in range(40):
            alice.chat.send_private(loud.user, f"{number}").result(TIMEOUT)
        wait_until(lambda: loud.state is ChatState.FORCE_CLOSED)
        alice.chat.send_private(quiet.user, "quiet").result(TIMEOUT)
        quiet.ping()
        assert quiet.is_ready and quiet.statistics().queued_events == 1
        assert fleet._workers.queued_bytes <= 8_000
    wait_until(lambda: len(bodies) == 41)
    assert [body for chat, body in bodies if chat is loud] == [str(n) for n in range(40)]
    assert fleet._workers.queued_bytes == 0


def test_around_and_callback_failed_are_those_of_all_members(fleet_of, alice):
    alice.login()
    fleet = fleet_of(1)
    (one,) = fleet
    entered, failed = [], Future()

    @fleet.around
    def manager(chat, signal, event, receiver):
        entered.append((chat, signal))
        return threading.Lock()

    @fleet.message_received.connect
    def broken(chat, event):
        raise ValueError("mine")

    fleet.callback_failed.connect(lambda chat, event: failed.set_result((chat, event.error)))
    alice.chat.send_private(one.user, "hello")
    chat, error = failed.result(TIMEOUT)
    assert chat is one and str(error) == "mine"
    assert entered[0] == (one, "message_received")


# --- members that fail ------------------------------------------------------------------------------


def test_a_wrong_password_is_told_once_and_disturbs_nobody(fleet_of, emulator):
    fleet = fleet_of(2, logged_in=False)
    failures = Failures(fleet)
    wrong = {**new_user(emulator), "password": "wrong password"}
    first = fleet.add(wrong)
    (failure,) = fleet.login(timeout=TIMEOUT)
    assert isinstance(failure.error, ApiAuthenticationError)
    assert (failure.name, failure.user_id, failure.attempts, failure.retry_in) == (
        *(wrong["login"], None),
        *(1, None),
    )
    with pytest.raises(ApiAuthenticationError):
        first.result(TIMEOUT)
    assert failures.wait() == [failure] and fleet.failures == (failure,)
    assert all(chat.is_ready for chat in fleet)
    statistics = fleet.statistics()
    assert (statistics.ready, statistics.waiting, statistics.failed) == (2, 0, 1)
    assert not fleet.remove(wrong["login"])
    assert fleet.failures == ()


def test_a_conflict_closes_one_member_for_good_and_is_told(fleet_of, emulator):
    fleet = fleet_of(2)
    failures, (one, other) = Failures(fleet), fleet
    emulator.faults.stream_error(condition="conflict", user=one.user.id)
    (failure,) = failures.wait()
    assert isinstance(failure.error, StreamError) and failure.retry_in is None
    assert failure.user_id == one.user.id
    assert one.state is ChatState.CLOSED
    other.ping()


def test_what_passes_is_tried_again_until_the_member_is_ready(fleet_of, emulator):
    fleet = fleet_of(1, logged_in=False, config={"retry": NO_RETRIES})
    failures = Failures(fleet)
    emulator.faults.server_error(times=2)
    first = fleet.login(timeout=TIMEOUT)
    assert [failure.retry_in is not None for failure in first] == [True]
    wait_until(lambda: fleet.failures == ())
    assert [failure.attempts for failure in failures.wait(2)] == [1, 2]
    assert [chat.is_ready for chat in fleet] == [True]


def test_the_others_wait_while_the_service_limits_the_rate(fleet_of, emulator):
    fleet = fleet_of(4, logged_in=False, logins=1, config={"retry": NO_RETRIES})
    fault = emulator.faults.rate_limit(retry_after=1, times=1)
    (failure,) = fleet_login(fleet)
    assert failure.retry_in >= 1.0
    wait_until(lambda: len(list(fleet)) == 4 and all(chat.is_ready for chat in fleet))
    assert fault.used == 1


def fleet_login(fleet):
    """The failures of a login, at the first one."""
    failures = Failures(fleet)
    fleet.login(timeout=TIMEOUT)
    return failures.wait()


def test_one_user_under_two_credentials_is_one_member(fleet_of, emulator):
    emulator.add_user("double", PASSWORD, email="double@example.com")
    fleet = fleet_of(logged_in=False)
    for key, value in (("login", "double"), ("email", "double@example.com")):
        fleet.add({key: value, "password": PASSWORD})
    (failure,) = fleet.login(timeout=TIMEOUT)
    assert isinstance(failure.error, ArgumentValueError)
    assert "who is a member already" in str(failure.error)
    assert len(list(fleet)) == 1


def test_a_login_that_takes_too_long_goes_on_in_the_background(fleet_of, emulator):
    fleet = fleet_of(1, logged_in=False)
    fault = emulator.faults.delay(seconds=0.3)
    with pytest.raises(LoginTimeoutError, match="1 of 1 members"):
        fleet.login(timeout=0.01)
    fault.stop()
    assert fleet.login(timeout=TIMEOUT) == ()


def test_members_are_tried_again_while_receivers_block_all_workers(fleet_of, emulator, alice):
    alice.login()
    fleet = fleet_of(1, workers=1, config={"retry": NO_RETRIES})
    with Gate() as gate:
        fleet.message_received.connect(gate)
        (one,) = fleet
        alice.chat.send_private(one.user, "hello").result(TIMEOUT)
        gate.wait_until_entered()
        emulator.faults.server_error(times=1)
        with pytest.raises(ServerError):
            fleet.add(new_user(emulator)).result(TIMEOUT)
        wait_until(lambda: fleet.statistics().ready == 2)


def test_a_receiver_may_wait_for_a_login_that_a_rate_limit_delays(fleet_of, emulator, alice):
    alice.login()
    fleet = fleet_of(1, workers=1, config={"retry": NO_RETRIES})
    done: Future = Future()

    @fleet.message_received.connect
    def receive(chat, event):
        try:
            with pytest.raises(RateLimitError):
                fleet.add(new_user(emulator)).result(TIMEOUT)
            done.set_result(fleet.add(new_user(emulator)).result(TIMEOUT).is_ready)
        except BaseException as error:
            done.set_exception(error)

    (one,) = fleet
    emulator.faults.rate_limit(retry_after=1, times=1)
    alice.chat.send_private(one.user, "hello")
    assert done.result(TIMEOUT * 2)


def test_a_login_takes_no_turn_from_others_while_one_waits_to_be_tried(fleet_of, emulator):
    fleet = fleet_of(1, logins=1, config={"retry": NO_RETRIES, "reconnect": SLOW})
    emulator.faults.server_error(times=1)
    with pytest.raises(ServerError):
        fleet.add(new_user(emulator)).result(TIMEOUT)
    for _ in range(3):
        assert fleet.add(new_user(emulator)).result(TIMEOUT).is_ready
    assert (fleet.statistics().ready, fleet.statistics().waiting) == (4, 1)
    fleet.close()
    assert threads_of(fleet) == []


def test_a_member_without_a_chat_is_removed_by_what_member_failed_gives(fleet_of, emulator):
    fleet = fleet_of(1)
    done: Future = Future()
    fleet.member_failed.connect(lambda chat, failure: done.set_result(fleet.remove(chat)))
    fleet.add({**new_user(emulator), "password": "wrong password"})
    assert not done.result(TIMEOUT)
    assert len(fleet) == 1 and fleet.failures == ()


def test_a_failure_ends_when_the_application_logs_the_member_in(fleet_of, emulator):
    fleet = fleet_of(1)
    failures, (one,) = Failures(fleet), fleet
    fault = emulator.faults.stream_error(condition="conflict", user=one.user.id)
    failures.wait()
    assert (len(fleet.failures), fleet.statistics().failed) == (1, 1)
    fault.stop()
    fleet.chat(one.user).login()
    assert (len(fleet.failures), fleet.statistics().failed) == (0, 0)
    one.logout()
    assert (len(fleet.failures), fleet.statistics().failed) == (0, 0)


def test_what_closes_a_chat_before_its_login_has_returned_is_told(fleet_of, emulator, monkeypatch):
    fleet = fleet_of(logged_in=False)
    failures, succeeded = Failures(fleet), fleet._succeeded

    def closed_meanwhile(member):
        fault = emulator.faults.stream_error(condition="conflict", user=member.user_id)
        wait_until(lambda: member.chat.state is ChatState.CLOSED)
        fault.stop()
        fleet.dispatcher.put(Task(told.set), bounded=False)  # behind the first try to tell it
        assert told.wait(TIMEOUT)
        succeeded(member)

    told = threading.Event()
    monkeypatch.setattr(fleet, "_succeeded", closed_meanwhile)
    fleet.add(new_user(emulator))
    fleet.login(timeout=TIMEOUT)
    (failure,) = failures.wait()
    assert isinstance(failure.error, StreamError) and fleet.failures == (failure,)


# --- its life ---------------------------------------------------------------------------------------


def test_a_member_that_is_added_later_logs_in_at_once(fleet_of, emulator, alice):
    alice.login()
    fleet = fleet_of(1)
    received = Received(fleet)
    chat = fleet.add(new_user(emulator)).result(TIMEOUT)
    assert chat.is_ready and fleet.chat(chat.user) is chat and len(fleet) == 2
    alice.chat.send_private(chat.user, "hello")
    received.wait_for(1)


def test_the_end_logs_all_out_and_leaves_nothing(fleet_of, emulator):
    fleet = fleet_of(20)
    chats = list(fleet)
    assert not fleet.close()
    assert {chat.state for chat in chats} == {ChatState.IDLE}
    assert emulator.sessions() == []
    assert threads_of(fleet) == [] and list(fleet) == []
    assert not fleet.close()
    for call in (fleet.login, lambda: fleet.add(new_user(emulator))):
        with pytest.raises(ClientClosedError):
            call()


def test_the_end_is_bounded_however_slow_the_receivers_are(fleet_of, alice):
    alice.login()
    fleet = fleet_of(3)
    with Gate() as gate:
        fleet.message_received.connect(gate)
        for chat in fleet:
            alice.chat.send_private(chat.user, "hello").result(TIMEOUT)
        gate.wait_until_entered()
        abandoned = fleet.close(timeout=0.2)
        assert abandoned.running + abandoned.queued >= 1


def test_a_receiver_may_remove_its_own_member_and_close_the_fleet(fleet_of, alice):
    alice.login()
    fleet = fleet_of(2)
    one, other = fleet
    done: Future = Future()

    @fleet.message_received.connect
    def receive(chat, event):
        try:
            with pytest.raises(CallbackContextError):
                fleet.login()
            with pytest.raises(CallbackContextError):
                fleet.wait()
            fleet.remove(chat)
            fleet.close()
            done.set_result(chat)
        except BaseException as error:
            done.set_exception(error)

    alice.chat.send_private(one.user, "hello")
    assert done.result(TIMEOUT) is one
    wait_until(lambda: not threads_of(fleet))
    assert other.state is ChatState.IDLE


def test_wait_ends_with_close_and_with_stop(fleet_of):
    fleet, stop = fleet_of(1), threading.Event()
    stop.set()
    fleet.wait(stop=stop)
    assert list(fleet) == []
    fleet.wait()  # it is closed: there is nothing to wait for


def test_wait_before_login_is_refused(fleet_of):
    with pytest.raises(NotConnectedError):
        fleet_of(logged_in=False).wait()


def test_an_empty_fleet_logs_in_and_takes_members_later(fleet_of, emulator):
    fleet = fleet_of()
    assert fleet.add(new_user(emulator)).result(TIMEOUT).is_ready


def test_each_member_has_a_file_of_its_own_in_durable_mode(fleet_of, tmp_path):
    folder = tmp_path / "bots"
    fleet = fleet_of(2, durable=folder)
    names = {f"{chat.user.id}.db" for chat in fleet}
    assert names <= set(os.listdir(folder))
    one, other = fleet
    received = Received(fleet)
    one.send_private(other.user, "hello").result(TIMEOUT)
    received.wait_for(1)
    assert list(one.dead_letters()) == []


def test_sessions_of_a_token_store_are_used_again(emulator):
    members = [new_user(emulator) for _ in range(3)]
    config = emulator.config(token_store=MemoryTokenStore())
    with ConnectyCube(config=config) as cube:
        with Fleet(cube, members) as fleet:
            tokens = {member.client.session.token for member in fleet._members}
        with Fleet(cube, members) as fleet:
            assert {member.client.session.token for member in fleet._members} == tokens


def test_a_chat_that_was_logged_out_by_the_application_stays_so(fleet_of):
    fleet = fleet_of(2)
    one, other = fleet
    failures = Failures(fleet)
    one.logout()
    other.ping()
    assert one.state is ChatState.CLOSED and failures.all == []
    one.login()
    assert one.is_ready


def test_the_password_of_a_member_is_shown_nowhere(fleet_of, emulator, caplog):
    fleet = fleet_of(logged_in=False)
    fleet.add({**new_user(emulator), "password": "s3cret-pa55word"})
    (failure,) = fleet.login(timeout=TIMEOUT)
    shown = f"{fleet!r} {fleet._members!r} {failure!r} {caplog.text}"
    assert "s3cret-pa55word" not in shown


def test_timeouts_of_a_fleet_are_those_of_its_client(fleet_of):
    fleet = fleet_of(1, config={"timeouts": Timeouts(logout=3.0)})
    assert fleet.timeouts.logout == 3.0


def test_an_argument_that_is_wrong_is_named(fleet_of, emulator):
    fleet = fleet_of(1)
    (chat,) = fleet
    with pytest.raises(ArgumentValueError, match="user is no member"):
        fleet.remove(10**6)
    with pytest.raises(ArgumentTypeError, match="user must be an int"):
        fleet.chat("alice")
    with pytest.raises(ArgumentValueError, match="user is no member"):
        fleet.chat(10**6)
    fleet.remove(chat)
    with pytest.raises(ArgumentValueError, match="user is no member"):
        fleet.remove(chat)
