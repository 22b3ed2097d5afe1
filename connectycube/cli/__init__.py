"""The command line: ``connectycube <command>``.

A plain command is a module of this package with ``add_arguments(parser)`` and ``run(arguments) -> int``, and
needs no more than the package does. The others are commands of click and need the extra ``cli``. Each module
is imported when its command is called, so that ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from connectycube._checks import nearest

from .commands import COMMANDS, COMPLETION, CONTROLS, failed, help_text, missing, run_plain

__all__ = ["COMMANDS", "main"]

_INTERRUPTED = 130  # as shells say it: 128 and the number of SIGINT
_READER_GONE = 141  # 128 and the number of SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status.

    It is 0 (done), 1 (failed), 2 (wrong arguments), 4 (not logged in, or refused), 5 (not found), 6 (network
    or time-out), 7 (try later), 130 (ended by Ctrl-C), or 141 (the reader of the output is gone).
    """
    try:
        status = _main(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The interpreter would flush the rest at its exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    return status


def _main(words: Sequence[str]) -> int:
    if COMPLETION in os.environ:
        return _run_shell(words)
    if not words or words[0] in ("-h", "--help"):
        print(help_text())
        return 0 if words else 2
    first = words[0]
    if first == "--version":
        from importlib.metadata import version  # the search costs a tenth of the emulator's start

        print(f"connectycube {version('connectycube')}")
        return 0
    unknown = _unknown(words)
    if unknown is not None:
        return failed(unknown, status=2)
    if first in COMMANDS and not COMMANDS[first].place and not _is_control(words):
        return run_plain(first, words[1:])
    return _run_shell(words)


def _run_shell(words: Sequence[str]) -> int:
    try:
        from . import shell
    except ModuleNotFoundError as error:
        return failed(missing(error))
    return shell.run(words)


def _unknown(words: Sequence[str]) -> str | None:
    """Return a sentence for words that name no command, or None."""
    first = words[0]
    if first not in COMMANDS and not first.startswith("-"):
        return f"there is no command {first!r}: {nearest(first, COMMANDS)}"
    if first == "emulator":
        for second in words[1:2]:
            if not second.startswith("-") and second not in CONTROLS:
                return f"there is no command 'emulator {second}': {nearest(second, CONTROLS)}"
    return None


def _is_control(words: Sequence[str]) -> bool:
    return words[0] == "emulator" and words[1:2] != [] and words[1] in CONTROLS
