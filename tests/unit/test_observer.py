import functools
import inspect
import logging
import threading

import pytest
from attrs import define

from connectycube import Config, Observer, RequestRecord
from connectycube.errors import ArgumentTypeError
from connectycube.observer import call_observer, check_observer
from tests.support.observing import METHODS, Recorder, raising

PARAMETERS = {
    name: [*inspect.signature(getattr(Observer, name)).parameters][1:] for name in METHODS
}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_does_nothing_by_itself(method):
    assert getattr(Observer(), method)(*PARAMETERS[method]) is None


@pytest.mark.parametrize("method", METHODS)
def test_each_method_says_its_thread_and_arguments(method):
    documented = getattr(Observer, method).__doc__
    assert "Thread: " in documented
    assert all(f" {parameter}: " in documented for parameter in PARAMETERS[method])


@pytest.mark.parametrize("method", METHODS)
def test_a_method_gets_what_it_was_called_with(method):
    observer = Recorder()
    call_observer(observer, method, *PARAMETERS[method])
    (call,) = observer.calls
    assert (call.method, list(call.arguments)) == (method, PARAMETERS[method])


@pytest.mark.parametrize("error", [ValueError, SystemExit, GeneratorExit])
def test_the_first_error_of_each_method_is_logged(caplog, error):
    observer = raising(error)
    for _ in range(3):
        for method in METHODS:
            call_observer(observer, method, *PARAMETERS[method])
    assert observer.called == set(METHODS)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * len(METHODS)
    assert all(
        name in record.getMessage() for name, record in zip(METHODS, caplog.records, strict=True)
    )
    assert all(record.exc_info[0] is error for record in caplog.records)


def test_an_error_is_logged_once_whichever_threads_meet_it(caplog):
    observer = raising(ValueError)
    calls = functools.partial(call_observer, observer, "state_changed", None, None)
    threads = [threading.Thread(target=lambda: [calls() for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(caplog.records) == 1


def test_each_observer_is_logged_for_itself(caplog):
    for observer in (raising(ValueError), raising(ValueError)):
        call_observer(observer, "state_changed", None, None)
    assert len(caplog.records) == 2


def test_a_log_filter_that_raises_breaks_nothing():
    def log_filter(record):
        raise RuntimeError("of the filter")

    logger = logging.getLogger("connectycube")
    logger.addFilter(log_filter)
    try:
        call_observer(raising(ValueError), "state_changed", None, None)
    finally:
        logger.removeFilter(log_filter)


def test_ctrl_c_is_passed_on_to_the_program():
    with pytest.raises(KeyboardInterrupt):
        call_observer(raising(KeyboardInterrupt), "state_changed", None, None)


def test_a_keyboard_interrupt_ends_no_other_thread(caplog):
    passed = []

    def run():
        call_observer(raising(KeyboardInterrupt), "state_changed", None, None)
        passed.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert passed and len(caplog.records) == 1


@define
class Metrics(Observer):
    """An observer that cannot be hashed."""

    requests: int = 0

    def request_finished(self, record):
        self.requests += 1
        raise ValueError


def test_an_observer_may_be_a_class_of_attrs(caplog):
    observer = Metrics()
    for _ in range(2):
        call_observer(observer, "request_finished", None)
    assert observer.requests == 2 and len(caplog.records) == 1


@pytest.mark.parametrize("value", [5, Observer, print, object()])
def test_what_is_no_observer_is_refused(value):
    with pytest.raises(ArgumentTypeError, match=r"^observer must be .* Observer"):
        Config(app_id=1, auth_key="k", observer=value)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_would_not_run_is_refused(method):
    async def never_run(self, *arguments):
        """A call makes a coroutine."""

    observer = type("Asynchronous", (Observer,), {method: never_run})()
    with pytest.raises(ArgumentTypeError, match=f"^observer.{method} "):
        check_observer(observer)


def test_a_method_with_other_parameters_is_refused():
    class Wrong(Observer):
        def message_settled(self, chat, handle):
            """The error is missing."""

    with pytest.raises(ArgumentTypeError, match=r"^observer.message_settled .*chat, handle, error"):
        Config(app_id=1, auth_key="k", observer=Wrong())


def test_a_record_is_frozen():
    record = RequestRecord(method="GET", url="https://x", seconds=1.0)
    with pytest.raises(AttributeError):
        record.method = "POST"
