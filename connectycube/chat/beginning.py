"""Where a connection begins: the moment before which nothing is read from history.

The clock and the history of the service count whole seconds. So a message of the same second may have been
there before the first login, or come right after it. The keys of those that were there tell them apart.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import partial

from attrs import evolve, frozen

from .._checks import check_time
from .._deadline import Deadline
from ..errors import ArgumentTypeError, ArgumentValueError
from .history_reader import History
from .link import Waker, run_in_thread
from .protocol.addresses import Addresses
from .protocol.recovery import key_in_history
from .protocol.seen_messages import Key

__all__ = ["Beginning", "beginning_now", "check_since", "monotonic_of", "read_beginning"]

logger = logging.getLogger("connectycube.chat")


@frozen
class Beginning:
    """The moment of a first login by the service's clock, and the messages that were there already.

    ``begins_gap`` says that the messages since then are read from history.
    """

    at: float
    seen: Sequence[Key] = ()
    begins_gap: bool = False


def read_beginning(
    history: History, addresses: Addresses, me: int, name: str, deadline: Deadline
) -> Beginning | None:
    """Return the beginning of a login that is about to be made; None if the service's time is not known.

    The requests run on a thread of that name. What could not be read until the deadline is left out: then
    messages of the last second may come although they are older than the login.
    """
    waker = Waker()
    beginning = None
    try:
        if history.service_time() is None:
            run_in_thread(history.ask_time, name, deadline, waker, lambda: True)
        beginning = beginning_now(history)
        if beginning is not None:
            keys = partial(_keys_since, history, beginning.at, addresses, me)
            seen = run_in_thread(keys, name, deadline, waker, lambda: True)
            beginning = evolve(beginning, seen=seen)
    except Exception as error:  # noqa: BLE001 - a login needs no history
        logger.info("%s: history was not read before the first login: %s", name, error)
    finally:
        waker.close()
    return beginning


def beginning_now(history: History) -> Beginning | None:
    """Return the beginning of a login without a request; None if the service's time is not known."""
    now = history.service_time()
    return None if now is None else Beginning(math.floor(now))


def check_since(since: object, *, has_history: bool) -> float | None:
    """Return the ``since`` of a login as unix seconds, or raise; None if there is none."""
    if since is None:
        return None
    if not isinstance(since, datetime):
        raise ArgumentTypeError(f"since must be an aware datetime, not {type(since).__name__}")
    at = check_time("since", since, math.floor)
    if not has_history:
        raise ArgumentValueError(
            "since needs history: a client with a REST session, and Config.fill_gaps"
        )
    return at


def _keys_since(history: History, at: float, addresses: Addresses, me: int) -> list[Key]:
    since = datetime.fromtimestamp(at, timezone.utc)
    return [
        key
        for dialog in history.changed_dialogs(since)
        for page in history.messages(dialog, since)
        for message in page
        if (key := key_in_history(dialog, message, addresses, me)) is not None
    ]


def monotonic_of(at: float, service_now: float | None) -> float:
    """Return a moment of the service's clock on the monotonic clock.

    If the service's time is not known yet, the result is wrong. That does no harm where it only stands for
    ``at``, from which on history is read.
    """
    age = max(0.0, service_now - at) if service_now is not None else 0.0
    return time.monotonic() - age
