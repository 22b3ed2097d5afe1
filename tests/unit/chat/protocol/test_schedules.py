"""Never lost, never twice: under random schedules, and the proof that the schedules would notice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any

import pytest

from connectycube.chat.protocol import decoding as decoding_module
from connectycube.chat.protocol import session as session_module
from connectycube.chat.protocol.events import CheckStored, Resumable
from connectycube.chat.protocol.inbound import Inbound
from connectycube.chat.protocol.outbox import Outbound, Outbox
from connectycube.chat.protocol.parser import StreamParser
from connectycube.chat.protocol.recovery import Recovery
from connectycube.chat.protocol.seen_messages import SeenMessages
from connectycube.chat.protocol.session import Session
from connectycube.errors import NotConnectedError
from connectycube.models import ChatState
from tests.support.simulation.schedules import Schedule, problems
from tests.support.simulation.world import World

FEW = 200  # enough to meet everything
MORE = 1_000  # enough for each planted defect to be noticed; tests/soak plays 10,000


@pytest.mark.time_limit(240)  # about 10 s alone, more than a minute beside much other work
def test_none_of_a_thousand_schedules_breaks_a_promise() -> None:
    broken = [f"schedule {seed}: {problem}" for seed in range(MORE) for problem in problems(seed)]
    assert broken == []


def test_the_schedules_meet_every_fault_and_every_outcome_of_a_resumption() -> None:
    states, met = set[ChatState](), Counter[str]()
    for seed in range(FEW):
        schedule = Schedule(seed)
        schedule.play()
        met.update(schedule.met)
        for world in schedule.worlds:
            states |= set(world.states)
            met.update(_met(world))
    assert states == set(ChatState) - {ChatState.IDLE, ChatState.AUTHENTICATION_FAILURE}
    for name in (
        *("poison in", "poison out"),
        *("cut", "restart", "silence", "out of reach", "duplicate", "lag", "edit", "deletion"),
        *(
            "history failed",
            "resumed",
            "resumed deaf",
            "refused with h",
            "refused without h",
            "offline copy",
        ),
        *(
            "QueueOverflowError",
            "LivenessError",
            "held too much",
            "OutcomeUnknownError",
            "CheckStored",
        ),
        *("told id", "foreign id", "equal ids"),
        *("gap", "gap within a gap", "recovered", "held", "recovery failed"),
    ):
        assert met[name] >= 3, (name, met)


def _met(world: World) -> Iterable[str]:
    yield from world.server.outcomes
    yield from world.seen
    for change in world.events("state_changed"):
        yield type(change.reason).__name__
        if "held" in str(change.reason):
            yield "held too much"
    yield from (type(settled.error).__name__ for settled in world.settled)
    starts = [asked.since for asked in world.recovers]
    yield from ("gap" for _ in starts)
    yield from ("gap within a gap" for _ in range(len(starts) - len(set(starts))))
    for delivery in world.deliveries:
        if delivery.signal == "recovery_failed":
            yield "recovery failed"
        elif delivery.takes_room:
            yield "recovered" if delivery.event.recovered else "held"


# --- planted defects ------------------------------------------------------------------------------


def broken_stanzas_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StreamParser, "broken", lambda self, reason: None)


def suspects_not_sent_alone(patch: pytest.MonkeyPatch) -> None:
    def suspect(self: Any, error: Any) -> bool:
        found = original(self, error)
        for outbound in self._outbox.unacknowledged:
            outbound.suspect = False
        return found

    original = Session.suspect
    patch.setattr(Session, "suspect", suspect)


def suspects_never_fail(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "suspect", lambda self, error: False)


def replay_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outbox, "replay", lambda self: iter(()))


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
    patch.setattr(SeenMessages, "add", lambda self, key, now=0.0, arrived=None: True)


def rejected_events_remembered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SeenMessages, "forget", lambda self, key: None)


def rejected_events_acknowledged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Inbound, "reject", lambda self, rejected: None)


def received_not_stepped_back(patch: pytest.MonkeyPatch) -> None:
    original = Session.resume

    def resume(self: Any, h: int, now: float) -> None:
        received = self._inbound._received
        original(self, h, now)
        self._inbound._received = received

    patch.setattr(Session, "resume", resume)


def history_not_believed(
    found: Callable[[CheckStored], Iterable[Any]],
) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        original = Session.stored_ids_received

        def stored_ids_received(self: Any, asked: CheckStored, _: object, now: float) -> None:
            original(self, asked, frozenset(found(asked)), now)

        patch.setattr(Session, "stored_ids_received", stored_ids_received)

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

    def send_marker(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        original(self, *arguments, **options)

    patch.setattr(Session, "send_marker", send_marker)


def acknowledged_too_early(patch: pytest.MonkeyPatch) -> None:
    original = Outbox.acknowledge

    def acknowledge(self: Any, h: int) -> list[Outbound]:
        ahead = min(h + 1, self.sent) if h <= self.sent else h
        return original(self, ahead)

    patch.setattr(Outbox, "acknowledge", acknowledge)


# --- … of filling gaps -----------------------------------------------------------------------------


def no_overlap(patch: pytest.MonkeyPatch) -> None:
    original = World._fill

    def fill(self: Any, asked: Any) -> Any:
        self.config = self.config.replace(gap_overlap=0.001)
        return original(self, asked)

    patch.setattr(World, "_fill", fill)


def cursor_by_our_clock(patch: pytest.MonkeyPatch) -> None:
    original = Recovery.dialogs

    def dialogs(self: Any, asked: Any, dialogs: Any, since: Any) -> bool:
        wrong = datetime.fromtimestamp(asked.since + 2_000_000_000, timezone.utc)
        return original(self, asked, dialogs, wrong)

    patch.setattr(Recovery, "dialogs", dialogs)


def cursor_ahead_of_what_arrived(patch: pytest.MonkeyPatch) -> None:
    original = Session.begin

    def begin(self: Any, bound: Any, now: float) -> None:
        if self.recovery.cursor is not None:
            self.recovery._since = None  # the gap may have begun as the session was lost
            self.recovery.start_at(now)
        original(self, bound, now)

    patch.setattr(Session, "begin", begin)


def cursor_moves_although_a_dialog_failed(patch: pytest.MonkeyPatch) -> None:
    original = Recovery._close_if_filled

    def close(self: Any) -> None:
        self._has_failed = False
        original(self)

    patch.setattr(Recovery, "_close_if_filled", close)


def nothing_held(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Recovery, "holds", lambda self, delivery: False)


def released_too_early(patch: pytest.MonkeyPatch) -> None:
    original = Recovery.page

    def page(self: Any, asked: Any, *rest: Any) -> bool:
        if asked is self._asked:
            self._release(self._held.take_if(lambda delivery: True))
        return original(self, asked, *rest)

    patch.setattr(Recovery, "page", page)


def held_forgotten(patch: pytest.MonkeyPatch) -> None:
    original = Recovery.begin

    def begin(self: Any) -> None:
        self._held.take_if(lambda delivery: True)
        original(self)

    patch.setattr(Recovery, "begin", begin)


def history_order_ignored(patch: pytest.MonkeyPatch) -> None:
    original = Recovery.page

    def page(self: Any, asked: Any, dialog: Any, messages: Any, now: float) -> bool:
        return original(self, asked, dialog, messages[::-1], now)

    patch.setattr(Recovery, "page", page)


def own_messages_not_remembered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "_remember_own", lambda self, submission, now: None)


def edited_messages_taken_for_new(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Recovery, "_is_old", lambda self, message: False)


def window_forgets_what_is_needed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Recovery, "_keep_window", lambda self: None)


def late_answers_believed(patch: pytest.MonkeyPatch) -> None:
    original = Recovery.filled

    def filled(self: Any, asked: Any, dialog: Any) -> bool:
        return original(self, self._asked, dialog)

    patch.setattr(Recovery, "filled", filled)


# --- … of messages whose ids are not the service's ---------------------------------------------------


def every_id_believed_unique(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decoding_module, "OBJECT_ID", re.compile(""))


def equal_messages_not_recognised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SeenMessages, "has_equal", lambda self, content, *, on_this_link: False)


def equal_messages_taken_for_repetitions(patch: pytest.MonkeyPatch) -> None:
    def has_equal(self: Any, content: Any, *, on_this_link: bool) -> bool:
        sender = content.conversation, content.sender
        return any(key[:2] == sender for key in self._contents)

    patch.setattr(SeenMessages, "has_equal", has_equal)


def history_copies_not_recognised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        SeenMessages,
        "add_stored",
        lambda self, key, message, now=0.0: None if self.add(key, now) else key,
    )


def live_copies_of_history_not_recognised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SeenMessages, "_recovered_copy", lambda self, content: None)


def live_copies_released_behind_history(patch: pytest.MonkeyPatch) -> None:
    original = Recovery._release_up_to

    def release_up_to(self: Any, key: Any) -> bool:
        return original(self, None if key and "/" in key[2] else key)

    patch.setattr(Recovery, "_release_up_to", release_up_to)


DEFECTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "replay dropped": replay_dropped,
    "replay behind new messages": replay_behind_new_messages,
    "h one too high": wrong_h(1),
    "h one too low": wrong_h(-1),
    "no memory of repetitions": no_memory_of_repetitions,
    "rejected events remembered": rejected_events_remembered,
    "rejected events acknowledged": rejected_events_acknowledged,
    "count not stepped back": received_not_stepped_back,
    "history ignored": history_not_believed(lambda asked: ()),
    "history overrated": history_not_believed(lambda asked: (s.id for s in asked.submissions)),
    "failed instead of unknown": failed_instead_of_unknown,
    "waiters forgotten": waiters_forgotten,
    "'delivered' said twice": delivered_said_twice,
    "acknowledged too early": acknowledged_too_early,
    "no overlap": no_overlap,
    "cursor by our clock": cursor_by_our_clock,
    "cursor ahead of what arrived": cursor_ahead_of_what_arrived,
    "cursor moves although a dialog failed": cursor_moves_although_a_dialog_failed,
    "nothing held": nothing_held,
    "released too early": released_too_early,
    "held forgotten": held_forgotten,
    "history order ignored": history_order_ignored,
    "own messages not remembered": own_messages_not_remembered,
    "edited messages taken for new": edited_messages_taken_for_new,
    "window forgets what is needed": window_forgets_what_is_needed,
    "late answers believed": late_answers_believed,
    "broken stanzas not counted": broken_stanzas_not_counted,
    "suspects not sent alone": suspects_not_sent_alone,
    "suspects never believed": suspects_never_fail,
    "every id believed unique": every_id_believed_unique,
    "equal messages not recognised": equal_messages_not_recognised,
    "other messages taken for repetitions": equal_messages_taken_for_repetitions,
    "history copies not recognised": history_copies_not_recognised,
    "live copies of history not recognised": live_copies_of_history_not_recognised,
    "live copies released behind history": live_copies_released_behind_history,
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_schedules_notice_a_planted_defect(
    defect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    DEFECTS[defect](monkeypatch)
    assert any(_breaks(seed) for seed in range(MORE)), f"nobody noticed: {defect}"


def _breaks(seed: int) -> bool:
    try:
        return bool(problems(seed))
    except AssertionError:
        # The simulated server was told a count that cannot be, or nothing comes to rest.
        return True
