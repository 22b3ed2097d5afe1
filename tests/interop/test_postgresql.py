"""A durable bot whose database restarts: each message is written once, and none is lost."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from connectycube import Chat, Handling, Message, is_transient
from connectycube.emulator import Emulator
from tests.interop.postgresql import PostgreSQL
from tests.support.durable_people import Bot
from tests.support.people import Person
from tests.support.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.referee("postgresql")

MESSAGES = 120
RATE = 20.0  # messages a second
AWAY = (3.0, 0.5, 0.5)  # seconds, at each restart

TABLE = "CREATE TABLE orders (message_id TEXT PRIMARY KEY, text TEXT NOT NULL, n SERIAL)"
INSERT = "INSERT INTO orders (message_id, text) VALUES (%s, %s) ON CONFLICT DO NOTHING"


@pytest.fixture
def database() -> Iterator[PostgreSQL]:
    """An empty database. User ``postgres`` may enter its folder, but none that pytest makes."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with PostgreSQL(Path(folder, "postgresql")) as running:
            yield running


def passes(error: Exception) -> bool:
    return is_transient(error) or isinstance(error, psycopg.OperationalError)


class Orders:
    """A receiver that writes each message into the database, and answers it."""

    def __init__(self, database: PostgreSQL) -> None:
        self._address = database.address
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self.failures = 0

    def __call__(self, chat: Chat, message: Message) -> None:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._address)
            with self._connection.transaction():
                self._connection.execute(INSERT, (message.id, message.body))
        except psycopg.OperationalError:
            self.failures += 1
            raise
        chat.reply(message, f"kept {message.body}")

    def close(self) -> None:
        """Close the connection to the database."""
        if self._connection is not None:
            self._connection.close()


def rows(database: PostgreSQL) -> list[str]:
    with psycopg.connect(database.address) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM orders ORDER BY n")]


def test_three_restarts_of_a_receivers_database_cost_no_message(database, tmp_path):
    with psycopg.connect(database.address) as connection:
        connection.execute(TABLE)
    orders = Orders(database)
    handling = Handling(delay=0.05, max_delay=0.2, transient=passes)
    with Emulator() as emulator:
        alice = Person.new(emulator)
        bot = Bot.new(emulator, durable=str(tmp_path / "bot.db"), handling=handling)
        bot.chat.message_received.connect(orders, key="orders")
        alice.login()
        bot.login()
        bodies = [str(number) for number in range(MESSAGES)]

        def send() -> None:
            began = time.monotonic()
            for number, body in enumerate(bodies):
                time.sleep(max(0.0, began + number / RATE - time.monotonic()))
                alice.chat.send_private(bot.id, body)

        sender = threading.Thread(target=send)
        sender.start()
        for seconds in AWAY:
            failed = orders.failures
            database.stop()
            time.sleep(seconds)  # it is a time without the database that is tested
            wait_until(lambda failed=failed: orders.failures > failed)
            database.start()
        sender.join(TIMEOUT)
        answers = alice.events.wait_for("message_received", MESSAGES)
        assert rows(database) == bodies
        assert [answer.body for answer in answers] == [f"kept {body}" for body in bodies]
        bot.chat.logout()
        alice.chat.logout()
    orders.close()
