"""The listener: handlers in contexts of the application, repetition after transient errors, one at a time."""

from __future__ import annotations

import threading

import pytest
from flask import current_app, g

from connectycube import FileLease, LeaseStoreError
from connectycube.contrib.common.listener import HeldElsewhereError
from tests.support.waiting import TIMEOUT, wait_until


def ask(friend, bot_id, body="hello"):
    """Write to the bot, and return its answer."""
    with friend.chat.events(friend.chat.message_received) as answers:
        friend.chat.send_private(bot_id, body)
        return answers.next(TIMEOUT)


def test_a_handler_answers_in_a_context_whose_teardown_runs(app, cube, friend, bot_id, listening):
    seen, is_over = [], threading.Event()

    @app.teardown_appcontext
    def over(error):
        if "mark" in g:
            seen.append(("teardown", error))
            is_over.set()

    @cube.on("message_received")
    def answer(chat, message):
        g.mark = True
        seen.append(current_app.name)
        cube.send(message, f"you said {message.body}")

    with listening() as said:
        assert ask(friend, bot_id).body == "you said hello"
        assert is_over.wait(TIMEOUT)
    assert seen == ["shop", ("teardown", None)]
    assert said == [f"user {bot_id} listens; handlers: {cube.handlers[0].name}"]


def test_a_transient_error_reaches_the_teardown_and_is_tried_again(
    app, cube, friend, bot_id, listening
):
    errors, attempts = [], []
    app.teardown_appcontext(lambda error: errors.append(type(error)) if error else None)

    @cube.on("message_received")
    def answer(chat, message):
        attempts.append(message.id)
        if len(attempts) < 3:
            raise ConnectionRefusedError("the database restarts")
        chat.reply(message, "kept")

    with listening():
        assert ask(friend, bot_id).body == "kept"
    assert errors == [ConnectionRefusedError] * 2
    assert len(set(attempts)) == 1


def test_the_answer_of_send_has_the_same_id_in_each_attempt(app, cube, friend, bot_id, listening):
    ids = []

    @cube.on("message_received")
    def answer(chat, message):
        ids.append(cube.send(message, "kept").id)
        if len(ids) < 2:
            raise ConnectionRefusedError("after it")

    with listening():
        ask(friend, bot_id)
        wait_until(lambda: len(ids) == 2)
    assert ids[0] == ids[1]


def test_where_limits_a_handler(app, cube, friend, bot_id, listening):
    heard = []
    cube.on("message_received", where=lambda message: message.body != "no")(
        lambda chat, message: heard.append(message.body)
    )
    with listening():
        for body in ("no", "yes"):
            friend.chat.send_private(bot_id, body).result(TIMEOUT)
        wait_until(lambda: heard)
    assert heard == ["yes"]


def test_one_listener_at_a_time(app, cube, listening, bot_id, tmp_path):
    with listening(), pytest.raises(LeaseStoreError) as caught, listening(apart=True, waits=False):
        pass
    assert isinstance(caught.value.__cause__, HeldElsewhereError)
    assert "listens" in str(caught.value.__cause__)
    with listening(waits=False):  # the first one has given it back
        assert (tmp_path / "listener.lease").exists()


def test_a_second_listener_waits_and_takes_over(app, cube, listening, tmp_path, bot_id, friend):
    lease = FileLease(tmp_path / "listener.lease")
    lease.acquire("somebody")
    with listening() as said:
        assert said == ["somebody listens; waiting"]
        lease.release("somebody")
        wait_until(lambda: len(said) == 2)
        assert "handlers: none" in said[1]


def test_health_is_told_by_a_file_while_it_listens(app, cube, listening, bot_id, tmp_path):
    path = tmp_path / "health"
    with listening(health_file=str(path)):
        wait_until(path.exists)  # it is written each second
    assert not path.exists()
