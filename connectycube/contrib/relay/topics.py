"""The topics of a relay: one for events, and one for the answers of each bot."""

from __future__ import annotations

import re
from collections.abc import Iterable

from connectycube._checks import check_int, check_str
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from .engine import Topic

__all__ = ["SENDERS", "check_name", "events_topic", "outbox_topic"]

SENDERS = "relay"
"""The one group of an outbox: the relay of its bot."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check_name(argument: str, value: object) -> str:
    """Return a name that both engines take: letters, digits, dots, hyphens and underscores."""
    text = check_str(argument, value)
    # A colon would let two names make one key of Redis; RabbitMQ allows 255 bytes for the whole.
    if _NAME.fullmatch(text) is None:
        raise ArgumentValueError(
            f"{argument} must be letters, digits, dots, hyphens and underscores, at most 63, not {text!r}"
        )
    return text


def events_topic(groups: Iterable[str], partitions: int, limit: int) -> Topic:
    """Return the topic of events; raises ArgumentTypeError and ArgumentValueError."""
    # A text is a sequence of letters: each would be a group of its own.
    if isinstance(groups, str):
        raise ArgumentTypeError("groups must be several names, not one text: write (name,)")
    names = tuple(check_name("groups", group) for group in groups)
    if not names:
        raise ArgumentValueError("groups must name at least one group: without one events are lost")
    check_int("partitions", partitions, least=1)
    check_int("limit", limit, least=1)
    return Topic("events", names, partitions, limit)


def outbox_topic(bot: int) -> Topic:
    """Return the topic of the answers that a bot is to send."""
    # One partition: the order of all answers of a bot is kept, and one relay at a time sends them.
    return Topic(f"outbox.{bot}", (SENDERS,), is_outbox=True)
