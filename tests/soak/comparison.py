"""What was sent, what was received, and what became of the promise: nothing lost, repeated or misordered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from attrs import define, field, frozen

SENT = "sent"
FAILED = "failed"
UNKNOWN = "unknown"
PENDING = "pending"


@frozen
class Lane:
    """Messages whose order is promised: of one thread of one sender, in one conversation."""

    conversation: str
    sender: int
    thread: int


@define
class Sent:
    """A message that was accepted for sending at a moment, and its outcome, known at another."""

    lane: Lane
    number: int
    id: str
    at: float = 0.0
    outcome: str = PENDING
    settled_at: float | None = None
    reason: str = ""


@frozen
class Received:
    """A message as a receiver was called with it; ``came`` is its place among all that the server sent."""

    by: int
    lane: Lane
    number: int
    id: str | None
    came: int = 0


@define
class Verdict:
    """How often the promise was broken, each time in words, and what else was counted."""

    lost: int = 0
    repeated: int = 0
    misordered: int = 0
    untrue: int = 0
    problems: list[str] = field(factory=list)
    counts: Counter[str] = field(factory=Counter)

    @property
    def is_kept(self) -> bool:
        """Whether the promise was kept."""
        return not self.problems

    def add(self, other: Verdict) -> None:
        """Count another verdict's breaches with these."""
        for name in ("lost", "repeated", "misordered", "untrue"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems
        self.counts += other.counts

    def breach(self, name: str, words: str) -> None:
        """Count one breach."""
        setattr(self, name, getattr(self, name) + 1)
        self.problems.append(f"{name}: {words}")


def never(*_: object) -> str | None:
    """Nothing is excused."""
    return None


def compare(
    sent: Sequence[Sent],
    received: Sequence[Received],
    receivers: Callable[[Lane], Collection[int]],
    history: Mapping[str, Iterable[str]] | None = None,
    excuse: Callable[[Sent, int], str | None] = never,
    late: Callable[[Sent, Received, Received], str | None] = never,
) -> Verdict:
    """Hold what was received, and what ``history`` holds, against what was sent.

    ``received`` is in the order in which each receiver was called. ``receivers(lane)`` are those whom its
    messages are for; ``history`` has the ids that are stored of each conversation (None: nothing is);
    ``excuse(message, receiver)`` tells why that one may have lost it, if it may; ``late(message, receipt,
    before)`` why it may have come behind a newer one.
    """
    verdict = Verdict()
    known = {(message.lane, message.number): message for message in sent}
    got = _received(verdict, received, known, receivers, late)
    stored = None if history is None else _stored(verdict, history)
    for message in sent:
        verdict.counts[message.outcome] += 1
        arrived = got[message.lane, message.number]
        wanted = set(receivers(message.lane))
        in_history = stored is not None and message.id in stored
        what = f"{_named(message.lane, message.number)} ({message.id})"
        if message.outcome == SENT:
            for receiver in sorted(wanted - arrived):
                if reason := excuse(message, receiver):
                    verdict.counts[f"lost {reason}"] += 1
                else:
                    verdict.breach("lost", f"{what} is sent, and {receiver} never had it")
            if stored is not None and not in_history:
                verdict.breach("untrue", f"{what} is sent, and history lacks it")
        elif message.outcome == FAILED and (arrived or in_history):
            verdict.breach("untrue", f"{what} has failed ({message.reason}), and it arrived")
        elif message.outcome == PENDING:
            verdict.breach("untrue", f"{what} has no outcome")
        elif message.outcome == UNKNOWN:
            verdict.counts["unknown that arrived"] += bool(arrived or in_history)
    return verdict


def _received(
    verdict: Verdict,
    received: Sequence[Received],
    known: Mapping[tuple[Lane, int], Sent],
    receivers: Callable[[Lane], Collection[int]],
    late: Callable[[Sent, Received, Received], str | None],
) -> defaultdict[tuple[Lane, int], set[int]]:
    """Return who received each message; count repetitions, wrong order, and what nobody sent to them."""
    got = defaultdict[tuple[Lane, int], set[int]](set)
    newest = dict[tuple[int, Lane], Received]()
    for receipt in received:
        key = (receipt.lane, receipt.number)
        what = f"{receipt.by} received {_named(*key)} ({receipt.id})"
        message = known.get(key)
        if message is None or message.id != receipt.id or receipt.by not in receivers(receipt.lane):
            verdict.breach("untrue", f"{what}, which nobody has sent there")
            continue
        verdict.counts["received"] += 1
        if receipt.by in got[key]:
            verdict.breach("repeated", f"{what} again")
            continue
        got[key].add(receipt.by)
        place = (receipt.by, receipt.lane)
        before = newest.get(place)
        if before is None or receipt.number > before.number:
            newest[place] = receipt
        elif reason := late(message, receipt, before):
            verdict.counts[f"misordered {reason}"] += 1
        else:
            verdict.breach("misordered", f"{what} after number {before.number}")
    return got


def _stored(verdict: Verdict, history: Mapping[str, Iterable[str]]) -> set[str]:
    ids = Counter(message_id for stored in history.values() for message_id in stored)
    for message_id, times in ids.items():
        if times > 1:
            verdict.breach("repeated", f"history holds {message_id} {times} times")
    return set(ids)


def _named(lane: Lane, number: int) -> str:
    return f"{lane.conversation}: message {number} of {lane.sender}, thread {lane.thread}"
