"""Playing a schedule: the faults befall a conversation, everything heals, and the accounts are compared."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from random import Random

from attrs import define, field

from connectycube import ChatError
from tests.soak.comparison import Received, Sent, Verdict, compare
from tests.soak.conversation import GROUP, Conversation, Member, everything
from tests.soak.places import TOO_LARGE_TO_READ, TOO_LARGE_TO_SEND, Place, place
from tests.soak.schedule import MEMBERS, SERVER, Schedule, Step
from tests.support.proxy import FaultProxy

PATIENCE = 40.0
_LAST_WORDS = 5


@define
class Outcome:
    """What became of a schedule; ``timeline`` tells what happened when."""

    schedule: Schedule
    verdict: Verdict = field(factory=Verdict)
    timeline: list[str] = field(factory=list)

    def __str__(self) -> str:
        head = f"schedule with SEED={self.schedule.seed} on {self.schedule.kind}:"
        return "\n  ".join([head, *self.timeline, *self.verdict.problems[:50]])


class Player:
    """Plays one schedule at a place."""

    def __init__(self, schedule: Schedule, where: Place) -> None:
        self._schedule = schedule
        self._place = where
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._ended_at: float | None = None
        """When the server had last ended: by then it had acknowledged what it lost."""
        self._back_at = float("inf")
        """When everybody was in the room again after that."""
        self.outcome = Outcome(schedule)

    def _log(self, what: str) -> None:
        with self._lock:
            self.outcome.timeline.append(f"{time.monotonic() - self._began:7.3f} {what}")

    def play(self) -> Outcome:
        """Play it from the logins to the verdict; what goes wrong on the way is a breach as well."""
        try:
            with ExitStack() as ends:
                conversation = Conversation(self._place, MEMBERS, self._log, ends)
                conversation.start(Random(self._schedule.seed))
                try:
                    self._befall(conversation.members)
                finally:
                    conversation.stop()
                self._settle(conversation)
                self._compare(conversation)
        except Exception as error:
            self.outcome.verdict.breach(
                "untrue", f"the schedule did not come to its end: {error!r}"
            )
        return self.outcome

    # --- what befalls them ---

    def _befall(self, members: Sequence[Member]) -> None:
        began = time.monotonic()
        ends: list[tuple[float, int, Step, Callable[[], None]]] = []
        order = itertools.count()
        steps = list(self._schedule.steps)
        while steps or ends:
            ends.sort(key=lambda end: end[:2])
            if ends and (not steps or ends[0][0] <= steps[0].at):
                at, _, step, act = ends.pop(0)
            else:
                step = steps.pop(0)
                at, act = step.at, lambda step=step: self._begin(step, members, ends, next(order))
            time.sleep(max(0.0, began + at - time.monotonic()))
            act()
        for member in members:
            member.proxy.heal()
        self._log("all is healed")

    def _begin(
        self,
        step: Step,
        members: Sequence[Member],
        ends: list[tuple[float, int, Step, Callable[[], None]]],
        order: int,
    ) -> None:
        self._log(str(step))
        befallen = members if step.member is None else [members[step.member]]
        if step.fault in SERVER:
            end = self._befall_server(step)
        elif step.fault in POISONS:
            for member in befallen:
                POISONS[step.fault](member, members[(member.number + 1) % len(members)])
            end = _nothing
        elif step.fault in LINKS:
            over = [LINKS[step.fault](member.proxy, step) for member in befallen]
            end = lambda: [one() for one in over]  # noqa: E731
        else:
            user = None if step.member is None else members[step.member].id
            over = [self._place.begin_fault(text) for text in _texts(step, user)]
            end = lambda: [one() for one in over]  # noqa: E731
        if step.seconds:
            ends.append((step.at + step.seconds, order, step, end))
        else:
            end()

    def _befall_server(self, step: Step) -> Callable[[], None]:
        process = self._place.process
        if step.fault == "pause":
            process.pause()
            return process.resume
        (process.kill if step.fault == "kill" else process.stop)()

        def start() -> None:
            self._ended_at = time.monotonic()
            process.start()
            self._log("the server is there again")

        return start

    # --- what became of it ---

    def _settle(self, conversation: Conversation) -> None:
        members = conversation.members
        for _ in range(_LAST_WORDS):
            for member in members:
                member.chat.wait_until_ready(PATIENCE)
                member.chat.join(conversation.group)
            self._back_at = time.monotonic()
            if conversation.last_words(PATIENCE):
                break
            self._log("a new session, once more")
        conversation.wait_for_recoveries(PATIENCE)
        conversation.wait_for_outcomes(PATIENCE)
        for member in members:
            member.chat.ping(PATIENCE)
        self._log("all is settled")

    def _compare(self, conversation: Conversation) -> None:
        members = {member.id: member for member in conversation.members}
        verdict = compare(
            *everything(conversation.members),
            conversation.receivers,
            conversation.history(),
            lambda message, receiver: self._excuse(message, members[receiver]),
            lambda message, receipt, before: self._late(
                message, receipt, before, members[receipt.by]
            ),
        )
        self.outcome.verdict.add(verdict)

    def _excuse(self, message: Sent, receiver: Member) -> str | None:
        """Why it is not the client's fault that a receiver never had a message that is 'sent'.

        Messages to a room are for those who are in it, and nobody is after the end of a session.
        """
        kind, in_group = self._schedule.kind, message.lane.conversation == GROUP
        if kind == "emulator":
            is_told = receiver.was_told_of_a_gap(message, is_filled=False)
            return "where history could not be read, as was said" if is_told else None
        ended = self._ended_at
        if ended is not None and message.settled_at is not None and message.settled_at <= ended:
            return "with the server that had acknowledged it"
        gone = ended is not None or receiver.wire.gave_up
        if in_group and gone and message.at <= self._back_at:
            return "in a room after the end of a session"
        if kind == "ejabberd" and message.id not in receiver.wire.places:
            # It may lose what it has accepted while a session is resumed twice, and keeps what comes in the
            # moment of a login for the next login.
            return "by ejabberd, which never sent it"
        return None

    def _late(
        self, message: Sent, receipt: Received, before: Received, receiver: Member
    ) -> str | None:
        """Why it is not the client's fault that a message came behind a newer one."""
        if receiver.was_told_of_a_gap(message, is_filled=True):
            return "where history could not be read at first, as was said"
        if self._schedule.kind == "ejabberd" and receipt.came > before.came:
            return "by ejabberd, which sent it behind the other"
        return None


