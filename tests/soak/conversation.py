"""Members who write to each other and to their group, from several threads, and keep account of it all."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from random import Random
from typing import Any

from connectycube import (
    Chat,
    DialogRef,
    OutcomeUnknownError,
    SendHandle,
    SendQueueFullError,
    StateChange,
)
from tests.soak.comparison import FAILED, SENT, UNKNOWN, Lane, Received, Sent
from tests.soak.places import TOO_LARGE_TO_READ, Place
from tests.support.inside import driver_of
from tests.support.proxy import FaultProxy

GROUP = "group"
THREADS = 2
FAILS_EVERY = 5  # the receiver runs again for each message with such a number of its lane
_ID = re.compile(rb"""id=['"]([0-9a-f]{24})['"]""")
_LONGEST_ID = 29
_ENABLED = b"<enabled"
LAST = THREADS  # the thread's number of each member's last word in each conversation

Log = Callable[[str], None]


class Wire:
    """What the server has sent on one connection's links, before any code of ours has read it.

    ``places`` has the ids in the order in which they first came; ``new_sessions`` counts the sessions since
    the first one, also those that were lost before they were ready; ``gave_up`` tells that the server ended
    a stream with an error, or did not know a session any more.
    """

    def __init__(self, chat: Chat) -> None:
        self.places: dict[str, int] = {}
        self.new_sessions = 0
        self.gave_up = False
        self._rest = b""
        core = driver_of(chat).core
        receive = core.receive

        def overhear(data: bytes, now: float) -> None:
            self._read(data)
            receive(data, now)

        core.receive = overhear  # type: ignore[method-assign]

    def _read(self, data: bytes) -> None:
        self.new_sessions += (self._rest[1 - len(_ENABLED) :] + data).count(_ENABLED)
        self._rest += data
        for found in _ID.finditer(self._rest):
            self.places.setdefault(found[1].decode(), len(self.places))
        self.gave_up |= b"<failed" in self._rest or b"<stream:error" in self._rest
        self._rest = self._rest[-_LONGEST_ID:]


class Member:
    """One of our clients behind a proxy of its own, what it sent and what it received."""

    def __init__(
        self,
        number: int,
        place: Place,
        log: Log,
        ends: ExitStack,
        changed: threading.Condition,
    ) -> None:
        self.number = number
        self._log = log
        self.proxy = ends.enter_context(FaultProxy("127.0.0.1", place.process.port))
        client = place.client(self.proxy.port)
        ends.callback(client.close)
        self.id, self.chat = client.id, client.chat
        self.wire = Wire(self.chat)
        self.sent: list[Sent] = []
        self.received: list[Received] = []
        self.handles: list[SendHandle[Any]] = []
        self._numbers: dict[Lane, int] = {}
        self._failed: set[str] = set()  # the ids of messages whose first attempt has failed
        self._changed = changed
        self.not_recovered_until: float | None = None
        """When the client last said that it cannot read what it had missed."""
        self.recovered_late_until: float | None = None
        """When it last said that it could not read that at first."""
        self.is_recovering = False
        """Whether it has said so, and not yet that it has read it."""
        self.chat.message_received.connect(self._receive)
        self.chat.state_changed.connect(self._note_state)
        self.chat.recovery_failed.connect(self._note_failure)
        self.chat.recovery_finished.connect(self._note_recovery)

    def conversation_with(self, peer_id: int) -> str:
        """The name of a private conversation, the same for both."""
        return "-".join(map(str, sorted((self.id, peer_id))))

    def send(self, dialog: DialogRef, thread: int) -> Sent | None:
        """Send the lane's next message; what finds no room was not accepted and does not count."""
        name = GROUP if dialog.peer_id is None else self.conversation_with(dialog.peer_id)
        lane = Lane(name, self.id, thread)
        number = self._numbers.get(lane, 0)
        try:
            handle = self.chat.send_message(dialog, f"{thread} {number}")
        except SendQueueFullError:
            return None
        self._numbers[lane] = number + 1
        message = Sent(lane, number, handle.id, time.monotonic())
        with self._changed:
            self.sent.append(message)
            self.handles.append(handle)
        handle.add_done_callback(lambda done: self._settle(message, done))
        return message

    def _settle(self, message: Sent, handle: SendHandle[Any]) -> None:
        error = handle.exception(0)
        with self._changed:
            message.settled_at = time.monotonic()
            if error is None:
                message.outcome = SENT
            else:
                unknown = isinstance(error, OutcomeUnknownError)
                message.outcome = UNKNOWN if unknown else FAILED
                message.reason = repr(error)
            self._changed.notify_all()

    def _receive(self, chat: Chat, message: Any) -> None:
        if len(message.body) >= TOO_LARGE_TO_READ:
            return  # from history, which has no such limit
        thread, number = map(int, message.body.split())
        if number % FAILS_EVERY == 0 and message.id not in self._failed:
            self._failed.add(message.id)
            raise ConnectionRefusedError("for the moment")
        in_room = message.dialog.peer_id is None
        name = GROUP if in_room else self.conversation_with(message.dialog.peer_id)
        lane = Lane(name, message.sender_id, thread)
        came = self.wire.places.get(message.id, -1)
        with self._changed:
            self.received.append(Received(self.id, lane, number, message.id, came))
            self._changed.notify_all()

    def _note_failure(self, chat: Chat, failure: Any) -> None:
        self._log(f"member {self.number}: not recovered: {failure}")
        with self._changed:
            self.recovered_late_until = time.monotonic()
            if failure.is_repeated:
                self.is_recovering = True
            else:
                self.not_recovered_until = time.monotonic()

    def _note_recovery(self, chat: Chat, recovery: Any) -> None:
        with self._changed:
            self.is_recovering = False
            self._changed.notify_all()

    def was_told_of_a_gap(self, message: Sent, *, is_filled: bool) -> bool:
        """Whether the client said after that message that it cannot read what it had missed.

        If the gap ``is_filled``, that it could not read it at first.
        """
        told = self.recovered_late_until if is_filled else self.not_recovered_until
        return told is not None and message.at <= told

    def _note_state(self, chat: Chat, change: StateChange) -> None:
        self._log(f"member {self.number}: {change.state.value} {change.reason or ''}")
        with self._changed:
            self._changed.notify_all()


