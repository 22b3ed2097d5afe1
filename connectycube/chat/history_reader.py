"""Reads history for the core: which doubtful messages had arrived, and the messages in a gap.

Each question of the core gets a short-lived thread, which asks over REST without a lock of the chat.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial

from attrs import frozen

from .._deadline import Deadline
from ..config import Config
from ..errors import ChatError
from ..models import DialogRef, Message
from .dispatcher import Dispatcher
from .protocol.core import Core
from .protocol.events import CheckStored, FetchGap

__all__ = ["History", "HistoryReader"]

logger = logging.getLogger("connectycube.chat")

_MOST_FAILURES = 3
"""After so many failed dialogs in a row history counts as out of reach.

Otherwise the live events of all other dialogs would wait until each of these has failed, too.
"""


@frozen(kw_only=True)
class History:
    """The functions with which the chat reads history; each may be called from any thread, and may raise."""

    stored_ids: Callable[[DialogRef, Collection[str]], Collection[str]]
    """Return which of these message ids a dialog holds."""
    service_time: Callable[[], float | None]
    """Return unix seconds by the service's clock, None before its first answer; sends no request."""
    ask_time: Callable[[], None]
    """Send the service any request, so that its time is known."""
    changed_dialogs: Callable[[datetime], Iterator[DialogRef]]
    """Yield, once each, the dialogs with changes or messages since a moment by the service's clock."""
    messages: Callable[[DialogRef, datetime], Iterator[Sequence[Message]]]
    """Yield pages of a dialog's new or changed messages since then, by ``date_sent``; mark none as read."""


Answer = Callable[[Core, float], bool]
"""A function that gives the core (a part of) an answer; it returns whether the core wants more."""


