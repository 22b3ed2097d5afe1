"""Events of a chat as tasks of a real Celery, on both brokers."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import pytest
from celery import Celery
from kombu import pools

from connectycube import ArgumentTypeError, ArgumentValueError, ConnectyCube, Fleet, Message
from connectycube.contrib.celery import ChatTask, client, hand_over
from connectycube.contrib.relay import Envelope
from connectycube.emulator import Emulator
from tests.interop.rabbitmq import RabbitMQ
from tests.support.paths import ROOT
from tests.support.people import PASSWORD, Person
from tests.support.waiting import TIMEOUT, wait_until

MODULE = "tests.interop.relay.celery_tasks"


@pytest.fixture
def new_app() -> Iterator[Callable[[str], Celery]]:
    """Make applications of Celery, whose connections are closed at the end."""
    made: list[Celery] = []

    def make(url: str) -> Celery:
        app = Celery("bot", broker=url, set_as_current=False)
        app.conf.task_ignore_result = True
        app.conf.broker_pool_limit = 0  # without a pool kombu closes what it has opened
        made.append(app)
        return app

    yield make
    pools.reset()
    for app in made:
        app.pool.force_close_all()
        app.close()
    gc.collect()  # kombu leaves the sockets of a pool to their objects


def new_task(app: Celery) -> ChatTask:
    @app.task(base=ChatTask, bind=True, name=f"{MODULE}.answer")
    def answer(self, message):
        """Does nothing in this process."""

    return answer


@pytest.fixture
def bot(emulator) -> Iterator[Person]:
    emulator.add_user("celery-bot", PASSWORD)
    person = Person.with_session(emulator, "celery-bot")
    with person.cube:
        yield person


@pytest.fixture
def alice(emulator) -> Iterator[Person]:
    emulator.add_user("celery-alice", PASSWORD)
    person = Person.in_chat(emulator, "celery-alice")
    with person.cube:
        yield person


@contextmanager
def running(folder: Path, emulator: Emulator, url: str, *command: str) -> Iterator[None]:
    """Run a program of this package with the bot's variables; kill it at the end."""
    variables = {
        **emulator.environment(),
        "CELERY_BROKER": url,
        "CONNECTYCUBE_LOGIN": "celery-bot",
        "CONNECTYCUBE_PASSWORD": PASSWORD,
        "PYTHONPATH": str(ROOT),
    }
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**os.environ, **variables},
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()
        print((folder / "output").read_text())


@pytest.mark.time_limit(150)
def test_a_task_answers_each_message_once(url, emulator, alice, tmp_path):
    bot = emulator.add_user("celery-bot", PASSWORD)
    worker = ("celery", "-A", MODULE, "worker", "--pool", "solo", "--without-gossip")
    program = (tmp_path, emulator, url)
    with running(*program, *worker), running(*program, "tests.interop.relay.celery_bot"):
        wait_until(lambda: any(each["available"] for each in emulator.sessions(bot)), timeout=60)
        for number in range(5):
            alice.chat.send_private(bot, str(number))
        received = alice.events.wait_for("message_received", 5, timeout=60)
    assert sorted(message.body for message in received) == [f"re: {n}" for n in range(5)]


@pytest.mark.referee("redis")
def test_a_broker_without_confirms_is_warned_of(redis_server, bot, caplog, new_app):
    app = new_app(redis_server.url)
    with caplog.at_level(logging.WARNING, logger="connectycube.celery"):
        hand_over(bot.chat, new_task(app))
    assert "a worker that is killed loses the task" in caplog.text


def tasks_of(url: str, queue: str = "celery") -> Iterator[tuple[str, Envelope]]:
    """Take what waits for workers: the id of each task, and its envelope."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    while True:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            break
        ((data,), *_) = json.loads(body)
        yield properties.headers["id"], Envelope.from_dict(data)
    connection.close()


@pytest.mark.referee("rabbitmq")
def test_events_of_all_members_of_a_fleet_become_tasks(rabbitmq_server, emulator, alice, new_app):
    logins = [f"celery-member{number}" for number in range(2)]
    for login in logins:
        emulator.add_user(login, PASSWORD)
    first, later = ({"login": login, "password": PASSWORD} for login in logins)
    with ConnectyCube(config=emulator.config()) as cube, Fleet(cube, [first]) as fleet:
        app = new_app(rabbitmq_server.url)
        app.conf.task_default_queue = "fleet"
        hand_over(fleet, new_task(app))
        fleet.add(later).result(TIMEOUT)
        found: dict[int, list[str]] = {chat.user.id: [] for chat in fleet}
        for chat in fleet:
            for number in range(3):
                alice.chat.send_private(chat.user, str(number)).result(TIMEOUT)
        for chat in fleet:
            assert chat.wait_until_idle(TIMEOUT)
    for task_id, envelope in tasks_of(rabbitmq_server.url, "fleet"):
        assert task_id == envelope.id
        found[envelope.bot].append(envelope.event.body)
    assert [*found.values()] == [["0", "1", "2"]] * 2


@pytest.mark.referee("rabbitmq")
@pytest.mark.time_limit(150)
def test_no_event_is_lost_while_the_broker_is_killed(tmp_path, bot, alice, new_app):
    with RabbitMQ(tmp_path / "rabbitmq") as broker:
        app = new_app(broker.url)
        task = new_task(app)
        hand_over(bot.chat, task)
        bot.login()
        all_sent = 200
        for number in range(all_sent):
            alice.chat.send_private(bot.id, str(number))
            if number == all_sent // 2:
                bot.events.wait_for("message_received", 20, timeout=30)
                broker.kill()
        broker.start()
        assert bot.chat.wait_until_idle(60)
        assert len({task_id for task_id, _ in tasks_of(broker.url)}) == all_sent


def test_wrong_arguments_name_themselves(bot, new_app):
    app = new_app("memory://")

    @app.task(name="other")
    def other(message):
        """Has another base."""

    with pytest.raises(ArgumentTypeError, match="base ChatTask"):
        hand_over(bot.chat, other)
    with pytest.raises(ArgumentTypeError, match=r"chat must be a Chat.* or a Fleet, not Config"):
        hand_over(bot.config, new_task(app))
    with pytest.raises(ArgumentValueError, match="did you mean"):
        hand_over(bot.chat, new_task(app), ("mesage_received",))


def test_a_client_needs_the_login_in_the_environment(monkeypatch):
    for name in ("LOGIN", "PASSWORD"):
        monkeypatch.delenv(f"CONNECTYCUBE_{name}", raising=False)
    with pytest.raises(ArgumentValueError, match="CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD"):
        client()


def test_a_task_has_no_outbox(new_app):
    app = new_app("memory://")
    task = new_task(app)
    message = Message(id="0" * 24, dialog_id="1" * 24, body="hello")
    task.push_request(args=(Envelope("e", 1, "message_received", "k", message).to_dict(),))
    with pytest.raises(ArgumentValueError, match="reply_over_rest"):
        task.context.reply("no")
    task.pop_request()
