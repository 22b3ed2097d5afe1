"""``manage.py connectycube_listen`` on SQLite: answers, ends in good order, and takes over."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request

import pytest

from tests.processes.contrib.django.project import READY, SECONDS, has_ended
from tests.support.people import logged_in
from tests.support.ports import free_port
from tests.support.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.time_limit(300)


@pytest.fixture
def friend(bob):
    with logged_in(bob):
        yield bob


def bodies(friend):
    return [message.body for message in friend.events.of("message_received")]


def test_a_bot_writes_answers_and_ends_with_sigterm(project, bot_id, friend):
    with project.listening() as bot:
        friend.chat.send_private(bot_id, "apples")
        friend.events.wait_for("message_received")
        assert bot.ends() == 0
        lines = bot.words.splitlines()
    assert bodies(friend) == ["kept apples"]
    assert project.orders() == ["apples"]
    handler = "tests.support.django_project.shop.chat_handlers.keep"
    assert lines == [f"connectycube_listen: the bot 'default' (user {bot_id}) {READY}{handler}"]


def test_ctrl_c_ends_a_bot_without_a_traceback(project):
    with project.listening() as bot:
        bot.process.send_signal(signal.SIGINT)
        assert bot.process.wait(SECONDS) == 0
        assert "Traceback" not in bot.words


def test_what_waits_at_sigterm_is_handled_by_the_next_process(project, bot_id, friend):
    numbers = [str(number) for number in range(60)]
    with project.listening() as bot:
        for number in numbers[:40]:
            friend.chat.send_private(bot_id, number)
        friend.events.wait_for("message_received", 3)
        assert bot.ends() == 0
    for number in numbers[40:]:
        friend.chat.send_private(bot_id, number).result(TIMEOUT)
    with project.listening() as bot:
        friend.events.wait_for("message_received", 60, timeout=SECONDS)
        assert bot.ends() == 0
        assert "Traceback" not in bot.words
    assert bodies(friend) == [f"kept {number}" for number in numbers]
    assert project.orders() == numbers


def test_another_process_takes_the_place_of_one_that_was_killed(project, bot_id, friend):
    quick = {"SHOP_CONNECTYCUBE": json.dumps({"LEASE_SECONDS": 2})}
    with (
        project.listening(**quick) as first,
        project.started("connectycube_listen", **quick) as second,
    ):
        wait_until(lambda: "; waiting" in second.words, timeout=SECONDS)
        refused = project.manage("connectycube_listen", "--no-wait", **quick)
        assert refused.returncode == 1
        assert "listens for the bot 'default'; without --no-wait" in refused.stderr
        assert "Traceback" not in refused.stderr
        first.process.kill()
        wait_until(lambda: READY in second.words, timeout=SECONDS)
        friend.chat.send_private(bot_id, "apples")
        friend.events.wait_for("message_received")
        assert second.ends() == 0


def test_a_process_that_waits_for_its_turn_ends_with_sigterm(project):
    with project.listening() as first, project.started("connectycube_listen") as second:
        wait_until(lambda: "; waiting" in second.words, timeout=SECONDS)
        assert second.ends() == 0
        assert "Traceback" not in second.words
        assert first.ends() == 0


def ask(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=TIMEOUT) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None


def test_a_supervisor_may_ask_a_file_and_a_port(project):
    file, port = project.folder / "healthy", free_port()
    with project.listening("--health-file", str(file), "--health-port", str(port)) as bot:
        wait_until(file.exists)
        assert ask(port) == 200
        assert bot.ends() == 0
    assert (file.exists(), ask(port)) == (False, None)


def test_a_change_of_the_code_starts_the_bot_again(project, bot_id, friend, emulator):
    (project.folder / "extra.py").write_text("X = 1\n")
    extra = {"SHOP_MODULE": "extra", "PYTHONUNBUFFERED": "1"}
    with project.listening("--reload", **extra) as bot:
        for change in range(20):
            (project.folder / "extra.py").write_text(f"X = {change}\n# {'x' * change}\n")
            try:
                wait_until(lambda: bot.words.count(READY) >= 2, timeout=5)
                break
            except TimeoutError:
                continue
        friend.chat.send_private(bot_id, "apples")
        friend.events.wait_for("message_received")
        assert len(emulator.sessions(bot_id)) == 1
        assert bot.ends() == 0
        assert "Traceback" not in bot.words


# --- what is wrong is one sentence ---


def setting(**values):
    return {"SHOP_CONNECTYCUBE": json.dumps(values)}


BOT = {"LOGIN": "program", "PASSWORD": "a password"}


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        ([], setting(BOTS={}), "CONNECTYCUBE['BOTS'] has no bot: give one a LOGIN"),
        ([], setting(BOTS={"default": {"LOGIN": "x"}}), "(connectycube.E003) CONNECTYCUBE['BOTS']"),
        ([], setting(TYPO=1), "(connectycube.E001) CONNECTYCUBE has an unknown key 'TYPO'"),
        (
            [],
            setting(APP_ID="one"),
            "(connectycube.E002) CONNECTYCUBE['APP_ID'] is wrong: app_id must be",
        ),
        (
            [],
            setting(BACKEND="connectycube.contrib.django.backends.locmem"),
            "which opens no connection",
        ),
        (["--bot", "none"], {}, "has no bot 'none': there are: default; name one with --bot"),
        (["--workers", "0"], {}, "--workers must be at least 1, not 0"),
        (["--health-port", "x"], {}, "--health-port must be a port, or HOST:PORT, not 'x'"),
        (["--health-file", "/none/x"], {}, "/none/x"),
        ([], {"PASSWORD": "a wrong password"}, "ApiAuthenticationError"),
        ([], {"CONNECTYCUBE_API_URL": "http://127.0.0.1:1"}, "ApiConnectError"),
        ([], {"CONNECTYCUBE_CHAT_PORT": "1"}, "HostUnreachableError"),
        ([], {"SHOP_POSTGRESQL": "1"}, "the database 'default' does not answer: "),
        ([], {"SHOP_FOLDER": "/none"}, "the database 'default' does not answer: unable to open"),
        ([], {"SHOP_DURABLE": "/none/bot.db"}, "DurableStoreError"),
        ([], {"SHOP_HANDLER": "wrong"}, "in a module chat_handlers: handler"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_an_exit_code(project, arguments, environment, sentence):
    done = project.manage("connectycube_listen", *arguments, **environment)
    assert sentence in done.stderr
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        ([], {"CONNECTYCUBE_APP_ID": ""}, "E002) CONNECTYCUBE['APP_ID'] is missing"),
        (
            [],
            setting(AUHT_KEY="k"),
            "E001) CONNECTYCUBE has an unknown key 'AUHT_KEY': did you mean AUTH_KEY?",
        ),
        (
            ["--deploy", "--fail-level", "WARNING"],
            {"SHOP_DEBUG": "0"},
            "W001) the service is at http://127.0.0.1:",
        ),
    ],
)
def test_a_check_names_what_is_wrong(project, arguments, environment, sentence):
    done = project.manage("check", *arguments, **environment)
    assert sentence in done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_a_database_without_tables_says_to_migrate(project):
    (project.folder / "shop.sqlite3").unlink()
    done = project.manage("connectycube_listen")
    assert "has no table connectycube_listener: run manage.py migrate connectycube" in done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_a_bot_that_has_ended_for_good_ends_the_command(project, emulator, bot_id):
    with project.listening() as bot:
        emulator.faults.stream_error(condition="conflict", user=bot_id)
        wait_until(lambda: has_ended(bot), timeout=SECONDS)
        assert bot.process.returncode == 1
        assert "CommandError: StreamError: " in bot.words
        assert "Traceback" not in bot.words
