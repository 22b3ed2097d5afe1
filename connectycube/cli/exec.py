"""Run COMMAND with a ConnectyCube on this machine, and end with its exit status.

The emulator listens on free ports of the loopback interface, and COMMAND has the variables that lead there,
so that ConnectyCube.from_env() finds it:

    connectycube exec -- python my_bot.py

With --env-file a second terminal finds it, too:

    . ./emulator.env; python another.py

SIGINT, SIGTERM, SIGHUP and SIGQUIT are passed on to COMMAND. When COMMAND has ended, the emulator and the
processes that COMMAND has left in its process group are ended, and the state of the emulator is gone. The
exit status is 127 if there is no COMMAND, 126 if it is no program, and 1 if the emulator cannot start.
"""

from __future__ import annotations

import argparse
import os
import sys

from .emulator import port_number

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.usage = (
        "%(prog)s [-h] [--load FILE] [--env-file FILE] [--ui-port N] -- COMMAND [ARGUMENT ...]"
    )
    parser.add_argument(
        "--load", metavar="FILE", help="JSON file of users, dialogs and messages to start with"
    )
    parser.add_argument(
        "--env-file",
        metavar="FILE",
        help="file that gets the variables, as export lines, before COMMAND starts; removed at the end",
    )
    parser.add_argument(
        "--ui-port",
        type=port_number,
        metavar="N",
        help="port of the page that shows what happens, whose address is on standard error; 0: a free one "
        "(default: no page)",
    )
    parser.add_argument(
        "command", nargs="+", metavar="COMMAND", help="a program, and after it its arguments"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run it; return its exit status, or 128 and the number of the signal that ended it."""
    from connectycube.emulator import CommandNotRunError, Emulator, run_command

    emulator = Emulator(
        auth_secret=os.environ.get("CONNECTYCUBE_AUTH_SECRET") or None,
        admin_key=os.environ.get("CONNECTYCUBE_ADMIN_KEY") or None,
        control_token=os.environ.get("CONNECTYCUBE_CONTROL_TOKEN") or None,
        ui_port=arguments.ui_port,
    )

    def prepare() -> None:
        if arguments.load is not None:
            emulator.load(arguments.load)
        if emulator.ui_url is not None:
            print(f"The page of the emulator: {emulator.ui_url}", file=sys.stderr, flush=True)

    try:
        return run_command(
            arguments.command,
            emulator,
            prepare=prepare,
            env_file=arguments.env_file,
        )
    except CommandNotRunError as error:
        print(f"connectycube exec: {error}", file=sys.stderr)
        return error.status
