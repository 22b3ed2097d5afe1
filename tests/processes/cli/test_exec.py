"""``connectycube exec -- COMMAND``: a command beside an emulator, and nothing left when it has ended."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from connectycube.emulator import Emulator, command, run_command
from tests.processes.cli.test_emulator import COMMAND, Process
from tests.support.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.time_limit(180)

EXEC = [*COMMAND, "exec"]
SECONDS = 60.0
"""For a command to start or to end, on a machine with much to do."""
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


def executed(*words, stdin="", **variables):
    """Run ``connectycube exec`` to its end."""
    return subprocess.run(
        [*EXEC, *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, **variables},
    )


@contextmanager
def running(*words):
    """Run ``connectycube exec`` in the background; its command prints its process id as its first line."""
    with subprocess.Popen(
        [*EXEC, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield process, int(line)
        finally:
            if process.poll() is None:
                process.kill()


def state_of(pid):
    """Return the state of a process (Linux only): a letter, or None if there is no such process."""
    try:
        return re.search(r"\) (\w)", Path(f"/proc/{pid}/stat").read_text())[1]
    except FileNotFoundError:
        return None


def has_ended(pid):
    return state_of(pid) in (None, "Z")


# --- what the command has -------------------------------------------------------------------------


def test_the_command_has_the_variables_that_the_emulator_command_prints():
    code = "import os; print([name for name in os.environ if name.startswith('CONNECTYCUBE_')])"
    with Process() as emulator:
        printed = re.findall(r"export (\w+)=", "\n".join(emulator.lines))
    done = executed("--", sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    assert sorted(printed) == sorted(name for name in re.findall(r"CONNECTYCUBE_\w+", done.stdout))


def test_the_command_finds_the_users_of_the_loaded_file(tmp_path):
    people = tmp_path / "people.json"
    people.write_text(json.dumps({"users": [{"login": "ann", "password": "a password"}]}))
    code = """
from connectycube import ConnectyCube
with ConnectyCube.from_env() as cube:
    print(cube.login(login="ann", password="a password").id)
    cube.chat.login()
    print(cube.chat.state.name)
    cube.chat.logout()
