"""What the exit of the interpreter does with connections; test_processes.py has real interpreters exit."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube import ChatState, NotConnectedError, Timeouts
from connectycube.chat import shutdown as ending
from tests.support.inside import driver_of
from tests.support.waiting import TIMEOUT, Gate
from tests.wire.chat.test_ending import STATES

S = ChatState


@pytest.fixture
def exits(monkeypatch):
    """Let the interpreter exit, as far as these chats can see; what has begun ends with the test."""

    def do(*chats):
        monkeypatch.setattr(ending, "_connections", [driver_of(chat) for chat in chats])
        monkeypatch.setattr(ending, "_begun", False)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(ending._at_exit).result(TIMEOUT)

    return do


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_a_connection_is_ended_in_every_state(state, person, proxy, stack, certificates, exits):
    chat = STATES[state](person, proxy, stack, certificates)
    exits(chat)
    assert chat.state is (S.IDLE if state is S.IDLE else S.CLOSED)


def test_the_shortest_exit_time_bounds_all_and_stuck_receivers_share_it(
    person, bob, stack, exits, caplog
):
    people = [person(timeouts=Timeouts(exit=seconds)) for seconds in (60.0, 0.3, 60.0)]
    bob.login()
    blockers = [stack.enter_context(Gate()) for _ in people]
    for one, stuck in zip(people, blockers, strict=True):
        one.chat.message_received.connect(stuck)
        one.login()
        bob.chat.send_private(one.id, "hello")
        stuck.wait_until_entered()
    with caplog.at_level(logging.WARNING, "connectycube.chat"):
        exits(*(one.chat for one in people))
    assert all(one.chat.state is S.CLOSED for one in people)
    assert caplog.text.count("abandoned: 1 running receiver") == len(people)
    for stuck in blockers:
        stuck.open()


def test_a_stuck_receiver_does_not_take_the_time_of_the_other_connections(
    emulator, person, bob, stack, exits
):
    stuck = stack.enter_context(Gate())
    first, second = (person(timeouts=Timeouts(exit=0.5)) for _ in range(2))
    first.chat.message_received.connect(stuck)
    for one in (first, second, bob):
        one.login()
    bob.chat.send_private(first.id, "hello")
    stuck.wait_until_entered()
    handle = second.chat.send_private(bob.id, "the last word")
    exits(first.chat, second.chat)
    assert handle.result(0).body == "the last word"
    assert emulator.sessions(second.id) == [], "its stream was ended, not cut"
    stuck.open()


def test_a_connection_that_was_ended_in_good_order_is_not_mentioned(alice, exits, caplog):
    alice.login()
    alice.chat.logout()
    exits(alice.chat)
    assert "abandoned" not in caplog.text


def test_when_the_exit_has_begun_nobody_logs_in_or_again(alice, exits):
    alice.login()
    exits(alice.chat)
    for call in (alice.login, alice.chat.relogin):
        with pytest.raises(NotConnectedError, match="the interpreter exits"):
            call()
    assert alice.chat.state is S.CLOSED


def test_a_callback_is_cut_off_only_by_what_the_exit_does(monkeypatch):
    error = NotConnectedError("logged out")
    assert not ending.caused_by_exit(error)
    monkeypatch.setattr(ending, "_begun", True)
    assert ending.caused_by_exit(error)
    assert not ending.caused_by_exit(ValueError("its own"))
