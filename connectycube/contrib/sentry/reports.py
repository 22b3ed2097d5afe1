"""The observer that reports to Sentry, and what it does to every event before that is sent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import sentry_sdk
from attrs import frozen
from sentry_sdk.scope import Scope, use_isolation_scope
from sentry_sdk.utils import event_from_exception

from connectycube import ChatState, Observer, ReceiverGaveUp, RequestRecord, StateChange
from connectycube._containers import AnyDict

from .hiding import hide_frames, hide_queries

__all__ = ["Reports"]

_MOST_CRUMBS = 50
_KEY = "connectycube.contrib.sentry"
_NEVER_GIVEN_UP = frozenset({None, "callback_failed", "receiver_gave_up"})
"""The signals whose receivers run once, whatever they raise; None: a done-callback."""


@frozen
class _Open:
    """A receiver that runs, in a scope of its own."""

    scope: Scope
    stack: ExitStack


@frozen
class _Failed:
    """A call that raised."""

    error: BaseException
    scope: Scope


class _Local(threading.local):
    """What the calling thread runs, and what raised in it lately, also where that was told."""

    def __init__(self) -> None:
        self.open: list[_Open | None] = []
        self.failed: deque[_Failed] = deque(maxlen=4)

    def scope_of(self, error: BaseException) -> Scope | None:
        """Return the scope in which an error was raised; None if that was long ago."""
        return next((each.scope for each in self.failed if each.error is error), None)


class Reports(Observer):
    """Opens a scope for each receiver, and reports what is given up.

    Args:
        is_on: Says whether there is somebody to report to.
    """

    def __init__(self, is_on: Callable[[], bool]) -> None:
        self._is_on = is_on
        self._local = _Local()
        self._crumbs: deque[dict[str, Any]] = deque(maxlen=_MOST_CRUMBS)
        self._hosts: set[str] = set()
        """Where requests of the package went."""

    # --- what is told ---

    def request_finished(self, record: RequestRecord) -> None:
        """Note where requests go: their queries are hidden."""
        self._hosts.add(urlsplit(record.url).netloc)

    def state_changed(self, chat: Any, change: StateChange) -> None:
        """Leave a breadcrumb, and begin to listen before the first event."""
        if change.state is ChatState.CONNECTING:
            self._listen(chat)
        user = chat.user
        data = {} if user is None else {"user_id": user.id}
        if change.reason is not None:
            data["reason"] = f"{type(change.reason).__qualname__}: {change.reason}"
        text = f"{change.previous.value} → {change.state.value}"
        self._leave("connectycube.state", text, change.reason is not None, data)

    def receiver_began(self, chat: Any, signal: str | None, event: Any, receiver: str) -> None:
        """Open the scope of a receiver."""
        opened = None
        try:
            if signal == "member_failed":
                self._listen(chat)  # of a member that has never connected
            if signal not in _NEVER_GIVEN_UP:
                self._local.failed.clear()
            if self._is_on():
                stack = ExitStack()
                scope = stack.enter_context(sentry_sdk.isolation_scope())
                scope.set_tag("connectycube.receiver", receiver)
                if signal is not None:
                    scope.set_tag("connectycube.signal", signal)
                opened = _Open(scope, stack)
        finally:  # whatever happens: receiver_ended() takes the last entry
            self._local.open.append(opened)

    def receiver_ended(
        self, chat: Any, signal: str | None, event: Any, receiver: str, error: BaseException | None
    ) -> None:
        """Close the scope, and keep it if the receiver raised: it may be given up."""
        opened = self._local.open.pop()
        if opened is None:
            return
        opened.stack.close()
        if error is None:
            return
        self._local.failed.append(_Failed(error, opened.scope))
        if signal in _NEVER_GIVEN_UP:
            self._report(error)
        else:
            # Only the class: the text is the application's, and a repetition may well succeed.
            text = f"{receiver} raised {type(error).__qualname__}"
            self._leave("connectycube.receiver", text, True, {"signal": signal})

    def _listen(self, chat: Any) -> None:
        # Once for each signal, also that of a fleet: what is connected already keeps its place.
        chat.receiver_gave_up.connect(self._gave_up, key=_KEY)

    def _gave_up(self, chat: Any, gave_up: ReceiverGaveUp) -> None:
        """Report a receiver that was given up, on the thread that has just called it."""
        if self._is_on():
            self._report(gave_up.error, gave_up.attempts)

    # --- what is reported ---

    def process(self, event: Any, hint: dict[str, Any]) -> Any:
        """Complete an event of any part of the program, and hide what it must not show; None drops it."""
        if not self._is_on():
            return event
        if self._is_logged_again(hint):
            return None
        hide_frames(event)
        if event.get("type") != "transaction":
            crumbs = event.setdefault("breadcrumbs", {"values": []})
            if isinstance(crumbs, AnyDict):
                found = crumbs.setdefault("values", [])
                found.extend(dict(crumb) for crumb in tuple(self._crumbs))
                found.sort(key=_time_of)
        hide_queries(event, self._hosts)
        return event

    def _is_logged_again(self, hint: dict[str, Any]) -> bool:
        """Whether it is the log of a receiver that raised: what is given up has a report of its own."""
        record = hint.get("log_record")
        if record is None or record.name != "connectycube.chat" or not record.exc_info:
            return False
        return self._local.scope_of(record.exc_info[1]) is not None

    def _report(self, error: BaseException, attempts: int | None = None) -> None:
        scope = self._local.scope_of(error) or Scope()
        if attempts is not None:
            scope.set_tag("connectycube.attempts", attempts)
        event, hint = event_from_exception(
            error,
            client_options=sentry_sdk.get_client().options,
            mechanism={"type": "connectycube", "handled": False},
        )
        with use_isolation_scope(scope):
            sentry_sdk.capture_event(event, hint=hint)

    def _leave(self, category: str, text: str, is_warning: bool, data: dict[str, Any]) -> None:
        self._crumbs.append(
            {
                "type": "default",
                "category": category,
                "message": text,
                "level": "warning" if is_warning else "info",
                "data": data,
                "timestamp": datetime.now(timezone.utc),
            }
        )


def _time_of(crumb: dict[str, Any]) -> float:
    time = crumb.get("timestamp")
    if isinstance(time, str):
        time = datetime.fromisoformat(time.replace("Z", "+00:00"))
    return time.timestamp() if isinstance(time, datetime) else float(time or 0)
