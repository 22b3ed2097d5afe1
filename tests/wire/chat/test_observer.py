"""What an observer is told, on which thread, and what it can break: nothing."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from connectycube import (
    Abandoned,
    CallbackContextError,
    Chat,
    ChatError,
    ChatState,
    ConnectionLostError,
    FileLease,
    Handling,
    Limits,
    OutcomeUnknownError,
    ReconnectPolicy,
    RecoveryFinished,
    Timeouts,
)
from connectycube.emulator import Emulator
from tests.support.inside import driver_of
from tests.support.observing import METHODS, Recorder, raising
from tests.support.people import FAST, PASSWORD, SLOW, Person, away, settled
from tests.support.waiting import TIMEOUT, Gate, wait_until

S = ChatState
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """A service for all tests of this module."""
    with Emulator() as running:
        yield running


@pytest.fixture
def observer() -> Any:
    return Recorder()


@pytest.fixture
def client(emulator: Emulator, stack: Any) -> Callable[..., Person]:
    """Makes users with a REST session; closed at the end."""

    def make(**options: Any) -> Person:
        name = f"observed-{next(_numbers)}"
        emulator.add_user(name, PASSWORD)
        made = Person.with_session(emulator, name, **options)
        stack.callback(made.cube.close)
        return made

    return make


@pytest.fixture
def amy(client, observer) -> Person:
    """A user whose client has the observer; logged in to the chat."""
    person = client(observer=observer, reconnect=SLOW)
    person.login()
    return person


@pytest.fixture
def ben(client) -> Person:
    person = client()
    person.login()
    return person


def thread(person: Person, name: str) -> str:
    return f"{driver_of(person.chat).name}-{name}"


def of_signal(name: str) -> Callable[[Any], bool]:
    return lambda call: call.arguments[1] == name


# --- each method -------------------------------------------------------------------------------------


def test_requests_are_told_on_the_thread_that_sends_them(amy, observer):
    observer.calls.clear()
    amy.cube.users.get(amy.id)
    (call,) = observer.of("request_finished")
    (record,) = call.arguments
    assert (record.method, record.path, record.status) == ("GET", "/users/{id}", 200)
    assert (record.attempt, record.error, call.thread) == (1, None, "MainThread")
    assert record.seconds > 0 and record.bytes_received > 0


def test_states_are_told_on_the_thread_that_changes_them(amy, observer):
    amy.chat.logout()
    calls = observer.of("state_changed")
    assert {call.arguments[0] for call in calls} == {amy.chat}
    told = {call.arguments[1].state: call.thread for call in calls}
    connection = thread(amy, "connection")
    assert told == {
        S.CONNECTING: "MainThread",
        S.AUTHENTICATED: connection,
        S.READY: connection,
        S.CLOSING: "MainThread",
        S.CLOSED: connection,
    }


def test_an_event_is_told_when_it_is_queued_and_a_receiver_round_it(amy, ben, observer):
    gate = Gate()
    amy.chat.message_received.connect(gate, key="gate")
    with gate:
        ben.chat.send_private(amy.id, "hello").result(TIMEOUT)
        (queued,) = observer.wait_for("event_queued", where=of_signal("message_received"))
        gate.wait_until_entered()
        began = observer.of("receiver_began")[-1]
        chat, signal, event, receiver = began.arguments
        assert (chat, signal, receiver) == (amy.chat, "message_received", "gate")
        assert event is queued.arguments[2] and event.body == "hello"
        assert not [each for each in observer.of("receiver_ended") if each.arguments[3] == "gate"]
    (ended,) = observer.wait_for("receiver_ended", where=lambda call: call.arguments[3] == "gate")
    assert ended.arguments == (*began.arguments, None)
    assert queued.thread == thread(amy, "connection")
    assert began.thread == ended.thread
    assert began.thread.startswith("connectycube-dispatcher-")


def test_what_a_receiver_raises_is_told_in_each_attempt(client, ben, observer):
    bot = client(observer=observer, handling=Handling(delay=0.01, max_delay=0.02))
    errors = [ConnectionRefusedError("away"), ConnectionRefusedError("still away"), None]
    left = iter(errors)

    def work(chat: Chat, message: Any) -> None:
        if (error := next(left)) is not None:
            raise error

    bot.chat.message_received.connect(work, key="work")
    bot.login()
    ben.chat.send_private(bot.id, "hello").result(TIMEOUT)
    of_work = lambda call: call.arguments[3] == "work"  # noqa: E731
    ended = observer.wait_for("receiver_ended", 3, of_work)
    assert [call.arguments[4] for call in ended] == errors
    assert len([call for call in observer.of("receiver_began") if of_work(call)]) == 3
    assert len(observer.wait_for("event_queued", where=of_signal("message_received"))) == 1


def test_a_receiver_that_does_not_want_the_event_is_not_told(amy, ben, observer):
    amy.chat.message_received.connect(print, key="never", where=lambda message: False)
    ben.chat.send_private(amy.id, "hello").result(TIMEOUT)
    amy.events.wait_for("message_received")
    settled(amy)
    assert "never" not in {call.arguments[3] for call in observer.of("receiver_began")}


def test_a_done_callback_is_told_as_a_receiver_without_a_signal(amy, ben, observer):
    handle = amy.chat.send_private(ben.id, "hello")
    handle.result(TIMEOUT)
    handle.add_done_callback(lambda handle: None)
    of_callback = lambda call: call.arguments[1] is None  # noqa: E731
    (began,) = observer.wait_for("receiver_began", where=of_callback)
    (ended,) = observer.wait_for("receiver_ended", where=of_callback)
    assert began.arguments[:3] == (amy.chat, None, handle) and began.thread == "MainThread"
    assert ended.arguments == (*began.arguments, None)


def test_a_message_is_told_when_it_is_submitted_and_settled(amy, ben, observer):
    handle = amy.chat.send_private(ben.id, "hello")
    (submitted,) = observer.of("message_submitted")
    assert submitted.arguments == (amy.chat, handle) and submitted.thread == "MainThread"
    handle.result(TIMEOUT)
    (settled_,) = observer.wait_for("message_settled")
    assert settled_.arguments == (amy.chat, handle, None)
    assert settled_.thread == thread(amy, "connection")


def test_the_error_of_a_message_is_told(client, ben, observer, proxy):
    amy = client(observer=observer, chat_port=proxy.port)
    amy.login()
    settled(amy)
    proxy.freeze()
    handle = amy.chat.send_private(ben.id, "hello")
    amy.chat.logout(timeout=0.1)
    (call,) = observer.wait_for("message_settled")
    assert call.arguments[1] is handle and isinstance(call.arguments[2], OutcomeUnknownError)


@pytest.mark.parametrize("resumes", [True, False])
def test_a_reconnection_is_told_with_its_cause_and_length(amy, emulator, observer, resumes):
    with away(amy, emulator, resumes=resumes):
        assert observer.of("reconnected") == []
    (call,) = observer.wait_for("reconnected")
    chat, resumed, seconds, reason = call.arguments
    assert (chat, resumed) == (amy.chat, resumes) and 0 < seconds < TIMEOUT
    assert isinstance(reason, ConnectionLostError)
    assert reason is amy.chat.statistics().last_reason
    assert call.thread == thread(amy, "connection")


def test_a_recovery_is_told_with_what_it_brought(amy, ben, emulator, observer):
    with away(amy, emulator):
        ben.cube.messages.create(amy.id, "in the gap")
    (call,) = observer.wait_for("recovery_ended")
    assert call.arguments == (amy.chat, RecoveryFinished(messages=1))
    queued = observer.wait_for("event_queued", where=of_signal("message_received"))
    assert [each.arguments[2].recovered for each in queued] == [True]
    assert {call.thread, queued[0].thread} == {thread(amy, "history")}


def test_a_recovery_that_fails_is_told(amy, emulator, observer):
    emulator.faults.server_error(on="rest", user=amy.id, times=1)
    with away(amy, emulator):
        pass
    first, last = observer.wait_for("recovery_ended", 2)
    assert first.arguments[1].is_repeated and isinstance(last.arguments[1], RecoveryFinished)


def test_events_of_an_earlier_process_are_told_when_they_are_queued(make, ben, observer):
    bot, gate = make(), Gate()
    bot.chat.message_received.connect(gate, key="gate")
    bot.chat.login()
    with gate:
        ben.chat.send_private(bot.id, "hello").result(TIMEOUT)
        gate.wait_until_entered()
        bot.chat.ping(TIMEOUT)
        bot.chat.message_received.connect(lambda chat, message: 1 / 0, key="left")
        ben.chat.send_private(bot.id, "again").result(TIMEOUT)
        bot.chat.ping(TIMEOUT)
        bot.chat.logout(timeout=0.0)
    wait_until(lambda: not driver_of(bot.chat).dispatcher.is_working)
    born = make(observer=observer)
    born.chat.login()
    queued = observer.wait_for("event_queued", where=of_signal("message_received"))
    assert {call.arguments[2].redelivered for call in queued} == {True}


# --- what it cannot break ----------------------------------------------------------------------------


def everything(person: Person, other: Person, emulator: Emulator) -> None:
    """Let everything happen that an observer is told of."""
    person.login()
    person.chat.send_private(other.id, "one").result(TIMEOUT)
    other.events.wait_for("message_received")
    other.chat.send_private(person.id, "two").result(TIMEOUT)
    person.events.wait_for("message_received")
    with away(person, emulator):
        other.cube.messages.create(person.id, "three")
        waiting = person.chat.send_private(other.id, "four")
    waiting.result(TIMEOUT)
    person.events.wait_for("recovery_finished")
    person.events.wait_for("message_received", 2)
    with away(person, emulator, resumes=True):
        other.chat.send_private(person.id, "five").result(TIMEOUT)
    person.events.wait_for("message_received", 3)
    person.chat.privacy.block(other.id)
    person.chat.privacy.unblock(other.id)
    settled(person)
    person.chat.logout()


def test_no_lock_is_held_while_an_observer_is_called(client, ben, emulator, observer):
    amy = client(observer=observer, reconnect=SLOW)
    everything(amy, ben, emulator)
    wait_until(lambda: {call.method for call in list(observer.calls)} == set(METHODS))
    assert [call for call in observer.calls if call.locks] == []


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_an_observer_that_always_raises_disturbs_nothing(client, ben, emulator, caplog, error):
    observer = raising(error)
    amy = client(observer=observer, reconnect=SLOW)
    everything(amy, ben, emulator)
    wait_until(lambda: observer.called == set(METHODS))
    assert amy.bodies == ["two", "three", "five"] and ben.bodies == ["one", "four"]
    assert amy.events.of("callback_failed") == []
    statistics = amy.chat.statistics()
    assert (statistics.sent, statistics.reconnects, statistics.resumed) == (2, 2, 1)

    def logged() -> list[Any]:
        return sorted(each.args[0] for each in list(caplog.records) if each.name == "connectycube")

    wait_until(lambda: logged() == sorted(METHODS))


def test_an_observer_may_ask_for_the_statistics_everywhere(client, ben, emulator):
    seen = []

    class Asking(Recorder):
        def note(self, method, *arguments):
            if isinstance(arguments[0], Chat):
                seen.append((method, arguments[0].statistics().state))

    amy = client(observer=Asking(), reconnect=SLOW)
    everything(amy, ben, emulator)
    wait_until(lambda: {method for method, _ in list(seen)} == set(METHODS) - {"request_finished"})


def test_an_observer_that_blocks_a_caller_keeps_nobody_else_waiting(client, ben):
    gate = Gate()

    class Blocking(Recorder):
        def message_submitted(self, chat, handle):
            if handle.message.body == "blocked":
                gate()

    amy = client(observer=Blocking())
    amy.login()
    sender = threading.Thread(target=amy.chat.send_private, args=(ben.id, "blocked"))
    sender.start()
    with gate:
        gate.wait_until_entered()
        amy.chat.send_private(ben.id, "free").result(TIMEOUT)
        ben.chat.send_private(amy.id, "answer").result(TIMEOUT)
        amy.events.wait_for("message_received")
        assert amy.chat.ping(TIMEOUT) >= 0
    sender.join(TIMEOUT)


def test_an_observer_that_blocks_a_receivers_thread_blocks_that_alone(client, ben, emulator):
    gate = Gate()

    class Blocking(Recorder):
        def receiver_began(self, chat, signal, event, receiver):
            if signal == "message_received":
                gate()

    amy = client(observer=Blocking(), reconnect=SLOW)
    amy.login()
    with gate:
        ben.chat.send_private(amy.id, "one").result(TIMEOUT)
        gate.wait_until_entered()
        amy.chat.send_private(ben.id, "two").result(TIMEOUT)
        assert amy.chat.ping(TIMEOUT) >= 0
    amy.events.wait_for("message_received")


def test_one_observer_serves_many_clients_and_tells_them_apart(client, observer):
    people = [client(observer=observer) for _ in range(3)]
    for person in people:
        person.login()
    ready = observer.wait_for("state_changed", 3, lambda call: call.arguments[1].state is S.READY)
    assert {call.arguments[0] for call in ready} == {person.chat for person in people}
    assert len(ready) == 3


def test_no_lock_is_held_while_a_change_of_privacy_lists_reconnects(client, ben, observer):
    amy, gate = client(observer=observer, limits=Limits(queued_events=2)), Gate()
    amy.chat.message_received.connect(gate)
    amy.login()
    with gate:
        for number in range(6):
            ben.chat.send_private(amy.id, str(number)).result(TIMEOUT)
        # Not with a stream: a thread that waits for an event keeps the link open.
        wait_until(lambda: amy.chat.state is S.FORCE_CLOSED)
        amy.chat.privacy.block(777)  # it needs the link, which slow receivers keep closed
    call, *_ = [
        each for each in observer.of("state_changed") if each.arguments[1].state is S.RECONNECTING
    ]
    assert (call.thread, call.locks) == ("MainThread", ())


# --- calls of an observer on the connection thread ----------------------------------------------------


class Acting(Recorder):
    """Makes one call on the connection thread, when a method is called there with what fits."""

    def __init__(
        self,
        act: Callable[[Chat], object],
        method: str = "state_changed",
        where: Callable[..., bool] = lambda *_: True,
    ) -> None:
        super().__init__()
        self._act, self._method, self._where = act, method, where
        self._has_begun = False
        self.done = threading.Event()
        self.result: object = None

    def note(self, method: str, *arguments: Any) -> None:
        super().note(method, *arguments)
        on_connection = threading.current_thread().name.endswith("-connection")
        fits = method == self._method and on_connection and self._where(*arguments)
        if not fits or self._has_begun:
            return
        self._has_begun = True
        try:
            self.result = self._act(arguments[0])
        except Exception as error:
            self.result = error
        self.done.set()


def enters(state: ChatState) -> Callable[..., bool]:
    return lambda chat, change: change.state is state


@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("state_changed", enters(S.READY)),
        ("state_changed", enters(S.FORCE_CLOSED)),
        ("event_queued", lambda chat, signal, event: signal == "message_received"),
        ("message_settled", lambda *_: True),
        ("reconnected", lambda *_: True),
    ],
    ids=["READY", "FORCE_CLOSED", "event", "outcome", "reconnection"],
)
@pytest.mark.parametrize("end", [Chat.logout, Chat.destroy])
def test_an_observer_may_log_out(client, ben, emulator, caplog, end, method, where):
    observer = Acting(end, method, where)
    amy = client(observer=observer, reconnect=FAST)
    amy.login()
    with suppress(ChatError):
        ben.chat.send_private(amy.id, "one").result(TIMEOUT)
        amy.chat.send_private(ben.id, "two").result(TIMEOUT)
        emulator.cut(amy.id)
    assert observer.done.wait(TIMEOUT)
    assert observer.result == Abandoned()
    observer.wait_for("state_changed", 1, lambda call: call.arguments[1].state is S.CLOSED)
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


WAITS: dict[str, Callable[[Chat], object]] = {
    "login": lambda chat: chat.login(),
    "wait_until_ready": lambda chat: chat.wait_until_ready(),
    "ping": lambda chat: chat.ping(),
    "wait": lambda chat: chat.wait(),
    "wait_until_idle": lambda chat: chat.wait_until_idle(),
    "wait_for": lambda chat: chat.wait_for(chat.message_received),
    "result": lambda chat: chat.send_private(1, "one").result(),
}


@pytest.mark.parametrize("name", WAITS)
def test_an_observer_cannot_wait_for_the_connection_on_its_thread(client, emulator, name):
    """The call would hold up what it waits for, until its time-out."""
    observer = Acting(WAITS[name], where=enters(S.FORCE_CLOSED))
    amy = client(observer=observer, reconnect=SLOW)
    amy.login()
    emulator.cut(amy.id)
    assert observer.done.wait(TIMEOUT)
    assert isinstance(observer.result, CallbackContextError)
    assert "connection thread" in str(observer.result)
    amy.chat.relogin()
    assert amy.chat.ping(TIMEOUT) >= 0


def test_what_needs_no_wait_is_done_on_the_connection_thread(client):
    def act(chat: Chat) -> object:
        chat.wait_until_ready()
        chat.login()
        return chat.is_ready

    observer = Acting(act, where=enters(S.READY))
    client(observer=observer).login()
    assert observer.done.wait(TIMEOUT)
    assert observer.result is True


def test_a_relogin_by_an_observer_is_not_slept_over(client, emulator):
    """A link that has fallen silent is lost when the connection thread has decided how long to sleep."""

    def act(chat: Chat) -> None:
        emulator.faults.stop_all()
        chat.relogin()

    observer = Acting(act, where=enters(S.FORCE_CLOSED))
    timeouts = Timeouts(liveness_interval=0.3, liveness_answer=0.3)
    amy = client(observer=observer, reconnect=SLOW, timeouts=timeouts)
    amy.login()
    with emulator.faults.half_open(user=amy.id):
        assert observer.done.wait(TIMEOUT)
    assert observer.result is None
    observer.wait_for("reconnected")


def test_an_observer_that_logs_in_again_keeps_the_lease(client, emulator, tmp_path):
    """It does so on the thread of the connection that has failed, whose end gives the lease back."""
    lease = FileLease(tmp_path / "amy.lease")
    observer = Acting(lambda chat: chat.login(exclusive=lease), where=enters(S.CLOSED))
    amy = client(observer=observer, reconnect=ReconnectPolicy(max_attempts=0))
    amy.chat.login(exclusive=lease)
    first = driver_of(amy.chat)._thread
    emulator.cut(amy.id)
    assert observer.done.wait(TIMEOUT)
    assert observer.result == amy.cube.user
    first.join(TIMEOUT)
    assert amy.chat.is_ready and amy.chat.fencing == 1
    assert amy.chat.login(exclusive=lease) == amy.cube.user, "the lease is the same one"
