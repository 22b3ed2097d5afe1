"""``manage.py connectycube_sync_users``: an account at the service for each active user of Django."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...accounts import sync
from ...models import ChatAccount
from ..base import check_database, live_backend, settings_or_error

__all__ = ["Command"]

_DONE = {"create": "created", "update": "updated", "delete": "deleted"}


class Command(BaseCommand):
    """Brings the accounts at the service up to date."""

    help = (
        "Make an account at the service for each active user who has none, and send fields that have changed"
        " since. It may run at any time, and again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be done, and do nothing"
        )
        parser.add_argument(
            "--delete",
            action="store_true",
            help="delete the accounts of users who are gone, for good",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; status 1 if the service refused one."""
        settings_or_error()
        backend = live_backend()
        check_database(ChatAccount)
        counts = dict.fromkeys(_DONE, 0)
        failed = 0
        for step in sync(backend, dry_run=options["dry_run"], delete=options["delete"]):
            if step.error:
                failed += 1
                self.stderr.write(f"{step.action} {step.who}: {step.error}")
                continue
            counts[step.action] += 1
            if options["verbosity"] > 1 or options["dry_run"]:
                self.stdout.write(f"{step.action} {step.who}")
        backend.close()
        words = ", ".join(f"{counts[action]} {done}" for action, done in _DONE.items())
        self.stdout.write(f"{'would be: ' if options['dry_run'] else ''}{words}")
        if failed:
            raise CommandError(f"{failed} failed")
