from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from connectycube import ConnectyCube
from tests.processes.programs.running import LOGIN, PASSWORD, Site, program, running
from tests.support.ports import free_port
from tests.support.waiting import wait_until

FACTORY = "tests.support.flask_site:create_app"
READY = "listens; handlers: "
SECONDS = 120.0
"""For a program to be ready, or to end, on a machine with much to do."""

SERVERS = {
    "sync": ["gunicorn", "-k", "sync"],
    "gthread": ["gunicorn", "-k", "gthread", "--threads", "8"],
    "gthread, preloaded": ["gunicorn", "-k", "gthread", "--threads", "8", "--preload"],
    "gevent": ["gunicorn", "-k", "gevent"],
    "uwsgi": ["uwsgi"],
    "uwsgi with threads": ["uwsgi", "--enable-threads", "--threads", "8"],
}


def server(kind, port):
    """The command of a web server with four workers. It would wait ten minutes for a request that goes on."""
    name, *flags = SERVERS[kind]
    if name == "gunicorn":
        return [
            program(name),
            *("--bind", f"127.0.0.1:{port}", "--workers", "4", "--log-level", "warning"),
            *("--graceful-timeout", "600", *flags, f"{FACTORY}()"),
        ]
    return [
        program(name),
        *("--http-socket", f"127.0.0.1:{port}", "--master", "--processes", "4", "--die-on-term"),
        *("--virtualenv", sys.prefix, "--disable-logging", *flags, "--module", f"{FACTORY}()"),
    ]


def flask(*words):
    """A command of the site."""
    return [sys.executable, "-W", "error", "-m", "flask", "--app", FACTORY, *words]


class Place:
    """The site's programs on an emulator, and a group of people who read it."""

    def __init__(self, emulator, folder):
        self.emulator, self.folder = emulator, folder
        self.run_folder = tempfile.mkdtemp(dir="/tmp", prefix="flask-")
        self.port = free_port()
        self._logs = 0

    @contextmanager
    def started(self, command, **environment):
        """Run a program of the site, in a folder of its own."""
        self._logs += 1
        folder = self.folder / str(self._logs)
        folder.mkdir()
        environment = {"RUN_FOLDER": self.run_folder, **environment}
        with running(self.emulator, folder, command, **environment) as process:
            yield process

    @contextmanager
    def serving(self, kind="gthread, preloaded", **environment):
        """Run a web server, which answers when the block begins."""
        with self.started(server(kind, self.port), **environment) as process:
            site = Site(self.port, process)
            wait_until(site.is_up, "the web server", SECONDS)
            yield site

    @contextmanager
    def listening(self, *words, **environment):
        """Run the listener, which is ready when the block begins."""
        command = flask("connectycube", "listen", *words)
        with self.started(command, **environment) as process:
            wait_until(
                lambda: READY in process.words or process.process.poll() is not None,
                timeout=SECONDS,
            )
            assert READY in process.words, process.words
            yield process

    def workers_with_pages(self):
        """The processes that have open streams."""
        return {int(name.partition("-")[0]) for name in os.listdir(self.run_folder) if "-" in name}


@pytest.fixture
def bot_id(emulator):
    return emulator.add_user(LOGIN, PASSWORD)


@pytest.fixture
def place(emulator, bot_id, tmp_path):
    made = Place(emulator, tmp_path)
    yield made
    for path in Path(made.run_folder).iterdir():
        path.unlink()
    os.rmdir(made.run_folder)


@pytest.fixture
def anna(emulator):
    """A user who writes with another program."""
    emulator.add_user("anna", PASSWORD)
    with ConnectyCube(config=emulator.config()) as client:
        client.login(login="anna", password=PASSWORD)
        client.chat.login()
        yield client


@pytest.fixture
def group(emulator, anna, bot_id):
    """The id of a group: anna, who reads, and the bot."""
    reader = emulator.add_user("reader", PASSWORD)
    return anna.dialogs.create_group("apples", [reader, bot_id]).id


@pytest.fixture
def stack():
    with ExitStack() as made:
        yield made


def kill(process):
    """Kill a process as the kernel does when memory is short."""
    os.kill(process, signal.SIGKILL)
