"""Ids of messages, as the service makes them (24 hexadecimal digits, 8 of them the time); new resources."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable

from .._forks import check_fork, owns_objects, register_for_fork
from ..errors import ArgumentTypeError, ArgumentValueError
from .protocol.addresses import OBJECT_ID

__all__ = ["check_new_id", "derived_id", "new_id", "new_resource"]


_TOGETHER = 64


class _Ids:
    """Makes ids. The random parts of those of one second are read together: a system call takes long."""

    def __init__(self) -> None:
        self._after_fork_in_child()
        register_for_fork(self)

    def _after_fork_in_child(self) -> None:
        # The last second in which an id was made, how each id of it begins, and random parts that are left.
        self._made: tuple[int, str, list[str]] = (0, "", [])

    def new(self) -> str:
        """Return a new unique id: 24 hexadecimal digits."""
        if not owns_objects[0]:
            check_fork()  # a parent goes on with the same parts
        now, (second, begin, parts) = int(time.time()), self._made
        if now != second:
            # Those that are left are dropped: a copy of this process, made by a snapshot of its machine, has
            # them as well.
            begin = f"{now & 0xFFFFFFFF:08x}"
            self._made = now, begin, []
            return begin + os.urandom(8).hex()
        try:
            return begin + parts.pop()  # in one step, for all threads
        except IndexError:
            digits = os.urandom(8 * _TOGETHER).hex()
            own, *more = [digits[place : place + 16] for place in range(0, len(digits), 16)]
            parts += more
            return begin + own


_ids = _Ids()  # it is told of forks for as long as it is here
new_id: Callable[[], str] = _ids.new


def new_resource() -> str:
    """Return a new resource: what tells apart the connections of one user."""
    return f"python-{secrets.token_hex(16)}"


def check_new_id(name: str, value: object) -> str:
    """Return the id of a new message, if the service keeps it.

    Raises ArgumentTypeError, or ArgumentValueError for an id that is not of the service's form: the service
    would give the message another one, so that history, 'delivered' and a repetition would not name it.
    """
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} must be a string, not {type(value).__name__}")
    if not OBJECT_ID.match(value):
        raise ArgumentValueError(
            f"{name} must be 24 hexadecimal digits (0-9, a-f), not {value!r}: the service would give the"
            " message another id. Leave it out, and put an id of your own into custom"
        )
    return value


def derived_id(
    store_id: str, inbound: tuple[str, int, str], receiver: str, recipient: str, count: int
) -> str:
    """Return the id of the ``count``-th message of a receiver to ``recipient`` in answer to an event.

    ``inbound`` is the conversation, the sender and the id of the event. If the receiver runs again, its
    replies get the same ids, so no user gets them twice; two receivers of one event never use the same id.
    The id of the store is part of each id, so two bots in one group do not either. The time is that of the
    inbound id, if the service has made that.
    """
    whole = json.dumps([store_id, *inbound, receiver, recipient, count])
    digest = hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()
    if OBJECT_ID.match(inbound[2]):
        return inbound[2][:8] + digest[:16]
    return digest[:24]
