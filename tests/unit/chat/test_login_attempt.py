"""Threads wait for an attempt to log in, each for its own time, and get its outcome."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube import ChatState, LoginTimeoutError, NotConnectedError, StateChange
from connectycube.chat.login_attempt import LoginAttempt
from tests.support.waiting import TIMEOUT, wait_until


def change(state, reason=None):
    return StateChange(state=state, previous=ChatState.CONNECTING, reason=reason)


def test_a_ready_chat_wakes_all_threads():
    attempt = LoginAttempt()
    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(attempt.wait, TIMEOUT) for _ in range(3)]
        wait_until(lambda: len(attempt._gates) == 3)
        assert attempt.follow(change(ChatState.READY))
        assert [each.result(TIMEOUT) for each in waits] == [None] * 3
    attempt.check()
    attempt.wait(None)  # returns at once


def test_the_reason_of_the_end_is_raised():
    attempt, reason = LoginAttempt(), NotConnectedError("refused")
    assert not attempt.follow(change(ChatState.AUTHENTICATED))
    assert attempt.follow(change(ChatState.CLOSED, reason))
    attempt.fail(LoginTimeoutError("late"))
    with pytest.raises(NotConnectedError, match="refused"):
        attempt.check()


def test_a_thread_whose_time_is_up_leaves_nothing():
    attempt = LoginAttempt()
    attempt.wait(0)
    assert attempt._gates == []
    assert not attempt.is_over
