import gc
import logging
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager, nullcontext

import pytest

from connectycube.chat.send_handle import SendHandle
from connectycube.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    ChatTimeoutError,
    ConnectionLostError,
    ForkedError,
    OutcomeUnknownError,
)
from connectycube.models import CallbackFailure, Message
from tests.support.cutting import cut_at_each_call
from tests.support.waiting import TIMEOUT

MESSAGE = Message(id="m1", body="secret words")


@pytest.fixture
def handle():
    return SendHandle(MESSAGE.id, MESSAGE, TIMEOUT, nullcontext)


def settle(handle, error=None):
    """Settle as the connection does: set the outcome, then run the callbacks."""
    for callback in handle.settle(error):
        handle.run(callback)


def test_it_has_the_id_of_its_message(handle):
    assert handle.id == "m1"


def test_before_the_outcome_it_is_not_done_and_a_wait_changes_nothing(handle):
    assert not handle.done()
    for outcome_of in (handle.result, handle.exception):
        with pytest.raises(ChatTimeoutError, match="message m1 has not been acknowledged yet"):
            outcome_of(timeout=0)
        with pytest.raises(TimeoutError):
            outcome_of(0.001)
    assert not handle.done()
    settle(handle)
    assert handle.result(0) is handle.message


def test_without_a_time_out_the_default_holds():
    handle = SendHandle(MESSAGE.id, MESSAGE, 0.01, nullcontext)
    with pytest.raises(ChatTimeoutError):
        handle.result()
    with pytest.raises(ChatTimeoutError):
        handle.exception()


def test_a_sent_message_is_its_own_result(handle):
    settle(handle)
    assert handle.done()
    assert handle.result() is handle.message
    assert handle.exception() is None


def test_an_error_is_raised_by_result_and_returned_by_exception(handle):
    error = OutcomeUnknownError("nobody knows")
    settle(handle, error)
    assert handle.done()
    assert handle.exception() is error
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError) as caught:
            handle.result()
        assert caught.value is error


def test_the_first_outcome_stands(handle):
    assert handle.settle(None) == ()
    assert handle.settle(ConnectionLostError("too late")) == ()
    assert handle.exception() is None


def test_the_link_counts_as_needed_during_a_wait_and_only_then():
    needs = []

    @contextmanager
    def holding_link():
        needs.append("needed")
        try:
            yield
        finally:
            needs.append("released")

    handle = SendHandle(MESSAGE.id, MESSAGE, TIMEOUT, holding_link)
    assert needs == []
    with pytest.raises(ChatTimeoutError):
        handle.result(0)
    assert needs == ["needed", "released"]
    with pytest.raises(ArgumentValueError):
        handle.result(-1)
    settle(handle)
    handle.result()
    handle.exception()
    assert needs == ["needed", "released"]


def test_every_waiting_thread_gets_the_outcome(handle):
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(handle.result, TIMEOUT) for _ in range(3)]
        waiting += [pool.submit(handle.result) for _ in range(3)]
        settle(handle)
        assert [future.result(TIMEOUT) for future in waiting] == [handle.message] * 6


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(-1, ArgumentValueError), ("1", ArgumentTypeError), (float("inf"), ArgumentValueError)],
)
def test_a_wrong_time_out_is_refused_by_name(handle, timeout, error):
    for outcome_of in (handle.result, handle.exception):
        with pytest.raises(error, match="timeout"):
            outcome_of(timeout)


def test_a_huge_time_out_can_be_waited_for(handle):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(handle.result, 1e300)
        settle(handle)
        assert waiting.result(TIMEOUT) is handle.message


@pytest.mark.parametrize("callback", [lambda: None, lambda handle, error: None])
def test_a_callback_that_cannot_take_the_handle_is_refused(handle, callback):
    with pytest.raises(ArgumentTypeError, match=r"cannot be called as callback\(handle\)"):
        handle.add_done_callback(callback)
    settle(handle)
    with pytest.raises(ArgumentTypeError, match=r"cannot be called as callback\(handle\)"):
        handle.add_done_callback(callback)


def test_callbacks_added_before_are_handed_over_once_in_their_order(handle):
    called = []
    for number in range(5):
        handle.add_done_callback(lambda handle, number=number: called.append((number, handle)))
    callbacks = handle.settle(None)
    assert called == []
    for callback in callbacks:
        handle.run(callback)
    assert called == [(number, handle) for number in range(5)]
    assert handle.settle(None) == ()


def test_a_callback_sees_the_outcome(handle):
    outcomes = []
    handle.add_done_callback(lambda handle: outcomes.append((handle.done(), handle.exception(0))))
    settle(handle, error := ConnectionLostError("gone"))
    assert outcomes == [(True, error)]


