"""Reading history for the chat: which doubtful messages had arrived, and what came in the gap of a session.

Both questions are the core's. They are asked over REST, on short-lived threads, without a lock of the chat.
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
"""Dialogs in a row; those behind them would keep their live events waiting for nothing."""


@frozen(kw_only=True)
class History:
    """What the chat asks of history; each may be called from any thread, and raises what it likes."""

    stored_ids: Callable[[DialogRef, Collection[str]], Collection[str]]
    """Which of the messages with these ids a dialog holds."""
    service_time: Callable[[], float | None]
    """Unix seconds by the service's clock; None before its first answer. Asks nobody and never waits."""
    ask_time: Callable[[], None]
    """Ask the service anything, so that its time is known."""
    changed_dialogs: Callable[[datetime], Iterator[DialogRef]]
    """The dialogs that have changed, or have a message, since a moment by the service's clock; each once."""
    messages: Callable[[DialogRef, datetime], Iterator[Sequence[Message]]]
    """Pages of a dialog's messages that are new or changed since, by ``date_sent``; marks none as read."""


Answer = Callable[[Core, float], bool]
"""Something to tell the core; whether it still wants to know."""


class HistoryReader:
    """Answers the core's questions to history, each on a thread of its own.

    ``tell(core, answer)`` runs ``answer(core, now)`` where nothing else touches the core, and returns False
    if that is another one by now. Between two pages it waits until ``dispatcher`` has room.
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

    # --- the connection thread ---

    def service_time(self) -> float | None:
        """Return unix seconds by the service's clock, as far as it is known; asks nobody."""
        return None if self._history is None else self._history.service_time()

    def start_at(self, cursor: float | None, service_cursor: float | None) -> None:
        """Take over where an earlier process had got to, by both clocks; None: it had got nowhere."""
        if cursor is not None:
            self._cursor, self._service_cursor = cursor, service_cursor

    def note(self, cursor: float | None, now: float) -> None:
        """Keep the cursor by the service's clock, too: ours may stand still while the machine sleeps."""
        if self._history is None or cursor == self._cursor:
            return
        self._cursor = cursor
        self._service_cursor = None if cursor is None else self._service_time_at(cursor, now)

    def _service_time_at(self, moment: float, now: float) -> float | None:
        assert self._history is not None
        service = self._history.service_time()
        return None if service is None else service - (now - moment)

    def ask(self, core: Core, question: CheckStored | FetchGap) -> None:
        """Begin to answer a question; called where nothing else touches the core."""
        thread = threading.Thread(
            target=self._answer, args=(core, question), name=self._name, daemon=True
        )
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        thread.start()

    # --- who ends the connection ---

    def join(self, deadline: Deadline) -> None:
        """Wait for the threads, which end as soon as their requests do."""
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(deadline.remaining())

    # --- threads of their own ---

    def _answer(self, core: Core, question: CheckStored | FetchGap) -> None:
        if isinstance(question, CheckStored):
            self._look_up(core, question)
        else:
            self._recover(core, question)

    def _look_up(self, core: Core, lookup: CheckStored) -> None:
        found = self._found(lookup)

        def answer(core: Core, now: float) -> bool:
            core.session.stored_ids_received(lookup, found, now)
            return True

        self._tell(core, answer)

    def _found(self, lookup: CheckStored) -> frozenset[str] | None:
        """Ask which messages of the lookup history holds; None if that cannot be known."""
        if self._history is None:
            return None
        dialogs: dict[DialogRef, list[str]] = defaultdict(list)
        for submission in lookup.submissions:
            dialogs[submission.dialog].append(submission.id)
        found: set[str] = set()
        try:
            for dialog, ids in dialogs.items():
                found |= set(self._history.stored_ids(dialog, ids))
        except Exception as error:  # noqa: BLE001 - whatever the callable raises, nobody can know
            logger.warning("history could not be asked what had arrived: %s", error)
            return None
        return frozenset(found)

    def _recover(self, core: Core, asked: FetchGap) -> None:
        assert self._history is not None
        try:
            since = self._since(self._history, asked)
            dialogs = list(self._history.changed_dialogs(since))
        except Exception as error:  # noqa: BLE001 - whatever it is, the application is told
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
        """Return from when on to read, by the service's clock, in whole seconds as history counts."""
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
        """Read a dialog page by page, while the core wants to know more; return why it failed."""
        try:
            for page in self._pages(core, asked, dialog, since):
                if not self._tell(core, partial(_page, asked, dialog, page)):
                    break
        except Exception as error:  # noqa: BLE001 - whatever it is, the application is told
            return error
        return None

    def _pages(
        self, core: Core, asked: FetchGap, dialog: DialogRef, since: datetime
    ) -> Iterator[Sequence[Message]]:
        """Yield a dialog's messages, some at a time, once there is room, while the core wants to know."""
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
