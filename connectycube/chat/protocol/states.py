"""The states of a chat connection as one table. (Guide: Connect to chat.)"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...models.events import ChatState, StateChange

__all__ = ["CLOSED_STATES", "READY_STATES", "TRANSITIONS", "StateMachine"]

_S = ChatState

TRANSITIONS: Mapping[ChatState, frozenset[ChatState]] = {
    _S.IDLE: frozenset({_S.CONNECTING}),
    _S.CONNECTING: frozenset(
        {_S.AUTHENTICATED, _S.AUTHENTICATION_FAILURE, _S.FORCE_CLOSED, _S.CLOSING}
    ),
    _S.AUTHENTICATED: frozenset({_S.READY, _S.RESUMED, _S.FORCE_CLOSED, _S.CLOSING}),
    _S.AUTHENTICATION_FAILURE: frozenset({_S.CLOSED}),
    _S.READY: frozenset({_S.FORCE_CLOSED, _S.CLOSING}),
    _S.RESUMED: frozenset({_S.FORCE_CLOSED, _S.CLOSING}),
    _S.FORCE_CLOSED: frozenset({_S.RECONNECTING, _S.CLOSED, _S.CLOSING}),
    _S.RECONNECTING: frozenset(
        {_S.AUTHENTICATED, _S.AUTHENTICATION_FAILURE, _S.FORCE_CLOSED, _S.CLOSING}
    ),
    _S.CLOSING: frozenset({_S.CLOSED}),
    _S.CLOSED: frozenset({_S.CONNECTING, _S.RECONNECTING, _S.IDLE}),
}
"""The states that may follow each state. The table in the documentation is made from this one."""

READY_STATES = (_S.READY, _S.RESUMED)
"""The states in which messages flow. Made once: to look up a member of an Enum takes a call."""

CLOSED_STATES = (_S.IDLE, _S.CLOSED)
"""The states without a connection, and without an attempt to make one."""


class StateMachine:
    """The current state; ``changed(change)`` is called at every transition."""

    def __init__(
        self, changed: Callable[[StateChange], None], state: ChatState = ChatState.IDLE
    ) -> None:
        self.state: ChatState = state
        self._changed = changed

    def go(self, state: ChatState, reason: Exception | None = None) -> None:
        """Enter ``state``; AssertionError if it may not follow, which is a defect of the caller."""
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"{self.state.name} cannot become {state.name}")
        previous, self.state = self.state, state
        self._changed(StateChange(state=state, previous=previous, reason=reason))