def test_a_callback_added_after_runs_at_once_in_the_same_thread(handle):
    settle(handle)
    called = []
    handle.add_done_callback(lambda handle: called.append((handle, threading.current_thread())))
    assert called == [(handle, threading.current_thread())]


def test_a_callback_added_twice_is_called_twice(handle):
    called = []
    handle.add_done_callback(called.append)
    handle.add_done_callback(called.append)
    settle(handle)
    assert called == [handle, handle]


def test_a_callback_may_add_another(handle):
    called = []
    handle.add_done_callback(lambda handle: handle.add_done_callback(called.append))
    settle(handle)
    assert called == [handle]


def test_a_callback_that_raises_is_logged_and_the_others_run(handle, caplog):
    called = []

    def fail(handle):
        raise ValueError("of the callback")

    handle.add_done_callback(fail)
    handle.add_done_callback(called.append)
    settle(handle)
    handle.add_done_callback(fail)
    assert called == [handle]
    assert [record.getMessage() for record in caplog.records] == [
        "a done-callback of message m1 raised"
    ] * 2
    assert all(record.levelno == logging.ERROR for record in caplog.records)
    assert "of the callback" in caplog.text


def test_a_callback_that_raises_is_reported_where_it_was_called():
    failures = []

    class Callbacks:
        def call_back(self, callback, handle):
            callback(handle)

        def report(self, failure):
            failures.append((threading.current_thread(), failure))

    def fail(handle):
        raise error

    handle = SendHandle(MESSAGE.id, MESSAGE, TIMEOUT, nullcontext, Callbacks())
    error = ValueError("of the callback")
    handle.add_done_callback(fail)
    settle(handle)
    handle.add_done_callback(fail)
    expected = CallbackFailure(
        receiver=f"{__name__}.{fail.__qualname__}",
        signal="add_done_callback",
        event=handle,
        error=error,
    )
    assert failures == [(threading.current_thread(), expected)] * 2


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_callback_cannot_end_a_worker_but_the_thread_that_added_it(handle, kind):
    def end(handle):
        raise kind

    handle.add_done_callback(end)
    settle(handle)
    with pytest.raises(kind):
        handle.add_done_callback(end)


async def coroutine_function(handle):
    """Never run."""


@pytest.mark.parametrize("callback", [None, "call me", coroutine_function])
@pytest.mark.parametrize("settled", [False, True])
def test_a_callback_that_cannot_run_is_refused_when_it_is_added(handle, callback, settled):
    if settled:
        settle(handle)
    with pytest.raises(ArgumentTypeError, match="callback"):
        handle.add_done_callback(callback)
    assert handle.settle(None) == ()


def test_a_settled_handle_keeps_no_callback(handle):
    class Bot:
        def callback(self, handle):
            """What an application holds in a callback."""

    bot = Bot()
    reference = weakref.ref(bot)
    handle.add_done_callback(bot.callback)
    settle(handle)
    del bot
    gc.collect()
    assert reference() is None


def test_it_can_be_waited_for_as_any_future(handle):
    failed, pending = (SendHandle(name, MESSAGE, TIMEOUT, nullcontext) for name in ("m2", "m3"))
    settle(handle)
    settle(failed, ConnectionLostError("gone"))
    done, not_done = wait([handle, failed, pending], 0)
    assert (done, not_done) == ({handle, failed}, {pending})
    assert set(as_completed([handle, failed], 0)) == {handle, failed}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, [pending], TIMEOUT)
        settle(pending)
        assert waiting.result(TIMEOUT).done == {pending}


def test_an_attribute_of_the_message_is_said_to_be_that_of_the_result(handle):
    with pytest.raises(
        AttributeError, match=r"no attribute 'body': result\(\) returns the message"
    ):
        _ = handle.body
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'$"):
        _ = handle.nothing


def test_it_cannot_be_cancelled(handle):
    assert handle.cancel() is False
    assert not handle.cancelled() and handle.running()
    settle(handle)
    assert handle.cancel() is False
    assert handle.result() is handle.message


def test_an_outcome_while_a_callback_is_added_does_not_lose_it(handle):
    called = []
    settling = threading.Thread(target=settle, args=(handle,))

    class Settling(tuple):
        """Has the outcome come just after the callback's adder has seen that there is none."""

        def __iter__(self):
            settling.start()
            settling.join(0.05)  # ends in time only if nothing holds it up
            return super().__iter__()

    handle._callbacks = Settling()
    handle.add_done_callback(called.append)
    settling.join()
    assert called == [handle]


