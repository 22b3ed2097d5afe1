"""A durable bot is killed again and again while it answers: each message is answered, and once.

``KILLS=100 MESSAGES=10000 SEED=0 python -m tests.soak.kills`` prints what was counted; its last line reads
``kills N messages N unhandled N unanswered N answered twice N``. Its exit status is 1 if any of the last
three is not 0.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field, frozen

from connectycube import Chat, ConnectyCube, Message
from connectycube.emulator import Emulator
from tests.soak.durable_bot import BEFORE_COMMIT, IN_CALLBACK, POINTS, RARE
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

PATIENCE = 120.0  # seconds without any progress
PASSWORD = "a password"
OUTSIDE = "outside"

# Of thirteen kills, where: four in a receiver, two between the server's acknowledgement and the commit.
PATTERN = (*POINTS, BEFORE_COMMIT, "before_reply", OUTSIDE, OUTSIDE)


@define
class Report:
    """What came of it."""

    messages: int
    kills: Counter[str] = field(factory=Counter)
    unhandled: int = 0
    unanswered: int = 0
    answered_twice: int = 0
    runs: int = 0
    """How often receivers had run to their end."""
    repeated: int = 0
    """Answers that came again, which the receiving SDK knew by their ids."""

    @property
    def is_kept(self) -> bool:
        return not (self.unhandled or self.unanswered or self.answered_twice)

    def __str__(self) -> str:
        where = ", ".join(f"{count} {point}" for point, count in sorted(self.kills.items()))
        inside = sum(self.kills[point] for point in IN_CALLBACK)
        return (
            f"killed: {where}; {inside} inside a callback, {self.kills[BEFORE_COMMIT]} between"
            " acknowledgement and commit\n"
            f"receivers ran {self.runs} times to their end, {self.repeated} answers came again on"
            " the wire\n"
            f"kills {self.kills.total()} messages {self.messages} unhandled {self.unhandled}"
            f" unanswered {self.unanswered} answered twice {self.answered_twice}"
        )


class Asker:
    """Sends messages to the bot, so many at most that are not answered, and collects the answers."""

    def __init__(self, cube: ConnectyCube, bot: int, unanswered: int) -> None:
        self.cube = cube
        self.chat = cube.chat
        self._bot = bot
        self._room = threading.Semaphore(unanswered)
        self._changed = threading.Condition()
        self.asked: list[str] = []
        self.answers: list[Message] = []
        self.chat.message_received.connect(self._take)

    def _take(self, chat: Chat, message: Message) -> None:
        with self._changed:
            self.answers.append(message)
            self._changed.notify_all()
        self._room.release()

    def ask(self, count: int) -> None:
        """Send so many messages, as fast as answers come."""
        handles = []
        for number in range(count):
            if not self._room.acquire(timeout=PATIENCE):
                return  # who waits for the answers will say so
            handles.append(self.chat.send_private(self._bot, f"question {number}"))
            self.asked.append(handles[-1].id)
        for handle in handles:
            handle.result(PATIENCE)

    def wait_for(self, count: int) -> None:
        """Wait until so many answers have come."""
        with self._changed:
            while (before := len(self.answers)) < count:
                if not self._changed.wait(PATIENCE):
                    raise TimeoutError(f"{before} answers of {count}, and no more come")

    @property
    def answered(self) -> int:
        return len(self.answers)


@frozen
class Kill:
    """One life of the bot: how it ends, after so many steps."""

    point: str
    count: int


class Bots:
    """Bot processes, one after the other; the next one waits for its plan already."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self._environment = {**os.environ, **emulator.environment(), "PYTHONWARNINGS": "error"}
        self._log = folder / "handled"
        self._errors = (folder / "errors").open("w+b")
        self._arguments = [str(folder / "bot.db"), "durable-bot", PASSWORD, str(self._log)]
        self._next = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.soak.durable_bot", *self._arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stderr=self._errors,
        )

    def start(self, point: str | None, count: int) -> subprocess.Popen[bytes]:
        """Let a bot begin that kills itself at that point (None: never)."""
        bot, self._next = self._next, self._spawn()
        assert bot.stdin is not None
        bot.stdin.write(json.dumps([point, count]).encode() + b"\n")
        bot.stdin.flush()
        return bot

    def handled(self) -> list[str]:
        """The ids in the log."""
        return self._log.read_text().split() if self._log.exists() else []

    def errors(self) -> str:
        """What the bots had to say."""
        self._errors.seek(0)
        return self._errors.read().decode()

    def close(self) -> None:
        """End the one that waits."""
        _end(self._next)
        self._errors.close()


