"""A live page: the permission first, history, then what is new; it goes on where it was and ends in order."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import pytest

from connectycube import ApiAuthenticationError, ConnectyCube
from connectycube.contrib.flask import stream
from tests.support.event_source import blocks_of
from tests.support.waiting import TIMEOUT, wait_until

PASSWORD = "a password"
THREADS = {"wsgi.multithread": True}


@pytest.fixture
def people(emulator, bot_id, friend):
    return {"bot": bot_id, "friend": friend.user.id, "carl": emulator.add_user("carl", PASSWORD)}


@pytest.fixture
def dialog(friend, people):
    """A group of the friend and the bot."""
    return friend.dialogs.create_group("apples", [people["bot"]])


def write(friend, dialog, *bodies):
    for body in bodies:
        friend.messages.create(dialog, body, send_to_chat=True)


def read_once(app, dialog, last=None, **arguments):
    """What a server with one thread answers: it ends by itself."""
    headers = {} if last is None else {"Last-Event-ID": last}
    query = {"as": "bot", **arguments}
    answer = app.test_client().get(f"/stream/{dialog.id}", query_string=query, headers=headers)
    assert answer.status_code == 200
    return blocks_of(answer.text)


def bodies_of(blocks):
    return [
        json.loads(block["data"])["body"] for block in blocks if block.get("event") == "message"
    ]


def last_id(blocks):
    return [block["id"] for block in blocks if "id" in block][-1]


class Page:
    """Reads a stream on a thread."""

    def __init__(self, app, dialog, **arguments):
        self.blocks = []
        self._changed = threading.Condition()
        client = app.test_client()
        query = {"as": "bot", **arguments}
        self.answer = client.get(
            f"/stream/{dialog.id}", query_string=query, environ_overrides=THREADS
        )
        self.has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        for part in self.answer.response:
            with self._changed:
                self.blocks += blocks_of(part.decode())
                self._changed.notify_all()
        self.has_ended.set()

    def wait_for(self, condition):
        with self._changed:
            assert self._changed.wait_for(condition, TIMEOUT), self.blocks

    def wait_for_bodies(self, *bodies):
        self.wait_for(lambda: len(bodies_of(self.blocks)) >= len(bodies))
        assert bodies_of(self.blocks) == list(bodies)

    def join(self):
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()


@contextmanager
def page_of(app, cube, dialog, **arguments):
    page = Page(app, dialog, **arguments)
    try:
        yield page
    finally:
        with app.app_context():
            cube.end_streams()
        page.join()


# --- permission ---


@pytest.mark.parametrize(("who", "status"), [("carl", 403), ("bot", 200)])
def test_the_permission_is_that_of_the_pages_user(app, dialog, who, status):
    answer = app.test_client().get(f"/stream/{dialog.id}", query_string={"as": who})
    assert answer.status_code == status
    assert (b"event:" in answer.data) == (status == 200)


def test_a_dialog_that_does_not_exist_is_404(app, dialog):
    answer = app.test_client().get("/stream/" + "5" * 24, query_string={"as": "bot"})
    assert answer.status_code == 404


def test_a_session_that_has_ended_is_401(app, cube, dialog):
    with app.test_request_context(), pytest.raises(Exception, match="has ended") as caught:
        cube.stream(dialog, as_client=cube.client_for(token="nobody's", user_id=1))
    assert caught.value.code == 401


def test_a_user_who_is_removed_is_shown_nothing_more(app, cube, dialog, friend, people):
    with page_of(app, cube, dialog) as page:
        page.wait_for(lambda: page.blocks)
        friend.dialogs.update(dialog, remove_occupants=[people["bot"]])
        with app.app_context():
            cube.send(dialog, "secret", as_client=friend)
        assert page.has_ended.wait(TIMEOUT)
        assert bodies_of(page.blocks) == []


# --- history and new messages ---


def test_a_page_begins_with_the_newest_messages_in_order(app, friend, dialog):
    write(friend, dialog, "one", "two", "three")
    blocks = read_once(app, dialog, history=2)
    assert [block.get("event") for block in blocks] == [None, "begin", "message", "message"]
    assert bodies_of(blocks) == ["two", "three"]
    assert ["id" in block for block in blocks] == [False, False, False, True]


@pytest.mark.parametrize("before", [(), ("one", "two")])
def test_a_page_without_history_gets_what_comes_after_it(app, friend, dialog, before):
    write(friend, dialog, *before)
    blocks = read_once(app, dialog)
    assert bodies_of(blocks) == []
    write(friend, dialog, "three", "four")
    assert bodies_of(read_once(app, dialog, last_id(blocks))) == ["three", "four"]


def test_each_message_comes_once_wherever_the_connection_is_cut(app, friend, dialog):
    begun = last_id(read_once(app, dialog))
    write(friend, dialog, *"abcdefgh")
    blocks = [block for block in read_once(app, dialog, begun) if block.get("event") == "message"]
    assert bodies_of(blocks) == list("abcdefgh")
    for number, block in enumerate(blocks):
        assert bodies_of(read_once(app, dialog, block["id"])) == list("abcdefgh")[number + 1 :]


@pytest.mark.parametrize(
    "last", ["nonsense", "1.!", "9" * 9_000, "\N{SNOWMAN}".encode().decode("latin-1")]
)
def test_an_id_that_is_none_of_ours_begins_anew(app, friend, dialog, last):
    write(friend, dialog, "one")
    blocks = read_once(app, dialog, last, history=5)
    assert [block["event"] for block in blocks[1:]] == ["begin", "message"]


def test_more_than_can_be_kept_begins_anew(app, friend, dialog, monkeypatch):
    monkeypatch.setattr(stream, "_MOST_MISSED", 3)
    begun = last_id(read_once(app, dialog))
    write(friend, dialog, *"abcdefgh")
    blocks = read_once(app, dialog, begun, history=2)
    assert [block["event"] for block in blocks[1:]] == ["begin", "message", "message"]
    assert bodies_of(blocks) == ["g", "h"]


def test_a_page_reads_without_marking_as_read(app, friend, dialog, cube):
    write(friend, dialog, "one")
    read_once(app, dialog, history=5)
    with app.app_context():
        assert cube.client.messages.unread_count([dialog]).total == 1


def test_edits_and_marks_repeat_no_message(app, friend, dialog, cube):
    write(friend, dialog, "one")
    begun = last_id(read_once(app, dialog))
    with app.app_context():
        (message,) = cube.client.messages.list(dialog)  # marks as read
    friend.messages.update(dialog, message.id, body="other")
    assert bodies_of(read_once(app, dialog, begun)) == []


def test_texts_cannot_leave_their_block(app, friend, dialog):
    body = "a\n\nevent: begin\ndata: {}\n\n<script>\u2028\N{SNOWMAN}"
    write(friend, dialog, body)
    blocks = read_once(app, dialog, history=1)
    assert bodies_of(blocks) == [body]
    assert len(blocks) == 3


# --- live ---


def test_a_message_that_is_sent_here_is_shown_at_once(app, cube, friend, dialog):
    with page_of(app, cube, dialog) as page:
        page.wait_for(lambda: page.blocks)
        with app.app_context():
            cube.send(dialog, "hello")
        page.wait_for_bodies("hello")


def test_a_message_that_the_listener_hears_is_shown_at_once(app, cube, friend, dialog, listening):
    with listening(), page_of(app, cube, dialog) as page:
        page.wait_for(lambda: page.blocks)
        friend.chat.send_message(dialog, "hello").result(TIMEOUT)
        page.wait_for_bodies("hello")


def test_without_a_bell_history_is_polled(app, cube, friend, dialog):
    with app.app_context():
        object.__setattr__(cube._clients.settings, "stream_poll", 0.1)
    with page_of(app, cube, dialog) as page:
        page.wait_for(lambda: page.blocks)
        write(friend, dialog, "one", "two")
        page.wait_for_bodies("one", "two")


def test_a_silent_page_gets_comments(app, cube, dialog):
    with page_of(app, cube, dialog, heartbeat=0.1) as page:
        page.wait_for(lambda: len([block for block in page.blocks if "" in block]) >= 3)


def test_a_service_that_is_away_for_a_moment_costs_no_message(app, cube, friend, dialog, emulator):
    with page_of(app, cube, dialog) as page:
        page.wait_for(lambda: page.blocks)
        fault = emulator.faults.server_error(status=500, times=2, user="bot")
        with app.app_context():
            cube._clients.bell.ring(dialog.id)
        wait_until(lambda: not fault.is_on)
        write(friend, dialog, "hello")
        page.wait_for_bodies("hello")


def test_while_the_service_is_away_a_browser_is_asked_to_come_back(
    app, cube, dialog, emulator, friend
):
    begun = last_id(read_once(app, dialog))
    with app.test_request_context(environ_overrides=THREADS):
        client = cube.client_for(login="bot", password=PASSWORD)
        with emulator.faults.server_error(status=500, user="bot"):
            answer = cube.stream(dialog, as_client=client, last_event_id=begun)
    assert (answer.status_code, b"".join(answer.response)) == (200, b"retry: 5000\n\n")
    answer.close()
    write(friend, dialog, "hello")
    assert bodies_of(read_once(app, dialog, begun)) == ["hello"]


# --- what a stream holds ---


def test_a_stream_holds_no_application_context_and_takes_its_client_along(app, cube, dialog):
    is_over = []
    app.teardown_appcontext(lambda error: is_over.append(True))
    with page_of(app, cube, dialog) as page:
        wait_until(lambda: is_over)
        with app.app_context():
            cube.send(dialog, "hello")
        page.wait_for_bodies("hello")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_stream_that_is_never_read_leaves_nothing_behind(app, cube, dialog, method):
    with app.test_request_context("/", method=method, environ_overrides=THREADS):
        client = cube.client_for(login="bot", password=PASSWORD)
        response = cube.stream(dialog, as_client=client)
    with app.app_context():
        assert cube._clients.bell.open_streams == 1
        response.close()
        assert cube._clients.bell.open_streams == 0
    with pytest.raises(Exception, match="closed"):
        client.users.get(1)


def test_a_client_of_the_application_stays_open(app, cube, dialog, emulator):
    with ConnectyCube(config=emulator.config()) as own:
        own.login(login="bot", password=PASSWORD)
        with app.test_request_context("/"):
            cube.stream(dialog, as_client=own).close()
        assert own.users.get(1).id == 1


def test_nobody_reads_the_whole_body_by_mistake(app, cube, dialog):
    with app.test_request_context("/"):
        response = cube.stream(dialog, as_client=cube.client)
        with pytest.raises(RuntimeError, match="sequence"):
            response.get_data()
        response.close()


def test_threads_are_left_for_other_requests(app, cube, dialog, monkeypatch):
    monkeypatch.setattr("connectycube.contrib.flask.extension.most_streams", lambda environ: 1)
    with page_of(app, cube, dialog) as page:
        page.wait_for(lambda: page.blocks)
        second = Page(app, dialog)
        assert second.has_ended.wait(TIMEOUT)
        second.join()


def test_after_close_the_next_page_is_live_again(app, cube, dialog):
    with app.app_context():
        cube.close()
    with page_of(app, cube, dialog) as page:
        page.wait_for(lambda: page.blocks)
        with app.app_context():
            cube.send(dialog, "hello")
        page.wait_for_bodies("hello")


def test_a_login_that_fails_shows_no_secret_in_its_frames(app, cube):
    password = "s3cret of ann"
    with app.app_context(), pytest.raises(ApiAuthenticationError) as caught:
        cube.client_for(login="bot", password=password)
    frames = []
    trace = caught.value.__traceback__.tb_next  # the first frame is this one
    while trace is not None:
        frames.append(repr(trace.tb_frame.f_locals))
        trace = trace.tb_next
    assert frames and not [frame for frame in frames if password in frame]
