"""ResumePolicy that come to nothing: when the next session must be a new one. (XEP-0198.)

Some servers close without a word when they dislike our count, others resume a session and are deaf in it.
So may a network that is cut again and again; after a few the next session is a new one.
"""

from __future__ import annotations

from ...errors import LivenessError, QueueOverflowError, StreamError
from ...models import ChatState
from .session import Session

__all__ = ["ResumePolicy"]

# A session that is deaf weighs more than one that the server would not resume, and both more than a link
# that may just have been cut again.
_TOO_MUCH = 8
_DEAF, _REFUSED, _CUT = 4, 2, 1
_ATTEMPTED = frozenset({ChatState.AUTHENTICATED, ChatState.RESUMED})


class ResumePolicy:
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
            return False
        if session.resumable is None or state not in _ATTEMPTED:
            return False
        if isinstance(error, QueueOverflowError):
            return False  # we ended it, for the receivers' sake
        # A server that is still busy with what it had for us may just be slow.
        is_silent = isinstance(error, LivenessError) and not session.liveness.has_heard
        is_deaf = session.flowing and (is_silent or isinstance(error, StreamError))
        self._failed += _DEAF if is_deaf else _CUT if session.flowing else _REFUSED
        if self._failed >= _TOO_MUCH:
            session.cannot_resume()
        return is_deaf
