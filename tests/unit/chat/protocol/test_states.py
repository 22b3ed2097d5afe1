from __future__ import annotations

import pytest

from connectycube.chat.protocol.states import READY_STATES, TRANSITIONS, StateMachine
from connectycube.models import ChatState, StateChange

_S = ChatState
PAIRS = [(one, other) for one in _S for other in _S]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda state: state.value)
def test_only_the_transitions_of_the_table_happen_and_each_is_told(
    one: ChatState, other: ChatState
) -> None:
    told: list[StateChange] = []
    machine = StateMachine(told.append, one)
    reason = ValueError("because")
    if other in TRANSITIONS[one]:
        machine.go(other, reason)
        assert machine.state is other
        assert told == [StateChange(state=other, previous=one, reason=reason)]
    else:
        with pytest.raises(AssertionError, match=f"{one.name} cannot become {other.name}"):
            machine.go(other)
        assert machine.state is one and not told


def test_every_state_has_a_row_and_can_be_reached_from_idle() -> None:
    assert set(TRANSITIONS) == set(ChatState)
    reached, found = set[ChatState](), {ChatState.IDLE}
    while found:
        reached |= found
        found = {after for state in found for after in TRANSITIONS[state]} - reached
    assert reached == set(ChatState)


def test_no_state_is_a_trap_and_all_can_end_closed() -> None:
    for state in ChatState:
        reached = {state}
        while ChatState.CLOSED not in reached:
            wider = reached | {after for one in reached for after in TRANSITIONS[one]}
            assert wider != reached, f"{state} never ends"
            reached = wider


def test_a_connection_may_be_cut_or_closed_at_each_step() -> None:
    steps = (_S.CONNECTING, _S.AUTHENTICATED, _S.READY, _S.RESUMED, _S.RECONNECTING)
    for state in steps:
        assert TRANSITIONS[state] >= {_S.FORCE_CLOSED, _S.CLOSING}


def test_a_reconnection_goes_on_as_a_first_one() -> None:
    outcomes = {_S.AUTHENTICATED, _S.AUTHENTICATION_FAILURE}
    assert TRANSITIONS[_S.CONNECTING] == TRANSITIONS[_S.RECONNECTING] > outcomes


def test_an_authenticated_session_becomes_a_new_or_a_resumed_one() -> None:
    assert TRANSITIONS[_S.AUTHENTICATED] > {_S.READY, _S.RESUMED}


def test_a_cut_connection_reconnects_or_ends() -> None:
    assert TRANSITIONS[_S.FORCE_CLOSED] == {_S.RECONNECTING, _S.CLOSING, _S.CLOSED}


def test_a_closed_connection_can_begin_again() -> None:
    assert TRANSITIONS[_S.CLOSED] == {_S.CONNECTING, _S.RECONNECTING, _S.IDLE}


def test_messages_flow_in_ready_and_resumed() -> None:
    assert sorted(state.value for state in READY_STATES) == ["ready", "resumed"]
