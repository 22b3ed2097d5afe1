"""The pytest plugin, as an application's tests use it: each test runs pytest on a small suite."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from configparser import ConfigParser

import pytest

from connectycube.testing import CubeUser, plugin
from tests.support.paths import ROOT

PLUGIN = plugin.__name__


@pytest.fixture
def suite(pytester, monkeypatch):
    """``suite(code, *options)``: the outcome of pytest with the plugin, warnings being errors."""
    for name in list(os.environ):
        if name.startswith(("CONNECTYCUBE_", "PYTEST_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(pytester.mkdir("tmp")))

    def run(code, *options):
        pytester.makepyfile(code)
        return pytester.runpytest_subprocess(
            *("-p", PLUGIN, "-W", "error", "-p", "no:cacheprovider", *options), timeout=60
        )

    return run


def test_the_entry_point_names_the_plugin():
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    assert parser["options.entry_points"]["pytest11"].strip() == f"connectycube = {PLUGIN}"


def test_importing_the_plugin_imports_nothing_heavy():
    code = (
        f"import sys, threading, {PLUGIN}\n"
        "heavy = {'aiohttp', 'requests', 'xmpp', 'blinker', 'sqlite3', 'trustme'}\n"
        "print(heavy & set(sys.modules), 'connectycube.emulator' in sys.modules,"
        " threading.active_count())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr) == ("set() False 1\n", "")


def test_a_suite_that_does_not_use_it_loads_and_starts_nothing(suite):
    done = suite(
        """
        import sys, threading

        def test_nothing_is_there():
            assert not {"aiohttp", "requests", "connectycube.emulator"} & set(sys.modules)
            assert threading.active_count() == 1
        """
    )
    done.assert_outcomes(passed=1)


def test_users_chat_and_each_test_begins_clean_on_the_same_server(suite):
    done = suite(
        """
        import pytest

        seen = []

        @pytest.mark.parametrize("turn", [1, 2, 3])
        def test_alice_writes_to_bob(cube_emulator, cube_user, turn):
            seen.append(cube_emulator.api_port)
            assert len(set(seen)) == 1
            alice, bob = cube_user("alice"), cube_user("bob", full_name="Bob")
            assert (alice.id, bob.id, bob.cube.user.full_name) == (1, 2, "Bob")
            assert alice.password not in repr(alice)
            for one in (alice, bob):
                one.cube.chat.login()
            alice.cube.chat.send_private(bob.id, f"turn {turn}").result(5)
            dialog = cube_emulator.private_dialog(alice.id, bob.id)
            (message,) = cube_emulator.messages(dialog)
            assert message["message"] == f"turn {turn}"
            assert len(cube_emulator.sessions()) == 2
        """
    )
    done.assert_outcomes(passed=3)


def test_a_user_of_a_test_is_a_user_for_every_call(suite):
    done = suite(
        """
        def test_calls_take_users(cube_user):
            alice, bob = cube_user("alice"), cube_user("bob", full_name="Bob")
            assert (bob.full_name, bob.login) == ("Bob", "bob")
            dialog = alice.cube.dialogs.create_private(bob)
            alice.cube.dialogs.create_group("Hikers", [bob])
            alice.cube.messages.create(bob, "over REST")
            alice.cube.chat.login(alice, alice.password)
            assert alice.cube.chat.send_private(bob, "hello").result(5).dialog.peer_id == bob.id
            alice.cube.chat.privacy.block(bob)
        """
    )
    done.assert_outcomes(passed=1)


def test_what_a_test_leaves_open_ends_with_it(suite):
    done = suite(
        """
        import threading

        left = []

        def test_stays_connected(cube_user):
            alice = cube_user("alice")
            alice.cube.chat.login()
            left.append(alice.cube)

        def test_finds_nobody(cube_emulator):
            assert cube_emulator.sessions() == []
            assert not left[0].chat.is_ready
            names = [thread.name for thread in threading.enumerate()]
            assert sorted(names) == ["MainThread", "connectycube-emulator"]
        """
    )
    done.assert_outcomes(passed=2)


def test_a_test_may_stop_the_server(suite):
    done = suite(
        """
        def test_the_service_is_away(cube_emulator):
            cube_emulator.stop()

        def test_the_service_is_back(cube_user):
            assert cube_user("alice").id == 1
        """
    )
    done.assert_outcomes(passed=2)


def test_options_come_from_a_fixture_and_config_points_to_the_emulator(suite, pytester):
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def cube_emulator_options():
            return {"app_id": 9, "room_echo": False}
        """
    )
    done = suite(
        """
        def test_it_has_them(cube_emulator, cube_config):
            assert cube_emulator.app_id == cube_config.app_id == 9
            assert cube_config.api_url == cube_emulator.api_url
        """
    )
    done.assert_outcomes(passed=1)