def _end(bot: subprocess.Popen[bytes]) -> None:
    bot.kill()
    bot.communicate()


def plan(kills: int, messages: int, seed: int) -> list[Kill]:
    """Decide how each life ends, so that the messages suffice for all of them."""
    chance = random.Random(seed)
    most = max(1, messages // (kills + 1))
    points = [PATTERN[number % len(PATTERN)] for number in range(kills)]
    chance.shuffle(points)
    counts = [chance.randint(max(1, most // 2), most) for _ in points]
    return [
        Kill(point, 1 if point in RARE else count)
        for point, count in zip(points, counts, strict=True)
    ]


def play(kills: int, messages: int, seed: int) -> Report:
    """Kill a bot so many times while it answers so many messages."""
    report = Report(messages)
    with tempfile.TemporaryDirectory() as name, _service() as (emulator, cube, bot_id):
        asker = Asker(cube, bot_id, unanswered=max(50, 3 * messages // (kills + 1)))
        bots = Bots(emulator, Path(name))
        asking = threading.Thread(target=asker.ask, args=(messages,), daemon=True)
        try:
            asker.chat.login()
            _live_in_peace(bots, emulator, bot_id)
            asking.start()
            for kill in plan(kills, messages, seed):
                _live(bots, asker, kill)
                report.kills[kill.point] += 1
            last = bots.start(None, 0)
            try:
                asker.wait_for(messages)
                asking.join(PATIENCE)
                # A dead letter may wait whose answer was sent by an earlier attempt.
                wait_until(lambda: set(asker.asked) <= {*bots.handled()}, timeout=PATIENCE)
                last.communicate(timeout=PATIENCE)
            finally:
                _end(last)
            if last.returncode or bots.errors():
                raise RuntimeError(f"the bot ended with {last.returncode}: {bots.errors()}")
            _judge(report, emulator, asker, bots.handled(), bot_id)
        finally:
            bots.close()
    return report


@contextmanager
def _service() -> Iterator[tuple[Emulator, ConnectyCube, int]]:
    with Emulator() as emulator:
        bot_id = emulator.add_user("durable-bot", PASSWORD)
        emulator.add_user("asker", PASSWORD)
        with ConnectyCube(config=emulator.config()) as cube:
            cube.login(login="asker", password=PASSWORD)
            yield emulator, cube, bot_id


def _live_in_peace(bots: Bots, emulator: Emulator, bot_id: int) -> None:
    """Let a bot log in for the first time: what came before then is not for it."""
    bot = bots.start(None, 0)
    try:
        wait_until(lambda: any(session["available"] for session in emulator.sessions(bot_id)))
        bot.communicate(timeout=PATIENCE)
    finally:
        _end(bot)


def _live(bots: Bots, asker: Asker, kill: Kill) -> None:
    """One life of the bot, until it is killed."""
    if kill.point == OUTSIDE:
        bot = bots.start(None, 0)
        try:
            asker.wait_for(asker.answered + kill.count)
        finally:
            _end(bot)
        return
    bot = bots.start(kill.point, kill.count)
    try:
        status = bot.wait(PATIENCE)
    finally:
        _end(bot)
    if status != -9:
        raise RuntimeError(f"the bot ended with {status}: {bots.errors()}")


def _judge(
    report: Report, emulator: Emulator, asker: Asker, handled: list[str], bot_id: int
) -> None:
    asked = asker.asked
    me = asker.chat.user
    assert me is not None
    assert me.id is not None
    dialog = emulator.private_dialog(bot_id, me.id)
    assert dialog is not None
    stored = [entry for entry in emulator.messages(dialog) if entry["sender_id"] == bot_id]
    in_history = Counter(entry["message"] for entry in stored)
    at_receiver = Counter(message.body for message in asker.answers)
    same = {entry["_id"] for entry in stored} == {message.id for message in asker.answers}
    report.runs = len(handled)
    report.unhandled = len(set(asked) - set(handled))
    for message_id in asked:
        counts = in_history[f"answer to {message_id}"], at_receiver[f"answer to {message_id}"]
        report.unanswered += min(counts) < 1
        report.answered_twice += max(counts) > 1
    if not same or len(asked) != report.messages:
        raise RuntimeError("history and receiver do not hold the same answers")
    report.repeated = asker.chat.statistics().repeated


def main() -> int:
    """Play once, as the environment says."""
    numbers = [
        int(os.environ.get(name) or default)
        for name, default in (("KILLS", 100), ("MESSAGES", 10_000), ("SEED", 0))
    ]
    report = play(*numbers)
    print(report)
    return 0 if report.is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
