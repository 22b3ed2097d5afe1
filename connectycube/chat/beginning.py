"""Where a connection begins: the moment before which nothing is read from history.

The clock and the history of the service count whole seconds. So a message of the same second may have been
there before the first login, or come right after it. The keys of those that were there tell them apart.
They are left out of what is read from history, and of nothing else: what the server itself delivers to the
connection, such as an offline copy, is not history.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import Protocol, TypeVar

from attrs import evolve, frozen

from .._checks import check_time
from .._deadline import Deadline
from ..config import Config
from ..errors import ArgumentTypeError, ArgumentValueError
from .history_reader import History
from .link import Waker, run_in_thread
from .protocol.addresses import Addresses
from .protocol.core import Core
from .protocol.recovery import key_in_history
from .protocol.seen_messages import Key

__all__ = ["Beginning", "Beginnings", "check_since", "monotonic_of"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_Result = TypeVar("_Result")


@frozen
class Beginning:
    """The moment of a first login by the service's clock, and the messages that history had already.

    ``begins_gap`` says that the messages since then are read from history.
    """

    at: float
    older: Sequence[Key] = ()
    begins_gap: bool = False


class Kept(Protocol):
    """The file or the cursor of a connection, if it has one."""

    def prepare(self, user_id: int, deadline: Deadline) -> None: ...
    @property
    def is_new(self) -> bool: ...


class Beginnings:
    """Finds the beginning of each login of one connection; every method may be called from any thread."""

    def __init__(self, config: Config, name: str, history: History | None) -> None:
        self._history = history if config.fill_gaps else None
        self._addresses = Addresses(config.app_id, config.chat_host)
        self._longest = config.timeouts.connect
        self._name = f"{name}-history"

    def find(
        self, core: Core, kept: Kept, user_id: int, since: float | None, deadline: Deadline
    ) -> Beginning | None:
        """Return the beginning of a login that is about to be made; None if the session goes on.

        It is ``since``, in unix seconds, if that is not None, and not later than now. ``kept`` is what is
        kept of the connection; at the first login with it history is asked. So no lock may be held.
        """
        kept.prepare(user_id, deadline)
        if self._history is None or core.session.recovery.cursor is not None:
            return None
        history, deadline = self._history, deadline.within(self._longest)
        if since is None and not kept.is_new:
            return _now(history)
        now = history.service_time()
        # Asked again before a since is in the future: the known time stands still while a machine sleeps.
        if now is None or (since is not None and since > now):
            self._ask(history.ask_time, deadline)
        if since is not None:
            return _begun(since, history.service_time())
        beginning = _now(history)
        if beginning is None:
            return None
        keys = partial(_keys_since, history, beginning.at, self._addresses, user_id)
        # Without an answer messages of this second may come although they are older than the login.
        return evolve(beginning, older=self._ask(keys, deadline) or ())

    def now(self, core: Core) -> Beginning | None:
        """Return the beginning without a request; None if the session goes on, or the time is not known."""
        if self._history is None or core.session.recovery.cursor is not None:
            return None
        return _now(self._history)

    def _ask(self, call: Callable[[], _Result], deadline: Deadline) -> _Result | None:
        """Ask history on a thread of its own; return None if there is no answer until the deadline."""
        waker = Waker()
        try:
            return run_in_thread(call, self._name, deadline, waker, lambda: True)
        except Exception as error:  # noqa: BLE001 - a login needs no history
            logger.info("%s: not read before the first login: %s", self._name, error)
            return None
        finally:
            waker.close()


def _now(history: History) -> Beginning | None:
    now = history.service_time()
    return None if now is None else Beginning(math.floor(now))


def _begun(since: float, service_now: float | None) -> Beginning:
    """Return a beginning at ``since``, but not after now.

    With a beginning in the future, the messages until then would never be read from history. A machine whose
    clock is ahead may ask for such a beginning and mean its own past.
    """
    latest = math.floor(time.time() if service_now is None else service_now)
    if since > latest:
        ahead = since - latest
        logger.warning(
            "since is %d seconds later than the service's clock: it begins now (is this machine's clock"
            " ahead?)",
            ahead,
        )
    return Beginning(min(since, latest), begins_gap=True)


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
