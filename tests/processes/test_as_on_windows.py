"""Real programs under the simulation of Windows: import, login, wait, durable mode, emulator, shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.people import logged_in

SECONDS = 60.0
PASSWORD = "a very secret password"
pytestmark = pytest.mark.time_limit(180)

SIMULATED = "import tests.support.windows\n"
COMMAND = f"{SIMULATED}import sys\nfrom connectycube import cli\nsys.exit(cli.main())"
BOT = """
import signal, sys
from connectycube import ConnectyCube, ReconnectPolicy

with ConnectyCube.from_env(durable=sys.argv[1]) as cube:
    cube.login(login="bot", password="a very secret password")

    @cube.chat.message_received.connect
    def answer(chat, message):
        chat.reply(message, f"you said {message.body}").result()

    cube.chat.login()
    print("ready", flush=True)
    cube.chat.wait(signals=(signal.SIGINT, signal.SIGTERM))
print("logged out")
"""


@pytest.fixture
def environment(emulator, tmp_path) -> dict[str, str]:
    return {
        **os.environ,
        **emulator.environment(),
        "PYTHONPATH": str(ROOT),
        "CONNECTYCUBE_CONFIG_DIR": str(tmp_path / "profiles"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


def started(environment, code, *words):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(environment, code, *words, status=0):
    with started(environment, code, *words) as process:
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == status, out + err
    return out


def test_every_module_of_the_package_is_imported(environment):
    code = f"""{SIMULATED}
import importlib, pkgutil, connectycube
skipped = ("connectycube.contrib.", "connectycube.__main__")
for found in pkgutil.walk_packages(connectycube.__path__, "connectycube."):
    if not found.name.startswith(skipped):
        importlib.import_module(found.name)
import connectycube.contrib.celery, connectycube.contrib.desktop, connectycube.contrib.flask
import connectycube.contrib.relay.redis_streams, connectycube.contrib.relay.rabbitmq
import connectycube.contrib.opentelemetry, connectycube.contrib.sentry
print("done")
"""
    environment = {**environment, "PYTHONWARNINGS": "default"}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.communicate(timeout=SECONDS)[0] == "done\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_durable_bot_answers_until_a_signal(environment, emulator, bob, tmp_path, number):
    bot = emulator.add_user("bot", PASSWORD)
    with (
        logged_in(bob),
        started(environment, SIMULATED + BOT, str(tmp_path / "bot.db")) as process,
    ):
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        with bob.chat.events(bob.chat.message_received, timeout=SECONDS) as events:
            bob.chat.send_private(bot, "hello")
            assert events.next().body == "you said hello"
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert (out, err, process.returncode) == ("logged out\n", "", 0)


def test_a_durable_bot_that_was_killed_goes_on_with_its_file(environment, emulator, bob, tmp_path):
    bot = emulator.add_user("bot", PASSWORD)
    path = str(tmp_path / "bot.db")
    for text in ("first", "second"):
        with logged_in(bob), started(environment, SIMULATED + BOT, path) as process:
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
            with bob.chat.events(bob.chat.message_received, timeout=SECONDS) as events:
                bob.chat.send_private(bot, text)
                assert events.next().body == f"you said {text}"
            process.kill()
            process.communicate(timeout=SECONDS)


def test_ctrl_c_ends_the_emulator(environment):
    environment.pop("CONNECTYCUBE_API_URL")
    with started(environment, COMMAND, "emulator") as process:
        lines = iter(process.stdout.readline, "")
        assert any(line == "ready\n" for line in lines), process.communicate()[1]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert (out, process.returncode) == ("", 0), err


@pytest.mark.parametrize("status", [0, 3])
def test_exec_ends_with_the_status_of_its_command(environment, tmp_path, status):
    environment.pop("CONNECTYCUBE_API_URL")
    code = (
        "from connectycube import ConnectyCube\n"
        "with ConnectyCube.from_env() as cube:\n"
        "    print(cube.login(login='alice', password='a password').login, flush=True)\n"
        f"raise SystemExit({status})"
    )
    words = ["exec", "--env-file", str(tmp_path / "emulator.env"), "--", sys.executable, "-c"]
    assert run(environment, COMMAND, *words, SIMULATED + code, status=status) == "alice\n"
    assert not (tmp_path / "emulator.env").exists()


def test_ctrl_c_during_exec_ends_the_command_first(environment):
    environment.pop("CONNECTYCUBE_API_URL")
    code = (
        "import time\ntry:\n    print('runs', flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    raise SystemExit(5)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "exec", "--", sys.executable, "-c", code],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout.readline() == "runs\n"
        os.killpg(process.pid, signal.SIGINT)  # as a console does it
        out, err = process.communicate(timeout=SECONDS)
    assert (out, process.returncode) == ("", 5), err


def test_the_shell_logs_in_sends_and_exports(environment, emulator, bob, tmp_path):
    emulator.add_user("bot", PASSWORD)

    def shell(*words, text=""):
        command = [sys.executable, "-W", "error", "-c", COMMAND, *words]
        done = subprocess.run(
            command,
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    shell("login", "bot", "--file", "--password-stdin", text=f"{PASSWORD}\n")
    assert "bot" in shell("whoami")
    shell("send", f"@{bob.name}", "a line")
    dialog = shell("dialogs").split("\t")[0]
    exported = tmp_path / "history.jsonl"
    for more in (("--resume",), ("--resume",), ("--overwrite",)):
        shell("history", dialog, "--export", "jsonl", "--output", str(exported), *more)
        assert exported.read_text().count("a line") == 1
    assert shell("profiles")
    shell("logout", "--all")