def test_variables_of_the_hosted_service_fail_the_test_with_the_reason(suite, monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_API_URL", "https://api.connectycube.com")
    done = suite("def test_writes_to_real_users(cube_user): pass")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*CONNECTYCUBE_API_URL names the hosted service*"])


def test_a_missing_extra_is_named(suite, pytester):
    pytester.makepyfile(trustme="raise ModuleNotFoundError('gone', name='trustme')")
    done = suite("def test_it(cube_emulator): pass", "-p", "no:faulthandler")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*trustme is missing: pip install 'connectycube?emulator?', or *"])


def test_processes_of_xdist_have_a_server_each(suite):
    done = suite(
        """
        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_alone(cube_user, number):
            assert cube_user("alice").id == 1
        """,
        *("-p", "xdist", "-n", "2"),
    )
    done.assert_outcomes(passed=4)


def test_a_user_of_a_test_shows_no_password():
    user = CubeUser(login="alice", password="a secret", id=1, cube=None)
    assert "a secret" not in repr(user)


# --- errors of callbacks ---

PAIR = """
import pytest
from connectycube import ConnectyCube

@pytest.fixture
def alice(cube_user):
    user = cube_user("alice")
    user.cube.chat.login()
    return user

@pytest.fixture
def bob(cube_user):
    user = cube_user("bob")
    user.cube.chat.login()
    return user

def check(chat, message):
    expected = {"body": "helo"}
    assert {"body": message.body} == expected

def send(sender, recipient):
    return sender.cube.chat.send_private(recipient, "hello")
"""


@pytest.fixture
def talk(suite):
    """``talk(code, *options)``: the outcome of tests that have ``alice``, ``bob``, ``check``, ``send``."""
    return lambda code, *options: suite(PAIR + textwrap.dedent(code), *options)


def test_a_receiver_that_raises_fails_its_test_with_its_traceback(talk):
    done = talk(
        """
        def test_it(alice, bob):
            bob.cube.chat.message_received.connect(check)
            send(alice, bob)

        def test_the_next_is_not_to_blame(alice, bob):
            send(alice, bob).result(5)
        """
    )
    done.assert_outcomes(failed=1, passed=1)
    done.stdout.fnmatch_lines(
        [
            "*_ test_it _*",
            "receiver *.check of message_received raised AssertionError: *",
            ">*assert {?body?: message.body} == expected",
            "E*Differing items:",
            "E*{?body?: ?hello?} != {?body?: ?helo?}",
            "*.py:*: AssertionError",
            "FAILED *::test_it*",
        ]
    )
    assert "in _call" not in done.stdout.str().partition("Captured log call")[0]


def test_a_client_that_the_test_made_and_left_open_counts_too(talk):
    done = talk(
        """
        def test_it(alice, cube_emulator, cube_config):
            bot_id = cube_emulator.add_user("bot", "a password")
            cube = ConnectyCube(config=cube_config)
            cube.chat.message_received.connect(check)
            cube.chat.login(bot_id, "a password")
            send(alice, bot_id)
        """
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["receiver *.check of message_received raised AssertionError: *"])


@pytest.mark.parametrize("before", ["", "handle.result(5)"])
def test_a_done_callback_that_raises_fails_its_test(talk, before):
    done = talk(
        f"""
        def fail(handle):
            raise RuntimeError("of the done-callback")

        def test_it(alice, bob):
            handle = send(alice, bob)
            {before}
            handle.add_done_callback(fail)
        """
    )
    done.assert_outcomes(failed=1)
    words = "done-callback *.fail of message * raised RuntimeError: of the done-callback"
    done.stdout.fnmatch_lines([words])


def test_every_error_of_a_test_is_shown(talk):
    done = talk(
        """
        def test_it(alice, bob):
            for number in range(2):
                bob.cube.chat.message_received.connect(lambda chat, message, n=number: [][n])
            bob.cube.chat.message_received.connect(lambda *_: pytest.fail("in these words"))
            send(alice, bob)
        """
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "receiver *lambda* raised IndexError: *",
            "receiver *lambda* raised IndexError: *",
            "receiver *lambda* raised Failed: in these words",
        ]
    )


