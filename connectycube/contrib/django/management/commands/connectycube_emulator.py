"""``manage.py connectycube_emulator -- COMMAND``: a command with a ConnectyCube on this machine."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings as django_settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from connectycube._containers import AnyDict
from connectycube.errors import ConnectyCubeError

from ...conf import read
from ...emulating import add_bots, emulator_of

__all__ = ["Command"]

_ADDRESSES = ("API_URL", "CHAT_HOST", "CHAT_PORT", "CA_FILE")


class Command(BaseCommand):
    """Runs a command while an emulator runs."""

    help = (
        "Start a ConnectyCube on this machine, run COMMAND with the environment that leads there, and end"
        " with its status. The bots of BOTS have accounts there."
    )
    # The setting is complete only in the environment of the command.
    requires_system_checks: Any = []  # noqa: RUF012

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--load", metavar="FILE", help="JSON file of users, dialogs and messages to start with"
        )
        parser.add_argument(
            "arguments",
            metavar="-- COMMAND",
            nargs="*",
            help="a program with its arguments, such as: -- ./manage.py connectycube_listen",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        words = options["arguments"]
        if not words:
            raise CommandError("COMMAND is missing: connectycube_emulator -- ./manage.py runserver")
        given = getattr(django_settings, "CONNECTYCUBE", {})
        hidden = [
            key for key in _ADDRESSES if isinstance(given, AnyDict) and given.get(key) is not None
        ]
        if hidden:
            raise CommandError(
                f"CONNECTYCUBE[{hidden[0]!r}] is set, so the command would not find the emulator: leave it"
                " to the environment"
            )
        sys.exit(self._run(words, given, options["load"]))

    def _run(self, words: list[str], given: Any, load: str | None) -> int:
        environ = {
            "CONNECTYCUBE_APP_ID": os.environ.get("CONNECTYCUBE_APP_ID", "1"),
            "CONNECTYCUBE_AUTH_KEY": os.environ.get("CONNECTYCUBE_AUTH_KEY", "key"),
            "CONNECTYCUBE_AUTH_SECRET": os.environ.get("CONNECTYCUBE_AUTH_SECRET", ""),
        }
        settings, problems = read(given, environ)
        if settings is None or problems:
            raise CommandError("; ".join(problem.text for problem in problems))
        try:
            emulator = emulator_of(settings)
            from connectycube.emulator import CommandNotRunError, run_command
        except ModuleNotFoundError as error:
            raise CommandError(str(error)) from None  # it says which extra is missing

        def prepare() -> None:
            if load is not None:
                emulator.load(load)
            add_bots(emulator, settings.bots.values())

        try:
            return run_command(words, emulator, prepare=prepare)
        except CommandNotRunError as error:
            raise CommandError(str(error), returncode=error.status) from None
        except (ConnectyCubeError, OSError) as error:
            raise CommandError(str(error)) from None