"""
    done = executed("--load", str(people), "--", sys.executable, "-c", code)
    assert (done.stdout, done.stderr, done.returncode) == ("1\nREADY\n", "", 0)


def test_the_address_of_the_page_is_on_standard_error_and_a_variable():
    code = (
        "import os, urllib.request as u; print(u.urlopen(os.environ['CONNECTYCUBE_UI_URL']).status)"
    )
    done = executed("--ui-port", "0", "--", sys.executable, "-c", code)
    assert (done.stdout, done.returncode) == ("200\n", 0), done.stderr
    assert re.fullmatch(r"The page of the emulator: http://127\.0\.0\.1:\d+/#\S+\n", done.stderr)


def test_secrets_of_the_environment_are_those_of_the_emulator():
    secrets = {"CONNECTYCUBE_AUTH_SECRET": "a secret", "CONNECTYCUBE_CONTROL_TOKEN": "a token"}
    script = 'printf "%s %s" "$CONNECTYCUBE_AUTH_SECRET" "$CONNECTYCUBE_CONTROL_TOKEN"'
    assert executed("--", "sh", "-c", script, **secrets).stdout == "a secret a token"


def test_standard_streams_are_those_of_the_command():
    done = executed("--", "sh", "-c", "cat; echo out; echo err >&2", stdin="in\n")
    assert (done.stdout, done.stderr) == ("in\nout\n", "err\n")


def test_all_words_behind_the_dashes_are_the_commands():
    done = executed("--", "printf", "%s,", "--load", "x", "--", "-h")
    assert done.stdout == "--load,x,--,-h,"


# --- how it ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill $$", 143)]
)
def test_the_status_is_that_of_the_command(script, status):
    done = executed("--", "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


HANDLER = """
import os, signal, sys, threading
taken = threading.Event()
def take(number, frame):
    print(number, flush=True)
    taken.set()
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, take)
print(os.getpid(), flush=True)
taken.wait()
sys.exit(5)
"""


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_is_the_commands_business_and_comes_once(number):
    with running("--", sys.executable, "-c", HANDLER) as (process, pid):
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert (out, err, process.returncode) == (f"{number}\n", "", 5)
    assert has_ended(pid)


def test_a_signal_that_ends_the_command_is_its_status():
    with running("--", "sh", "-c", "echo $$; sleep 1000") as (process, pid):
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 143
    assert has_ended(pid)


def test_a_switched_off_hangup_stays_switched_off():
    code = "import signal; print(signal.getsignal(signal.SIGHUP).name)"
    words = [*EXEC, "--", sys.executable, "-c", code]
    done = subprocess.run(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert done.stdout == "SIG_IGN\n"


def test_a_stop_of_the_terminal_stops_the_command_until_both_continue():
    # A shell that starts a program waits in vfork(), where it does not stop before the program runs.
    with running("--", "sh", "-c", "echo $$; exec sleep 1000") as (process, pid):
        process.send_signal(signal.SIGTSTP)
        for stopped in (pid, process.pid):
            wait_until(lambda stopped=stopped: state_of(stopped) == "T", timeout=SECONDS)
        process.send_signal(signal.SIGCONT)
        for continued in (pid, process.pid):
            wait_until(lambda continued=continued: state_of(continued) == "S", timeout=SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 143


@pytest.mark.parametrize("ending", ["exit 0", "kill -9 $$"])
def test_what_the_command_leaves_in_its_group_is_ended(ending):
    with running("--", "sh", "-c", f"sleep 1000 & echo $!; {ending}") as (process, left):
        assert process.wait(SECONDS) in (0, 137)
    wait_until(lambda: has_ended(left), timeout=SECONDS)


def test_a_process_that_ignores_sigterm_is_killed(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "_GRACE", 0.1)
    script = f'trap "" TERM; sleep 1000 & echo $! > {tmp_path}/pid'
    assert run_command(["sh", "-c", script], Emulator()) == 0
    wait_until(lambda: has_ended(int((tmp_path / "pid").read_text())), timeout=SECONDS)


def test_the_emulator_ends_with_the_command():
    done = executed("--", "sh", "-c", 'echo "$CONNECTYCUBE_API_URL"; echo "$CONNECTYCUBE_CA_FILE"')
    url, ca_file = done.stdout.splitlines()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=TIMEOUT)
    assert not os.path.exists(os.path.dirname(ca_file))


def test_handlers_of_signals_are_as_before_when_it_has_ended():
    before = [signal.getsignal(number) for number in (*SIGNALS, signal.SIGTSTP)]
    assert run_command(["true"], Emulator()) == 0
    assert [signal.getsignal(number) for number in (*SIGNALS, signal.SIGTSTP)] == before


# --- the file with the variables ------------------------------------------------------------------


def test_the_file_is_private_there_before_the_command_and_gone_after_it(tmp_path):
    file = tmp_path / "emulator.env"
    script = 'stat -c %a "$0"; given=$CONNECTYCUBE_API_URL; unset CONNECTYCUBE_API_URL; . "$0"; '
    script += '[ "$given" = "$CONNECTYCUBE_API_URL" ] && ls -A "$(dirname "$0")"'
    done = executed("--env-file", str(file), "--", "sh", "-c", script, str(file))
    assert (done.stdout, done.stderr, done.returncode) == ("600\nemulator.env\n", "", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_file_is_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert executed("--env-file", "a.env", "--", "test", "-s", "a.env").returncode == 0


def test_another_process_uses_the_emulator_until_a_signal_ends_it(tmp_path):
    file = tmp_path / "emulator.env"
    with running("--env-file", str(file), "--", "sh", "-c", "echo $$; sleep 1000") as (process, _):
        script = f". {file}; exec {sys.executable} -c '{LOG_IN}'"
        done = subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert (done.stdout, done.stderr) == ("alice\n", "")
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)
    assert not file.exists()


LOG_IN = """
from connectycube import ConnectyCube
with ConnectyCube.from_env() as cube:
    print(cube.login(login="alice", password="a password").login)
