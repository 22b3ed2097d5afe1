"""What the calls that ask the chat server have in common: whom they are about, and what comes back."""

from __future__ import annotations

from typing import Any

from .. import checks
from ..errors import ArgumentValueError, StreamProtocolError
from ..models import User
from .protocol.nodes import child

__all__ = ["a_user_id", "query_of"]


def a_user_id(name: str, value: object) -> int:
    """Return the id of a user given by id or as a User; errors call it ``name``."""
    if isinstance(value, User):
        value = value.id
        if value is None:
            raise ArgumentValueError(f"{name} is a user without an id")
    return checks.an_integer(name, value, least=1)


def query_of(answer: Any, namespace: str) -> Any:
    """Return the ``<query/>`` of an answer; StreamProtocolError if there is none."""
    found = child(answer, "query", namespace)
    if found is None:
        raise StreamProtocolError("the server's answer does not hold what was asked for")
    return found
