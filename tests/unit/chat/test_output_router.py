from __future__ import annotations

import pytest

from connectycube.chat.dispatcher import Dispatcher
from connectycube.chat.output_router import OutputRouter
from connectycube.config import Limits


@pytest.fixture
def dispatcher():
    return Dispatcher("test", 1, Limits(), lambda: None)


@pytest.fixture
def router(dispatcher):
    return OutputRouter(dispatcher, None, None, None, None, 5.0, None, None, None, None)


def test_an_overflow_names_the_receiver_that_runs(router, dispatcher):
    dispatcher.receiver_began("bot.slow", "typing_started")
    dispatcher.receiver_ended(None)
    dispatcher.receiver_began("bot.runs", "typing_started")
    error = router.overflow_error()
    assert error.receiver == "bot.runs"
    assert "(now running: bot.runs)" in str(error)


def test_an_overflow_while_no_receiver_runs_names_the_slowest_of_late(router, dispatcher):
    dispatcher.receiver_began("bot.slow", "typing_started")
    dispatcher.receiver_ended(None)
    error = router.overflow_error()
    assert error.receiver == "bot.slow"
    assert "(none runs now; slowest of late: bot.slow)" in str(error)


def test_an_overflow_without_any_receiver_says_so(router):
    error = router.overflow_error()
    assert error.receiver is None
    assert "none" in str(error)
