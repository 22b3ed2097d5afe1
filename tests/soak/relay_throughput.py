"""What a broker of the relay carries: events that are handed over, handled and acknowledged in a second.

``python -m tests.soak.relay_throughput --engine redis|rabbitmq|cluster --messages 10000 --workers 4`` runs
the broker, one process that adds events from several threads, as a relay's receivers do, and worker
processes with handlers that do nothing. There is no chat: the figure is that of the broker and its clients.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from connectycube.contrib.relay.engine import Topic
from connectycube.contrib.relay.engines import engine_of
from tests.interop.rabbitmq import RabbitCluster, RabbitMQ
from tests.interop.redis_server import RedisServer
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

ENGINES = ("redis", "rabbitmq", "cluster")
PATIENCE = 300.0
_THREADS = 8  # as the workers of a chat, each of which waits until the broker has its event
_DIALOGS = 64
_BODY = b'{"schema": 1, "body": "%s"}' % (b"x" * 400)
_MODULE = "tests.soak.relay_throughput"
_TOPIC = Topic("events", ("workers",), 16)


@contextmanager
def broker_url(engine: str, folder: Path) -> Iterator[str]:
    """Run the broker; yield its URL."""
    server = {"redis": RedisServer, "rabbitmq": RabbitMQ, "cluster": RabbitCluster}[engine](folder)
    with server:
        yield server.url


def carried(engine: str, messages: int, workers: int) -> float:
    """Return how many events a second go through an engine."""
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        url = ends.enter_context(broker_url(engine, folder / "broker"))
        source = engine_of(url, "cube")
        ends.callback(source.close)
        source.declare(_TOPIC)
        # Each worker appends a byte to a file for itself, and for each event.
        ready, handled = (folder / name for name in ("ready", "handled"))
        for file in (ready, handled):
            file.touch()
        for _ in range(workers):
            command = [sys.executable, "-m", _MODULE, "--work", url, str(ready), str(handled)]
            process = subprocess.Popen(command, cwd=ROOT)
            ends.callback(process.wait)
            ends.callback(process.kill)
        wait_until(lambda: ready.stat().st_size == workers, "workers are ready", timeout=PATIENCE)

        def add(first: int) -> None:
            for number in range(first, messages, _THREADS):
                source.add(_TOPIC, f"dialog {number % _DIALOGS}", str(number), _BODY)

        began = time.monotonic()
        with ThreadPoolExecutor(_THREADS) as pool:
            for adding in [pool.submit(add, first) for first in range(_THREADS)]:
                adding.result()
        wait_until(lambda: handled.stat().st_size >= messages, "all is handled", timeout=PATIENCE)
        return messages / (time.monotonic() - began)


def _work(url: str, ready: str, handled: str) -> None:
    subscription = engine_of(url, "cube").subscribe(_TOPIC, "workers", 16)
    with Path(ready).open("ab") as file:
        file.write(b".")
    done = os.open(handled, os.O_WRONLY | os.O_APPEND)
    while True:
        claim = subscription.claim(0.5)
        left = 0 if claim is None else len(claim.deliveries)
        for _ in range(left):
            assert claim is not None
            subscription.ack(claim)
            os.write(done, b".")


def main() -> int:
    """Measure once, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, default="redis")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        _work(*given.work)
    rate = carried(given.engine, given.messages, given.workers)
    print(f"{given.engine}: {rate:.0f} events/s, {given.workers} workers, {given.messages} events")
    return 0


if __name__ == "__main__":
    sys.exit(main())
