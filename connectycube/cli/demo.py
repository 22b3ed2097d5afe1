"""Watch two people talk through the SDK, on an emulator of the service, for a few seconds.

Alice writes; Bob is a bot whose registered callback answers. In between Alice's link is cut, and the line
that she writes in that time arrives all the same. At the end the history is read back over REST. Every event
is printed as it happens, with its time and its user. The exit code is 0 if every message arrived.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from connectycube import (
    Chat,
    ChatState,
    ConnectyCube,
    Dialog,
    Message,
    MessageFailure,
    MessageSent,
    MessageStatus,
    ReconnectPolicy,
    StateChange,
    Typing,
)

__all__ = ["add_arguments", "run"]

_LINES = (
    "Hello Bob! 👋",
    "Ça va? Здравствуй, こんにちは, 你好, שלום",
    "Emoji travel too: 👩‍🚀🚀🌍 (and so do <tags> & tabs\t→)",
)
_LINE_WHILE_CUT = "I wrote this while my link was down 🔌"
_PATIENCE = 8.0  # seconds any single step may take


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--pace",
        type=float,
        default=0.6,
        metavar="SECONDS",
        help="pause between two lines of the talk, so that it can be followed (default 0.6)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration; return 0 if every message arrived, was answered and is in the history."""
    from connectycube.emulator import Emulator

    began = time.monotonic()
    reconfigure: Any = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="replace")
    story = Story(arguments.pace)
    with Emulator() as emulator:
        story.headline(
            f"A ConnectyCube on this machine: REST at {emulator.api_url}, "
            f"chat at {emulator.domain}:{emulator.chat_port} (TLS, verified)"
        )
        config = emulator.config(reconnect=ReconnectPolicy(delay=1.0))
        with ConnectyCube(config=config) as alice, ConnectyCube(config=config) as bob:
            complete = story.tell(alice, bob, emulator.cut)
    story.headline(
        f"{'Everything arrived' if complete else 'SOMETHING IS MISSING'}; "
        f"everything is shut down, after {time.monotonic() - began:.1f} seconds."
    )
    return 0 if complete else 1


