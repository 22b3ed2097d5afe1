"""Ids of events and answers: the same in each attempt, so that a repetition is known by its id."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from typing import Any

from connectycube import Message

__all__ = ["EventIds", "answer_id", "letter_id"]

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode(errors="surrogatepass")).hexdigest()


class EventIds:
    """The ids of events.

    A message has the same id in each process. Other events say nothing that no second one says (a reaction
    can be added, removed and added), so theirs is the same as long as the process has the event.
    """

    def __init__(self) -> None:
        self._given: dict[int, tuple[Any, str]] = {}

    def id_of(self, bot: int, signal: str, conversation: str, event: Any) -> str:
        """Return the id of an event that a bot has received in a conversation."""
        # The sender too: a user can send any id, and must not make another user's message look repeated.
        if isinstance(event, Message) and event.id:
            return _digest(bot, signal, conversation, event.sender_id, event.id)[:32]
        return self._random_id(event)

    def forget(self, event: Any) -> None:
        """Forget an event that the engine has."""
        self._given.pop(id(event), None)

    def _random_id(self, event: Any) -> str:
        # The event is kept with its id, so that no other one gets its place in memory.
        return self._given.setdefault(id(event), (event, uuid.uuid4().hex))[1]


def answer_id(event_id: str, message_id: str | None, group: str, number: int) -> str:
    """Return the id of the n-th message that a handler of a group sends for an event.

    It is of the service's form; the time in it is that of the message that is answered.
    """
    digest = _digest(event_id, group, number)
    # The first eight digits of an id are its time; random ones could be years away.
    if message_id is not None and _OBJECT_ID.fullmatch(message_id):
        return message_id[:8] + digest[:16]
    return digest[:24]


def letter_id(event_id: str, group: str) -> str:
    """Return the id of a dead letter: an event that a group has given up."""
    return _digest(event_id, group, "dead")[:12]