"""


def test_the_file_of_a_killed_run_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # the emulator that is killed leaves a folder
    file = tmp_path / "emulator.env"
    words = ("--env-file", str(file), "--", "sh", "-c")
    with running(*words, "echo $$; exec sleep 1000") as (process, pid):
        process.kill()
        process.wait(SECONDS)
        os.kill(pid, signal.SIGKILL)
    first = file.read_text()
    done = executed(*words, f"cat {file}")
    assert done.stdout.splitlines()[0] == first.splitlines()[0]
    assert done.stdout != first


def test_a_file_of_somebody_else_is_left_alone(tmp_path):
    file = tmp_path / ".env"
    file.write_text("BOT_PASSWORD=a password\n")
    mode = stat.S_IMODE(file.stat().st_mode)
    done = executed("--env-file", str(file), "--", "echo", "it runs")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"a file that this command has not written: {file}" in done.stderr
    assert file.read_text() == "BOT_PASSWORD=a password\n"
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_the_file_of_an_emulator_that_runs_is_left_alone(tmp_path):
    file = tmp_path / "emulator.env"
    with running("--env-file", str(file), "--", "sh", "-c", "echo $$; sleep 1000") as (process, _):
        text = file.read_text()
        done = executed("--env-file", str(file), "--", "echo", "it runs")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"env_file is that of an emulator that runs: {file}" in done.stderr
        assert file.read_text() == text
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--", "no-such-program"], 127, "'no-such-program' cannot be run: No such file"),
        (["--", "/no/such/program"], 127, "'/no/such/program' cannot be run: No such file"),
        (["--", "./no-program"], 126, "'./no-program' cannot be run: Permission denied"),
        (["--", "./no-format"], 126, "'./no-format' cannot be run: Exec format error"),
        (["--", "/"], 126, "'/' cannot be run: Permission denied"),
        (["--load", "none.json", "--", "echo", "x"], 1, "none.json"),
        (["--load", "no-program", "--", "echo", "x"], 1, "no-program"),
        (["--env-file", "no/such/folder", "--", "echo", "x"], 1, "env_file cannot be written: no/"),
        (
            ["--env-file", ".", "--", "echo", "x"],
            1,
            "env_file cannot be written: .: Is a directory",
        ),
        ([], 2, "the following arguments are required: COMMAND"),
        (["--laod", "people.json", "--", "echo", "x"], 2, "unrecognized arguments: --laod"),
        (["echo", "--load"], 2, "--load"),
        (["--ui-port", "many", "--", "echo", "x"], 2, "'many' is not a port (0 to 65535)"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_a_status(words, status, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no-program").write_text("text")
    (tmp_path / "no-format").write_bytes(b"\0\1\2")
    (tmp_path / "no-format").chmod(0o755)
    done = executed(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == (2 if status == 2 else 1)


def test_a_missing_extra_is_named_and_the_command_is_not_run(tmp_path):
    (tmp_path / "aiohttp.py").write_text("raise ModuleNotFoundError('gone', name='aiohttp')")
    done = executed("--", "echo", "it runs", PYTHONPATH=f"{tmp_path}{os.pathsep}{os.getcwd()}")
    words = "aiohttp is missing: pip install 'connectycube[emulator]', or '.[emulator]' in a clone"
    assert (done.stderr, done.stdout) == (f"connectycube exec: {words}\n", "")
    assert done.returncode == 1


def test_programs_are_not_started_where_the_environment_names_the_service():
    done = executed("--", "echo", "it runs", CONNECTYCUBE_API_URL="https://api.connectycube.com")
    assert (done.returncode, done.stdout) == (1, "")
    assert "CONNECTYCUBE_API_URL names the hosted service" in done.stderr
