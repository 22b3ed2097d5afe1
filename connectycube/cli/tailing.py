"""What ``connectycube tail`` does: shows each event, sends it to a program, and ends when nobody reads."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import Any

import requests
from attrs import define, field, fields, frozen

from connectycube import (
    Chat,
    ChatState,
    ConnectyCube,
    Handling,
    Message,
    ReconnectPolicy,
    StateChange,
)
from connectycube._checks import check_http_url
from connectycube.contrib.common.exit_status import READER_GONE
from connectycube.contrib.common.tailing import check_dialog, show_events

from .output import Output
from .people import People
from .printable import local_time, printable
from .shell import Shell

__all__ = ["Tail"]

_TERMINATED = 128 + signal.SIGTERM
_FORWARD_SECONDS = 10.0
_LINKS = {ChatState.READY: "connected", ChatState.RESUMED: "connected again"}


@frozen(kw_only=True)
class Tail:
    """One run of the command."""

    shell: Shell
    dialog: str | None
    forward_to: str | None
    count: int | None

    def run(self, signals: Sequence[str]) -> int:
        """Show the events of these signals until the end; return the exit status."""
        if self.forward_to is not None:
            check_http_url("--forward-to", self.forward_to)
        before = signal.signal(signal.SIGTERM, _terminated)
        try:
            with self.shell.client(
                durable=None,
                auto_delivered=False,
                reconnect=ReconnectPolicy(max_attempts=None, delay=1.0),
            ) as client:
                return self._run(client, signals)
        finally:
            signal.signal(signal.SIGTERM, before)

    def _run(self, client: ConnectyCube, signals: Sequence[str]) -> int:
        output, chat = self.shell.output, client.chat
        check_dialog(client, self.dialog)
        end = _End(output=output, count=self.count)
        show = _Show(output=output, people=People(client), end=end)
        forward = None
        if self.forward_to is not None:
            forward = _Forward(url=self.forward_to, output=output)
            # Before the others: with --count, what is shown last was sent before.
            handling = Handling(transient=_NotTaken, give_up_after=60.0)
            show_events(chat, signals, self.dialog, forward, key="forward", handling=handling)
        show_events(chat, signals, self.dialog, show, key="tail")
        chat.state_changed.connect(_told(output), key="state")
        with end.watched(), closing(forward) if forward is not None else nullcontext():
            chat.login()
            chat.wait(signals=(signal.SIGTERM,), stop=end.reached)
        return end.status if end.is_over else _TERMINATED


def _terminated(number: int, frame: object) -> None:
    """End the command in good order, also before the chat waits for signals."""
    sys.exit(_TERMINATED)


def _told(output: Output) -> Callable[[Chat, StateChange], None]:
    def tell(chat: Chat, change: StateChange) -> None:
        if change.state in _LINKS:
            output.note(_LINKS[change.state], "faint")
        elif change.state is ChatState.FORCE_CLOSED:
            output.note(f"the connection is lost: {printable(str(change.reason))}", "careful")

    return tell


# --- how it ends --------------------------------------------------------------------------------------


@define
class _End:
    """Whether the command is to end: enough events, or nobody reads them."""

    output: Output
    count: int | None
    reached: threading.Event = field(factory=threading.Event)
    status: int = 0
    _shown: int = 0

    def note_event(self) -> None:
        """Count an event that was shown."""
        self._shown += 1
        if self._shown == self.count:
            self.reached.set()

    @property
    def is_over(self) -> bool:
        """Whether no more events are to be shown."""
        return self.reached.is_set()

    def reader_gone(self) -> None:
        """Note that nobody reads the output."""
        self.status = READER_GONE
        self.reached.set()

    @contextmanager
    def watched(self) -> Generator[None]:
        """Watch for the end of the reader: without an event, no write would show it.

        Windows cannot tell of it, so there the next write shows it.
        """
        if not hasattr(select, "poll"):
            yield
            return
        waking, waker = os.pipe()
        thread = threading.Thread(
            target=self._watch, args=(waking,), name="output-watch", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            os.close(waker)
            thread.join()
            os.close(waking)

    def _watch(self, waking: int) -> None:
        poll = select.poll()
        poll.register(waking, select.POLLIN)
        try:
            output = sys.stdout.fileno()
            if os.isatty(output):
                return
            poll.register(output, 0)  # errors alone: the reader's end of a pipe is one
        except (OSError, ValueError):
            return
        if any(number == output for number, _ in poll.poll()):
            self.reader_gone()


# --- what is done with an event -------------------------------------------------------------------------


@define
class _Show:
    output: Output
    people: People
    end: _End

    def __call__(self, name: str, event: Any) -> None:
        if self.end.is_over:
            return
        try:
            self.output.show(event, self._text(name, event) if not self.output.as_json else "")
        except BrokenPipeError:
            self.end.reader_gone()
        else:
            self.end.note_event()

    def _text(self, name: str, event: Any) -> str:
        if not isinstance(event, Message):
            return f"{name} {self._fields(event)}"
        styled = self.output.styled
        at = local_time(event.date_sent, "%H:%M:%S") or "--:--:--"
        body = "\n  ".join(printable(line) for line in (event.body or "").splitlines())
        files = "".join(
            f" [{each.type}: {each.name or each.url or each.uid}]" for each in event.attachments
        )
        who = styled(printable(self.people.name(event.sender_id)), "strong")
        place = styled(f"{at} {event.dialog_id or '-'}", "faint")
        return f"{place} {who}: {body}{printable(files)}"

    def _fields(self, event: Any) -> str:
        pairs = [(entry.name, getattr(event, entry.name)) for entry in fields(event.__class__)]
        words = [f"{name}={value}" for name, value in pairs if value not in (None, False, (), {})]
        return printable(" ".join(words))


class _NotTaken(Exception):
    """The program behind the URL has not taken the event, and may take it later."""


@define
class _Forward:
    url: str
    output: Output
    _session: requests.Session = field(factory=requests.Session)

    def __call__(self, name: str, event: Any) -> None:
        data = event.to_dict()
        try:
            response = self._session.post(
                self.url,
                json=data,
                headers={"X-ConnectyCube-Signal": name},
                timeout=_FORWARD_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            self._say(name, type(error).__name__, "bad")
            raise _NotTaken(
                f"the program at --forward-to was not reached: {type(error).__name__}"
            ) from None
        is_taken = response.status_code < 400
        self._say(name, str(response.status_code), "good" if is_taken else "bad")
        if response.status_code == 429 or response.status_code >= 500:
            raise _NotTaken(f"the program at --forward-to answered {response.status_code}")

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _say(self, name: str, outcome: str, style: str) -> None:
        self.output.note(f"{name} --> {outcome}", style)
