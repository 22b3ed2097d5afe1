"""The CPU that durable mode adds to a message that arrives, beside one insert and one delete of SQLite.

The client commits the arrivals of a read at once; the peer commits each of its statements.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench import chat_material as material
from tests.bench.chat_ours import Ours, ours
from tests.bench.measuring import ROUNDS, cpu_of, quartiles
from tests.bench.registry import Row, topic

_CALLS = 3


@topic("durable")
def durable() -> Sequence[Row]:
    """Take the difference between a client with a file and one without."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bot.db")
        with ours(durable=str(path)) as kept, ours() as plain, _table(folder) as table:
            ratios = list(_ratios(kept, plain, table))
    return [
        Row.of("CPU that durable mode adds", "sqlite3, one row in and out", quartiles(ratios), 2.0)
    ]


def _ratios(kept: Ours, plain: Ours, table: sqlite3.Connection) -> Iterator[float]:
    mine, others = material.bursts(), material.bursts()
    differences = []
    for number in range(ROUNDS + 1):
        with_file = cpu_of(lambda: kept.receive_burst(next(mine)), _CALLS)
        without = cpu_of(lambda: plain.receive_burst(next(others)), _CALLS)
        raw = cpu_of(lambda: _in_and_out(table), _CALLS)
        differences.append(with_file - without)
        if number:
            yield statistics.median(differences) / raw


@contextmanager
def _table(folder: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(Path(folder, "raw.db"), isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE inbox (n INTEGER PRIMARY KEY, event TEXT)")
        yield connection
    finally:
        connection.close()


def _in_and_out(table: sqlite3.Connection) -> None:
    for n in range(material.BURST):
        table.execute("INSERT INTO inbox VALUES (?, ?)", (n, material.TEXT))
        table.execute("DELETE FROM inbox WHERE n = ?", (n,))
