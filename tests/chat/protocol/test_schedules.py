"""Never lost, never twice: under random schedules, and the proof that the schedules would notice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from connectycube.chat.protocol import session as session_module
from connectycube.chat.protocol.inbound import Inbound
from connectycube.chat.protocol.outbox import Outbound, Outbox
from connectycube.chat.protocol.outputs import Lookup
from connectycube.chat.protocol.repetitions import Repetitions
from connectycube.chat.protocol.session import Session
from connectycube.chat.protocol.stream import Resumable
from connectycube.errors import NotConnectedError
from connectycube.models import ChatState

from .schedules import Schedule, problems

SEEDS = 400
GROUPS = 8


@pytest.mark.parametrize("group", range(GROUPS))
def test_no_random_schedule_breaks_a_promise(group: int) -> None:
    for seed in range(group, SEEDS, GROUPS):
        assert problems(seed) == [], f"schedule {seed}"


def test_the_schedules_meet_what_they_are_meant_to_meet() -> None:
    states, met = set[ChatState](), dict[str, int]()
    for seed in range(0, SEEDS, 4):
        schedule = Schedule(seed)
        lookups: list[Lookup] = []
        truth = schedule.world.truth
        schedule.world.looks_up = lambda asked, truth=truth, seen=lookups: (  # type: ignore[misc]
            seen.append(asked) or truth(asked)
        )
        schedule.play()
        world = schedule.world
        states |= set(world.states)
        reasons = {type(event.reason).__name__ for event in world.events("state_changed")}
        outcomes = {type(settled.error).__name__ for settled in world.settled}
        missing = [s for asked in lookups for s in asked.submissions]
        for name in (*reasons, *outcomes, *(["Lookup"] if missing else [])):
            met[name] = met.get(name, 0) + 1
    assert states == set(ChatState) - {ChatState.IDLE, ChatState.AUTHENTICATION_FAILURE}
    for name in ("QueueOverflowError", "LivenessError", "OutcomeUnknownError", "Lookup"):
        assert met.get(name, 0) >= 3, (name, met)


# --- planted defects ------------------------------------------------------------------------------


def replay_dropped(patch: pytest.MonkeyPatch) -> None:
    def resume(self: Any, h: int, now: float) -> None:
        self._settle(self._outbox.acknowledge(h), now)
        self._inbound.resume()
        self._flow(now)

    patch.setattr(Session, "resume", resume)


def replay_behind_new_messages(patch: pytest.MonkeyPatch) -> None:
    def put_back(self: Any, stanzas: list[Outbound]) -> None:
        for stanza in stanzas:
            self.add(stanza)

    patch.setattr(Outbox, "put_back", put_back)


def wrong_h(difference: int) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        def resumable(self: Any) -> Resumable | None:
            h = (self._inbound.handled + difference) % 2**32
            return Resumable(self._resume_id, h) if self._resume_id else None

        patch.setattr(Session, "resumable", property(resumable))

    return plant


def no_memory_of_repetitions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Repetitions, "is_new", lambda self, key: True)


def refused_events_remembered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Repetitions, "forget", lambda self, key: None)


def refused_events_acknowledged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Inbound, "refuse", lambda self, refused: None)


def received_not_stepped_back(patch: pytest.MonkeyPatch) -> None:
    original = Session.resume

    def resume(self: Any, h: int, now: float) -> None:
        received = self._inbound._received
        original(self, h, now)
        self._inbound._received = received

    patch.setattr(Session, "resume", resume)


def history_not_believed(
    found: Callable[[Lookup], Iterable[Any]],
) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        original = Session.looked_up

        def looked_up(self: Any, asked: Lookup, _: object, now: float) -> None:
            original(self, asked, frozenset(found(asked)), now)

        patch.setattr(Session, "looked_up", looked_up)

    return plant


def failed_instead_of_unknown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session_module, "_unknown", lambda: NotConnectedError("logged out"))


def waiters_forgotten(patch: pytest.MonkeyPatch) -> None:
    original = Outbox.clear

    def clear(self: Any) -> list[Outbound]:
        return original(self)[1:]

    patch.setattr(Outbox, "clear", clear)


def delivered_said_twice(patch: pytest.MonkeyPatch) -> None:
    original = Session.send_marker

    def send_marker(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        original(self, *arguments)

    patch.setattr(Session, "send_marker", send_marker)


def acknowledged_too_early(patch: pytest.MonkeyPatch) -> None:
    original = Outbox.acknowledge

    def acknowledge(self: Any, h: int) -> list[Outbound]:
        ahead = min(h + 1, self.sent) if h <= self.sent else h
        return original(self, ahead)

    patch.setattr(Outbox, "acknowledge", acknowledge)


DEFECTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "replay dropped": replay_dropped,
    "replay behind new messages": replay_behind_new_messages,
    "h one too high": wrong_h(1),
    "h one too low": wrong_h(-1),
    "no memory of repetitions": no_memory_of_repetitions,
    "refused events remembered": refused_events_remembered,
    "refused events acknowledged": refused_events_acknowledged,
    "count not stepped back": received_not_stepped_back,
    "history ignored": history_not_believed(lambda asked: ()),
    "history overrated": history_not_believed(lambda asked: (s.id for s in asked.submissions)),
    "failed instead of unknown": failed_instead_of_unknown,
    "waiters forgotten": waiters_forgotten,
    "'delivered' said twice": delivered_said_twice,
    "acknowledged too early": acknowledged_too_early,
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_schedules_notice_a_planted_defect(
    defect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    DEFECTS[defect](monkeypatch)
    assert any(_breaks(seed) for seed in range(SEEDS)), f"nobody noticed: {defect}"


def _breaks(seed: int) -> bool:
    try:
        return bool(problems(seed))
    except AssertionError:
        return (
            True  # the simulated server was told a count that cannot be, or nothing comes to rest
        )