class Conversation:
    """All members, who write until :meth:`stop`."""

    def __init__(self, place: Place, members: int, log: Log, ends: ExitStack) -> None:
        self._place = place
        self._log = log
        self._changed = changed = threading.Condition()  # one for all that any member notes
        self.members = [Member(number, place, log, ends, changed) for number in range(members)]
        self.group = place.group(self.members)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        ends.callback(self.stop)

    def start(self, random: Random) -> None:
        """Let everybody write, each thread as fast as a lively human, to whom chance says."""
        for member in self.members:
            for number in range(THREADS):
                own = Random(random.random())
                thread = threading.Thread(target=self._write, args=(member, number, own))
                self._threads.append(thread)
                thread.start()

    def dialogs(self, member: Member) -> list[DialogRef]:
        """All that a member can write to."""
        peers = [DialogRef.private(other.id) for other in self.members if other is not member]
        return [*peers, self.group]

    def _write(self, member: Member, thread: int, random: Random) -> None:
        dialogs = self.dialogs(member)
        while not self._over.wait(random.uniform(0.02, 0.36)):
            try:
                member.send(random.choice(dialogs), thread)
            except Exception as error:
                self._log(f"member {member.number} cannot send any more: {error!r}")
                return

    def stop(self) -> None:
        """Let nobody write any more."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def receivers(self, lane: Lane) -> Collection[int]:
        """Whom a lane's messages are for."""
        ids = {member.id for member in self.members}
        if lane.conversation != GROUP:
            ids = {int(part) for part in lane.conversation.split("-")}
        return ids - {lane.sender}

    def last_words(self, timeout: float) -> bool:
        """Have all the last word in all conversations, and wait until everybody has heard it.

        With the last word of a sender, all earlier ones are there, or lost. Return False if that cannot be
        said, since somebody needed a new session meanwhile or the time was over.
        """
        before = self._new_sessions()
        words = [
            member.send(dialog, LAST) for member in self.members for dialog in self.dialogs(member)
        ]
        wanted = {
            (receiver, word.id) for word in words if word for receiver in self.receivers(word.lane)
        }

        def are_heard() -> bool:
            heard = {(receipt.by, receipt.id) for of in self.members for receipt in of.received}
            return wanted <= heard

        self.wait(lambda: are_heard() or self._new_sessions() != before, timeout)
        with self._changed:
            return are_heard() and self._new_sessions() == before

    def wait_for_recoveries(self, timeout: float) -> None:
        """Wait until everybody has read what could not be read at first."""
        self.wait(lambda: not any(member.is_recovering for member in self.members), timeout)

    def wait_for_outcomes(self, timeout: float) -> None:
        """Wait until it is known what became of everything that was sent."""
        everybody = self.members
        self.wait(lambda: all(word.settled_at for of in everybody for word in of.sent), timeout)

    def wait(self, condition: Callable[[], object], timeout: float) -> None:
        """Wait until something is true of what was sent and received, or the time is over."""
        with self._changed:
            self._changed.wait_for(condition, timeout)

    def _new_sessions(self) -> int:
        return sum(member.wire.new_sessions for member in self.members)

    def history(self) -> dict[str, list[str]] | None:
        """What is stored of each conversation; None if nothing is."""
        stored: dict[str, list[str]] = {}
        for member in self.members:
            for dialog in self.dialogs(member):
                peer = dialog.peer_id
                ids = self._place.history(dialog, member.id)
                if ids is None:
                    return None
                stored[GROUP if peer is None else member.conversation_with(peer)] = ids
        return stored


def everything(members: Sequence[Member]) -> tuple[list[Sent], list[Received]]:
    """What all of them sent and received."""
    sent = [message for member in members for message in member.sent]
    return sent, [receipt for member in members for receipt in member.received]
