"""Commands and web workers of a project with a bot: none of them connects to the service."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest

from tests.processes.contrib.django.project import MANAGE, SECONDS, Project
from tests.processes.programs.running import Site, program, running
from tests.support.ports import free_port
from tests.support.untouched import Untouched
from tests.support.waiting import wait_until

pytestmark = pytest.mark.time_limit(300)


@pytest.fixture
def elsewhere():
    with closing(Untouched()) as place:
        yield place


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--fail-level", "WARNING"],
        ["check", "--database", "default"],
        ["migrate", "-v0"],
        ["makemigrations", "--check"],
        ["shell", "-c", "from connectycube.contrib.django import on, send, get_client"],
        ["help", "connectycube_listen"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_connects_to_nothing(elsewhere, tmp_path, arguments):
    project = Project(elsewhere, tmp_path)
    done = project.manage(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    elsewhere.assert_untouched()


@contextmanager
def serving(elsewhere, folder, command):
    port = free_port()
    command = [part.replace("PORT", str(port)) for part in command]
    with running(elsewhere, folder, command, SHOP_FOLDER=str(folder)) as server:
        site = Site(port, server)

        def answers():
            assert server.process.poll() is None, server.words
            try:
                return site.get("/hello/") == "hello"
            except OSError:
                return False

        wait_until(answers, "the site", SECONDS)
        yield site


WSGI = "tests.support.django_project.wsgi"


def gunicorn(*flags):
    return lambda: [program("gunicorn"), "--bind", "127.0.0.1:PORT", "--workers", "2", *flags, WSGI]


def uwsgi(*flags):
    # uWSGI has the interpreter of its own build; the packages are those of the tests.
    python = ["--virtualenv", sys.prefix, "--disable-logging", "--module", WSGI]
    address = ["--http-socket", "127.0.0.1:PORT", "--master", "--processes", "2", "--die-on-term"]
    return lambda: [program("uwsgi"), *address, *python, *flags]


SERVERS = {
    "runserver with its reloader": lambda: [*MANAGE, "runserver", "127.0.0.1:PORT"],
    "gunicorn": gunicorn(),
    "gunicorn gthread": gunicorn("-k", "gthread", "--threads", "4"),
    "gunicorn preload": gunicorn("--preload"),
    "uwsgi": uwsgi(),
    "uwsgi threads": uwsgi("--enable-threads", "--threads", "4", "--lazy-apps"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_web_worker_connects_to_nothing(elsewhere, tmp_path, server):
    with serving(elsewhere, tmp_path, SERVERS[server]()) as site:
        assert site.get_all(["/hello/"] * 8) == ["hello"] * 8
        assert "Traceback" not in site.program.words
    elsewhere.assert_untouched()


def test_the_package_itself_never_imports_django():
    code = "import sys, connectycube; connectycube.ConnectyCube; print('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_setting_needs_no_client_and_no_emulator():
    code = (
        "import sys\n"
        "from tests.support import django_setup\n"
        "from django.core.management import call_command\n"
        "call_command('check')\n"
        "heavy = {'xmpp', 'aiohttp', 'trustme', 'connectycube.chat', 'pytest_django'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "CONNECTYCUBE_APP_ID": "1", "CONNECTYCUBE_AUTH_KEY": "key"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["[]"]), done.stderr
