"""Resumptions that come to nothing: when the next session must be a new one. (XEP-0198.)

Some servers close without a word when they dislike our count, others resume a session and are deaf in it.
So may a network that is cut again and again; after a few the next session is a new one.
"""

from __future__ import annotations

from ...errors import LivenessError, StreamError
from ...models import ChatState
from .session import Session

__all__ = ["Resumptions"]

_MOST_FAILED = 4
_DEAF = 2  # a session that is deaf weighs more than a link that may just have been cut again


class Resumptions:
    """Counts the links on which a session was, or was to be, resumed in vain."""

    def __init__(self) -> None:
        self._failed = 0

    def new_session(self) -> None:
        """Nothing is held against a new session."""
        self._failed = 0

    def link_ended(self, session: Session, state: ChatState, error: Exception) -> bool:
        """A link ends in that state; return whether what was resumed on it may be the cause."""
        if session.is_proven:
            self._failed = 0
        refused = state is ChatState.AUTHENTICATED and not session.flowing
        deaf = state is ChatState.RESUMED and isinstance(error, (LivenessError, StreamError))
        if session.resumable is None or session.is_proven or not (refused or deaf):
            return False
        self._failed += _DEAF if deaf else 1
        if self._failed >= _MOST_FAILED:
            session.cannot_resume()
        return deaf
