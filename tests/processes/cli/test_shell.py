"""The commands as a shell has them: pipes, signals, terminals, kills, and what others can see of them."""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connectycube import ConnectyCube
from connectycube._checks import to_install
from tests.processes.cli.conftest import PASSWORD
from tests.support.terminal import Terminal
from tests.support.waiting import wait_until

pytestmark = pytest.mark.time_limit(180)

SECONDS = 60.0
PROGRAM = [sys.executable, "-W", "error", "-m", "connectycube"]


@pytest.fixture
def bob(emulator):
    emulator.add_user("bob", PASSWORD)
    with ConnectyCube(config=emulator.config()) as client:
        client.login(login="bob", password=PASSWORD)
        yield client


def started(*words, environment, **more):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    return subprocess.Popen([*PROGRAM, *words], env=environment, **streams)


def ran(*words, environment, **more):
    return subprocess.run(
        [*PROGRAM, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        **more,
    )


def is_listening(emulator):
    return any(session["available"] for session in emulator.sessions())


# --- pipes and signals ----------------------------------------------------------------------------------


def test_tail_in_a_pipe_to_head_ends_without_a_traceback(as_alice, emulator, bob):
    alice = bob.users.get_by(login="alice")
    script = f"{shlex.join(PROGRAM)} tail --json | head -1; echo ${{PIPESTATUS[@]}}"
    with subprocess.Popen(
        ["bash", "-c", script],
        env=as_alice,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: is_listening(emulator), SECONDS)
        bob.messages.create(alice, "hello", send_to_chat=True)
        # No second message: the end of the reader alone ends the command.
        out, err = process.communicate(timeout=SECONDS)
    line, statuses = out.splitlines()
    assert (json.loads(line)["body"], statuses, err) == ("hello", "141 0", "connected\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_tail_in_good_order(as_alice, emulator, number, status):
    with started("tail", environment=as_alice) as process:
        assert process.stderr.readline() == "connected\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err.strip()) == (status, "", "")
    assert emulator.sessions() == []  # it has logged out


def test_a_reader_that_is_gone_ends_every_command_quietly(as_alice, emulator, bob):
    dialog = bob.dialogs.create_private(bob.users.get_by(login="alice"))
    emulator.add_messages(dialog.id, [{"sender_id": bob.user.id, "message": "x" * 500}] * 1000)
    for words in ("--help", f"history {dialog.id} --export jsonl", "completion bash"):
        script = f"{shlex.join(PROGRAM)} {words} | true; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", script], env=as_alice, capture_output=True, text=True, timeout=SECONDS
        )
        assert (done.stdout.strip() in ("0", "141"), done.stderr) == (True, ""), words


# --- kills --------------------------------------------------------------------------------------------


def test_an_export_that_is_killed_is_gone_on_with(as_alice, emulator, bob, tmp_path):
    count = 6000
    dialog = bob.dialogs.create_private(bob.users.get_by(login="alice"))
    messages = [
        {
            "sender_id": bob.user.id,
            "message": f"message {number}",
            "date_sent": 1_700_000_000 + number // 3,
        }
        for number in range(count)
    ]
    emulator.add_messages(dialog.id, messages)
    words = ("history", dialog.id, "--export", "jsonl", "-o")
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    assert ran(*words, str(whole), environment=as_alice).returncode == 0
    note, noted = tmp_path / "part.jsonl.resume", 0
    for resume in ((), ("--resume",)):
        with started(*words, str(part), *resume, environment=as_alice) as process:
            wait_until(
                lambda before=noted: (
                    note.exists() and json.loads(note.read_text())["messages"] > before
                ),
                SECONDS,
            )
            process.kill()
            process.communicate(timeout=SECONDS)
        noted = json.loads(note.read_text())["messages"]
    done = ran(*words, str(part), "--resume", environment=as_alice)
    assert (done.returncode, noted >= 2000) == (0, True)
    assert part.read_bytes() == whole.read_bytes()
    assert len({json.loads(line)["id"] for line in part.read_text().splitlines()}) == count


# --- on a terminal ------------------------------------------------------------------------------------


def test_a_login_on_a_terminal_shows_no_secret(environment, emulator, tmp_path):
    emulator.add_user("alice", PASSWORD)
    for name in emulator.environment():
        environment.pop(name)
    words = [*PROGRAM, "login", "--api-url", emulator.api_url, "--chat-host", emulator.domain]
    words += ["--chat-port", str(emulator.chat_port), "--ca-file", str(emulator.ca_file)]
    with Terminal(words, environment) as terminal:
        for question, answer in (
            ("Id of the application", str(emulator.app_id)),
            ("Key of the application", emulator.auth_key + "-mistyped"),
            ("Login", "alice"),
            ("Password", PASSWORD),
        ):
            terminal.expect(f"{question}: ")
            command = Path(f"/proc/{terminal.pid}/cmdline").read_bytes()
            assert PASSWORD.encode() not in command
            terminal.type(f"{answer}\r")
        assert terminal.wait() == 1
        assert "ValidationError" in terminal.text
        assert PASSWORD not in terminal.text
        assert "mistyped" not in terminal.text
    assert not (tmp_path / "config").exists()


def test_ctrl_c_at_a_question_ends_with_status_130(environment):
    with Terminal([*PROGRAM, "login", "alice"], environment) as terminal:
        terminal.expect("Password: ")
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.text


