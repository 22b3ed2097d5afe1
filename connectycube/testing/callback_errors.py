"""What receivers and done-callbacks raise during a test, as its failure: such an error reaches no caller."""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import connectycube
from connectycube import (
    Chat,
    ChatError,
    ChatState,
    ClientClosedError,
    ConnectionLostError,
    NotConnectedError,
    OutcomeUnknownError,
    SendDeferredError,
)
from connectycube._checks import repr_of, text_of

if TYPE_CHECKING:
    from types import TracebackType

    from connectycube import CallbackFailure

__all__ = ["CallbackErrors", "describe"]

_PACKAGE = Path(connectycube.__file__).parent
_SETTLE_SECONDS = 1.0
# What a call raises when its connection ends. After a test the fixtures end all connections.
_CONNECTION_ENDED = (
    ClientClosedError,
    ConnectionLostError,
    NotConnectedError,
    OutcomeUnknownError,
    SendDeferredError,
)


class CallbackErrors:
    """Notes each failure of a receiver or done-callback, of every chat that a test makes.

    It is no receiver: what a test puts around receivers does not reach it, and ``destroy()`` does not
    forget it. There is one for the whole run.
    """

    def __init__(self) -> None:
        self._chats: weakref.WeakSet[Chat] = weakref.WeakSet()  # made in the present test
        self._noted: list[CallbackFailure] = []
        self._test_is_over = False

    @contextmanager
    def watching(self) -> Generator[None]:
        """Watch every chat that is made until the end of the ``with`` statement."""
        self._chats.clear()
        self._noted.clear()
        self._test_is_over = False
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Chat, "__init__", self._watched(Chat.__init__))
            yield

    def _watched(self, init: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(init)
        def watched_init(chat: Chat, *arguments: object, **keywords: object) -> None:
            init(chat, *arguments, **keywords)
            self._chats.add(chat)
            chat._failure_observer = self._note

        return watched_init

    def _note(self, chat: Chat, failure: CallbackFailure) -> None:
        # A client that an earlier test made may be in use again; if it is not, its receiver returned late.
        if chat not in self._chats and chat.state in (ChatState.IDLE, ChatState.CLOSED):
            return
        if not (self._test_is_over and isinstance(failure.error, _CONNECTION_ENDED)):
            self._noted.append(failure)

    def settle(self) -> None:
        """Wait, within a bound, until the receivers have handled what was sent to the chats so far.

        So an error in the last receiver of a test is an error of the test, and not of its teardown. The
        server answers in order: its answer to a ping comes behind everything that it sent before. What a
        receiver sends to another chat is handled in the second round.
        """
        deadline = time.monotonic() + _SETTLE_SECONDS
        for chat in [chat for chat in self._chats if chat.is_ready] * 2:
            try:
                chat.ping(max(deadline - time.monotonic(), 0.0))
            except ChatError:
                continue  # the link is down, or a fault holds it
            chat.wait_until_idle(max(deadline - time.monotonic(), 0.0))

    def log_out(self) -> None:
        """End the chats that the test left open: their receivers may still run, and belong to this test."""
        for chat in list(self._chats):
            chat.logout()

    def end_test(self) -> None:
        """Say that the test is over: from now on connections end, and receivers may be told so."""
        self._test_is_over = True

    def take(self) -> Sequence[CallbackFailure]:
        """Return the failures that were noted since the last call."""
        taken, self._noted = self._noted, []
        return taken


def describe(item: pytest.Item, failures: Sequence[CallbackFailure]) -> str:
    """Return the text of failures, each with its traceback as pytest shows it."""
    return "\n\n".join(
        f"{_headline(failure)}\n\n{_traceback_of(item, failure.error)}" for failure in failures
    )


def _headline(failure: CallbackFailure) -> str:
    if failure.signal == "add_done_callback":
        callback = f"done-callback {failure.receiver} of message {failure.event.id}"
    else:
        callback = f"receiver {failure.receiver} of {failure.signal}"
    error = failure.error
    line = next(iter(text_of(error).splitlines()), "")
    return f"{callback} raised {type(error).__name__}{f': {line}' if line else ''}"


def _traceback_of(item: pytest.Item, error: BaseException) -> str:
    trace = _after_our_frames(error.__traceback__) or error.__traceback__
    if trace is None:
        return repr_of(error)
    excinfo = pytest.ExceptionInfo[BaseException].from_exc_info((type(error), error, trace))
    return str(item.repr_failure(excinfo))


def _after_our_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback behind the frames of this package that called the callback."""
    while trace is not None and _PACKAGE in Path(trace.tb_frame.f_code.co_filename).parents:
        trace = trace.tb_next
    return trace
