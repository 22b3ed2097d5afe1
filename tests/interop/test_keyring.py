"""The shell with the keyring of a desktop: where its secrets are, and what a locked keyring says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectycube.emulator import Emulator
from tests.interop.secret_service import SecretService
from tests.support.paths import ROOT
from tests.support.people import PASSWORD

pytestmark = pytest.mark.referee("gnome-keyring")

PROGRAM = [sys.executable, "-W", "error", "-m", "connectycube"]
SECONDS = 60.0


@pytest.fixture
def keyring() -> Iterator[SecretService]:
    # The path of pytest's own folder is too long for a socket.
    with tempfile.TemporaryDirectory() as folder, SecretService(Path(folder)) as service:
        yield service


@pytest.fixture
def environment(keyring) -> dict[str, str]:
    """The variables of a shell on that desktop, which knows no account."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CONNECTYCUBE_") and name != "PYTHON_KEYRING_BACKEND"
    }
    return {
        **kept,
        **keyring.environment,
        "PYTHONPATH": str(ROOT),
        "TMPDIR": keyring.environment["HOME"],
    }


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """One whose application has a key that is found wherever it was written."""
    with Emulator(auth_key="the-key-of-the-application") as running:
        yield running


@pytest.fixture
def logging_in(emulator) -> list[str]:
    """The command that logs alice in under a profile; her password is its standard input."""
    emulator.add_user("alice", PASSWORD)
    emulator.clock.advance(60)  # else the login would have made the user, for all that is known
    return [
        *("login", "alice", "--password-stdin", "--profile", "work"),
        *("--app-id", str(emulator.app_id), "--api-url", emulator.api_url),
        *("--chat-host", emulator.domain, "--chat-port", str(emulator.chat_port)),
        *("--ca-file", str(emulator.ca_file)),
    ]


def run(*words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def commands() -> bytes:
    """The command lines of all processes, as ``ps`` shows them."""
    found = b""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += each.read_bytes()
        except OSError:
            continue  # it has ended
    return found


def log_in(words: list[str], environment: dict[str, str], emulator) -> bytes:
    """Log in, and return all command lines that were seen in the time."""
    process = subprocess.Popen(
        [*PROGRAM, *words],
        env={**environment, "CONNECTYCUBE_AUTH_KEY": emulator.auth_key},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdin is not None
    process.stdin.write(f"{PASSWORD}\n".encode())
    process.stdin.close()
    seen = commands()
    while process.poll() is None:
        seen += commands()
    assert process.stdout is not None
    told = process.stdout.read()
    process.stdout.close()
    assert process.returncode == 0, told
    return seen + told


def files_below(folder: str) -> bytes:
    """What is in all files below a folder, and their names."""
    files = [each for each in Path(folder).rglob("*") if each.is_file()]
    return b"\n".join(str(each).encode() + each.read_bytes() for each in files)


@pytest.mark.time_limit(120)
def test_the_secrets_of_a_login_are_in_the_keyring_alone(
    keyring, environment, logging_in, emulator
):
    seen = log_in(logging_in, environment, emulator)
    (kept,) = keyring.items().values()
    secrets = json.loads(kept)
    assert (secrets["password"], secrets["auth_key"]) == (PASSWORD, emulator.auth_key)
    assert len(secrets) == 3, "and the token of the session"
    written = files_below(keyring.environment["HOME"])
    assert b"alice" in written, "the profile names the user"
    for name, secret in secrets.items():
        assert secret.encode() not in written, name
        assert secret.encode() not in seen, name
    # Another process of the same desktop goes on with them.
    done = run("whoami", "--json", environment=environment)
    assert json.loads(done.stdout)["login"] == "alice", done.stderr
    done = run("logout", "--all", environment=environment)
    assert done.returncode == 0, done.stderr
    assert keyring.items() == {}


@pytest.mark.time_limit(120)
def test_a_locked_keyring_is_an_error_and_changes_nothing(
    keyring, environment, logging_in, emulator
):
    log_in(logging_in, environment, emulator)
    before = files_below(keyring.environment["XDG_CONFIG_HOME"])
    assert b"alice" in before
    keyring.lock()
    for words in (("whoami",), ("logout", "--all")):
        done = run(*words, environment=environment)
        assert done.returncode == 1, done.stdout
        assert "the keyring cannot be read: it is locked" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    assert files_below(keyring.environment["XDG_CONFIG_HOME"]) == before
