"""Reading history for the chat: from which moment on, in which order, and what becomes of failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

import pytest

from connectycube import (
    ApiAuthenticationError,
    ApiNetworkError,
    ApiResponseError,
    ApiTimeoutError,
    ChatError,
    Config,
    DialogRef,
    Limits,
    Message,
    PermissionDeniedError,
    RateLimitError,
    ResponseTooLargeError,
    RetryPolicy,
    ServerError,
    UnexpectedResponseError,
    ValidationError,
)
from connectycube._deadline import Deadline
from connectycube.chat.dispatcher import Dispatcher, Task
from connectycube.chat.history_reader import History, HistoryReader
from connectycube.chat.protocol.core import Core
from connectycube.chat.protocol.events import CheckStored, FetchGap
from connectycube.chat.protocol.outbox import Submission
from tests.support.waiting import TIMEOUT, wait_until

FIRST, SECOND = DialogRef.room("first"), DialogRef.room("second")


QUICK = RetryPolicy(delay=0.001, max_delay=0.002)


def config(**changes: Any) -> Config:
    values = {"limits": Limits(queued_events=4), "retry": QUICK, **changes}
    return Config(app_id=1, auth_key="k", **values)


class Library:
    """A history that a test fills, and everything it was asked."""

    def __init__(self) -> None:
        self.time: float | None = 1_000.0
        self.learns: float | None = None
        self.dialogs: dict[DialogRef, list[list[Message]]] = {}
        self.broken: dict[Any, Exception] = {}
        self.asked: list[Any] = []
        self.fails: list[Exception] = []  # the next requests fail so

    def history(self) -> History:
        return History(
            stored_ids=self._stored_ids,
            service_time=lambda: self.time,
            ask_time=self._ask_time,
            changed_dialogs=self._changed_dialogs,
            messages=self._messages,
        )

    def _ask(self, what: Any) -> None:
        self.asked.append(what)
        if self.fails:
            raise self.fails.pop(0)
        if what in self.broken:
            raise self.broken[what]

    def _stored_ids(self, dialog: DialogRef, ids: Any) -> set[str]:
        self._ask(dialog)
        return {message_id for message_id in ids if message_id.startswith("stored")}

    def _ask_time(self) -> None:
        self._ask("time")
        self.time = self.learns

    def _changed_dialogs(self, since: datetime) -> Iterator[DialogRef]:
        dialogs = iter(self.dialogs)
        return Steps(lambda: self._ask(since), lambda: next(dialogs))

    def _messages(self, dialog: DialogRef, since: datetime) -> Iterator[Sequence[Message]]:
        pages = enumerate(self.dialogs[dialog])
        place = [0]

        def step() -> Sequence[Message]:
            self._ask((dialog.id, place[0] if place[0] < len(self.dialogs[dialog]) else "end"))
            place[0], page = next(pages)
            place[0] += 1
            return page

        return Steps(lambda: None, step)


class Steps:
    """An iterator that goes on after an error; ``begin`` is called before the first step."""

    def __init__(self, begin: Callable[[], None], step: Callable[[], Any]) -> None:
        self._begin: Callable[[], None] | None = begin
        self._step = step

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        if self._begin is not None:
            self._begin()
            self._begin = None
        return self._step()


class Desk:
    """A history_reader with a core that has a gap since moment 50 of our clock, and what it was told."""

    def __init__(self, library: Library | None, **settings: Any) -> None:
        self.config = config(**settings)
        self.dispatcher = Dispatcher("desk", 1, self.config.limits, lambda: None)
        self.core = Core(
            self.config, new_id=lambda: "id", random=lambda: 0.5, fills_gaps=library is not None
        )
        self.core.session.recovery.start_at(50.0)
        self.core.session.recovery.begin()
        self.core.session.recovery.ask()
        self.outputs = self.core.session.take_outputs()
        self.changed = threading.Condition()
        history = library.history() if library is not None else None
        self.history_reader = HistoryReader(
            self.config, "desk", history, self.dispatcher, self._tell
        )
        self.before: Callable[[], None] = lambda: None

    def _tell(self, core: Core, answer: Callable[[Core, float], bool]) -> bool:
        with self.changed:
            self.before()
            wanted = answer(core, 60.0)
            self.outputs += core.session.take_outputs()
            self.changed.notify_all()
            return wanted

    def recover(self) -> list[Any]:
        """Ask what came since, wait until the gap is closed, and return what was said."""
        asked = self.outputs.pop()
        assert isinstance(asked, FetchGap)
        self.history_reader.ask(self.core, asked)
        with self.changed:
            assert self.changed.wait_for(lambda: not self.core.session.recovery.is_open, TIMEOUT)
        return self.outputs


def message(number: int, **changes: Any) -> Message:
    return Message(id=f"m{number}", body=str(number), sender_id=2, **changes)


def bodies(outputs: list[Any]) -> list[str]:
    return [one.event.body for one in outputs if one.signal == "message_received"]


# --- from which moment on -------------------------------------------------------------------------


@pytest.fixture
def library() -> Library:
    return Library()


def since(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def test_history_begins_at_the_cursor_in_service_time_less_overlap(library):
    desk = Desk(library)
    desk.history_reader.note(50.0, 53.4)  # the service's 1000 is our 53.4
    desk.recover()
    assert library.asked == [since(996 - 60)]  # in whole seconds, rather too early


@pytest.mark.parametrize("clock", [-62_135_596_800.0, 0.0, 253_402_300_799.0, 1e300])
def test_history_begins_within_the_calendar_whatever_the_clock(library, clock):
    library.time = clock
    desk = Desk(library)
    desk.history_reader.note(50.0, 50.0)
    desk.recover()
    (asked,) = library.asked
    assert asked == since(min(max(clock - 60, 0), 253_402_300_799))


@pytest.mark.parametrize("later", [1e6, 1e300])
def test_a_cursor_and_a_beginning_in_the_future_count_as_now(library, later):
    library.learns = 1_000.0
    desk = Desk(library)
    desk.history_reader.start_at(50.0, later)
    desk.history_reader.begin_at(later)
    desk.recover()
    assert library.asked == ["time", since(1_000)]


def test_what_the_clocks_do_after_the_cursor_was_noted_does_not_matter(library):
    desk = Desk(library, gap_overlap=10.0)
    desk.history_reader.note(50.0, 50.0)
    library.time = 30_000.0  # ours stood still while the machine slept
    desk.history_reader.note(50.0, 51.0)
    desk.recover()
    assert library.asked == [since(990)]


def test_history_begins_at_the_asked_service_time_less_the_elapsed_time(library):
    desk = Desk(library)
    library.time, library.learns = None, 1_000_000_000.0
    desk.history_reader.note(50.0, 50.0)
    desk.recover()
    passed = time.monotonic() - 50.0
    assert library.asked[0] == "time"
    assert abs((library.asked[1] - since(1_000_000_000 - 60 - passed)).total_seconds()) < TIMEOUT


def test_a_service_that_does_not_tell_its_time_is_a_failure(library):
    desk = Desk(library)
    library.time = None
    (failure,) = desk.recover()
    assert failure.signal == "recovery_failed" and failure.event.dialog is None
    assert isinstance(failure.event.error, ChatError) and "time" in str(failure.event.error)


# --- what is read ---------------------------------------------------------------------------------


def test_dialogs_are_read_one_after_the_other_page_by_page(library):
    library.dialogs = {FIRST: [[message(1), message(2)], [message(3)]], SECOND: [[message(4)]]}
    desk = Desk(library)
    assert bodies(desk.recover()) == ["1", "2", "3", "4"]
    pages = [("first", 0), ("first", 1), ("first", "end"), ("second", 0), ("second", "end")]
    assert library.asked[1:] == pages


def test_a_failing_list_is_told_and_nothing_is_read(library, caplog):
    desk = Desk(library)
    desk.history_reader.note(50.0, 50.0)
    error = library.broken[since(940)] = OSError("down")
    (failure,) = desk.recover()
    assert failure.event.dialog is None and failure.event.error is error
    assert "a gap could not be filled" in caplog.text and "down" in caplog.text


def test_a_failing_dialog_is_told_and_the_others_are_read(library):
    library.dialogs = {FIRST: [[message(1)], [message(2)]], SECOND: [[message(3)]]}
    error = library.broken["first", 1] = RuntimeError("odd")
    first, failure, second = Desk(library).recover()
    assert bodies([first, second]) == ["1", "3"] and not failure.event.is_repeated
    assert failure.event.dialog == FIRST and failure.event.error is error


def test_nothing_more_is_read_once_nobody_wants_to_know(library):
    library.dialogs = {FIRST: [[message(1)], [message(2)]], SECOND: [[message(3)]]}
    desk = Desk(library)
    steps = iter(["dialogs", "page"])

    def before() -> None:
        if next(steps, None) is None:  # before the second page is told
            desk.core.session.recovery.end()

    desk.before = before
    assert bodies(desk.recover()) == ["1"]
    thread = next((t for t in threading.enumerate() if t.name == "desk-history"), None)
    if thread is not None:
        thread.join(TIMEOUT)
    assert library.asked[1:] == [("first", 0), ("first", 1)]


def test_the_next_page_waits_until_the_queue_is_half_empty(library):
    library.dialogs = {FIRST: [[message(1)]]}
    desk = Desk(library)
    entered, release = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        release.wait(TIMEOUT)

    desk.dispatcher.start()
    try:
        for _ in range(4):
            desk.dispatcher.put(Task(block, "lane"))
        assert entered.wait(TIMEOUT) and desk.dispatcher.queued == 3
        desk.history_reader.ask(desk.core, desk.outputs.pop())
        wait_until(lambda: desk.dispatcher._room._waiters, "the wait for room")
        assert len(library.asked) == 1  # the dialogs
        release.set()
        with desk.changed:
            assert desk.changed.wait_for(lambda: not desk.core.session.recovery.is_open, TIMEOUT)
        assert bodies(desk.outputs) == ["1"]
    finally:
        release.set()
        desk.dispatcher.stop()
        assert desk.dispatcher.join(Deadline(TIMEOUT))


# --- what fails for the moment --------------------------------------------------------------------


def answered(status: int, kind: type[ApiResponseError], **more: Any) -> ApiResponseError:
    return kind(f"answered {status}", method="GET", url="u", status=status, **more)


LIMITED = answered(429, RateLimitError, retry_after=0.001)
UNAVAILABLE = answered(503, ServerError)
BROKEN = answered(500, ServerError)
LATE = ApiTimeoutError("late", method="GET", url="u")
LOST = ApiNetworkError("lost", method="GET", url="u")
LOGGED_OUT = answered(401, ApiAuthenticationError)
CUT_OFF = answered(200, UnexpectedResponseError)
FORBIDDEN = answered(403, PermissionDeniedError)
REFUSED = answered(422, ValidationError)
TOO_LARGE = answered(200, ResponseTooLargeError)


def failures(outputs: list[Any]) -> list[Any]:
    return [one.event for one in outputs if one.signal == "recovery_failed"]


@pytest.mark.parametrize("error", [LIMITED, UNAVAILABLE, BROKEN, LATE, LOST, LOGGED_OUT, CUT_OFF])
@pytest.mark.parametrize("place", range(5))
def test_what_fails_for_the_moment_is_repeated_until_the_gap_is_whole(library, error, place):
    library.dialogs = {FIRST: [[message(1)], [message(2)]], SECOND: [[message(3)]]}
    desk = Desk(library)
    real = library._ask

    def ask(what: Any) -> None:
        if len(library.asked) == place:
            library.fails = [error] * 6
        real(what)

    library._ask = ask  # type: ignore[method-assign]
    outputs = desk.recover()
    assert sorted(bodies(outputs)) == ["1", "2", "3"]
    (failure,) = failures(outputs)
    assert failure.error is error and failure.is_repeated
    assert outputs[-1].signal == "recovery_finished" and outputs[-1].event.messages == 3


@pytest.mark.parametrize("error", [LIMITED, UNAVAILABLE, LOST])
def test_failures_that_any_rest_call_repeats_go_unmentioned(library, error):
    library.dialogs = {FIRST: [[message(1)]]}
    library.fails = [error] * 2
    outputs = Desk(library).recover()
    assert [one.signal for one in outputs] == ["message_received", "recovery_finished"]
    library.fails = [error]
    assert failures(Desk(library, retry=RetryPolicy(max_retries=0, delay=0.001)).recover())


@pytest.mark.parametrize("error", [FORBIDDEN, REFUSED, TOO_LARGE, RuntimeError("odd")])
def test_a_permanent_failure_of_a_dialog_is_not_repeated(library, error):
    library.dialogs = {FIRST: [[message(1)]], SECOND: [[message(2)]]}
    library.broken["first", 0] = error
    outputs = Desk(library).recover()
    (failure,) = failures(outputs)
    assert failure.dialog == FIRST and not failure.is_repeated and bodies(outputs) == ["2"]
    assert library.asked.count(("first", 0)) == 1
    assert outputs[-1].signal != "recovery_finished"


def test_a_dialog_that_keeps_failing_does_not_keep_the_others_waiting(library):
    library.dialogs = {FIRST: [[message(1)]], SECOND: [[message(2)]]}
    library.broken["first", 0] = BROKEN
    desk = Desk(library)
    desk.history_reader.ask(desk.core, desk.outputs.pop())
    with desk.changed:
        assert desk.changed.wait_for(lambda: bodies(desk.outputs) == ["2"], TIMEOUT)
    del library.broken["first", 0]
    with desk.changed:
        assert desk.changed.wait_for(lambda: not desk.core.session.recovery.is_open, TIMEOUT)
    assert bodies(desk.outputs) == ["2", "1"]


@pytest.mark.parametrize("how", ["the end", "a new session"])
def test_the_end_of_the_session_ends_the_wait_for_a_repetition_at_once(library, how):
    library.broken[since(940)] = answered(429, RateLimitError, retry_after=3_600.0)
    desk = Desk(library, retry=RetryPolicy(max_retries=0))
    desk.history_reader.note(50.0, 50.0)
    desk.history_reader.ask(desk.core, desk.outputs.pop())
    with desk.changed:
        assert desk.changed.wait_for(lambda: desk.outputs, TIMEOUT)
    recovery = desk.core.session.recovery
    recovery.end() if how == "the end" else recovery.begin()
    desk.history_reader.wake()
    desk.history_reader.join(Deadline(TIMEOUT))
    assert not any(thread.name == "desk-history" for thread in threading.enumerate())
    assert len(library.asked) == 1 and len(failures(desk.outputs)) == 1


def test_the_wait_is_not_shorter_than_the_service_asks_for(library, monkeypatch):
    waits: list[float] = []
    library.fails = [answered(429, RateLimitError, retry_after=7.0), UNAVAILABLE, UNAVAILABLE]
    desk = Desk(library, retry=RetryPolicy(delay=2.0))
    monkeypatch.setattr(
        desk.history_reader._woken, "wait_for", lambda condition, delay: waits.append(delay)
    )
    desk.recover()
    assert waits[0] == 7.0 and 2.0 <= waits[1] <= 6.0 and 4.0 <= waits[2] <= 12.0


# --- which messages had arrived -------------------------------------------------------------------


def lookup(*messages: tuple[DialogRef, str]) -> CheckStored:
    return CheckStored(tuple(Submission(name, "jid", dialog) for dialog, name in messages))


@pytest.fixture
def found(monkeypatch) -> Callable[[Library | None, CheckStored], Any]:
    def ask(library: Library | None, question: CheckStored) -> Any:
        answers: list[Any] = []
        desk = Desk(library)
        monkeypatch.setattr(
            desk.core.session,
            "stored_ids_received",
            lambda asked, ids, now: answers.append((asked, ids)),
        )
        desk.history_reader.ask(desk.core, question)
        wait_until(lambda: answers, "the answer")
        assert answers[0][0] is question
        return answers[0][1]

    return ask


def test_each_dialog_is_asked_once_which_messages_it_holds(library, found):
    question = lookup((FIRST, "stored-1"), (SECOND, "absent"), (FIRST, "stored-2"))
    assert found(library, question) == {"stored-1", "stored-2"}
    assert library.asked == [FIRST, SECOND]


def test_when_history_cannot_be_asked_nobody_knows(library, found, caplog):
    library.broken[SECOND] = OSError("down")
    assert found(library, lookup((FIRST, "stored"), (SECOND, "stored"))) is None
    assert "history could not be asked" in caplog.text
    assert found(None, lookup((FIRST, "stored"))) is None
