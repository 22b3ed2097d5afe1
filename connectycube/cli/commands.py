"""The table of the commands, the help that it makes, and how plain commands are run."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

from connectycube._checks import to_install
from connectycube.errors import ConnectyCubeError

from .failure import Failure

__all__ = [
    "COMMANDS",
    "COMPLETION",
    "CONTROLS",
    "Entry",
    "failed",
    "help_text",
    "missing",
    "plain_parser",
    "run_plain",
]

COMPLETION = "_CONNECTYCUBE_COMPLETE"
"""The variable by which a shell asks for the completion of words."""
CONTROLS = ("state", "faults", "clock", "trigger")
"""The commands of ``connectycube emulator``, which is a plain command itself."""
_EXTRAS = {
    **dict.fromkeys(("aiohttp", "trustme"), "emulator"),
    **dict.fromkeys(("pika", "redis"), "relay"),
    **dict.fromkeys(("click", "rich", "platformdirs", "keyring"), "cli"),
}


class Entry(NamedTuple):
    """A row of the table of commands."""

    group: str
    text: str
    """What the command does, in a line."""
    place: str = ""
    """Module and name of a command of click; empty for a plain command, a module of its own name."""


COMMANDS = {
    "login": Entry("Account", "log in, and keep that for later commands", "access:login"),
    "logout": Entry("Account", "end the session, and forget the user", "access:logout"),
    "whoami": Entry("Account", "show the user, and the application", "access:whoami"),
    "profiles": Entry("Account", "list, choose and remove accounts", "access:profiles"),
    "doctor": Entry("Account", "find out why something does not work", "doctor:doctor"),
    "completion": Entry("Account", "let your shell complete words", "completion:completion"),
    "tail": Entry("Chat", "show messages as they come", "tail:tail"),
    "send": Entry("Chat", "send messages, also the lines of a pipe", "send:send"),
    "history": Entry("Chat", "show a dialog's messages, or export all", "history:history"),
    "dialogs": Entry("Chat", "list the dialogs of the user", "dialogs:dialogs"),
    "dialog": Entry("Chat", "show, create, update and delete a dialog", "dialogs:dialog"),
    "users": Entry("Chat", "find, show, count and create users", "users:users"),
    "upload": Entry("Chat", "upload a file", "files:upload"),
    "download": Entry("Chat", "download a file", "files:download"),
    "push": Entry("Chat", "send push notifications", "push:push"),
    "admin": Entry("Administration", "read and change what all users have", "admin:admin"),
    "relay": Entry("Workers", "hand a bot's events over to workers"),
    "worker": Entry("Workers", "handle the events that a relay hands over"),
    "dead": Entry("Development", "list, retry or drop events that receivers have given up"),
    "demo": Entry("Development", "watch two people talk, on an emulator"),
    "emulator": Entry("Development", "run a ConnectyCube on this machine, or control one"),
    "exec": Entry("Development", "run a command with a ConnectyCube on this machine"),
}
"""The commands by their names, in the order of the help."""


def help_text() -> str:
    """Return the help of the program."""
    width = max(map(len, COMMANDS)) + 2
    lines = ["usage: connectycube [OPTIONS] COMMAND [ARGUMENTS]", ""]
    lines.append("ConnectyCube chat, on the command line.")
    for group in dict.fromkeys(entry.group for entry in COMMANDS.values()):
        lines += ["", f"{group}:"]
        lines += [
            f"  {name:{width}}{entry.text}"
            for name, entry in COMMANDS.items()
            if entry.group == group
        ]
    lines += [
        "",
        "Options of Account, Chat and Administration, before or behind a command:",
    ]
    lines += [f"  {option:{width + 10}}{text}" for option, text in OPTIONS.items()]
    return "\n".join([*lines, "", "'connectycube COMMAND --help' says more about a command."])


OPTIONS = {
    "--profile NAME": "the account; 'connectycube profiles' lists them",
    "--json": "one JSON object a line",
    "--color WHEN": "auto, always or never; NO_COLOR means never",
    "--timeout SECONDS": "for each answer of the service",
    "-v": "tell what is going on; -vv tells more",
    "--version": "show it and exit",
    "--help": "show this and exit",
}
"""The options of all commands of click, for the help of the program."""


def run_plain(command: str, words: Sequence[str]) -> int:
    """Run a plain command; return its exit status."""
    module, parser = plain_parser(command)
    try:
        return int(module.run(parser.parse_args(words)))
    except BrokenPipeError:
        raise
    except (ConnectyCubeError, OSError) as error:
        return failed(error, command)
    except Failure as error:
        return failed(error, command, status=error.status)
    except ModuleNotFoundError as error:
        if _EXTRAS.get(error.name or "") in ("emulator", "relay"):
            return failed(error, command)  # the error says which extra brings it
        return failed(missing(error), command)


def plain_parser(command: str) -> tuple[ModuleType, argparse.ArgumentParser]:
    """Return the module of a plain command, and the parser of its arguments."""
    module = importlib.import_module(f"{__package__}.{command}")
    parser = argparse.ArgumentParser(
        prog=f"connectycube {command}", description=module.__doc__, formatter_class=_Formatter
    )
    module.add_arguments(parser)
    return module, parser


def missing(error: ModuleNotFoundError) -> str:
    """Return what to install for a module that is missing, or raise the error if no extra has it."""
    extra = _EXTRAS.get(error.name or "")
    if extra is None:
        raise error
    return to_install(error.name or "", extra)


def failed(error: object, command: str = "", *, status: int = 1) -> int:
    """Say what is wrong, and return the exit status."""
    print(f"connectycube{command and f' {command}'}: {error}", file=sys.stderr)
    return status


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the paragraphs of a module's docstring."""
