"""Reloaders of Flask and Django: the process that is replaced ends its chat, and the next one has its own."""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest

from tests.processes.programs.running import LOGIN, PASSWORD, available, program, serving
from tests.support.waiting import TIMEOUT, wait_until

_CHANGES = 5
_NOTICES = 8.0  # seconds within which a reloader replaces the process

APPLICATION = """
from flask import Flask
from tests.processes.programs.webapp import application

app = Flask(__name__)
app.wsgi_app = application
"""
DJANGO = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(DEBUG=True, ROOT_URLCONF=__name__, WSGI_APPLICATION="reloaded.application")
urlpatterns = []
execute_from_command_line(sys.argv)
"""


def flask():
    """The command that starts Flask's server with its reloader."""
    return [program("flask"), "--app", "reloaded", "run", "--reload", "--port", "PORT"]


def django():
    """The command that starts Django's server with its reloader."""
    return [sys.executable, "manage.py", "runserver", "127.0.0.1:PORT"]


@pytest.mark.parametrize(
    # Flask's parent process imports the application, too.
    ("command", "chats"),
    [(flask, 2), (django, 1)],
    ids=["flask", "django"],
)
def test_a_reloaded_application_has_a_chat_and_right_answers(emulator, tmp_path, command, chats):
    (tmp_path / "manage.py").write_text(DJANGO)
    module = tmp_path / "reloaded.py"
    module.write_text(APPLICATION)
    app = emulator.add_user(LOGIN, PASSWORD)
    users = [emulator.add_user(f"user{number}", PASSWORD) for number in range(20)]

    def enough(resources):
        return resources if len(resources) == chats else None

    with serving(emulator, tmp_path, command(), CHAT_AT_IMPORT="1") as site:
        assert site.get("/state") == "READY True"
        before = wait_until(lambda: enough(available(emulator, app)), "the chats", TIMEOUT)

        def is_replaced():
            return before - available(emulator, app) and available(emulator, app) - before

        for number in range(_CHANGES):
            module.write_text(f"{APPLICATION}\n# change {number}\n")
            # A reloader that looks at the file for the first time only now does not notice the change.
            with suppress(TimeoutError):
                wait_until(is_replaced, "the next process", _NOTICES)
                break
        wait_until(site.is_up, "the web server", TIMEOUT)
        assert site.get("/state") == "READY True"
        assert site.get_all([f"/user/{user}" for user in users]) == [str(user) for user in users]
        wait_until(lambda: enough(available(emulator, app)), "the chats", TIMEOUT)
        assert "Traceback" not in site.program.words