class HistoryReader:
    """Answers the core's questions to history, each on a thread of its own.

    ``tell(core, answer)`` calls ``answer(core, now)`` with the driver's mutex held and returns its result; it
    returns False without a call if the driver has another core by now. Before each page a thread waits until
    ``dispatcher`` has room.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        history: History | None,
        dispatcher: Dispatcher,
        tell: Callable[[Core, Answer], bool],
    ) -> None:
        self._name = f"{name}-history"
        self._history = history
        self._overlap = config.gap_overlap
        self._at_once = max(1, config.limits.queued_events // 2)
        self._dispatcher = dispatcher
        self._tell = tell
        self._threads: list[threading.Thread] = []
        self._cursor: float | None = None
        self._service_cursor: float | None = None

    # --- for the connection thread and the threads of callers ---

    def service_time(self) -> float | None:
        """Return unix seconds by the service's clock, None if that is not known; send no request."""
        return None if self._history is None else self._history.service_time()

    def start_at(self, cursor: float | None, service_cursor: float | None) -> None:
        """Take the cursor of an earlier process, by the monotonic and the service's clock, if it had one."""
        if cursor is not None:
            self._cursor, self._service_cursor = cursor, service_cursor

    def note(self, cursor: float | None, now: float) -> None:
        """Note the cursor, also by the service's clock, because ours may stop while the machine sleeps."""
        if self._history is None or cursor == self._cursor:
            return
        self._cursor = cursor
        self._service_cursor = None if cursor is None else self._service_time_at(cursor, now)

    def _service_time_at(self, moment: float, now: float) -> float | None:
        assert self._history is not None
        service = self._history.service_time()
        return None if service is None else service - (now - moment)

    def ask(self, core: Core, question: CheckStored | FetchGap) -> None:
        """Begin to answer a question on a new thread; the driver's mutex is held."""
        target: Callable[..., None] = (
            self._check_stored if isinstance(question, CheckStored) else self._fill_gap
        )
        thread = threading.Thread(
            target=target, args=(core, question), name=self._name, daemon=True
        )
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        thread.start()

    def join(self, deadline: Deadline) -> None:
        """Wait until the threads have ended, as each does after its request, but not beyond the deadline."""
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(deadline.remaining())

    # --- on a thread of its own ---

    def _check_stored(self, core: Core, asked: CheckStored) -> None:
        found = self._stored_ids(asked)

        def answer(core: Core, now: float) -> bool:
            core.session.stored_ids_received(asked, found, now)
            return True

        self._tell(core, answer)

    def _stored_ids(self, asked: CheckStored) -> frozenset[str] | None:
        """Return the ids of the messages that history holds; None if history cannot be read."""
        if self._history is None:
            return None
        dialogs: dict[DialogRef, list[str]] = defaultdict(list)
        for submission in asked.submissions:
            dialogs[submission.dialog].append(submission.id)
        found: set[str] = set()
        try:
            for dialog, ids in dialogs.items():
                found |= set(self._history.stored_ids(dialog, ids))
        except Exception as error:  # noqa: BLE001 - whatever error it is, the outcome is not known
            logger.warning("history could not be asked what had arrived: %s", error)
            return None
        return frozenset(found)

    def _fill_gap(self, core: Core, asked: FetchGap) -> None:
        assert self._history is not None
        try:
            since = self._since(self._history, asked)
            dialogs = list(self._history.changed_dialogs(since))
        except Exception as error:  # noqa: BLE001 - the application gets any error as an event
            self._fail(core, asked, None, error)
            return
        wanted = self._tell(
            core, lambda core, now: core.session.recovery.dialogs(asked, dialogs, since)
        )
        failures = 0
        for dialog in dialogs:
            if not wanted:
                return
            failure = self._read(core, asked, dialog, since)
            if failure is None:
                failures = 0
                wanted = self._tell(core, partial(_filled, asked, dialog))
            else:
                failures += 1
                told = dialog if failures < _MOST_FAILURES else None
                wanted = self._fail(core, asked, told, failure)

    def _since(self, history: History, asked: FetchGap) -> datetime:
        """Return the moment from which on to read, by the service's clock, rounded down to a second."""
        began = self._service_cursor if asked.since == self._cursor else None
        if began is None:
            if history.service_time() is None:
                history.ask_time()
            began = self._service_time_at(asked.since, time.monotonic())
        if began is None:
            raise ChatError(
                "the service did not say what time it is, so nobody knows where to begin"
            )
        return datetime.fromtimestamp(math.floor(began - self._overlap), timezone.utc)

    def _read(
        self, core: Core, asked: FetchGap, dialog: DialogRef, since: datetime
    ) -> Exception | None:
        """Read a dialog page by page, while the core wants more; return the error if reading fails."""
        try:
            for page in self._pages(core, asked, dialog, since):
                if not self._tell(core, partial(_page, asked, dialog, page)):
                    break
        except Exception as error:  # noqa: BLE001 - the application gets any error as an event
            return error
        return None

    def _pages(
        self, core: Core, asked: FetchGap, dialog: DialogRef, since: datetime
    ) -> Iterator[Sequence[Message]]:
        """Yield a dialog's messages in pieces, each once there is room, while the core wants more."""
        assert self._history is not None
        pages = self._history.messages(dialog, since)
        while True:
            self._dispatcher.wait_for_room()
            page = next(pages, None) if core.session.recovery.is_about(asked) else None
            if page is None:
                return
            for start in range(0, len(page), self._at_once):
                self._dispatcher.wait_for_room()
                yield page[start : start + self._at_once]

    def _fail(
        self, core: Core, asked: FetchGap, dialog: DialogRef | None, error: Exception
    ) -> bool:
        """Log that a dialog, or history as a whole (None), could not be read, and tell the core."""
        what = "history is out of reach" if dialog is None else f"dialog {dialog.id} was not read"
        logger.warning("a gap could not be filled, %s: %s", what, error)
        return self._tell(
            core, lambda core, now: core.session.recovery.failed(asked, dialog, error)
        )


def _filled(asked: FetchGap, dialog: DialogRef, core: Core, now: float) -> bool:
    return core.session.recovery.filled(asked, dialog)


def _page(
    asked: FetchGap, dialog: DialogRef, page: Sequence[Message], core: Core, now: float
) -> bool:
    return core.session.recovery.page(asked, dialog, page, now)
