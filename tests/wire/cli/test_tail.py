"""tail: what arrives is shown as it comes, and is handed to a program, in order."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import pytest

from connectycube import ConnectyCube
from tests.support.ports import free_port
from tests.support.scripted_http import ScriptedHttpServer, answer
from tests.support.waiting import TIMEOUT, wait_until
from tests.wire.cli.conftest import PASSWORD


@pytest.fixture
def meanwhile(emulator, alice):
    """``with meanwhile(function):`` calls it on a thread once the user of the commands is connected."""

    @contextmanager
    def meanwhile(function):
        failures = []

        def act():
            try:
                wait_until(
                    lambda: any(session["available"] for session in emulator.sessions(alice)),
                    TIMEOUT,
                )
                function()
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=act)
        thread.start()
        yield
        thread.join(TIMEOUT)
        assert failures == []

    return meanwhile


@pytest.fixture
def write(bob, alice):
    """``write("a", "b")()`` has the other user write these messages."""

    def write(*bodies, to=alice):
        return lambda: [bob.messages.create(to, body, send_to_chat=True) for body in bodies]

    return write


def test_messages_are_one_json_object_a_line_with_the_names_of_to_dict(run, meanwhile, write):
    with meanwhile(write("one", "two")):
        done = run("tail", "--json", "--count", "2")
    found = [json.loads(line) for line in done.lines]
    assert (done.status, [message["body"] for message in found]) == (0, ["one", "two"])
    assert found[0]["model"] == "Message"


def test_people_see_who_wrote_and_nothing_steers_their_terminal(run, meanwhile, write):
    with meanwhile(write("two\nlines \u202e and more")):
        done = run("tail", "--count", "1")
    first, second = done.lines
    assert " bob: two" in first
    assert second == "  lines \\u202e and more"
    assert done.err == "connected\n"


def test_what_this_user_wrote_elsewhere_is_shown(run, meanwhile, emulator, bob):
    def act():
        with ConnectyCube(config=emulator.config()) as other:
            other.login(login="alice", password=PASSWORD)
            other.chat.login()
            other.chat.send_private(bob.user, "mine").result()

    with meanwhile(act):
        done = run("tail", "--count", "1")
    assert " alice: mine" in done.out


def test_one_dialog_alone_is_shown(run, meanwhile, write, bob, alice):
    group = bob.dialogs.create_group("Hikers", [alice])
    private = bob.dialogs.create_private(alice)

    def act():
        write("elsewhere", to=private)()
        write("here", to=group)()

    with meanwhile(act):
        done = run("tail", group.id, "--json", "--count", "1")
    assert json.loads(done.out)["body"] == "here"


def test_other_signals_are_shown_instead_of_messages(run, meanwhile, bob, alice):
    def act():
        stored = bob.messages.create(alice, "Helo", send_to_chat=True)
        bob.messages.add_reaction(stored, "👍")

    with meanwhile(act):
        done = run("tail", "--signal", "reaction_changed", "--count", "1")
    assert done.out.startswith("reaction_changed user_id=")
    assert "👍" in done.out


def test_nothing_is_reported_as_delivered_or_read(run, meanwhile, write, bob, alice):
    with meanwhile(write("hello")):
        run("tail", "--count", "1")
    dialog = bob.dialogs.create_private(alice)
    (message,) = bob.messages.list(dialog, mark_as_read=False)
    assert message.delivered_ids in ((), (bob.user.id,))
    assert message.read_ids in ((), (bob.user.id,))


def test_a_link_that_is_cut_comes_back_and_no_message_is_missing(
    run, meanwhile, write, emulator, alice
):
    def act():
        write("before")()
        emulator.cut(alice)
        write("between")()

    with meanwhile(act):
        done = run("tail", "--json", "--count", "2")
    assert [json.loads(line)["body"] for line in done.lines] == ["before", "between"]


# --- to a program -------------------------------------------------------------------------------------


def test_events_are_posted_in_order_and_repeated_until_they_are_taken(run, meanwhile, write):
    with ScriptedHttpServer() as server:
        seen = []
        statuses = iter((503, 429, 200, 200))
        taken = threading.Event()

        def respond(request):
            seen.append((request.headers["x-connectycube-signal"], request.json["body"]))
            status = next(statuses)
            if len(seen) == 3:
                taken.set()
            return answer(status, {})

        def act():
            write("one")()
            assert taken.wait(TIMEOUT)
            write("two")()

        server.respond(respond)
        with meanwhile(act):
            done = run("tail", "--json", "--count", "2", "--forward-to", server.url)
    assert (done.status, [body for _, body in seen]) == (0, ["one", "one", "one", "two"])
    assert {name for name, _ in seen} == {"message_received"}
    assert "message_received --> 503" in done.err


def test_an_event_that_a_program_refuses_is_not_repeated(run, meanwhile, write):
    with ScriptedHttpServer() as server:
        seen = []

        def respond(request):
            seen.append(request.json["body"])
            return answer(400 if len(seen) == 1 else 200, {})

        server.respond(respond)
        with meanwhile(write("one", "two", "three")):
            done = run("tail", "--json", "--count", "3", "--forward-to", server.url)
    assert (done.status, seen[:2]) == (0, ["one", "two"])
    assert "Traceback" not in done.err


def test_a_program_out_of_reach_is_told(run, meanwhile, write):
    with meanwhile(write("one")):
        url = f"http://127.0.0.1:{free_port()}"
        done = run("tail", "--json", "--count", "1", "--forward-to", url)
    assert done.status == 0
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("nothing",), 5, "NotFoundError"),
        (("@bob",), 2, "'@bob' is not the id of a dialog. 'connectycube dialogs' lists the ids"),
        (("--signal", "mesage"), 2, "Invalid value for '--signal'"),
        (("--forward-to", "localhost:5"), 2, "--forward-to must be an http(s) URL with a host"),
        (("--count", "0"), 2, "Invalid value for '--count'"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(run, alice, words, status, sentence):
    done = run("tail", *words)
    assert (done.status, sentence in done.err) == (status, True), done.err
