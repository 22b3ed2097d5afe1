"""The listener: handlers on worker threads, errors that pass, leases, health, and its chores."""

from __future__ import annotations

import http.client
import json
import logging
import threading
from contextlib import closing, contextmanager

import pytest
from django.db import OperationalError, connections
from django.db.models.functions import Now

from connectycube import (
    ChatAuthenticationError,
    LeaseStoreError,
    Message,
    ReceiverGaveUp,
    Statistics,
)
from connectycube.contrib.common import health
from connectycube.contrib.django import (
    backends,
    chores,
    dead_letters,
    handlers,
    on,
    send,
    signals,
)
from connectycube.contrib.django.conf import read_settings
from connectycube.contrib.django.leases import DatabaseLease
from connectycube.contrib.django.listener import Listener
from connectycube.contrib.django.models import DeadLetter, Lease, OutgoingMessage
from tests.support.django_project.shop.models import Order
from tests.support.ports import free_port
from tests.support.waiting import TIMEOUT, wait_until


@pytest.fixture(autouse=True)
def _own_handlers(monkeypatch):
    monkeypatch.setattr(handlers, "_handlers", {})


@contextmanager
def listening(**options):
    """A listener on a thread of its own, until the end of the block."""
    settings, said, failures = read_settings(), [], []
    values = {"say": said.append, "bot": settings.bot("default"), "backend": backends.get_backend()}
    listener = Listener(**{**values, **options})

    def run():
        try:
            listener.run()
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, name="listener")
    thread.start()
    try:
        yield listener, said, failures
    finally:
        listener.close()
        thread.join(TIMEOUT)


def ready(listener):
    assert listener.ready.wait(TIMEOUT)


def test_a_handler_writes_rows_and_answers(live, friend):
    @on("message_received")
    def keep(chat, message):
        Order.objects.create(message_id=message.id, text=message.body)
        chat.reply(message, f"kept {message.body}")

    with listening() as (listener, said, failures):
        ready(listener)
        with friend.chat.events(friend.chat.message_received, TIMEOUT) as answers:
            friend.chat.send_private(live.bot_id, "apples")
            assert answers.next().body == "kept apples"
    assert Order.objects.get().text == "apples"
    assert failures == []
    assert said == [
        f"the bot 'default' (user {live.bot_id}) listens; handlers: {keep.__module__}.{keep.__qualname__}"
    ]


def test_a_database_that_is_away_costs_a_warning_and_another_attempt(live, friend, caplog):
    failed = []

    @on("message_received")
    def keep(chat, message):
        if len(failed) < 2:
            failed.append(message)
            raise OperationalError("the server closed the connection")
        chat.reply(message, "kept")

    with caplog.at_level(logging.WARNING), listening() as (listener, *_):
        ready(listener)
        with friend.chat.events(friend.chat.message_received, TIMEOUT) as answers:
            friend.chat.send_private(live.bot_id, "apples")
            assert answers.next().body == "kept"
    records = [one for one in caplog.records if one.name.startswith("connectycube")]
    assert [record.levelname for record in records] == ["WARNING"] * 2
    assert all(record.exc_info is None for record in records)


def test_what_a_handler_sends_goes_over_the_chat_after_the_commit(live, friend):
    @on("message_received")
    def order(chat, message):
        from django.db import transaction

        with transaction.atomic():
            send(message, "after the commit")
            send(message, "at once", on_commit=False)

    with listening() as (listener, *_):
        ready(listener)
        with friend.chat.events(friend.chat.message_received, TIMEOUT) as answers:
            friend.chat.send_private(live.bot_id, "apples")
            assert [answers.next().body, answers.next().body] == ["at once", "after the commit"]


def test_receivers_of_djangos_signals_are_called(live, friend):
    got = threading.Event()

    def receiver(sender, event, bot, **_):
        assert (sender, bot) == (Message, "default")
        if event.body == "apples":
            got.set()

    signals.message_received.connect(receiver)
    try:
        with listening() as (listener, *_):
            ready(listener)
            friend.chat.send_private(live.bot_id, "apples")
            assert got.wait(TIMEOUT)
    finally:
        signals.message_received.disconnect(receiver)


def test_a_bot_with_a_wrong_password_does_not_listen(live, emulator):
    live(BOTS={"default": {"LOGIN": "bot", "PASSWORD": "wrong password"}})
    with listening() as (_listener, _said, failures):
        wait_until(lambda: failures)
    assert not isinstance(failures[0], ChatAuthenticationError)
    assert "401" in str(failures[0])


# --- leases ---


def test_another_listener_waits_and_takes_the_place_of_one_that_ends(live):
    with listening(lease_seconds=15.0) as (first, *_):
        ready(first)
        with listening(lease_seconds=15.0) as (second, said, _):
            wait_until(lambda: said)
            assert "listens for the bot 'default'; waiting" in said[0]
            first.close()
            ready(second)
            assert Lease.objects.get().fencing == 2
    assert Lease.objects.get().holder == ""


