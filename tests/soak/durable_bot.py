"""A durable bot, as a process of its own, that answers each message and kills itself where it is told to.

``python -m tests.soak.durable_bot PATH LOGIN PASSWORD LOG``, with the emulator's variables set. The first
line of its input is its plan, in JSON; the end of its input tells it to log out. It appends a line to LOG for
each message that it has handled: when the answer was accepted, and perhaps sent.

Now and then what it needs is away for a moment, also behind the answer; and now and then it fails for good,
and the dead letter is retried.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

from attrs import frozen

from connectycube import Chat, ConnectyCube, DeadLetters, Handling, Message, ReconnectPolicy
from connectycube.chat import driver
from connectycube.chat.durable.mode import Durability
from connectycube.chat.durable.store import DurableStore

IN_CALLBACK = ("before_reply", "after_reply", "after_result")
BEFORE_COMMIT = "before_commit"
RARE = ("after_bury", "after_take")
POINTS = (*IN_CALLBACK, "after_return", BEFORE_COMMIT, "after_commit", "after_done", *RARE)
"""Where it can kill itself: in a receiver before the answer, after it was accepted, after the server had it;
when the receiver has returned, and the store does not know; when the server has acknowledged an answer, and
the store does not know; when a message was committed, and no receiver knows; when the first of two receivers
was noted; when a letter was written, and the store does not know; when it was taken back, and no receiver
knows."""
AWAY, BROKEN = 0.1, 0.1  # how many attempts fail for the moment, and for good


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
    note_done, bury = DurableStore.note_done, Durability.bury
    remove = DeadLetters.remove

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

    def watched_done(self: DurableStore, n: int, receivers: Any) -> None:
        note_done(self, n, receivers)
        fuse.reached("after_done")

    def watched_bury(self: Durability, entry: Any, failure: Any) -> None:
        bury(self, entry, failure)
        fuse.reached("after_bury")

    def watched_remove(self: DeadLetters, ids: list[int]) -> None:
        fuse.reached("after_take")
        remove(self, ids)

    DurableStore.note_done = watched_done  # type: ignore[method-assign]
    Durability.bury = watched_bury  # type: ignore[method-assign]
    DeadLetters.remove = watched_remove  # type: ignore[method-assign]
    DurableStore.commit = watched_take_over  # type: ignore[method-assign]
    Durability.handled = watched_handled  # type: ignore[method-assign]


def answering(fuse: Fuse, log: int) -> Callable[[Chat, Message], None]:
    """Make the bot's receiver."""
    chance = random.Random()

    def answer(chat: Chat, message: Message) -> None:
        fuse.reached("before_reply")
        if chance.random() < BROKEN:
            raise ValueError("on purpose")
        handle = chat.reply(message, f"answer to {message.id}")
        fuse.reached("after_reply")
        if fuse.waits:
            handle.result(60)
        if chance.random() < AWAY:
            raise ConnectionRefusedError
        fuse.reached("after_result")
        os.write(log, f"{message.id}\n".encode())

    return answer


def retry_letters(chat: Chat, event: object = None) -> None:
    """Have all that was given up done after all."""
    letters = chat.dead_letters()
    for letter in letters:
        if not letter.is_marked:
            letters.retry(letter.id)


def main() -> None:
    """Wait for the plan, then run it."""
    path, login, password, log_path = sys.argv[1:]
    logging.getLogger("connectycube.chat").setLevel(logging.CRITICAL)  # it fails on purpose
    driver._DEAD_LETTERS_EVERY = 0.05
    plan = Plan(*json.loads(sys.stdin.readline()))
    fuse = Fuse(plan)
    lay(fuse)
    log = os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    reconnect = ReconnectPolicy(max_attempts=None, delay=0.05, max_delay=0.5)
    handling = Handling(delay=0.01, max_delay=0.05)
    cube = ConnectyCube.from_env(durable=path, reconnect=reconnect, handling=handling)
    cube.login(login=login, password=password)
    cube.chat.message_received.connect(lambda chat, message: None, key="first")
    cube.chat.message_received.connect(answering(fuse, log), key="answer")
    cube.chat.receiver_gave_up.connect(retry_letters)
    retry_letters(cube.chat)
    cube.chat.login()
    sys.stdin.read()
    cube.close()
    os.close(log)


if __name__ == "__main__":
    main()
