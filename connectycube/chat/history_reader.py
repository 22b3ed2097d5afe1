"""Reads history for the core: which doubtful messages had arrived, and the messages in a gap.

Each question of the core gets a thread, which asks over REST without a lock of the chat. It ends with its
answer, or when the core no longer wants it. After an outage REST often fails for longer than the chat, so
reading a gap is repeated, with back-off, as long as the core waits for it.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import TypeVar

from attrs import define, frozen

from .._backoff import delay_before
from .._deadline import Deadline
from .._threads import start_thread
from ..config import Config
from ..errors import (
    ApiAuthenticationError,
    ApiConnectError,
    ApiError,
    ApiNetworkError,
    ApiResponseError,
    ChatError,
    RateLimitError,
    ResponseTooLargeError,
    ServerError,
    UnexpectedResponseError,
)
from ..models import DialogRef, Message
from .dispatcher import Dispatcher
from .protocol.core import Core
from .protocol.events import CheckStored, FetchGap

__all__ = ["History", "HistoryReader"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

Result = TypeVar("Result")

_END_OF_CALENDAR = 253_402_300_799.0  # unix seconds: 9999-12-31T23:59:59Z


@frozen(kw_only=True)
class History:
    """The functions with which the chat reads history; each may be called from any thread, and may raise."""

    stored_ids: Callable[[DialogRef, Collection[str]], Collection[str]]
    """Return which of these message ids a dialog holds."""
    service_time: Callable[[], float | None]
    """Return unix seconds by the service's clock, None before its first answer; sends no request."""
    ask_time: Callable[[], object]
    """Send the service any request, so that its time is known."""
    changed_dialogs: Callable[[datetime], Iterator[DialogRef]]
    """Return an iterator of the dialogs with changes or messages since a moment by the service's clock.

    Each comes once. This iterator and the next one go on after an ApiError: the next step asks again.
    """
    messages: Callable[[DialogRef, datetime], Iterator[Sequence[Message]]]
    """Return an iterator of pages of a dialog's new or changed messages since then; mark none as read."""
    latest: Callable[[DialogRef, int], Sequence[Message]] | None = None
    """Return so many of a dialog's newest messages, the oldest first; mark none as read."""


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
        self._retry = config.retry
        self._at_once = max(1, config.limits.queued_events // 2)
        self._dispatcher = dispatcher
        self._tell = tell
        self._threads: list[threading.Thread] = []
        self._cursor: float | None = None
        self._service_cursor: float | None = None
        self._beginning: float | None = None
        self._woken = threading.Condition()

    # --- for the connection thread and the threads of callers ---

    def service_time(self) -> float | None:
        """Return unix seconds by the service's clock, None if that is not known; send no request."""
        return None if self._history is None else self._history.service_time()

    def start_at(self, cursor: float | None, service_cursor: float | None) -> None:
        """Take the cursor of an earlier process, by the monotonic and the service's clock, if it had one."""
        if cursor is not None:
            self._cursor, self._service_cursor = cursor, service_cursor

    def begin_at(self, beginning: float | None) -> None:
        """Never read what is older than this moment, by the service's clock, the overlap included."""
        self._beginning = beginning

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
        start_thread(thread)

    def wake(self) -> None:
        """Let threads that wait before a repetition see whether it is still wanted."""
        with self._woken:
            self._woken.notify_all()

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
        """Read the gap to its end; what fails for the moment is repeated as long as the core wants it."""
        assert self._history is not None
        history, gap = self._history, _Gap(core, asked)
        dialogs: list[DialogRef] = []
        try:
            since = self._repeat(gap, partial(self._since, history, asked))
            changed = history.changed_dialogs(since)
            self._repeat(gap, lambda: dialogs.extend(changed))
        except Exception as error:  # noqa: BLE001 - the application gets any error as an event
            self._fail(gap, None, error)
            return
        if self._tell(core, lambda core, now: core.session.recovery.dialogs(asked, dialogs, since)):
            self._read_dialogs(
                gap, [(dialog, history.messages(dialog, since)) for dialog in dialogs]
            )

    def _read_dialogs(
        self, gap: _Gap, dialogs: Iterable[tuple[DialogRef, Iterator[Sequence[Message]]]]
    ) -> None:
        """Read each dialog; one that fails for the moment is read on behind the others."""
        unread = deque(dialogs)
        is_wanted = True
        while unread and is_wanted:
            dialog, pages = unread.popleft()
            try:
                is_wanted = self._read(gap, dialog, pages)
            except Exception as error:  # noqa: BLE001 - the application gets any error as an event
                if _is_temporary(error):
                    unread.append((dialog, pages))
                    is_wanted = self._wait_to_repeat(gap, dialog, error)
                else:
                    is_wanted = self._fail(gap, dialog, error)

    def _since(self, history: History, asked: FetchGap) -> datetime:
        """Return the moment from which on to read, by the service's clock, rounded down to a second."""
        began = self._service_cursor if asked.since == self._cursor else None
        now = history.service_time()
        if now is None or any(at is not None and at > now for at in (began, self._beginning)):
            history.ask_time()
        if began is None:
            began = self._service_time_at(asked.since, time.monotonic())
        if began is None:
            raise ChatError(
                "the service did not say what time it is, so nobody knows where to begin"
            )
        # A value that was saved by another clock may be in the future: nothing that comes is left out for it.
        began = min(began, history.service_time() or began)
        first = began - self._overlap
        if self._beginning is not None:
            first = max(first, min(self._beginning, began))
        # A service whose clock is wrong may be in any year of the calendar.
        first = min(max(first, 0.0), _END_OF_CALENDAR)
        return datetime.fromtimestamp(math.floor(first), timezone.utc)

    def _read(self, gap: _Gap, dialog: DialogRef, pages: Iterator[Sequence[Message]]) -> bool:
        """Read a dialog to its end, in pieces for which there is room; return whether the gap is wanted."""
        while True:
            self._dispatcher.wait_for_room()
            if not gap.is_wanted:
                return False
            page = next(pages, None)
            gap.failures = 0
            if page is None:
                return self._tell(gap.core, partial(_filled, gap.asked, dialog))
            for start in range(0, len(page), self._at_once):
                self._dispatcher.wait_for_room()
                piece = page[start : start + self._at_once]
                if not self._tell(gap.core, partial(_page, gap.asked, dialog, piece)):
                    return False

    # --- failures ---

    def _repeat(self, gap: _Gap, call: Callable[[], Result]) -> Result:
        """Call until it succeeds; raise an error that is permanent, or if the gap is wanted no longer."""
        while True:
            try:
                result = call()
            except ApiError as error:
                if not (_is_temporary(error) and self._wait_to_repeat(gap, None, error)):
                    raise
            else:
                gap.failures = 0
                return result

    def _wait_to_repeat(self, gap: _Gap, dialog: DialogRef | None, error: Exception) -> bool:
        """Wait before a repetition, with back-off; return whether the gap is still wanted.

        The core is told of failures beyond those that a single REST call would repeat without a word.
        """
        gap.failures += 1
        is_usual = gap.failures <= self._retry.max_retries and _is_usual(error)
        if not is_usual and not self._tell(
            gap.core, lambda core, now: core.session.recovery.failing(gap.asked, dialog, error)
        ):
            return False
        delay = delay_before(gap.failures, self._retry, random.random)
        asked_for = getattr(error, "retry_after", None)
        if asked_for is not None:
            delay = max(asked_for, delay)
        logger.info("a gap is read again in %.1f s: %s", delay, error)
        with self._woken:
            self._woken.wait_for(lambda: not gap.is_wanted, delay)
        return gap.is_wanted

    def _fail(self, gap: _Gap, dialog: DialogRef | None, error: Exception) -> bool:
        """Log that a dialog, or history as a whole (None), could not be read, and tell the core."""
        if not gap.is_wanted:
            return False
        what = "history is out of reach" if dialog is None else f"dialog {dialog.id} was not read"
        logger.warning("a gap could not be filled, %s: %s", what, error)
        return self._tell(
            gap.core, lambda core, now: core.session.recovery.failed(gap.asked, dialog, error)
        )


@define
class _Gap:
    """A question of the core, and how often reading has failed since it last succeeded."""

    core: Core
    asked: FetchGap
    failures: int = 0

    @property
    def is_wanted(self) -> bool:
        """Whether the core still waits for this answer."""
        return self.core.session.recovery.is_about(self.asked)


def _is_temporary(error: Exception) -> bool:
    """Whether the same request may succeed later: all failures of REST but what the service refuses."""
    if isinstance(error, (RateLimitError, ApiAuthenticationError)):
        return True
    if isinstance(error, ApiResponseError):
        is_odd = isinstance(error, UnexpectedResponseError)
        return error.status >= 500 or (is_odd and not isinstance(error, ResponseTooLargeError))
    return isinstance(error, ApiError)


def _is_usual(error: Exception) -> bool:
    """Whether a single REST call would repeat the request by itself."""
    if isinstance(error, ServerError):
        return error.status in (502, 503, 504)
    is_lost = isinstance(error, ApiNetworkError) and not isinstance(error, TimeoutError)
    return is_lost or isinstance(error, (RateLimitError, ApiConnectError))


def _filled(asked: FetchGap, dialog: DialogRef, core: Core, now: float) -> bool:
    return core.session.recovery.filled(asked, dialog)


def _page(
    asked: FetchGap, dialog: DialogRef, page: Sequence[Message], core: Core, now: float
) -> bool:
    return core.session.recovery.page(asked, dialog, page, now)
