"""List, retry or drop the events that receivers have given up, also while the program runs.

FILE is the file of durable mode, the one given as durable="bot.db"; its dead letters are in bot.db.dead.
"list" prints a line for each letter: id, time, signal, receiver, attempts, error, and the event as JSON with
--json. "retry" has the named receiver run again for the event, within 5 seconds if the program runs and
otherwise after its next login. "drop" removes letters for good. IDs are those of "list"; --all takes all.
"""

from __future__ import annotations

import argparse
import json

from connectycube import DeadLetter, DeadLetters

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions, each with its arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="print the dead letters, the oldest first")
    listing.add_argument("file", metavar="FILE")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    for name, text in (("retry", "run the receiver again"), ("drop", "remove letters for good")):
        action = actions.add_parser(name, help=text)
        action.add_argument("file", metavar="FILE")
        action.add_argument("ids", metavar="ID", type=int, nargs="*")
        action.add_argument("--all", action="store_true", help="all letters in the file")


def run(arguments: argparse.Namespace) -> int:
    """Do it; return 0."""
    path: str = arguments.file
    letters = DeadLetters(path if path.endswith(".dead") else f"{path}.dead")
    if arguments.action == "list":
        for letter in letters:
            print(json.dumps(letter.to_dict()) if arguments.json else _line(letter))
        return 0
    act = letters.retry if arguments.action == "retry" else letters.drop
    for id in [letter.id for letter in letters] if arguments.all else arguments.ids:
        act(id)
    return 0


def _line(letter: DeadLetter) -> str:
    mark = "  (to be retried)" if letter.is_marked else ""
    at = letter.at.strftime("%Y-%m-%d %H:%M:%SZ")
    times = "once" if letter.attempts == 1 else f"{letter.attempts} times"
    words = f"{type(letter.error).__name__}: {letter.error}"
    return f"{letter.id}  {at}  {letter.signal}  {letter.receiver}  raised {times}, at last {words}{mark}"
