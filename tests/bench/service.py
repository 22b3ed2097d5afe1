"""The emulator in a process of its own, so that its CPU and memory are not the client's."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

from attrs import frozen

from connectycube import Config, ConnectyCube
from connectycube.emulator import Emulator
from tests.support import crowd

__all__ = ["PASSWORD", "Place", "logged_in", "service"]

PASSWORD = "a password"
_FIRST_SENT = 1_700_000_000
_SECONDS_BETWEEN = 7
_TEXT = "Message {}: wie gesagt, we meet at six in front of the café. Здравствуй! 🚀 "


@frozen(kw_only=True)
class Place:
    """A running emulator with the users alice and bob and their private dialog.

    ``doors`` are for clients other than ours.
    """

    config: Config
    doors: crowd.Place
    alice: int
    bob: int
    dialog: str


@contextmanager
def service(*, messages: int = 0, users: Sequence[str] = ()) -> Iterator[Place]:
    """Run an emulator whose private dialog of alice and bob holds so many messages of bob.

    ``users`` are the logins of more people, with the password "secret".
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, messages, users), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join()


@contextmanager
def logged_in(place: Place) -> Iterator[ConnectyCube]:
    """Log in as alice over REST."""
    with ConnectyCube(config=place.config) as cube:
        cube.login(login="alice", password=PASSWORD)
        yield cube


def _serve(pipe: Connection, messages: int, users: Sequence[str]) -> None:
    with Emulator() as emulator:
        alice, bob = (emulator.add_user(name, PASSWORD) for name in ("alice", "bob"))
        dialog = _fill(emulator, alice, bob, messages)
        for login in users:
            emulator.add_user(login, "secret")
        pipe.send(
            Place(
                config=emulator.config(),
                doors=crowd.doors_of(emulator),
                alice=alice,
                bob=bob,
                dialog=dialog,
            )
        )
        try:
            pipe.recv()
        except EOFError:  # the benchmark is done
            pass


def _fill(emulator: Emulator, reader: int, writer: int, count: int) -> str:
    dialog = emulator.add_dialog("private", reader, [writer])
    emulator.add_messages(dialog, (_message(writer, number) for number in range(count)))
    return dialog


def _message(writer: int, number: int) -> dict[str, object]:
    picture = {"type": "image", "uid": f"{number:032x}", "name": "six.png", "size": 48213}
    return {
        "sender_id": writer,
        "message": _TEXT.format(number) * (1 + number % 3),
        "date_sent": _FIRST_SENT + number * _SECONDS_BETWEEN,
        "attachments": [picture] if number % 10 == 0 else [],
        "custom": {"colour": "blue", "number": str(number)} if number % 4 == 0 else {},
    }
