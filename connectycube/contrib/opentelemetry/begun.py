"""The span of a message that is being sent: it begins before the message is made, which carries its id."""

from __future__ import annotations

from contextvars import ContextVar

from opentelemetry.trace import Span

__all__ = ["BEGUN", "take_begun"]

BEGUN: ContextVar[list[Span] | None] = ContextVar("connectycube_begun", default=None)
"""In a call of the chat that sends one message: its span, or nothing once that is taken."""


def take_begun() -> Span | None:
    """Return the span that this thread has begun for the message which was submitted now, once."""
    begun = BEGUN.get()
    return begun.pop() if begun else None
