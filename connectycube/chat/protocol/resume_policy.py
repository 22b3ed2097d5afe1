"""When the next session must be a new one, because resuming has failed too often. (XEP-0198.)

Some servers close the link without an error when they do not accept our count. Others resume a session and
answer nothing in it.
"""

from __future__ import annotations

from ...errors import LivenessError, QueueOverflowError, StreamError, StreamProtocolError
from ...models import ChatState
from .session import Session

__all__ = ["ResumePolicy"]

# The weights of the failures. A server that resumes the session and then falls silent or ends the stream
# with an error weighs most: two such links are enough. A link that ends before the session is resumed
# weighs less, and a link that we end because of a stanza, or of an answer that is late, least. A link that
# the network cuts in the session has no weight: it says nothing about the session.
_TOO_MUCH = 8
_BROKEN, _NOT_RESUMED, _ENDED_BY_US = 4, 2, 1
_ATTEMPTED = frozenset({ChatState.AUTHENTICATED, ChatState.RESUMED})


class ResumePolicy:
    """Adds up the weights of the links on which it has failed to resume a session."""

    def __init__(self) -> None:
        self._failed = 0

    def new_session(self) -> None:
        """Start the sum from zero for a new session."""
        self._failed = 0

    def link_ended(self, session: Session, state: ChatState, error: Exception) -> bool:
        """Note that a link ends in that state; return whether the resumed session may be the cause."""
        if session.is_proven:
            self._failed = 0
            return False
        if session.resumable is None or state not in _ATTEMPTED:
            return False
        if isinstance(error, QueueOverflowError):
            return False  # we ended the link, because the queue for receivers is full
        # A server that has sent bytes since the question may just be slow: it sends the missed stanzas first.
        is_silent = isinstance(error, LivenessError) and not session.liveness.has_heard
        is_broken = session.flowing and (is_silent or isinstance(error, StreamError))
        if is_broken:
            self._failed += _BROKEN
        elif not session.flowing:
            self._failed += _NOT_RESUMED
        elif isinstance(error, StreamProtocolError | LivenessError):
            self._failed += _ENDED_BY_US
        if self._failed >= _TOO_MUCH:
            session.cannot_resume()
        return is_broken