def test_a_test_that_fails_by_itself_shows_the_error_of_the_callback_too(talk):
    done = talk(
        """
        def test_it(alice, bob):
            bob.cube.chat.message_received.connect(check)
            send(alice, bob).result(5)
            assert not "an answer"
        """
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "E*assert not 'an answer'",
            "* Captured callbacks call *",
            "receiver *.check of message_received raised AssertionError: *",
            "FAILED *::test_it*",
        ]
    )


WAYS_TO_HIDE = {
    "a manager that fails": """
        @chat.around
        @contextlib.contextmanager
        def database(chat, signal, event, receiver):
            raise RuntimeError("no database")
            yield
        chat.message_received.connect(lambda chat, message: None)
    """,
    "after destroy": """
        chat.destroy()
        chat.login()
        chat.message_received.connect(lambda chat, message: 1 / 0)
    """,
    "without receivers of failures": """
        chat.callback_failed.disconnect_all()
        chat.message_received.connect(lambda chat, message: 1 / 0)
    """,
    "a receiver of failures": """
        chat.callback_failed.connect(lambda chat, failure: 1 / 0)
        chat.message_received.connect(lambda chat, message: 1 / 0)
    """,
}


@pytest.mark.parametrize("way", WAYS_TO_HIDE)
def test_nothing_that_a_test_does_with_its_chat_hides_an_error(talk, way):
    test = """
        import contextlib

        def test_it(alice, bob):
            chat = bob.cube.chat
            %s
            send(alice, bob).result(5)
    """
    done = talk(test % textwrap.dedent(WAYS_TO_HIDE[way]).strip().replace("\n", "\n" + " " * 12))
    done.assert_outcomes(failed=1)
    errors = {
        "a manager that fails": ["receiver * of message_received raised RuntimeError: no database"],
        "a receiver of failures": [
            "receiver * of message_received raised ZeroDivisionError: *",
            "receiver * of callback_failed raised ZeroDivisionError: *",
        ],
    }
    expected = errors.get(way, ["receiver * of message_received raised ZeroDivisionError: *"])
    done.stdout.fnmatch_lines_random(expected)


@pytest.mark.parametrize("mark", ["@pytest.mark.cube_allow_callback_errors", "pytestmark"])
def test_a_marker_lets_a_test_pass_whose_callback_raises(talk, mark):
    if mark == "pytestmark":
        mark = "pytestmark = pytest.mark.cube_allow_callback_errors"
    done = talk(
        f"""
        {mark}
        def test_it(alice, bob):
            bob.cube.chat.message_received.connect(check)
            with bob.cube.chat.events(bob.cube.chat.callback_failed, 5) as failures:
                send(alice, bob)
                assert isinstance(failures.next().error, AssertionError)
        """,
        "--strict-markers",
    )
    done.assert_outcomes(passed=1)


def test_a_receiver_whose_connection_the_end_of_its_test_ends_is_no_error(talk):
    done = talk(
        """
        def test_it(alice, bob):
            chat = bob.cube.chat
            chat.message_received.connect(lambda chat, _: chat.wait_for(chat.typing_started, 60))
            send(alice, bob).result(5)
        """
    )
    done.assert_outcomes(passed=1)


def test_a_client_that_a_test_left_open_fails_no_later_test(talk):
    done = talk(
        """
        import threading

        left = []

        @pytest.mark.cube_allow_callback_errors
        def test_leaves_it_open(alice, cube_emulator, cube_config):
            bot_id = cube_emulator.add_user("bot", "a password")
            left.append(ConnectyCube(config=cube_config))
            left[0].chat.state_changed.connect(lambda chat, change: 1 / 0)
            left[0].chat.login(bot_id, "a password")

        def test_the_next(alice, bob):
            assert left[0].chat.state.name == "CLOSED"
            send(alice, bob).result(5)
        """
    )
    done.assert_outcomes(passed=2)


def test_in_processes_of_xdist_a_callback_fails_its_test_too(talk):
    done = talk(
        """
        @pytest.mark.parametrize("number", range(4))
        def test_it(alice, bob, number):
            if number == 2:
                bob.cube.chat.message_received.connect(check)
            send(alice, bob)
        """,
        *("-p", "xdist", "-n", "2"),
    )
    done.assert_outcomes(failed=1, passed=3)
    done.stdout.fnmatch_lines(["receiver *.check of message_received raised AssertionError: *"])