def _texts(step: Step, user: int | None) -> list[str]:
    """Write a step as the emulator reads faults."""
    name = _FAULTS.get(step.fault, step.fault)
    faults = [(name, step.options)]
    if step.fault == "rest_out":
        faults.append(("stream_error", {"condition": "reset", "times": 1}))
    whom = {} if user is None else {"user": user}
    return [
        f"{fault}:{','.join(f'{key}={value}' for key, value in {**options, **whom}.items())}"
        for fault, options in faults
    ]


_FAULTS = {"half_open_chat": "half_open", "end_session": "stream_error", "rest_out": "server_error"}


def _nothing() -> None:
    """What happens at once needs no end."""


def _rst(proxy: FaultProxy, step: Step) -> Callable[[], None]:
    proxy.rst()
    return _nothing


def _fin(proxy: FaultProxy, step: Step) -> Callable[[], None]:
    proxy.fin(step.options["side"])
    return _nothing


def _half_open(proxy: FaultProxy, step: Step) -> Callable[[], None]:
    proxy.rst(step.options["side"])
    return _nothing


def _cut(proxy: FaultProxy, step: Step) -> Callable[[], None]:
    proxy.cut(step.options["direction"], "existing")
    return _nothing


def _freeze(proxy: FaultProxy, step: Step) -> Callable[[], None]:
    proxy.freeze()
    return proxy.thaw


def _delay(proxy: FaultProxy, step: Step) -> Callable[[], None]:
    proxy.delay(step.options["seconds"])
    return lambda: proxy.delay(0.0)


def _cut_after(proxy: FaultProxy, step: Step) -> Callable[[], None]:
    options = step.options
    proxy.cut_after(options["count"], options["direction"], options["then"], options["scope"])
    if options["scope"] == "future":
        proxy.rst()
        return proxy.heal
    return _nothing


def _refuse(proxy: FaultProxy, step: Step) -> Callable[[], None]:
    proxy.refuse()
    proxy.rst()
    return proxy.accept


def _silent(proxy: FaultProxy, step: Step) -> Callable[[], None]:
    proxy.silent()
    proxy.rst()
    return proxy.heal


def _poison_in(member: Member, peer: Member) -> None:
    with suppress(ChatError):
        peer.chat.send_private(member.id, "x" * TOO_LARGE_TO_READ, timeout=0.0)


def _poison_out(member: Member, peer: Member) -> None:
    with suppress(ChatError):
        member.chat.send_private(peer.id, "x" * TOO_LARGE_TO_SEND, timeout=0.0)


POISONS: dict[str, Callable[[Member, Member], None]] = {
    "poison_in": _poison_in,
    "poison_out": _poison_out,
}
"""How a member gets a message that is too large, and how it sends one; the other one is its peer."""

LINKS: dict[str, Callable[[FaultProxy, Step], Callable[[], None]]] = {
    "rst": _rst,
    "fin": _fin,
    "half_open": _half_open,
    "cut": _cut,
    "freeze": _freeze,
    "delay": _delay,
    "cut_after": _cut_after,
    "refuse": _refuse,
    "silent": _silent,
}
"""How each fault of a link begins; each returns what ends it."""


def play_all(schedules: Sequence[Schedule], at_once: int) -> list[Outcome]:
    """Play schedules of one kind, several at the same time.

    Those whose server is left alone share one; each of the others has its own.
    """
    shared = [schedule for schedule in schedules if not schedule.touches_server]
    with ExitStack() as ends:
        common = ends.enter_context(place(shared[0].kind)) if shared else None

        def play(schedule: Schedule) -> Outcome:
            if not schedule.touches_server:
                assert common is not None
                return Player(schedule, common).play()
            with place(schedule.kind) as own:
                return Player(schedule, own).play()

        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(play, schedules))
