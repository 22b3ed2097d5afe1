"""What follows when a receiver raises: another attempt in its queue, or the end for this event."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from connectycube import (
    ArgumentTypeError,
    CallbackFailure,
    ChatTimeoutError,
    Config,
    Handling,
    Limits,
    NotConnectedError,
    RateLimitError,
    Typing,
)
from connectycube._deadline import Deadline
from connectycube.chat.answers import Running
from connectycube.chat.chat_signals import ChatSignals
from connectycube.chat.dispatcher import Dispatcher, Task
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.receivers import Receivers
from tests.support.waiting import TIMEOUT, Gate, wait_until

FAST = Handling(delay=0.001, max_delay=0.001)
NEVER = Handling(delay=100.0)
REFUSED = ConnectionRefusedError("no database")

TALLY = SimpleNamespace(gave_up=lambda: None)  # what receivers need of it


class Durability:
    """What receivers need of it, without a store."""

    def __init__(self):
        self.running = Running()


class Chat(ChatSignals):
    """The sender, whose receivers run on real workers."""

    def __init__(self, handling=FAST, workers=1):
        super().__init__()
        self.dispatcher = Dispatcher("test", workers, Limits(), lambda: None)
        self.is_open = True
        self.shown = []
        config = Config(app_id=1, auth_key="k", handling=handling)
        self.receivers = Receivers(self, config)
        self.receivers.attach(
            self, self.dispatcher, Durability(), SimpleNamespace(gave_up=lambda: None)
        )
        self.gave_up = []
        self.failures = []
        self.receiver_gave_up.connect(lambda chat, event: self.gave_up.append(event))
        self.callback_failed.connect(lambda chat, event: self.failures.append(event))

    def show(self, delivery):
        self.shown.append(delivery.signal)

    def put(self, user_id, queue="a", counts=True):
        delivery = Delivery(signal="typing_started", event=Typing(user_id=user_id))
        self.dispatcher.put(Task(lambda: self.receivers.handle(delivery), queue), counts=counts)

    def idle(self):
        assert self.dispatcher.wait_until_idle(TIMEOUT)


@pytest.fixture
def chats():
    made = []

    def make(*args, **options):
        made.append(Chat(*args, **options))
        made[-1].dispatcher.start()
        return made[-1]

    yield make
    for chat in made:
        chat.dispatcher.stop()
        assert chat.dispatcher.join(Deadline(TIMEOUT))


@pytest.fixture
def chat(chats):
    return chats()


class Receiver:
    """Raises the errors in turn, then returns; notes the users of the events that it is called with."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = []

    def __call__(self, chat, event):
        self.calls.append(event.user_id)
        if self.errors:
            raise self.errors.pop(0)


def test_only_the_receiver_that_failed_runs_again(chat):
    before, failing, after = Receiver(), Receiver(REFUSED, REFUSED), Receiver()
    for receiver in (before, failing, after):
        chat.typing_started.connect(receiver)
    chat.put(1)
    chat.idle()
    assert (before.calls, failing.calls, after.calls) == ([1], [1, 1, 1], [1])
    assert [failure.error for failure in chat.failures] == [REFUSED, REFUSED]
    assert chat.gave_up == []


def test_two_that_failed_run_again_each_after_its_own_delay(chat):
    slow, quick = Receiver(REFUSED), Receiver(REFUSED, REFUSED)
    chat.typing_started.connect(slow, handling=Handling(delay=0.1))
    chat.typing_started.connect(quick)
    chat.put(1)
    chat.put(2)
    chat.idle()
    assert (slow.calls, quick.calls) == ([1, 1, 2], [1, 1, 1, 2])


def test_later_events_of_the_queue_wait_for_it_and_others_do_not(chats):
    chat, order = chats(NEVER), []
    chat.typing_started.connect(lambda chat, event: order.append(event.user_id))
    failing = chat.typing_started.connect(Receiver(REFUSED))
    chat.put(1, "a")
    chat.put(2, "a")
    chat.put(3, "b")
    wait_until(lambda: order == [1, 3])
    assert failing.calls == [1, 3]
    assert (chat.dispatcher.queued, chat.dispatcher.receivers) == (2, {})


def test_an_error_that_is_not_transient_is_given_up_at_the_first_attempt(chat):
    error = ValueError("wrong")
    receiver = chat.typing_started.connect(Receiver(error), key="bot")
    chat.put(1)
    chat.idle()
    [gave_up] = chat.gave_up
    assert (gave_up.event, gave_up.signal) == (Typing(user_id=1), "typing_started")
    assert (gave_up.receiver, gave_up.error, gave_up.attempts) == ("bot", error, 1)
    assert receiver.calls == [1]
    assert chat.shown == ["callback_failed", "receiver_gave_up"]