class Story:
    """The talk of the two people, and the lines that are printed about it."""

    def __init__(self, pace: float) -> None:
        self._pace = pace
        self._names: dict[int, str] = {}
        self._printing = threading.Lock()
        self._answers = threading.Semaphore(0)
        self._reads = threading.Semaphore(0)
        self._cut = threading.Event()
        self._texts: dict[str, str] = {}  # by message id

    def tell(self, alice: ConnectyCube, bob: ConnectyCube, cut: Callable[[int], int]) -> bool:
        """Play the whole story; return whether every line and answer is in the history."""
        for cube, name in ((alice, "Alice"), (bob, "Bob")):
            self._sign_up(cube, name)
            self._print_events(cube.chat, name)
        bob.chat.message_received.connect(self._answer)
        alice.chat.message_received.connect(lambda chat, message: self._answers.release())
        alice.chat.message_read.connect(lambda chat, status: self._reads.release())
        alice.chat.state_changed.connect(self._notice_cut)

        self.headline("Both log in to the chat")
        alice.chat.login()
        bob.chat.login()
        self.headline("Alice opens a dialog with Bob and writes; Bob's callback answers")
        dialog = alice.dialogs.create_private(_id_of(bob))
        for line in _LINES:
            self._say(alice.chat, dialog, line)
        self.headline("Now Alice's link is cut, and heals by itself")
        cut(_id_of(alice))
        if not self._cut.wait(_PATIENCE):
            raise TimeoutError("the cut link was not noticed")
        self._say(alice.chat, dialog, _LINE_WHILE_CUT)
        self.headline("The history, read back over REST")
        said = self._read_history(alice, dialog)
        self.headline("Both log out")
        alice.chat.logout()
        bob.chat.logout()
        expected = [text for line in (*_LINES, _LINE_WHILE_CUT) for text in (line, _echo(line))]
        return said == expected

    def headline(self, text: str) -> None:
        """Print the title of the next part."""
        self._print(f"\n── {text}")

    # --- the people ---

    def _sign_up(self, cube: ConnectyCube, name: str) -> None:
        login, password = name.lower(), f"{name}'s password"
        user = cube.users.create(login=login, password=password, full_name=name)
        cube.login(login=login, password=password)
        assert user.id is not None
        self._names[user.id] = name
        self._event(name, f"signed up over REST as user {user.id} and has a session")

    def _say(self, chat: Chat, dialog: Dialog, line: str) -> None:
        """Send a line, after typing, and wait until it was answered and read."""
        chat.send_typing(dialog)
        time.sleep(self._pace)
        self._event("Alice", f"writes     {_quoted(line)}")
        chat.send_message(dialog, line).result(_PATIENCE)
        if not (
            self._answers.acquire(timeout=_PATIENCE) and self._reads.acquire(timeout=_PATIENCE)
        ):
            raise TimeoutError(f"no answer to {line!r}")

    def _answer(self, chat: Chat, message: Message) -> None:
        """Read a message and answer it: this callback is Bob, the bot."""
        chat.mark_read(message)
        chat.reply(message, _echo(message.body or "")).result(_PATIENCE)

    def _read_history(self, cube: ConnectyCube, dialog: Dialog) -> list[str | None]:
        page = cube.messages.list(dialog, sort="date_sent")
        for message in page:
            who = self._names.get(message.sender_id or 0, "somebody")
            self._print(f"    {_clock(message.date_sent)}  {who:<6} {_quoted(message.body)}")
        return [message.body for message in page]

    def _notice_cut(self, _: Chat, change: StateChange) -> None:
        if change.state is ChatState.FORCE_CLOSED:
            self._cut.set()

    # --- the telling ---

    def _print_events(self, chat: Chat, name: str) -> None:
        def state(_: Chat, change: StateChange) -> None:
            reason = f" ({change.reason})" if change.reason else ""
            words = f"{change.previous.name} → {change.state.name}{reason}"
            self._event(name, f"state      {words}")

        def message(_: Chat, message: Message) -> None:
            self._note(message)
            who = self._who(message.sender_id)
            self._event(name, f"receives   {_quoted(message.body)} from {who}")

        def sent(_: Chat, event: MessageSent) -> None:
            self._note(event.message)
            self._event(name, f"sent       the server has {_quoted(event.message.body)}")

        def failed(_: Chat, event: MessageFailure) -> None:
            self._event(name, f"FAILED     message {event.message_id}: {event.error}")

        def delivered(_: Chat, event: MessageStatus) -> None:
            self._event(name, f"delivered  {self._who(event.user_id)} has {self._text(event)}")

        def read(_: Chat, event: MessageStatus) -> None:
            self._event(name, f"read       {self._who(event.user_id)} has read {self._text(event)}")

        def typing(_: Chat, event: Typing) -> None:
            self._event(name, f"sees       {self._who(event.user_id)} is typing…")

        chat.state_changed.connect(state)
        chat.message_received.connect(message)
        chat.message_sent.connect(sent)
        chat.message_failed.connect(failed)
        chat.message_delivered.connect(delivered)
        chat.message_read.connect(read)
        chat.typing_started.connect(typing)

    def _who(self, user_id: int | None) -> str:
        return self._names.get(user_id or 0, f"user {user_id}")

    def _note(self, message: Message) -> None:
        self._texts[message.id or ""] = message.body or ""

    def _text(self, status: MessageStatus) -> str:
        return _quoted(self._texts.get(status.message_id, status.message_id))

    def _event(self, name: str, what: str) -> None:
        self._print(f"{_clock(datetime.now().astimezone())}  {name:<6} {what}")

    def _print(self, line: str) -> None:
        with self._printing:
            print(line, flush=True)


def _echo(line: str) -> str:
    return f"You said: {line}"


def _quoted(text: str | None) -> str:
    return f"“{text}”"


def _id_of(cube: ConnectyCube) -> int:
    assert cube.user is not None and cube.user.id is not None
    return cube.user.id


def _clock(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%H:%M:%S.%f")[:-3] if moment else "--:--:--.---"
