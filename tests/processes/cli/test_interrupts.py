"""Ctrl-C at any moment of a command: it ends with status 130, and without a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The signal comes where a module is imported, a line is printed or a server is started, so that no test
# depends on how fast the machine is.
PROGRAM = """
import os, signal, sys
event, words, *command = sys.argv[1:]
sent = []

def interrupt(name, arguments):
    if name == event and not sent and words in repr(arguments):
        sent.append(name)
        os.kill(os.getpid(), signal.SIGINT)

class Watched:
    def __init__(self, stream):
        self.stream = stream
    def write(self, text):
        interrupt("write", text)
        return self.stream.write(text)
    def flush(self):
        self.stream.flush()

from connectycube import cli
sys.stdout = Watched(sys.stdout)
sys.addaudithook(interrupt)
sys.argv = ["connectycube", *command]
sys.exit(cli.main())
"""


def interrupted(event, words, *command):
    """Run a command that gets SIGINT at an audit event, or a ``write``, whose repr holds these words."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, event, words, *command],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr, done.stdout


@pytest.mark.parametrize(
    ("command", "event", "words"),
    [
        ("demo", "import", "connectycube.emulator.emulator"),
        ("demo", "write", "signed up over REST"),
        ("demo", "write", "Both log in"),
        ("demo", "write", "Alice opens a dialog"),
        ("demo", "write", "read back over REST"),
        ("demo", "write", "Both log out"),
        ("demo", "write", "Everything arrived"),
        ("emulator", "import", "connectycube.emulator.emulator"),
        ("emulator", "socket.bind", "127.0.0.1"),
    ],
)
def test_ctrl_c_ends_a_command_with_status_130_at_any_moment(command, event, words):
    status, errors, output = interrupted(event, words, command)
    assert (status, errors) == (130, "")
    assert "ready" not in output.splitlines()


def test_ctrl_c_once_the_emulator_is_ready_ends_it_in_good_order():
    status, errors, output = interrupted("write", "ready", "emulator")
    assert (status, len(errors.splitlines())) == (0, 1)
    assert output.splitlines()[-1] == "ready"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("import", "connectycube.emulator.emulator"),
        ("socket.bind", "127.0.0.1"),
        ("os.rename", "emulator.env"),
        ("subprocess.Popen", "sleep"),
    ],
)
def test_ctrl_c_ends_exec_before_its_command_runs(event, words, tmp_path):
    file = tmp_path / "emulator.env"
    command = ("--env-file", str(file), "--", "sleep", "1000")
    assert interrupted(event, words, "exec", *command) == (130, "", "")
    assert list(tmp_path.iterdir()) == []