def test_deleting_is_asked_for_on_a_terminal(as_alice, emulator, bob):
    alice = bob.users.get_by(login="alice")
    dialog = bob.dialogs.create_group("Hikers", [alice])
    words = [*PROGRAM, "dialog", "delete", dialog.id]
    with Terminal(words, as_alice) as terminal:
        terminal.expect("Delete 1 dialog for you, with the messages? [y/N]: ")
        terminal.type("n\r")
        assert terminal.wait() == 130
    assert alice.id in bob.dialogs.get(dialog.id).occupants_ids


@pytest.mark.parametrize("columns", [20, 100])
def test_a_terminal_of_any_width_shows_all(as_alice, bob, columns):
    dialog = bob.dialogs.create_group("A name that is too long", [bob.users.get_by(login="alice")])
    with Terminal([*PROGRAM, "dialogs"], as_alice, columns=columns) as terminal:
        assert terminal.wait() == 0
        shown = "".join(terminal.text.split())
    assert dialog.id in shown.replace("\x1b[0m", "")
    assert "Anamethatistoolong" in shown


def test_progress_is_for_a_terminal_alone(as_alice, emulator, bob, tmp_path):
    dialog = bob.dialogs.create_private(bob.users.get_by(login="alice"))
    emulator.add_messages(dialog.id, [{"sender_id": bob.user.id, "message": "x"}] * 500)
    words = ["history", dialog.id, "--export", "csv", "-o"]
    done = ran(*words, str(tmp_path / "a.csv"), environment=as_alice)
    assert done.stderr == f"500 messages are in {tmp_path / 'a.csv'}\n"
    with Terminal([*PROGRAM, *words, str(tmp_path / "b.csv")], as_alice) as terminal:
        assert terminal.wait() == 0
        assert "500/500" in terminal.text


# --- what the commands need ---------------------------------------------------------------------------

WITHOUT = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None
from connectycube import cli
sys.argv[0] = "connectycube"
sys.exit(cli.main())
"""


def without(modules, *words, environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT, modules, *words],
        env=environment,
        input="a password\n",
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


EXTRA = "click,rich,platformdirs,keyring"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--help",), 0),
        (("emulator", "--coverage"), 0),
        (("exec", "--", "sh", "-c", "exit 3"), 3),
        (("demo", "--help"), 0),
        (("dead", "--help"), 0),
    ],
)
def test_plain_commands_need_nothing_of_the_extra(environment, words, status):
    done = without(EXTRA, *words, environment=environment)
    assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("click", ("whoami",)),
        ("click", ("emulator", "state")),
        ("keyring", ("login", "alice", "--password-stdin")),
        ("platformdirs", ("profiles",)),
    ],
)
def test_a_missing_extra_is_named_with_what_brings_it(environment, module, words):
    environment.pop("CONNECTYCUBE_CONFIG_DIR")
    done = without(module, *words, environment=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"connectycube: {to_install(module, 'cli')}\n"


@pytest.mark.parametrize("words", [("--help",), ("send", "--help"), ("history", "--help")])
def test_the_help_takes_less_than_150_milliseconds(environment, words):
    """Of the processor: the clock of a machine with much to do says nothing."""
    environment = {**environment, "PYTHONDONTWRITEBYTECODE": ""}
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert ran(*words, environment=environment).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds.append(used)
    assert min(seconds) < 0.15, seconds


def test_no_help_imports_a_heavy_library(environment):
    code = """
import sys
import click
from connectycube import cli
from connectycube.cli.shell import root

def show(group, *words):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        cli.main([*words, name, "--help"])
        if isinstance(command, click.Group):
            show(command, *words, name)
        found = {"rich", "requests", "keyring", "xmpp", "blinker"} & sys.modules.keys()
        assert not found, (words, name, found)

del cli.COMMANDS["emulator"], root.later["emulator"]  # its help has the switches of the emulator
del cli.COMMANDS["demo"], root.later["demo"]
del cli.COMMANDS["exec"], root.later["exec"]
del cli.COMMANDS["dead"], root.later["dead"]
show(root)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")


# --- what others can see --------------------------------------------------------------------------------


def test_no_secret_is_in_an_argument_or_the_output(environment, emulator):
    """As ``ps`` shows it, while the command waits for an answer of the service."""
    emulator.add_user("alice", PASSWORD)
    with (
        emulator.faults.delay(seconds=2.0, on="rest"),
        started(
            *("login", "alice", "--password-stdin", "-vv"),
            environment=environment,
            stdin=subprocess.PIPE,
        ) as process,
    ):
        process.stdin.write(f"{PASSWORD}\n")
        process.stdin.close()
        process.stdin = None
        listed = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(process.pid)], capture_output=True, text=True
        ).stdout
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert "login" in listed
    assert PASSWORD not in listed + out + err
    assert emulator.auth_key not in (out + err).replace("keyring", "").split()
    for words in (("whoami", "-vv"), ("profiles",), ("doctor",)):
        done = ran(*words, environment=environment)
        assert PASSWORD not in done.stdout + done.stderr
    assert (
        os.stat(f"{environment['CONNECTYCUBE_CONFIG_DIR']}/environment.secrets").st_mode & 0o077
        == 0
    )
