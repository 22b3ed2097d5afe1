"""Which faults befall a conversation, and when: a function of a seed.

Two tracks run side by side. On one the links between clients and server break; on the other the server
itself stops, dies or, where it is the emulator, misbehaves. Each track takes one step after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from attrs import evolve, field, frozen

KINDS = ("emulator", "prosody", "ejabberd")
MEMBERS = 3
SECONDS = 3.5

# Stream errors after which a client comes back; the others end its connection for good.
PASSING = ("system-shutdown", "reset", "internal-server-error", "connection-timeout")

Options = Mapping[str, Any]
Draw = Callable[[Random], Options]


@frozen
class Step:
    """One fault: from ``at`` on, for ``seconds``, of the member with that number or, if None, of all."""

    at: float
    seconds: float
    fault: str
    member: int | None
    options: Options = field(factory=dict)

    def __str__(self) -> str:
        whom = "all" if self.member is None else f"member {self.member}"
        options = " ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.fault} {options} of {whom} for {self.seconds:.2f} s".replace("  ", " ")


@frozen
class Schedule:
    """The steps in the order of their beginnings."""

    seed: int
    kind: str
    steps: tuple[Step, ...]

    @property
    def ends_server(self) -> bool:
        """Whether the server forgets the sessions of its clients on the way."""
        return any(step.fault in ("kill", "stop") for step in self.steps)

    @property
    def touches_server(self) -> bool:
        """Whether the server needs to be this schedule's own."""
        return any(step.fault in SERVER for step in self.steps)


def _nothing(random: Random) -> Options:
    return {}


def _direction(random: Random) -> str:
    return random.choice(["to_server", "to_client"])


LINK: Mapping[str, Draw] = {
    "rst": _nothing,
    "fin": lambda random: {"side": random.choice(["both", "client", "server"])},
    "half_open": lambda random: {"side": random.choice(["client", "server"])},
    "cut": lambda random: {"direction": random.choice([None, "to_server", "to_client"])},
    "freeze": _nothing,
    "delay": lambda random: {"seconds": round(random.uniform(0.02, 0.3), 3)},
    "cut_after": lambda random: {
        "count": random.randrange(1, 4000),
        "direction": _direction(random),
        "then": random.choice(["rst", "fin", "cut"]),
        "scope": random.choice(["existing", "existing", "future"]),
    },
    "refuse": _nothing,
    "silent": _nothing,
    "three_cuts": _nothing,
}
"""What befalls links, in the words of the fault proxy; three cuts come within a second."""

POISON: Mapping[str, Draw] = {"poison_in": _nothing, "poison_out": _nothing}
"""Messages that are too large: for the member that gets one, and for the server that gets one of a member."""

SERVER: Mapping[str, Draw] = {"pause": _nothing, "kill": _nothing, "stop": _nothing}
"""What befalls the server's process: SIGSTOP, SIGKILL, SIGTERM, until it goes on or is there again."""

RESUMABLE: Mapping[str, Draw] = {
    "duplicate": lambda random: {"times": random.randint(1, 5)},
    "stop_acknowledging": _nothing,
    "throttle": lambda random: {"bytes_per_second": random.randint(3_000, 20_000)},
    "stream_error": lambda random: {
        "condition": random.choice(PASSING),
        "resumable": "yes",
        "times": random.randint(1, 2),
    },
    "drop": lambda random: {"on": "chat", "times": random.randint(1, 2)},
    "half_open_chat": lambda random: {"on": "chat", "times": 1},
}
"""What the emulator does wrong while its sessions can be resumed."""

UNRESUMABLE: Mapping[str, Draw] = {
    "refuse_resume": lambda random: {"h": random.choice(["yes", "no"]), "times": 1},
    "end_session": lambda random: {"condition": random.choice(PASSING), "times": 1},
    "expire_session": lambda random: {"times": 1},
    "rate_limit": lambda random: {"retry_after": 1, "times": random.randint(1, 3)},
    "rest_out": lambda random: {"status": random.choice([500, 503]), "on": "rest"},
    "server_error": lambda random: {
        "status": random.choice([500, 502, 503]),
        "on": "rest",
        "times": random.randint(1, 3),
    },
}
"""What it does wrong that only history can make good.

After an outage REST may be out for a minute while the chat works again: ``rest_out`` ends the session and
then plays that minute at the scale of the other delays, in a second or two.
"""

_DRAWS = {**LINK, **POISON, **SERVER, **RESUMABLE, **UNRESUMABLE}


def schedule(seed: int, *, seconds: float = SECONDS) -> Schedule:
    """Return the schedule of a seed; every third goes to each server, a third of these befall its process."""
    random, kind = Random(seed), KINDS[seed % len(KINDS)]
    turn = seed // len(KINDS)
    befalls_server = turn % 3 == 0
    service = {**RESUMABLE, **UNRESUMABLE} if kind == "emulator" else {}
    links = (random.choice(sorted({**LINK, **POISON})) for _ in itertools.count())
    steps = [one for step in _track(random, links, seconds) for one in _single(step)]
    if befalls_server:
        # Two are enough, since some servers take seconds to be there again.
        steps += _track(random, _in_turn(SERVER, turn // 3), seconds)[: random.randint(1, 2)]
    elif service:
        steps += _track(random, _in_turn(service, 3 * turn), seconds)
    return Schedule(seed, kind, tuple(sorted(steps, key=lambda step: step.at)))


def _in_turn(faults: Mapping[str, Draw], first: int) -> Iterator[str]:
    """One after the other, so that few schedules are enough for all."""
    names = sorted(faults)
    return (names[number % len(names)] for number in itertools.count(first))


def _track(random: Random, faults: Iterator[str], seconds: float) -> list[Step]:
    steps: list[Step] = []
    at = random.uniform(0.1, 0.6)
    while at < seconds:
        fault = next(faults)
        lasts = random.choice([0.05, 0.3, 0.8, 1.4]) * random.uniform(0.7, 1.3)
        if fault == "three_cuts":
            lasts = 0.7
        if fault == "rest_out":
            lasts = random.uniform(1.0, 2.0)
        everybody = fault in SERVER or random.random() < 0.2
        member = None if everybody else random.randrange(MEMBERS)
        options = _DRAWS[fault](random)
        steps.append(Step(round(at, 3), round(lasts, 3), fault, member, options))
        at += lasts + random.uniform(0.05, 0.6)
    return steps


def _single(step: Step) -> list[Step]:
    if step.fault != "three_cuts":
        return [step]
    return [evolve(step, at=step.at + after, seconds=0.0, fault="rst") for after in (0, 0.3, 0.6)]
