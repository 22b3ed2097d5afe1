import functools
import logging
import re
import threading
from types import SimpleNamespace

import pytest

from connectycube import Config, Timeouts
from connectycube._deadline import Deadline
from connectycube.chat.answers import Running
from connectycube.chat.chat_signals import ChatSignals
from connectycube.chat.dispatcher import Dispatcher, Task
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.receivers import Receivers
from connectycube.config import Limits
from connectycube.models import CallbackFailure, Typing
from tests.support.waiting import TIMEOUT

EVENT = Typing(user_id=5)

TALLY = SimpleNamespace(gave_up=lambda: None)  # what receivers need of it


class Durability:
    """What receivers need of it."""

    def __init__(self):
        self.running = Running()


class Chat(ChatSignals):
    """The sender, with a dispatcher and what calls its receivers."""

    def __init__(self, dispatcher):
        super().__init__()
        self.dispatcher = dispatcher
        self.is_open = True
        self.slow = TIMEOUT

    def show(self, delivery):
        """No stream is open."""

    def call(self, signal=None, event=EVENT):
        config = Config(app_id=1, auth_key="k", timeouts=Timeouts(slow_callback=self.slow))
        receivers = Receivers(self, config)
        receivers.attach(self, self.dispatcher, Durability(), TALLY)
        signal = signal or self.typing_started
        return receivers.handle(Delivery(signal=signal.name, event=event))

    def call_on_worker(self):
        """Queue the call and return an event that comes when the worker does its next task."""
        after = threading.Event()
        assert self.dispatcher.put(Task(self.call))
        assert self.dispatcher.put(Task(after.set))
        return after


@pytest.fixture
def chat():
    dispatcher = Dispatcher("test", 1, Limits(), lambda: None)
    dispatcher.start()
    yield Chat(dispatcher)
    dispatcher.stop()
    assert dispatcher.join(Deadline(TIMEOUT))


def fail(chat, event):
    raise ValueError("of the receiver")


def failing_with(error):
    def receiver(chat, event):
        raise error

    return receiver


def test_each_receiver_gets_the_chat_and_the_same_event_in_order(chat):
    called = []
    for number in range(5):
        chat.typing_started.connect(lambda *given, number=number: called.append((number, *given)))
    chat.call()
    assert [number for number, _, _ in called] == list(range(5))
    assert all(sender is chat and event is EVENT for _, sender, event in called)


def test_without_receivers_nothing_happens(chat):
    chat.call()


def test_a_muted_signal_calls_nobody(chat):
    called = []
    chat.typing_started.connect(lambda chat, event: called.append(event))
    with chat.typing_started.muted():
        chat.call()
    assert called == []
    chat.call()
    assert called == [EVENT]


def test_a_receiver_that_raises_is_logged_with_its_name_and_the_others_run(chat, caplog):
    called = []
    chat.typing_started.connect(lambda chat, event: called.append("before"))
    chat.typing_started.connect(functools.partial(fail))
    chat.typing_started.connect(lambda chat, event: called.append("after"))
    chat.call()
    assert called == ["before", "after"]
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == f"receiver {__name__}.fail of typing_started raised"
    assert "ValueError: of the receiver" in caplog.text


def test_a_receiver_that_raises_is_reported_to_callback_failed(chat):
    failures = []
    error = ValueError("of the receiver")
    receiver = failing_with(error)
    chat.typing_started.connect(receiver)
    chat.callback_failed.connect(lambda sender, failure: failures.append((sender, failure)))
    chat.call()
    assert failures == [
        (
            chat,
            CallbackFailure(
                receiver=f"{__name__}.{receiver.__qualname__}",
                signal="typing_started",
                event=EVENT,
                error=error,
            ),
        )
    ]
    assert failures[0][1].error is error


def test_each_failure_is_reported_before_the_next_receiver_is_called(chat):
    order = []
    chat.typing_started.connect(fail)
    chat.typing_started.connect(lambda chat, event: order.append("second receiver"))
    chat.typing_started.connect(failing_with(ValueError("of the third")))
    chat.callback_failed.connect(lambda chat, failure: order.append("report"))
    chat.call()
    assert order == ["report", "second receiver", "report"]


def test_a_failure_in_callback_failed_is_only_logged(chat, caplog):
    failures = []
    chat.typing_started.connect(fail)
    chat.callback_failed.connect(failing_with(RuntimeError("of the reporter")))
    chat.callback_failed.connect(lambda chat, failure: failures.append(failure))
    chat.call()
    assert [str(failure.error) for failure in failures] == ["of the receiver"]
    assert [record.getMessage().rpartition(" of ")[2] for record in caplog.records] == [
        "typing_started raised",
        "callback_failed raised",
    ]


def test_a_failing_callback_failed_receiver_is_logged_once_not_recalled(chat, caplog):
    calls = []

    def receiver(chat, failure):
        calls.append(failure)
        raise ValueError("of the reporter")

    chat.callback_failed.connect(receiver)
    chat.call(chat.callback_failed, "a failure")
    assert calls == ["a failure"]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "error",
    [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), BaseException("of no kind")],
    ids=lambda error: type(error).__name__,
)
def test_nothing_that_a_receiver_raises_ends_the_worker(chat, caplog, error):
    seen = []
    chat.typing_started.connect(failing_with(error))
    chat.typing_started.connect(lambda chat, event: seen.append(threading.get_ident()))
    chat.callback_failed.connect(lambda chat, failure: seen.append(failure.error))
    assert chat.call_on_worker().wait(TIMEOUT)
    assert chat.call_on_worker().wait(TIMEOUT)
    worker = seen[1]
    assert seen == [error, worker, error, worker]
    assert type(error).__name__ in caplog.text


def test_a_slow_receiver_is_named_in_a_warning(chat, caplog):
    moved_on = threading.Event()
    chat.slow = 0.01
    chat.typing_started.connect(lambda chat, event: moved_on.wait(0.02))
    chat.typing_started.connect(Bot())
    chat.call()
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"receiver {__name__}.test_a_slow_receiver")
    assert re.search(r" of typing_started took \d+\.\d seconds$", record.getMessage())


def test_a_slow_receiver_that_raises_is_named_in_both(chat, caplog):
    def receiver(chat, event):
        threading.Event().wait(0.02)
        raise ValueError("late")

    chat.slow = 0.01
    chat.typing_started.connect(receiver)
    chat.call()
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]


class Bot:
    def __call__(self, chat, event):
        """Quick."""


def test_the_dispatcher_knows_which_receiver_is_running_and_forgets_it(chat):
    running = []

    def note(chat, event):
        running.append(chat.dispatcher.slowest_receiver())

    chat.typing_started.connect(note)
    chat.typing_started.connect(fail)
    chat.callback_failed.connect(note)
    chat.call()
    name = f"{__name__}.{note.__qualname__}"
    assert running == [name, name]
    assert chat.dispatcher.slowest_receiver() is None


def test_receivers_may_connect_and_disconnect_during_the_call(chat):
    called = []

    def once(chat, event):
        called.append("once")
        chat.typing_started.disconnect(once)
        chat.typing_started.connect(lambda chat, event: called.append("new"))

    chat.typing_started.connect(once)
    chat.call()
    assert called == ["once"]
    chat.call()
    assert called == ["once", "new"]
