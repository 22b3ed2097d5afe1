"""List, retry or drop the events that receivers have given up, also while the program runs.

FILE is the file of durable mode, the one given as durable="bot.db"; its dead letters are in bot.db.dead.
"list" prints a line for each letter: id, time, signal, receiver, attempts, error, and the event as JSON with
--json. "retry" has the named receiver run again for the event, within 5 seconds if the program runs and
otherwise after its next login. "drop" removes letters for good. IDs are those of "list"; --all takes all. If
one of the IDs is that of no letter, none is retried or dropped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable

from connectycube import ArgumentValueError, DeadLetter, DeadLetters, SerializedError

from .printable import printable

__all__ = ["add_arguments", "run"]

_SUFFIX = ".dead"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions, each with its arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="print the dead letters, the oldest first")
    listing.add_argument("file", metavar="FILE")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    for name, text in (("retry", "run the receiver again"), ("drop", "remove letters for good")):
        action = actions.add_parser(name, help=text)
        action.add_argument("file", metavar="FILE")
        which = action.add_mutually_exclusive_group(required=True)
        which.add_argument("ids", metavar="ID", type=int, nargs="*", default=[])
        which.add_argument("--all", action="store_true", help="all letters in the file")


def run(arguments: argparse.Namespace) -> int:
    """Do it; return 0."""
    letters = _letters_of(arguments.file)
    if arguments.action == "list":
        _list(letters, as_json=arguments.json)
    elif arguments.action == "retry":
        count = _change(arguments, letters.retry, letters.retry_all)
        print(f"{_number(count)} marked to be retried")
    else:
        count = _change(arguments, letters.drop, letters.drop_all)
        print(f"{_number(count)} dropped")
    return 0


def _letters_of(path: str) -> DeadLetters:
    """Return the letters of a file of durable mode, which need not exist yet, but the file must."""
    durable = path.removesuffix(_SUFFIX)
    dead = f"{durable}{_SUFFIX}"
    if not os.path.isfile(dead) and not os.path.isfile(durable):
        raise ArgumentValueError(f"FILE is no file of durable mode: there is no file {durable!r}")
    return DeadLetters(dead)


def _list(letters: DeadLetters, *, as_json: bool) -> None:
    found = list(letters)
    for letter in found:
        print(json.dumps(letter.to_dict()) if as_json else _line(letter))
    if not found:
        print(f"no dead letters in {letters.path}", file=sys.stderr)


def _change(
    arguments: argparse.Namespace,
    change: Callable[..., None],
    change_all: Callable[[], int],
) -> int:
    if arguments.all:
        return change_all()
    change(*arguments.ids)
    return len(set(arguments.ids))


def _number(count: int) -> str:
    return "1 letter" if count == 1 else f"{count} letters"


def _line(letter: DeadLetter) -> str:
    mark = "  (to be retried)" if letter.is_marked else ""
    at = letter.at.strftime("%Y-%m-%d %H:%M:%SZ")
    if letter.event is None:
        return printable(f"{letter.id}  {at}  cannot be read: {letter.error}{mark}")
    times = "once" if letter.attempts == 1 else f"{letter.attempts} times"
    error = letter.error
    name = error.class_name if isinstance(error, SerializedError) else type(error).__name__
    words = f"{letter.signal}  {letter.receiver}  raised {times}, at last {name}: {error}"
    return printable(f"{letter.id}  {at}  {words}{mark}")