def test_a_transient_error_is_given_up_after_the_time_for_it(chats):
    chat = chats(Handling(delay=0.001, give_up_after=0.05))
    receiver = chat.typing_started.connect(Receiver(*[REFUSED] * 10_000))
    chat.put(1)
    chat.idle()
    [gave_up] = chat.gave_up
    assert 1 < gave_up.attempts == len(receiver.calls) < 10_000


def test_in_memory_the_time_is_a_minute_unless_it_is_given(chats, caplog):
    chat = chats(Handling(delay=130.0, max_delay=130.0))  # at least 65 seconds
    chat.typing_started.connect(Receiver(REFUSED))
    chat.put(1)
    wait_until(lambda: chat.failures)
    assert re.search(r"runs again in (60|59\.\d) seconds \(attempt 1\)", caplog.text)


def test_the_last_attempt_is_made_when_the_time_is_over(chats):
    chat = chats(Handling(delay=100.0, max_delay=100.0, give_up_after=0.05))
    chat.typing_started.connect(Receiver(REFUSED, REFUSED))
    began = time.monotonic()
    chat.put(1)
    chat.idle()
    assert time.monotonic() - began >= 0.05
    assert [gave_up.attempts for gave_up in chat.gave_up] == [2]


def test_without_any_time_the_first_attempt_is_the_last(chats):
    chat = chats(Handling(give_up_after=0.0))
    chat.typing_started.connect(Receiver(REFUSED))
    chat.put(1)
    chat.idle()
    assert [gave_up.attempts for gave_up in chat.gave_up] == [1]


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_what_is_no_exception_is_never_transient(chats, error):
    chat = chats(Handling(delay=0.001, transient=lambda error: True))
    receiver = chat.typing_started.connect(Receiver(error))
    chat.put(1)
    chat.idle()
    assert receiver.calls == [1]
    assert [gave_up.error for gave_up in chat.gave_up] == [error]


def test_the_application_says_what_is_transient(chats, caplog):
    asked = []

    def transient(error):
        asked.append(error)
        if isinstance(error, KeyError):
            raise TypeError("of transient")
        return isinstance(error, ValueError)

    chat = chats(Handling(delay=0.001, transient=transient))
    errors = [ValueError(), KeyError()]
    receiver = chat.typing_started.connect(Receiver(*errors))
    chat.put(1)
    chat.idle()
    assert asked == errors
    assert receiver.calls == [1, 1]
    assert [gave_up.attempts for gave_up in chat.gave_up] == [2]
    assert "transient() of a Handling raised" in caplog.text


def test_a_transient_that_exits_is_an_error_like_others(chats):
    def transient(error):
        raise SystemExit

    chat = chats(Handling(transient=transient))
    receiver, other = Receiver(ValueError()), Receiver()
    chat.typing_started.connect(receiver)
    chat.typing_started.connect(other)
    chat.put(1)
    chat.idle()
    assert (receiver.calls, other.calls, len(chat.gave_up)) == ([1], [1], 1)


def test_an_error_that_says_when_is_waited_for(chats):
    chat = chats(Handling(delay=0.001, give_up_after=10.0))
    error = RateLimitError("slow", method="GET", url="u", status=429, retry_after=20.0)
    chat.typing_started.connect(Receiver(error))
    chat.put(1)
    wait_until(lambda: chat.gave_up)


@pytest.mark.parametrize("passing", [OSError, (KeyError, ConnectionError)], ids=repr)
def test_a_class_of_exceptions_or_several_say_what_is_transient(chats, passing):
    chat = chats(Handling(delay=0.001, transient=passing))
    receiver = chat.typing_started.connect(Receiver(REFUSED, ValueError("wrong")))
    chat.put(1)
    chat.idle()
    assert receiver.calls == [1, 1]
    [gave_up] = chat.gave_up
    assert str(gave_up.error) == "wrong"


@pytest.mark.parametrize(
    "wrong", [bool, (OSError, bool), KeyboardInterrupt, (OSError, REFUSED), ("OSError",), 5]
)
def test_what_is_no_class_of_exceptions_is_refused_as_transient(wrong):
    with pytest.raises(ArgumentTypeError, match="transient must be"):
        Handling(transient=wrong)


