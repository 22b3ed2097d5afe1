"""``python -m tests.soak.flat``: does a client that lives long grow? Messages and reconnects by the million.

Two clients in this process talk through a proxy, one message for another; the server is another process.
Every so many messages the links of both are cut. What the process holds is printed now and then: resident
memory, Python's objects, threads, file descriptors.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import frozen

from connectycube import Chat, ChatState, DialogRef, Message, Timeouts
from tests.soak.places import Client, place
from tests.support.proxy import FaultProxy

PATIENCE = 60.0
_WINDOW = 200  # messages on their way at once


@frozen
class Sample:
    """What the process holds after some messages and reconnects; memory in bytes, objects by number."""

    messages: int
    reconnects: int
    resident: int
    objects: int
    threads: int
    descriptors: int

    def __str__(self) -> str:
        return (
            f"messages {self.messages} reconnects {self.reconnects} "
            f"RSS {self.resident / 1e6:.1f} MB objects {self.objects} "
            f"threads {self.threads} descriptors {self.descriptors}"
        )


def sample(messages: int, reconnects: int) -> Sample:
    """Take one, garbage collected before."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return Sample(
        messages,
        reconnects,
        int(resident.split()[1]) * 1024,
        len(gc.get_objects()),
        threading.active_count(),
        len(os.listdir("/proc/self/fd")),
    )


class Pair:
    """Two clients that write to each other, and count what came."""

    def __init__(self, server: str, ends: ExitStack) -> None:
        where = ends.enter_context(place(server))
        self.proxy = ends.enter_context(FaultProxy("127.0.0.1", where.process.port))
        self._clients = [where.client(self.proxy.port, timeouts=Timeouts()) for _ in range(2)]
        for client in self._clients:
            ends.callback(client.close)
            client.chat.message_received.connect(self._count)
            client.chat.state_changed.connect(self._note_state)
        self._received = self._resumed = self.new_sessions = 0
        self._changed = threading.Condition()

    def _count(self, chat: Chat, message: Any) -> None:
        with self._changed:
            self._received += 1
            self._changed.notify_all()

    def _note_state(self, chat: Chat, change: Any) -> None:
        with self._changed:
            self._resumed += change.state is ChatState.RESUMED
            self.new_sessions += change.state is ChatState.READY
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, PATIENCE):
                raise TimeoutError(
                    f"received {self._received}, resumed {self._resumed}, new {self.new_sessions}"
                )

    def exchange(self, count: int) -> None:
        """Send ``count`` messages, half of them each way, and wait until all are there."""
        wanted = self._received + count
        while (missing := wanted - self._received) > 0:
            piece = min(_WINDOW, missing)
            target = self._received + piece
            for number in range(piece):
                self._send(*self._clients[:: 1 if number % 2 else -1])
            self._wait(lambda target=target: self._received >= target)
        for client in self._clients:
            client.chat.ping(PATIENCE)  # nothing is on its way any more

    def _send(self, sender: Client, receiver: Client) -> None:
        message = Message(body="x" * 100, save_to_history=False)
        sender.chat.send_message(DialogRef.private(receiver.id), message)

    def cut(self) -> None:
        """Cut both links, and wait until both sessions are resumed."""
        wanted = self._resumed + len(self._clients)
        self.proxy.rst()
        self._wait(lambda: self._resumed >= wanted)


def live(
    server: str, messages: int, reconnects: int, samples: int, show: Callable[[str], object]
) -> list[Sample]:
    """Let a pair live; return what the process held on the way, the first after a tenth of it."""
    with ExitStack() as ends:
        pair = Pair(server, ends)
        taken: list[Sample] = []
        cuts = reconnects // 2  # each is one of both clients
        for number in range(cuts):
            pair.exchange(messages // cuts)
            pair.cut()
            done = number + 1
            if done * samples % cuts < samples:
                taken.append(sample(done * (messages // cuts), 2 * done))
                show(str(taken[-1]))
        return taken


def main(arguments: Sequence[str] | None = None) -> int:
    """Let a pair live, print what the process holds; the last line says by how much it grew."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.flat")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--reconnects", type=int, default=1_000)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--server", default="prosody", choices=("emulator", "prosody", "ejabberd"))
    options = parser.parse_args(arguments)
    began = time.monotonic()
    taken = live(
        *(options.server, options.messages, options.reconnects, options.samples), show=_show
    )
    # The client's memory of what it has seen is bounded, and full after a while: so from the middle on.
    middle, last = taken[len(taken) // 2], taken[-1]
    print(
        f"flat: {last.messages} messages, {last.reconnects} reconnects in "
        f"{time.monotonic() - began:.0f} s; over the second half RSS "
        f"{(last.resident - middle.resident) / 1e6:+.1f} MB to {last.resident / 1e6:.1f} MB, objects "
        f"{last.objects - middle.objects:+d} of {last.objects}, threads "
        f"{last.threads - middle.threads:+d}, descriptors {last.descriptors - middle.descriptors:+d}"
    )
    return 0


def _show(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
