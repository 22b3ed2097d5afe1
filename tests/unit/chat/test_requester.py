"""Requests that wait for their answers: each wait ends once, and keeps the link open no longer."""

from __future__ import annotations

import pytest

from connectycube._deadline import Deadline
from connectycube.chat.protocol.iq import Answer
from connectycube.chat.requester import Requester
from connectycube.errors import ChatTimeoutError, StanzaError
from tests.support.waiting import TIMEOUT


class Mutex:
    """Counts how often it is taken; ``taken_again`` is called with it held, from the second time on."""

    def __init__(self):
        self.times, self.taken_again = 0, lambda: None

    def __enter__(self):
        self.times += 1
        if self.times > 1:
            self.taken_again()

    def __exit__(self, *_):
        pass


class Core:
    """A core that is ready, and its session."""

    is_ready = True

    def __init__(self):
        self.holders = 0
        self.session = self.ready_session = self

    def has_room(self, size):
        return True

    def hold_link(self, now):
        self.holders += 1

    def release_link(self):
        self.holders -= 1

    def forget_waiter(self, waiter):
        self.forgotten = waiter


class Driver:
    def __init__(self):
        self.core = Core()
        self.sent = lambda: None

    def check_usable(self):
        pass

    def check_may_wait(self):
        pass

    def after_command(self):
        self.sent()


class Scene:
    """One request; ``waiter`` is what its answer is put into."""

    def __init__(self):
        self.driver, self.mutex = Driver(), Mutex()
        self.waiter, self.cancelled = None, 0

    def ask(self, timeout=TIMEOUT):
        return Requester(self.driver, self.mutex).ask(self._start, Deadline(timeout))

    def answer(self, node=None, error=None):
        self.waiter.put(Answer(self.waiter, node, error))

    def _start(self, session, waiter):
        assert self.driver.core.holders == 1
        self.waiter = waiter
        return self._cancel

    def _cancel(self):
        self.cancelled += 1


@pytest.fixture
def scene():
    made = Scene()
    yield made
    assert made.driver.core.holders == 0


def test_a_caller_with_its_answer_needs_the_mutex_no_more(scene):
    scene.driver.sent = lambda: scene.answer("the node")
    assert scene.ask() == "the node"
    assert (scene.mutex.times, scene.cancelled) == (1, 0)


def test_the_error_of_an_answer_is_raised(scene):
    scene.driver.sent = lambda: scene.answer(error=StanzaError("no", condition="forbidden"))
    with pytest.raises(StanzaError, match="no"):
        scene.ask()


def test_a_request_without_an_answer_is_cancelled_at_its_deadline(scene):
    with pytest.raises(ChatTimeoutError, match="did not answer the request in time"):
        scene.ask(0.01)
    assert scene.cancelled == 1


def test_an_answer_between_the_deadline_and_the_mutex_counts(scene):
    scene.mutex.taken_again = lambda: scene.answer("just in time")
    assert scene.ask(0.01) == "just in time"


def test_a_wait_that_is_interrupted_cancels_its_request(scene, monkeypatch):
    def interrupt():
        monkeypatch.setattr(type(scene.waiter), "get", raise_interrupt)

    def raise_interrupt(waiter, seconds):
        if seconds:
            raise KeyboardInterrupt

    scene.driver.sent = interrupt
    with pytest.raises(KeyboardInterrupt):
        scene.ask()
    assert scene.cancelled == 1


def test_a_request_that_cannot_be_sent_holds_no_link(scene):
    def fail():
        raise StanzaError("too large", condition="policy-violation")

    scene.driver.sent = fail
    with pytest.raises(StanzaError, match="too large"):
        scene.ask()
    assert scene.driver.core.forgotten is scene.waiter