class Unprintable(Exception):
    """An error of which no text can be made."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__

    @property
    def retry_after(self):
        raise RuntimeError("no number")


def test_an_error_of_which_no_text_can_be_made_is_one_like_others(chats, caplog):
    chat = chats(Handling(delay=0.001, transient=lambda error: isinstance(error, Unprintable)))
    receiver = chat.typing_started.connect(Receiver(Unprintable(), ValueError("wrong")))
    chat.put(1)
    chat.idle()
    assert receiver.calls == [1, 1]
    assert [type(failure.error) for failure in chat.failures] == [Unprintable, ValueError]
    assert len(chat.gave_up) == 1
    assert "<Unprintable, whose repr() raised RuntimeError>" in caplog.text
    assert "a dispatcher task raised" not in caplog.text


@pytest.mark.parametrize(
    ("signal", "receiver", "is_connected"),
    [
        ("typing_started", "bot", True),
        ("typing_started", "other", False),
        ("typing_stopped", "bot", False),
        ("around", "bot", False),
        ("no such name", "bot", False),
    ],
)
def test_a_receiver_is_found_by_the_names_in_a_file(chat, signal, receiver, is_connected):
    chat.typing_started.connect(Receiver(), key="bot")
    assert chat.receivers.is_connected(signal, receiver) is is_connected


def test_receivers_of_signals_about_failures_never_run_again(chat):
    for signal in (chat.callback_failed, chat.receiver_gave_up):
        calls = Receiver(*[NotConnectedError("x")] * 5)
        signal.connect(lambda chat, event, calls=calls: calls(chat, event.event), key="last")
    chat.typing_started.connect(Receiver(ValueError()))
    chat.put(1)
    chat.idle()
    assert len(chat.failures) == len(chat.gave_up) == 1


def test_one_that_is_disconnected_while_it_waits_runs_no_more(chat):
    receiver = chat.typing_started.connect(Receiver(ChatTimeoutError("x"), REFUSED))
    chat.callback_failed.connect(lambda _, failure: chat.typing_started.disconnect(receiver))
    chat.put(1)
    chat.idle()
    assert receiver.calls == [1]
    assert chat.gave_up == []


def test_one_that_waits_runs_although_another_of_its_name_is_disconnected(chats):
    chat = chats()

    def named(*errors):
        calls = Receiver(*errors)

        def receiver(sender, event):
            if errors and not calls.calls:
                sender.typing_started.disconnect(other)
            calls(sender, event)

        return receiver, calls

    other, others = named()
    waiting, calls = named(REFUSED)
    chat.typing_started.connect(other)
    chat.typing_started.connect(waiting)
    chat.put(1)
    chat.idle()
    assert (others.calls, calls.calls) == ([1], [1, 1])


def test_one_that_is_connected_meanwhile_gets_the_later_events_alone(chat):
    chat.typing_started.connect(Receiver(REFUSED))
    late = Receiver()
    chat.callback_failed.connect(lambda _, failure: chat.typing_started.connect(late))
    chat.put(1)
    chat.idle()
    chat.put(2)
    chat.idle()
    assert late.calls == [2]


def test_a_failure_that_is_told_inside_a_receiver_leaves_its_answers_alone(chat):
    """As of a done-callback that is called at once, because the outcome is known."""
    running, seen = chat.receivers._durability.running, []

    @chat.typing_started.connect
    def receiver(one, event):
        for _ in range(2):
            answers = running.answers_of("store")
            seen.append((running.receiver, answers.next_id("peer")))
            failure = CallbackFailure(receiver="r", signal="s", event=event, error=ValueError())
            chat.receivers.report(failure)

    chat.put(1)
    chat.idle()
    assert seen[0] == seen[1]
    assert len(chat.failures) == 2


# --- where and key -----------------------------------------------------------------------------------


def test_a_receiver_gets_only_the_events_that_it_wants(chat):
    receiver = chat.typing_started.connect(
        Receiver(REFUSED), where=lambda event: event.user_id == 2
    )
    for user_id in (1, 2, 3):
        chat.put(user_id)
    chat.idle()
    assert receiver.calls == [2, 2]


def test_a_where_that_raises_is_the_receivers_failure(chat):
    chat.typing_started.connect(receiver := Receiver(), where=lambda event: 1 / 0, key="picky")
    chat.put(1)
    chat.idle()
    assert receiver.calls == []
    assert [(one.receiver, type(one.error)) for one in chat.failures] == [
        ("picky", ZeroDivisionError)
    ]
    assert [one.receiver for one in chat.gave_up] == ["picky"]


def test_a_where_that_fails_for_the_moment_is_asked_again(chat):
    errors = [REFUSED]

    def where(event):
        if errors:
            raise errors.pop()
        return True

    receiver = chat.typing_started.connect(Receiver(), where=where)
    chat.put(1)
    chat.idle()
    assert receiver.calls == [1]


# --- around ------------------------------------------------------------------------------------------


def test_managers_nest_and_are_entered_anew_for_each_attempt(chat):
    told = []

    def named(name):
        @contextmanager
        def manager(chat, signal, event, receiver):
            told.append((name, signal, event.user_id, receiver, threading.current_thread().name))
            try:
                yield
            except ConnectionRefusedError:
                told.append(f"{name} saw it")
                raise
            told.append(f"{name} left")

        return manager

    assert chat.around(outer := named("outer")) is outer
    chat.around(named("inner"))
    chat.typing_started.connect(Receiver(REFUSED), key="bot")
    chat.put(1)
    chat.idle()
    attempt = [
        (name, "typing_started", 1, "bot", "connectycube-dispatcher-1")
        for name in ("outer", "inner")
    ]
    told = [each for each in told if "callback_failed" not in each]
    assert told == [*attempt, "inner saw it", "outer saw it", *attempt, "inner left", "outer left"]


def test_an_error_of_entering_is_the_receivers_and_may_pass(chat):
    errors = [REFUSED]

    @chat.around
    @contextmanager
    def connected(chat, signal, event, receiver):
        if signal == "typing_started" and errors:
            raise errors.pop()
        yield

    receiver = chat.typing_started.connect(Receiver())
    chat.put(1)
    chat.idle()
    assert [failure.error for failure in chat.failures] == [REFUSED]
    assert receiver.calls == [1]


def test_a_manager_that_swallows_the_error_makes_the_event_handled(chat):
    @chat.around
    @contextmanager
    def swallow(chat, signal, event, receiver):
        try:
            yield
        except ConnectionRefusedError:
            pass

    receiver = chat.typing_started.connect(Receiver(REFUSED))
    chat.put(1)
    chat.idle()
    assert receiver.calls == [1]
    assert chat.failures == chat.gave_up == []


def test_managers_stand_around_done_callbacks_without_a_signal(chat):
    told = []

    @chat.around
    @contextmanager
    def manager(chat, signal, event, receiver):
        told.append((signal, event, receiver))
        yield

    chat.receivers.call_back(plain, "handle")
    assert told == [(None, "handle", f"{__name__}.plain")]


def plain(handle):
    """A done-callback."""


# --- the end of the workers --------------------------------------------------------------------------


def test_the_end_does_not_wait_for_a_repetition_which_goes_on_later(chat):
    receiver = chat.typing_started.connect(Receiver(REFUSED))
    chat.callback_failed.connect(lambda _, failure: chat.dispatcher.stop())
    chat.put(1)
    wait_until(lambda: chat.failures)
    assert chat.dispatcher.join(Deadline(TIMEOUT))
    assert receiver.calls == [1]
    assert chat.dispatcher.queued == 1
    chat.dispatcher.start()
    chat.idle()
    assert receiver.calls == [1, 1]


def test_what_is_kept_elsewhere_is_left_there_and_the_rest_goes_on(chats):
    chat, left = chats(NEVER), []
    dispatcher = chat.dispatcher
    failing = chat.typing_started.connect(Receiver(REFUSED))

    def put(user_id, *, kept):
        delivery = Delivery(signal="typing_started", event=Typing(user_id=user_id))
        leave = (lambda: left.append(user_id)) if kept else None
        dispatcher.put(Task(lambda: chat.receivers.handle(delivery), "a", leave=leave))

    put(1, kept=True)
    put(2, kept=False)
    put(3, kept=True)
    wait_until(lambda: chat.failures)
    dispatcher.stop()
    assert dispatcher.join(Deadline(TIMEOUT))
    assert left == [1, 3]
    assert failing.calls == [1, 2]
    assert dispatcher.queued == 0


def test_one_that_fails_behind_the_end_is_left_at_once(chats):
    chat, left, gate = chats(NEVER), [], Gate()
    chat.typing_started.connect(gate)
    chat.typing_started.connect(Receiver(REFUSED))
    delivery = Delivery(signal="typing_started", event=Typing(user_id=1))
    task = Task(lambda: chat.receivers.handle(delivery), "a", leave=lambda: left.append(1))
    chat.dispatcher.put(task)
    gate.wait_until_entered()
    chat.dispatcher.stop()
    gate.open()
    assert chat.dispatcher.join(Deadline(TIMEOUT))
    assert left == [1]
