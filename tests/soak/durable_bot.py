"""A durable bot, as a process of its own, that answers each message and kills itself where it is told to.

``python -m tests.soak.durable_bot PATH LOGIN PASSWORD LOG``, with the emulator's variables set. The first
line of its input is its plan, in JSON; the end of its input tells it to log out. It appends a line to LOG for
each message that it has handled: when the answer was accepted, and perhaps sent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from attrs import frozen

from connectycube import Chat, ConnectyCube, Message, ReconnectPolicy
from connectycube.chat.durable.mode import Durability
from connectycube.chat.durable.store import DurableStore

IN_CALLBACK = ("before_reply", "after_reply", "after_result")
BEFORE_COMMIT = "before_commit"
POINTS = (*IN_CALLBACK, "after_return", BEFORE_COMMIT, "after_commit")
"""Where it can kill itself: in a receiver before the answer, after it was accepted, after the server had it;
when the receiver has returned, and the store does not know; when the server has acknowledged an answer, and
the store does not know; when a message was committed, and no receiver knows."""


@frozen
class Plan:
    """Kill at the ``count``-th time that ``point`` is reached; None: never."""

    point: str | None
    count: int


class Fuse:
    """Counts how often the plan's point was reached, and ends the process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._left = plan.count

    def reached(self, point: str, times: int = 1) -> None:
        """The process is at that point."""
        if point == self._plan.point:
            self._left -= times
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    @property
    def waits(self) -> bool:
        """Whether receivers wait until the server has the answer."""
        return self._plan.point == "after_result"


def lay(fuse: Fuse) -> None:
    """Watch the points that no receiver sees."""
    commit, handled = DurableStore.commit, Durability.handled

    def watched_take_over(
        self: DurableStore, arrived: Any, outcomes: Any, cursor: Any, now: Any
    ) -> list[int]:
        if outcomes:
            fuse.reached(BEFORE_COMMIT, len(outcomes))
        places = commit(self, arrived, outcomes, cursor, now)
        if arrived:
            fuse.reached("after_commit", len(arrived))
        return places

    def watched_handled(self: Durability, place: Any, *, keep: bool) -> None:
        fuse.reached("after_return")
        handled(self, place, keep=keep)

    DurableStore.commit = watched_take_over  # type: ignore[method-assign]
    Durability.handled = watched_handled  # type: ignore[method-assign]


def answering(fuse: Fuse, log: int) -> Callable[[Chat, Message], None]:
    """Make the bot's receiver."""

    def answer(chat: Chat, message: Message) -> None:
        fuse.reached("before_reply")
        handle = chat.reply(message, f"answer to {message.id}")
        fuse.reached("after_reply")
        if fuse.waits:
            handle.result(60)
        fuse.reached("after_result")
        os.write(log, f"{message.id}\n".encode())

    return answer


def main() -> None:
    """Wait for the plan, then run it."""
    path, login, password, log_path = sys.argv[1:]
    plan = Plan(*json.loads(sys.stdin.readline()))
    fuse = Fuse(plan)
    lay(fuse)
    log = os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    reconnect = ReconnectPolicy(max_attempts=None, delay=0.05, max_delay=0.5)
    cube = ConnectyCube.from_env(durable=path, reconnect=reconnect)
    cube.login(login=login, password=password)
    cube.chat.message_received.connect(answering(fuse, log))
    cube.chat.login()
    sys.stdin.read()
    cube.close()
    os.close(log)


if __name__ == "__main__":
    main()
