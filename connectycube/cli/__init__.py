"""The command line: ``connectycube <command>``.

A command is a module of this package with ``add_arguments(parser)`` and ``run(arguments) -> int``. It is
imported when the command is called, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from connectycube.errors import ConnectyCubeError

__all__ = ["COMMANDS", "main"]

_INTERRUPTED = 130  # as shells say it: 128 and the number of SIGINT

COMMANDS = {
    "dead": "list, retry or drop the events that receivers have given up",
    "demo": "watch two people talk, on an emulator, for a few seconds",
    "emulator": "run a ConnectyCube on this machine",
    "exec": "run a command with a ConnectyCube on this machine",
}
"""The commands, each with its description; a command has the name of its module."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code: 0 done, 1 failed, 2 wrong arguments, 130 ended by Ctrl-C."""
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return _INTERRUPTED


def _main(words: Sequence[str]) -> int:
    parser = _parser()
    chosen = parser.parse_args(words[:1])
    if chosen.command is None:
        parser.print_help()
        return 2
    return _run(chosen.command, words[1:])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="connectycube", description="ConnectyCube chat, on the command line."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show it and exit")
    commands = parser.add_subparsers(dest="command", metavar="command", title="commands")
    for name, help_text in COMMANDS.items():
        # The command reads its own arguments, --help included, once its module is loaded.
        commands.add_parser(name, help=help_text, add_help=False)
    return parser


def _run(command: str, words: Sequence[str]) -> int:
    module = importlib.import_module(f"{__name__}.{command}")
    parser = argparse.ArgumentParser(
        prog=f"connectycube {command}", description=module.__doc__, formatter_class=_Formatter
    )
    module.add_arguments(parser)
    try:
        return int(module.run(parser.parse_args(words)))
    except (ConnectyCubeError, OSError) as error:
        return _failed(command, error)
    except ModuleNotFoundError as error:
        if error.name not in ("aiohttp", "trustme"):
            raise
        return _failed(command, error)  # the emulator says which extra brings them


def _failed(command: str, error: Exception) -> int:
    print(f"connectycube {command}: {error}", file=sys.stderr)
    return 1


class _Version(argparse.Action):
    """Looks up the version only for ``--version``: the search costs a tenth of the emulator's start."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"connectycube {version('connectycube')}")
        parser.exit()


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the paragraphs of a module's docstring."""