def test_a_listener_that_may_not_wait_says_who_listens(live):
    DatabaseLease("bot:default", 15).acquire("web1:17:abc")
    with listening(lease_seconds=15.0, waits=False) as (_listener, _said, failures):
        wait_until(lambda: failures)
    assert isinstance(failures[0], LeaseStoreError)
    assert str(failures[0].__cause__) == "web1:17:abc listens for the bot 'default'"


def test_a_listener_that_waits_can_be_ended(live):
    DatabaseLease("bot:default", 15).acquire("web1:17:abc")
    with listening(lease_seconds=15.0) as (listener, said, failures):
        wait_until(lambda: said)
        listener.close()
    assert failures == []


def test_a_listener_whose_lease_was_taken_logs_out_and_waits(live, emulator):
    with listening(lease_seconds=0.6) as (listener, said, _):
        ready(listener)
        Lease.objects.update(holder="thief")
        wait_until(
            lambda: "another process has taken the lease 'bot:default'; waiting for it" in said
        )
        wait_until(lambda: len([one for one in said if "handlers" in one]) == 2)


# --- health ---


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(health, "_EVERY", 0.02)


def ask(port):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as link:
        link.request("GET", "/")
        answer = link.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_supervisor_sees_whether_the_bot_is_connected(live, emulator, tmp_path):
    file, port = tmp_path / "healthy", free_port()
    live(RECONNECT={"MAX_ATTEMPTS": None, "DELAY": 3600})
    with listening(health_file=str(file), health_address=("127.0.0.1", port)) as (listener, *_):
        ready(listener)
        wait_until(file.exists)
        status, shown = ask(port)
        assert (status, shown["healthy"], shown["lease"]) == (200, True, None)
        emulator.cut(live.bot_id)
        wait_until(lambda: ask(port)[0] == 503)
        wait_until(lambda: not file.exists())
    assert list(tmp_path.iterdir()) == []


def test_the_health_is_the_statistics_of_the_chat_and_the_lease(live, friend, emulator, tmp_path):
    @on("message_received")
    def keep(chat, message):
        inside.set()
        assert go_on.wait(TIMEOUT)

    inside, go_on = threading.Event(), threading.Event()
    file, port = tmp_path / "healthy", free_port()
    options = {"health_file": str(file), "health_address": ("127.0.0.1", port)}
    with listening(lease_seconds=15.0, **options) as (listener, *_):
        ready(listener)
        emulator.cut(live.bot_id)
        wait_until(lambda: ask(port)[1]["statistics"]["reconnects"] == 1)
        for body in ("one", "two"):
            friend.chat.send_private(live.bot_id, body)
        assert inside.wait(TIMEOUT)
        wait_until(lambda: ask(port)[1]["statistics"]["queued_events"] == 1)
        _, shown = ask(port)
        go_on.set()
        numbers = Statistics.from_dict(shown["statistics"])
        assert shown["statistics"]["state"] in ("ready", "resumed")
        assert (numbers.queued_events, numbers.dead_letters, numbers.received) == (1, 0, 2)
        assert numbers.oldest_queued_seconds > 0
        assert numbers.since.tzinfo is not None
        assert shown["lease"] == {"name": "bot:default", "fencing": 1, "held_by": None}
        wait_until(file.exists)
        assert set(json.loads(file.read_text())) == set(shown)


def test_a_listener_that_stands_by_is_healthy(live, tmp_path):
    DatabaseLease("bot:default", 15).acquire("web1:17:abc")
    file, port = tmp_path / "healthy", free_port()
    options = {"health_file": str(file), "health_address": ("127.0.0.1", port)}
    with listening(lease_seconds=0.6, **options) as (listener, said, _):
        wait_until(lambda: said)
        wait_until(file.exists)
        assert ask(port)[0] == 200
        _, shown = ask(port)
        assert (shown["ready"], shown["lease"]["held_by"]) == (False, "web1:17:abc")
        Lease.objects.update(holder="")
        Lease.objects.update(until=Now())
        ready(listener)
        assert ask(port)[1]["lease"]["held_by"] is None


# --- chores ---


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(chores, "_EVERY", 0.02)
    monkeypatch.setattr(chores, "_LETTERS_EVERY", 0.02)


def state_of(row):
    row.refresh_from_db()
    return row.state


def test_rows_are_sent_in_order_with_their_ids(live, friend, quick):
    rows = [OutgoingMessage.objects.send(friend.user, str(number), n=number) for number in range(5)]
    messages = friend.chat.events(friend.chat.message_received, TIMEOUT)
    with messages, listening() as (listener, *_):
        ready(listener)
        got = [messages.next() for _ in rows]
        wait_until(lambda: {state_of(row) for row in rows} == {"sent"})
    assert [(one.id, one.body) for one in got] == [(row.message_id, row.body) for row in rows]
    assert got[3].custom == {"n": "3"}
    assert rows[0].sent_at is not None


