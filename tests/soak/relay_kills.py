"""Kill each part of a relay again and again while a bot answers: nothing is lost, late or answered twice.

``python -m tests.soak.relay_kills --engine redis --messages 20000 --workers 4`` prints what was counted; with
``--engine cluster`` the nodes of a RabbitMQ of three are killed, one at a time. Its exit status is 1 if a
message was lost, handled out of order or answered twice at a receiver of this SDK.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from attrs import define, field

from connectycube import Chat, ConnectyCube, Message
from connectycube.emulator import Emulator
from tests.interop.rabbitmq import RabbitCluster, RabbitMQ
from tests.interop.redis_server import RedisServer
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

PATIENCE = 120.0  # seconds without any progress
PASSWORD = "a password"
BOT = "relay-bot"
CHILD, WORKERS, RELAY, BROKER = "worker child", "all workers", "relay", "broker"
PARTS = (CHILD, WORKERS, RELAY, BROKER)
_ASKERS = 8


class Broker(Protocol):
    """A broker that can be killed and started again."""

    @property
    def url(self) -> str: ...
    def start(self) -> None: ...
    def kill(self) -> None: ...


@define
class Report:
    """The losses, repetitions and rates of a play."""

    messages: int
    kills: Counter[str] = field(factory=Counter)
    seconds: float = 0.0
    lost: int = 0
    disorder: list[str] = field(factory=list)
    """Each event that was first handled after a later one of its dialog."""
    answered_twice: int = 0
    runs: int = 0
    """How often a handler was called."""
    marked: int = 0
    """How many of the repeated calls were told by ``context.repeated``."""
    same_id: int = 0
    """Answers that came again, which the receiving SDK knew by their ids."""

    @property
    def out_of_order(self) -> int:
        return len(self.disorder)

    @property
    def is_kept(self) -> bool:
        return not (self.lost or self.out_of_order or self.answered_twice)

    def __str__(self) -> str:
        where = ", ".join(f"{count} {part}" for part, count in sorted(self.kills.items()))
        return "".join(f"{line}\n" for line in self.disorder) + (
            f"killed: {where or 'nothing'}\n"
            f"{self.messages / self.seconds:.0f} messages/s; {self.runs - self.messages + self.lost} events"
            f" handled again, {self.marked} of them known as repeated; {self.same_id} answers came again on"
            " the wire\n"
            f"kills {self.kills.total()} messages {self.messages} lost {self.lost} out of order"
            f" {self.out_of_order} answered twice {self.answered_twice}"
        )


class Askers:
    """Users who ask the bot, each in a dialog of their own; so many questions are open at most."""

    def __init__(self, emulator: Emulator, bot: int, unanswered: int) -> None:
        self._bot = bot
        self._room = threading.Semaphore(unanswered)
        self._changed = threading.Condition()
        self._cubes: list[ConnectyCube] = []
        self.answers: dict[int, list[str | None]] = {}
        self.count = 0
        for number in range(_ASKERS):
            emulator.add_user(f"asker{number}", PASSWORD)
            cube = ConnectyCube(config=emulator.config())
            user = cube.login(login=f"asker{number}", password=PASSWORD)
            assert user is not None and user.id is not None
            self.answers[user.id] = []
            cube.chat.message_received.connect(self._take)
            cube.chat.login()
            self._cubes.append(cube)

    def _take(self, chat: Chat, message: Message) -> None:
        assert chat.user is not None and chat.user.id is not None
        with self._changed:
            self.answers[chat.user.id].append(message.body)
            self.count += 1
            self._changed.notify_all()
        self._room.release()

    def ask(self, count: int) -> None:
        """Send so many questions, as fast as answers come."""
        for number in range(count):
            if not self._room.acquire(timeout=PATIENCE):
                return  # ``wait_for`` says that answers are missing
            cube = self._cubes[number % _ASKERS]
            cube.chat.send_private(self._bot, str(number // _ASKERS))

    def wait_for(self, count: int) -> None:
        """Wait until so many answers have come."""
        with self._changed:
            while (before := self.count) < count:
                if not self._changed.wait(PATIENCE):
                    raise TimeoutError(f"{before} answers of {count}, and no more come")

    def repeated(self) -> int:
        """How many messages the SDK has recognized as repetitions."""
        return sum(cube.chat.statistics().repeated for cube in self._cubes)

    def close(self) -> None:
        """Log out."""
        for cube in self._cubes:
            cube.close()


class Program:
    """A command in a process group of its own, which is killed and started again."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, **variables: str) -> None:
        self._command = [sys.executable, "-m", "connectycube", *command]
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        self._output = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self, chance: random.Random | None = None) -> None:
        """Kill the group; or with ``chance`` one of its children."""
        assert self._process is not None
        if chance is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return
        children = wait_until(self._children, "the worker has children")
        os.kill(chance.choice(children), signal.SIGKILL)

    def _children(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def stop(self) -> int:
        """End it in good order; return its status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE)

    def log(self) -> str:
        """What its processes had to say."""
        return self._output.read_text() if self._output.exists() else ""


@define
class Scene:
    """All parts, while they run."""

    emulator: Emulator
    broker: Broker
    relay: Program
    workers: Program
    chance: random.Random

    def kill(self, part: str) -> None:
        """Kill a part, and start it again."""
        if part == CHILD:
            self.workers.kill(self.chance)
            return
        target = {WORKERS: self.workers, RELAY: self.relay, BROKER: self.broker}[part]
        target.kill()
        target.start()


class InTurn:
    """A cluster as one broker: each kill is that of the next node, while the others go on."""

    def __init__(self, cluster: RabbitCluster) -> None:
        self.url = cluster.url
        self._nodes = itertools.cycle(cluster.nodes)
        self._killed: RabbitMQ | None = None

    def kill(self) -> None:
        """Kill the next node."""
        self._killed = next(self._nodes)
        self._killed.kill()

    def start(self) -> None:
        """Start the node that was killed."""
        assert self._killed is not None
        self._killed.start()


@contextmanager
def broker_of(engine: str, folder: Path) -> Iterator[Broker]:
    """Run a broker, or a cluster of three."""
    if engine == "cluster":
        with RabbitCluster(folder / engine) as cluster:
            yield InTurn(cluster)
        return
    server = RedisServer(folder / engine) if engine == "redis" else RabbitMQ(folder / engine)
    with server:
        yield server


def play(
    engine: str,
    messages: int,
    workers: int,
    kills: int,
    *,
    has_disk: bool = True,
    over_rest: bool = False,
    seed: int = 0,
) -> Report:
    """Kill the parts so many times in turn while so many questions are answered."""
    report = Report(messages)
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        emulator = ends.enter_context(Emulator())
        bot = emulator.add_user(BOT, PASSWORD)
        broker = ends.enter_context(broker_of(engine, folder))
        log = folder / "handled"
        variables = {
            **emulator.environment(),
            "CONNECTYCUBE_LOGIN": BOT,
            "CONNECTYCUBE_PASSWORD": PASSWORD,
            "RELAY_URL": broker.url,
            "RELAY_LOG": str(log),
            "RELAY_ANSWERS": "rest" if over_rest else "outbox",
        }
        durable = ["--durable", str(folder / "bot.db")] if has_disk else []
        relay = Program("relay", ["relay", "--url", broker.url, *durable], folder, **variables)
        command = ["worker", "tests.soak.relay_worker:worker", "-c", str(workers)]
        scene = Scene(
            emulator,
            broker,
            relay,
            Program("workers", command, folder, **variables),
            random.Random(seed),
        )
        for program in (scene.relay, scene.workers):
            program.start()
            ends.callback(program.kill)
        askers = Askers(emulator, bot, max(50, 3 * messages // (kills + 1) // 2))
        ends.callback(askers.close)
        try:
            wait_until(
                lambda: any(each["available"] for each in emulator.sessions(bot)),
                "the relay is logged in",
                timeout=PATIENCE,
            )
            _run(scene, report, askers, kills)
            _judge(report, askers, log)
        except BaseException:
            print(scene.relay.log()[-5000:], scene.workers.log()[-5000:], sep="\n---\n")
            raise
        if not report.is_kept:
            print(scene.relay.log()[-5000:], scene.workers.log()[-5000:], sep="\n---\n")
    return report


def _run(scene: Scene, report: Report, askers: Askers, kills: int) -> None:
    asking = threading.Thread(target=askers.ask, args=(report.messages,), daemon=True)
    began = time.monotonic()
    asking.start()
    for number in range(kills):
        askers.wait_for(report.messages * (number + 1) // (kills + 1))
        part = PARTS[number % len(PARTS)]
        scene.kill(part)
        report.kills[part] += 1
    askers.wait_for(report.messages)
    asking.join(PATIENCE)
    report.seconds = time.monotonic() - began


def _judge(report: Report, askers: Askers, log: Path) -> None:
    first: dict[int, list[int]] = {}
    seen: set[tuple[int, int]] = set()
    for line in log.read_text().splitlines():
        sender, number, _, repeated = map(int, line.split())
        report.runs += 1
        if (sender, number) in seen:
            report.marked += repeated
            continue
        seen.add((sender, number))
        first.setdefault(sender, []).append(number)
    for sender, numbers in first.items():
        for before, each in itertools.pairwise(numbers):
            if each < before:
                report.disorder.append(f"user {sender}: {each} was handled after {before}")
    asked = {
        (user, number)
        for index, user in enumerate(askers.answers)
        for number in range((report.messages - index + _ASKERS - 1) // _ASKERS)
    }
    answered = Counter(
        (user, int(body.removeprefix("answer to ")))
        for user, bodies in askers.answers.items()
        for body in bodies
        if body is not None
    )
    report.lost = len(asked - (seen & answered.keys()))
    report.answered_twice = sum(count > 1 for count in answered.values())
    report.same_id = askers.repeated()


def main() -> int:
    """Play once, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("redis", "rabbitmq", "cluster"), default="redis")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--no-disk", action="store_true", help="the cursor is in the engine")
    parser.add_argument("--rest", action="store_true", help="workers answer over REST")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    report = play(
        *(given.engine, given.messages, given.workers, given.kills),
        has_disk=not given.no_disk,
        over_rest=given.rest,
        seed=given.seed,
    )
    print(report)
    return 0 if report.is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
