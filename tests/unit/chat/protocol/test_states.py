from __future__ import annotations

import pytest

from connectycube.chat.protocol.states import READY_STATES, TRANSITIONS, StateMachine
from connectycube.models import ChatState, StateChange

PAIRS = [(one, other) for one in ChatState for other in ChatState]


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


def test_messages_flow_in_ready_and_resumed() -> None:
    assert sorted(state.value for state in READY_STATES) == ["ready", "resumed"]