def test_a_row_that_was_sent_before_the_process_ended_is_not_sent_again(live, friend, quick):
    row = OutgoingMessage.objects.send(friend.user, "once")
    with friend.chat.events(friend.chat.message_received, TIMEOUT) as messages:
        with listening() as (listener, *_):
            ready(listener)
            assert messages.next().body == "once"
            wait_until(lambda: state_of(row) == "sent")
        OutgoingMessage.objects.update(state="waiting")  # the process ended before it wrote this
        other = OutgoingMessage.objects.send(friend.user, "the next")
        with listening() as (listener, *_):
            ready(listener)
            assert messages.next().body == "the next"
            wait_until(lambda: (state_of(row), state_of(other)) == ("sent", "sent"))


def test_a_row_that_is_refused_has_failed_and_holds_nobody_up(live, friend, quick):
    nowhere = OutgoingMessage.objects.send("5356c64ab35c12bd3b108a41", "nobody is there")
    row = OutgoingMessage.objects.send(friend.user, "hello")
    with listening() as (listener, *_):
        ready(listener)
        wait_until(lambda: (state_of(nowhere), state_of(row)) == ("failed", "sent"))
    assert nowhere.error


def test_what_a_handler_gives_up_is_in_the_database_and_runs_again(live, friend, quick):
    mended = []

    @on("message_received")
    def keep(chat, message):
        if not mended:
            raise ValueError("not yet")
        chat.reply(message, "kept")

    with listening() as (listener, *_):
        ready(listener)
        with friend.chat.events(friend.chat.message_received, TIMEOUT) as answers:
            friend.chat.send_private(live.bot_id, "apples")
            letter = wait_until(DeadLetter.objects.first)
            assert letter.error == "ValueError: not yet"
            DeadLetter.objects.update(is_marked=True)
            wait_until(lambda: not DeadLetter.objects.get().is_marked)
            assert DeadLetter.objects.get().attempts == 2
            mended.append(True)
            DeadLetter.objects.update(is_marked=True)
            assert answers.next().body == "kept"
            wait_until(lambda: not DeadLetter.objects.exists())


def test_a_dead_letter_waits_for_a_database_that_is_away(live, friend, quick, monkeypatch, caplog):
    update_or_create, calls = DeadLetter.objects.update_or_create, []

    def away_at_first(**values):
        calls.append(values)
        if len(calls) < 3:
            raise OperationalError("away")
        return update_or_create(**values)

    monkeypatch.setattr(DeadLetter.objects, "update_or_create", away_at_first)

    @on("message_received")
    def fail(chat, message):
        raise ValueError("no")

    with listening() as (listener, *_):
        ready(listener)
        friend.chat.send_private(live.bot_id, "apples")
        wait_until(DeadLetter.objects.first)
    told = [one for one in caplog.records if one.name == "connectycube.django"]
    assert [(one.levelname, one.exc_info) for one in told] == [("WARNING", None)]


def test_what_is_given_up_before_the_end_is_kept(live, friend):
    @on("message_received")
    def fail(chat, message):
        raise ValueError("no")

    with listening() as (listener, *_):
        ready(listener)
        with friend.chat.events(friend.chat.message_delivered, TIMEOUT) as delivered:
            friend.chat.send_private(live.bot_id, "apples")
            delivered.next()
        assert backends.get_backend().client("default").chat.wait_until_idle()
    assert DeadLetter.objects.count() == 1


def test_a_dead_letter_of_durable_mode_runs_again_from_the_file(live, friend, quick, tmp_path):
    bot = {"LOGIN": "bot", "PASSWORD": "a password", "DURABLE": str(tmp_path / "bot.db")}
    live(BOTS={"default": bot})
    mended = []

    @on("message_received")
    def keep(chat, message):
        chat.reply(message, "kept")  # the same id in each attempt
        if not mended:
            raise ValueError("not yet")

    with listening() as (listener, *_):
        ready(listener)
        friend.chat.send_private(live.bot_id, "apples")
        wait_until(DeadLetter.objects.first)
        mended.append(True)
        DeadLetter.objects.update(is_marked=True)
        wait_until(lambda: not DeadLetter.objects.exists())
        chat = backends.get_backend().client("default").chat
        wait_until(lambda: not len(chat.dead_letters()), timeout=TIMEOUT)
        assert chat.wait_until_idle()
    dialog = friend.dialogs.create_private(live.bot_id)
    bodies = [message.body for message in friend.messages.list(dialog)]
    assert sorted(bodies) == ["apples", "kept"]


def test_a_dead_letter_without_its_handler_stays_with_the_reason(live, quick):
    failure = ReceiverGaveUp(
        event=Message(id="a" * 24),
        signal="message_received",
        receiver="shop.gone",
        error=ValueError("no"),
        attempts=1,
    )
    dead_letters.keep("default", failure)
    DeadLetter.objects.update(is_marked=True)
    with listening() as (listener, *_):
        ready(listener)
        wait_until(lambda: not DeadLetter.objects.get().is_marked)
    assert (
        "there is no handler shop.gone of message_received any more"
        in DeadLetter.objects.get().error
    )