@pytest.fixture
def impatient_threads():
    """Threads that take turns as often as the interpreter lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient_threads")
def test_whoever_adds_and_whoever_settles_each_callback_runs_exactly_once():
    with ThreadPoolExecutor(4) as pool:
        for round_number in range(150):
            handle = SendHandle(MESSAGE.id, MESSAGE, TIMEOUT, nullcontext)
            together = threading.Barrier(4)
            calls = [[] for _ in range(40)]
            errors = [None, ConnectionLostError(f"of round {round_number}")]

            def add(mine, handle=handle, together=together):
                together.wait(TIMEOUT)
                for call in mine:
                    handle.add_done_callback(lambda handle, call=call: call.append(handle.done()))

            def end(error, handle=handle, together=together):
                together.wait(TIMEOUT)
                settle(handle, error)

            futures = [pool.submit(add, calls[:20]), pool.submit(add, calls[20:])]
            futures += [pool.submit(end, error) for error in errors]
            for future in futures:
                future.result(TIMEOUT)
            assert calls == [[True]] * 40
            assert handle.exception(0) in errors


@pytest.mark.usefixtures("impatient_threads")
def test_whoever_waits_gets_an_outcome_that_comes_at_that_moment():
    with ThreadPoolExecutor(3) as pool:
        for _ in range(300):
            handle = SendHandle(MESSAGE.id, MESSAGE, TIMEOUT, nullcontext)
            together = threading.Barrier(3)

            def look(handle=handle, together=together):
                together.wait(TIMEOUT)
                return wait([handle], TIMEOUT).done

            def end(handle=handle, together=together):
                together.wait(TIMEOUT)
                settle(handle)

            waiting = [pool.submit(look), pool.submit(look)]
            pool.submit(end).result(TIMEOUT)
            assert [future.result(TIMEOUT) for future in waiting] == [{handle}] * 2


def test_without_a_wait_or_a_callback_it_makes_no_lock(handle):
    assert not handle.done()
    settle(handle)
    assert handle.done() and handle.result() is handle.message
    assert vars(handle) == {}
    assert handle._condition.acquire() and vars(handle), "and from then on it is a whole Future"
    handle._condition.release()


def test_attributes_of_an_application_stay_when_somebody_waits(handle):
    class Ticket(SendHandle):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.number = 5

    ticket = Ticket(MESSAGE.id, MESSAGE, TIMEOUT, nullcontext)
    handle.order = 4711
    for one in (handle, ticket):
        wait([one], 0)
    handle.note = "later"
    assert (handle.order, handle.note, ticket.number) == (4711, "later", 5)
    for one in (handle, ticket):
        one.settle_in_child(ForkedError("sent by the parent"))
    assert (handle.order, handle.note, ticket.number) == (4711, "later", 5)


@pytest.mark.parametrize("error", [None, ConnectionLostError("gone")])
def test_a_wait_interrupted_at_its_beginning_can_be_repeated(error):
    settled, pending, rounds = [], [], 0

    def wait_first():
        settled.append(SendHandle(MESSAGE.id, MESSAGE, TIMEOUT, nullcontext))
        pending.append(SendHandle(MESSAGE.id, MESSAGE, TIMEOUT, nullcontext))
        settle(settled[-1], error)
        wait([settled[-1], pending[-1]], 0)

    for _ in cut_at_each_call(
        wait_first, SendHandle.__getattr__, SendHandle._begin, SendHandle._finish
    ):
        rounds += 1
        settle(pending[-1], error)
        assert wait([settled[-1], pending[-1]], 0).not_done == set()
    assert rounds > 10


def test_it_shows_its_outcome_and_no_text_of_the_message(handle):
    assert repr(handle) == "<SendHandle m1 pending>"
    settle(handle)
    assert repr(handle) == "<SendHandle m1 sent>"
    failed = SendHandle(MESSAGE.id, MESSAGE, TIMEOUT, nullcontext)
    settle(failed, ConnectionLostError("secret words"))
    assert repr(failed) == "<SendHandle m1 ConnectionLostError>"


def test_a_pending_handle_fails_in_a_forked_child_without_its_callbacks(handle):
    called = []
    handle.add_done_callback(called.append)
    error = ForkedError("sent by the parent")
    handle.settle_in_child(error)
    assert handle.exception(0) is error
    assert handle.settle(None) == ()
    assert called == []


@pytest.mark.parametrize("error", [None, ConnectionLostError("before the fork")])
def test_in_a_forked_child_a_known_outcome_stays(handle, error):
    settle(handle, error)
    handle.settle_in_child(ForkedError("too late"))
    assert handle.done()
    assert handle.exception(0) is error
