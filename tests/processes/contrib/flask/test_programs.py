"""The site's programs: web workers that open nothing, the listener, and what is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing, suppress

import pytest

from connectycube._checks import to_install
from connectycube.contrib.flask.bell import Bell
from connectycube.contrib.flask.run_folder import RunFolder
from tests.processes.contrib.flask.conftest import SECONDS, Place, flask, kill
from tests.processes.forking import FORKS, holds_in_child
from tests.processes.programs.running import Site
from tests.support.event_source import EventSource
from tests.support.paths import ROOT
from tests.support.people import logged_in
from tests.support.untouched import Untouched
from tests.support.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.time_limit(300)


@pytest.fixture
def elsewhere():
    with closing(Untouched()) as made:
        yield made


@pytest.mark.parametrize("kind", ["sync", "gthread, preloaded", "uwsgi"])
def test_a_web_worker_connects_to_nothing(elsewhere, tmp_path, kind):
    place = Place(elsewhere, tmp_path)
    with place.serving(kind) as site:
        site.get_all(["/state"] * 20)
    assert os.listdir(place.run_folder) == []
    os.rmdir(place.run_folder)
    elsewhere.assert_untouched()


@pytest.mark.parametrize("words", [["routes"], ["connectycube", "--help"], ["--help"]])
def test_a_command_connects_to_nothing(elsewhere, tmp_path, words):
    place = Place(elsewhere, tmp_path)
    with place.started(flask(*words)) as process:
        assert process.process.wait(SECONDS) == 0, process.words
    os.rmdir(place.run_folder)
    elsewhere.assert_untouched()


def test_the_reloader_opens_nothing_and_pages_come_back(place, group, anna, emulator, bot_id):
    module = place.folder / "reloaded.py"
    text = "from tests.support.flask_site import create_app, cube\n"
    module.write_text(text)
    command = [sys.executable, "-m", "flask", "--app", "reloaded", "--debug", "run"]
    command += ["--port", str(place.port)]
    with place.started(command, PYTHONPATH=f"{place.folder}{os.pathsep}{ROOT}") as process:
        site = Site(place.port, process)
        wait_until(site.is_up, "the site", SECONDS)
        first = site.state()
        assert emulator.sessions(bot_id) == []
        assert place.workers_with_pages() == set()
        with EventSource(place.port, f"/stream/{group}?as=reader") as page:
            page.wait_for(lambda: page.has_begun, SECONDS)
            # A reloader that has not looked at the file before does not notice its change.
            for seconds in (2, 4, 8, 16, 32):
                module.write_text(f"{text}# waits for {seconds} seconds\n")
                with suppress(TimeoutError):
                    wait_until(lambda: site.state() not in ("", first), timeout=seconds)
                    break
            anna.messages.create(group, "hello", send_to_chat=True)
            page.wait_for(lambda: page.bodies == ["hello"], SECONDS)
        assert emulator.sessions(bot_id) == []
        assert "Traceback" not in process.words


# --- the listener ---


def test_a_listener_answers_and_sigterm_ends_it_in_order(place, bob, bot_id, emulator):
    with logged_in(bob), place.listening() as bot:
        bob.chat.send_private(bot_id, "hello").result(TIMEOUT)
        assert bob.events.wait_for("message_received")[0].body == "you said hello"
        bob.chat.send_private(bot_id, "fail").result(TIMEOUT)
        wait_until(lambda: "teardown after ValueError" in bot.words)
        assert bot.ends() == 0
        assert emulator.sessions(bot_id) == []


def test_a_durable_listener_that_is_killed_answers_each_message_once(place, bob, bot_id, tmp_path):
    durable = {"DURABLE": str(tmp_path / "bot.db")}
    bodies = [str(number) for number in range(60)]
    with logged_in(bob):
        with place.listening(**durable) as bot:
            for body in bodies[:40]:
                bob.chat.send_private(bot_id, body).result(TIMEOUT)
            kill(bot.process.pid)
            bot.process.wait(SECONDS)
        for body in bodies[40:]:
            bob.chat.send_private(bot_id, body).result(TIMEOUT)
        with place.listening(**durable) as bot:
            answers = bob.events.wait_for("message_received", len(bodies), timeout=SECONDS)
            assert [answer.body for answer in answers] == [f"you said {body}" for body in bodies]
            assert bot.ends() == 0


def test_a_second_listener_takes_over_when_the_first_is_killed(place, bob, bot_id):
    with place.listening() as first, place.started(flask("connectycube", "listen")) as second:
        wait_until(lambda: "listens; waiting" in second.words, timeout=SECONDS)
        with place.started(flask("connectycube", "listen", "--no-wait")) as third:
            assert third.process.wait(SECONDS) == 1
            assert "without --no-wait this process would wait" in third.words
            assert "Traceback" not in third.words
        kill(first.process.pid)
        wait_until(lambda: "handlers: " in second.words, timeout=SECONDS)
        with logged_in(bob):
            bob.chat.send_private(bot_id, "hello").result(TIMEOUT)
            assert bob.events.wait_for("message_received")[0].body == "you said hello"
        assert second.ends() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_tail_shows_messages_beside_the_listener(place, anna, group, number):
    with place.listening(), place.started(flask("connectycube", "tail", group, "--json")) as tail:
        wait_until(
            lambda: anna.messages.create(group, "hello", send_to_chat=True) and tail.words,
            timeout=SECONDS,
        )
        shown = json.loads(tail.words.splitlines()[0])
        assert (shown["model"], shown["body"], shown["dialog_id"]) == ("Message", "hello", group)
        tail.process.send_signal(number)
        assert tail.process.wait(SECONDS) == 0
        assert "Traceback" not in tail.words


# --- the rest ---


def test_the_extra_that_is_missing_is_named():
    code = (
        "import sys; sys.modules['flask'] = None\n"
        "try: import connectycube.contrib.flask\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{to_install('flask', 'flask')}\n", done.stderr


def test_an_application_with_wrong_keys_ends_its_command_with_their_names(tmp_path):
    (tmp_path / "wrong.py").write_text(
        "from flask import Flask\nfrom connectycube.contrib.flask import FlaskCube\n"
        "app = Flask(__name__)\napp.config['CONNECTYCUBE_LOGN'] = 'bot'\nFlaskCube(app)\n"
    )
    command = [sys.executable, "-m", "flask", "--app", "wrong", "connectycube", "listen"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode != 0
    assert "unknown key 'CONNECTYCUBE_LOGN': did you mean CONNECTYCUBE_LOGIN?" in done.stderr


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_a_forked_child_has_no_stream_of_its_parent(tmp_path, fork):
    bell = Bell(lambda: RunFolder(str(tmp_path), is_temporary=False), lambda: False)
    waiter = bell.wait_for("dialog")

    def check():
        bell.forget(waiter)  # the parent's: nothing happens
        own = bell.wait_for("dialog")
        bell.ring("dialog")
        is_rung = own.rung.wait(TIMEOUT)
        bell.forget(own)
        return is_rung and bell.open_streams == 0

    assert holds_in_child(check, fork)
    assert waiter.rung.wait(TIMEOUT)  # by the child
    waiter.rung.clear()
    bell.ring("dialog")
    assert waiter.rung.wait(TIMEOUT)
    bell.forget(waiter)
    assert os.listdir(tmp_path) == []
