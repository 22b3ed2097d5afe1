"""``manage.py connectycube_doctor``: whether setting, database, handlers and service are as they must be."""

from __future__ import annotations

import json
from typing import Any

from attrs import asdict
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...doctor import examine

__all__ = ["Command"]

_STYLES = {"ok": "SUCCESS", "warning": "WARNING", "failed": "ERROR"}


class Command(BaseCommand):
    """Examines the project, and says what to do."""

    help = "Look at the setting, the database, the handlers and the service, and say what to do."
    requires_system_checks: Any = []  # noqa: RUF012 - they are a part of what it looks at

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the findings; status 1 if one has failed."""
        failed = 0
        for finding in examine():
            failed += finding.state == "failed"
            if options["json"]:
                self.stdout.write(json.dumps(asdict(finding)))
                continue
            state = getattr(self.style, _STYLES[finding.state])(f"{finding.state:8}")
            self.stdout.write(f"{state} {finding.what}{f': {finding.why}' if finding.why else ''}")
            if finding.hint:
                self.stdout.write(f"         {finding.hint}")
        if failed:
            raise CommandError(f"{failed} failed")
