"""Django's command line for the project; run as ``python -m tests.support.strange_project.manage``."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.support.strange_project.settings")
    execute_from_command_line(sys.argv)
