"""What the calls that ask the chat server have in common: whom they are about, and what comes back."""

from __future__ import annotations

from typing import Any

from ..errors import UnexpectedAnswerError
from ..models.user import check_user_id
from .protocol.nodes import child

__all__ = ["check_user_id", "query_of"]


def query_of(answer: Any, namespace: str) -> Any:
    """Return the ``<query/>`` of an answer; UnexpectedAnswerError if there is none."""
    found = child(answer, "query", namespace)
    if found is None:
        raise UnexpectedAnswerError("the server's answer does not hold what was asked for")
    return found
