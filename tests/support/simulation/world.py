"""The core, a simulated server, the links between them, and time: all without I/O.

The world plays the driver: it carries bytes, hands outputs over, opens and cuts links, and is the only one
who knows what time it is.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, Protocol

from connectycube.chat.protocol.core import Core
from connectycube.chat.protocol.decoding import MESSAGE_SIGNALS, Delivery
from connectycube.chat.protocol.encoding import encode_message
from connectycube.chat.protocol.events import (
    CheckStored,
    Credentials,
    Dropped,
    EchoReceived,
    FetchGap,
    OutcomeKnown,
    UncommittedDelivery,
)
from connectycube.chat.protocol.iq import Answer
from connectycube.chat.protocol.outbox import Submission
from connectycube.config import Config
from connectycube.errors import ConnectionLostError, QueueOverflowError
from connectycube.models import ChatState, DialogRef, Message
from connectycube.models._json import EPOCH
from tests.support.simulation.simulated import ADDRESSES, BOB, HOST, PASSWORD, Link, Server, config


class History(Protocol):
    """What a service keeps of a user's dialogs."""

    def time(self) -> float:
        """Unix seconds by the service's clock."""

    def changed_dialogs(self, user: int, since: datetime) -> list[DialogRef]:
        """The user's dialogs that have changed since."""

    def page(self, dialog: DialogRef, since: datetime, before: Message | None) -> list[Message]:
        """The messages that follow ``before`` among those that have changed since."""


class World:
    """The core under test, its server, the links between them, and time.

    ``room`` is how many events the receivers' queue takes before it is full (None: any number).
    ``survives`` says how many of the bytes on their way to the server still arrive when the client ends
    a link. With a ``history`` the core fills gaps; each answer of it is a step of ``fillings``, and
    ``fails`` says whether the next question to it does.
    """

    def __init__(
        self,
        server: Server | None = None,
        settings: Config | None = None,
        *,
        random: Callable[[], float] = lambda: 0.5,
        history: History | None = None,
        wants_sent: Callable[[], bool] = lambda: True,
    ) -> None:
        self.server = server or Server()
        self.config = settings or config()
        self._ids = (f"own{number}" for number in itertools.count(1))
        self.history = history
        self.core = Core(
            self.config,
            new_id=lambda: next(self._ids),
            random=random,
            fills_gaps=history is not None and self.config.fill_gaps,
            wants_sent=wants_sent,
        )
        self.fillings: list[Iterator[None]] = []
        self.recovers: list[FetchGap] = []
        self.fails: Callable[[], bool] = lambda: False
        self.seen: list[str] = []
        """What came about that leaves no other trace."""
        self.digest = 0
        """A checksum of all bytes that were on their way, in either direction."""
        self.now = 1000.0
        self.link: Link | None = None
        self.reachable = True
        self.room: int | None = None
        self.queued = 0
        self._was_full = False
        self.survives: Callable[[int], int] = lambda size: size
        self.looks_up: Callable[[CheckStored], frozenset[str] | None] | None = self.truth
        self.deliveries: list[Delivery] = []
        self.settled: list[OutcomeKnown] = []
        self.answers: list[Answer] = []
        self.overheard: list[Delivery] = []
        self.dropped: list[Dropped] = []
        self.echoes: list[EchoReceived] = []
        self.lookups: list[CheckStored] = []
        self.submissions: list[Submission] = []

    # --- what happened ---

    @property
    def states(self) -> list[ChatState]:
        """Every state entered, in order."""
        return [event.state for event in self.events("state_changed")]

    def events(self, signal: str) -> list[Any]:
        """The events of one signal, in order."""
        return [d.event for d in self.deliveries if d.signal == signal]

    @property
    def received(self) -> list[int]:
        """The numbers of the messages received, of others and of this user's devices, in order."""
        return [int(message.body) for message in self.messages]

    @property
    def messages(self) -> list[Message]:
        """The messages received, of others and of this user's devices, in order."""
        for delivery in self.deliveries:
            if delivery.signal in MESSAGE_SIGNALS:
                assert delivery.signal == MESSAGE_SIGNALS[delivery.event.own]
        return [d.event for d in self.deliveries if d.signal in MESSAGE_SIGNALS]

    @property
    def sent(self) -> list[str]:
        """The ids that 'sent' was reported for, in order."""
        return [event.message_id for event in self.events("message_sent")]

    def outcome(self, submission: Submission) -> Any:
        """What a submission came to: "sent", the error's class, or None while it is open."""
        found = [settled for settled in self.settled if settled.submission is submission]
        assert len(found) <= 1, "settled more than once"
        return None if not found else "sent" if found[0].error is None else type(found[0].error)

    # --- what tests do ---

    def login(
        self, *, settle: bool = True, password: str = PASSWORD, user: int | None = None
    ) -> None:
        """Log in with a deadline 30 s ahead."""
        user = self.server.user if user is None else user
        self.core.login(Credentials(user, password, "laptop"), self.now, self.now + 30)
        self.after()
        if settle:
            self.settle()

    def send(self, number: int, **changes: Any) -> Submission:
        """Submit a message whose id and body say ``number``."""
        changes = {"date_sent": EPOCH, "dialog": DialogRef.private(BOB)} | changes
        message = Message(id=f"{number:024x}", body=str(number), **changes)
        dialog = changes["dialog"]
        in_room = dialog.peer_id is None
        to = ADDRESSES.room(dialog.id) if in_room else ADDRESSES.user(dialog.peer_id)
        assert message.id is not None
        submission = Submission(message.id, to, dialog, message, waiter=number)
        data = encode_message(message, to, "groupchat" if in_room else "chat")
        self.core.open_session.submit(submission, data, self.now)
        self.submissions.append(submission)
        self.after()
        return submission

    def request(self, waiter: Any, to: str | None = HOST) -> str:
        """Send an IQ."""
        request_id = self.core.ready_session.request(
            "get", to, '<ping xmlns="urn:xmpp:ping"/>', waiter
        )
        self.after()
        return request_id

    def close(self, timeout: float = 5.0, *, settle: bool = True) -> None:
        """Log out."""
        self.core.close(self.now, self.now + timeout)
        self.after()
        if settle:
            self.settle()

    def settle(self) -> None:
        """Let links be made and bytes travel until nothing moves."""
        for _ in range(1000):
            if not (self.connect() or self.upstream() or self.downstream()):
                return
        raise AssertionError("client and server never come to rest")

    def advance(self, seconds: float, *, settle: bool = True) -> None:
        """Let time pass, doing everything that becomes due on the way."""
        target = self.now + seconds
        if settle:
            self.settle()
        for _ in range(10_000):
            deadline = self.core.next_deadline
            if deadline is None or deadline > target:
                break
            self.now = max(self.now, deadline)
            self.core.tick(self.now)
            self.after()
            if settle:
                self.settle()
        else:
            raise AssertionError(f"something is always due: {self.core.next_deadline}")
        self.now = target

    def connect(self) -> bool:
        """Do what the driver does for a core that wants a link; whether it did anything."""
        if self.link is not None or not self.core.wants_link:
            return False
        if self.reachable:
            self.link = Link(self.server)
            self.core.link_up(self.now)
        else:
            self.core.link_lost(ConnectionLostError("nobody there"), self.now)
        self.after()
        return True

    def upstream(self, most: int | None = None) -> bool:
        """Carry at most so many bytes to the server; whether there were any."""
        if self.link is None or not self.link.to_server:
            return False
        data = bytes(self.link.to_server[:most])
        self.digest = zlib.crc32(data, self.digest)
        del self.link.to_server[: len(data)]
        self.link.remote.feed(data)
        return True

    def downstream(self, most: int | None = None) -> bool:
        """Carry at most so many bytes to the client; whether anything happened."""
        link = self.link
        if link is None:
            return False
        if not link.to_client:
            if link.remote.ended:
                self.cut()
                return True
            return False
        data = bytes(link.to_client[:most])
        self.digest = zlib.crc32(data, self.digest)
        del link.to_client[: len(data)]
        self.core.receive(data, self.now)
        self.after()
        return True

    def cut(self, up: int = 0, down: int = 0) -> None:
        """Cut the link; so many bytes on their way to the server and to the client still arrive."""
        link = self.link
        assert link is not None
        if up:
            self.upstream(up)
        if down:
            self.downstream(down)
        if self.link is link:
            self._drop_link()
            self.core.link_lost(ConnectionLostError("cut"), self.now)
            self.after()

    def drain(self, most: int | None = None) -> None:
        """Receivers take events from the queue; the core is told when a full one is down to half."""
        self.queued -= self.queued if most is None else min(most, self.queued)
        if self._was_full and (self.room is None or self.queued <= self.room // 2):
            self._was_full = False
            self.core.drained(QueueOverflowError("full", receiver=None), self.now)
            self.after()

    def truth(self, lookup: CheckStored) -> frozenset[str]:
        """What history holds of the messages asked for."""
        return frozenset(self.server.messages()) & {s.id for s in lookup.submissions}

    def answer_lookups(self) -> None:
        """Tell the core what history says, for every question so far."""
        while self.lookups and self.looks_up is not None:
            lookup = self.lookups.pop(0)
            self.core.session.stored_ids_received(lookup, self.looks_up(lookup), self.now)
            self.after()

    def fill_gaps(self, steps: int = 1_000) -> None:
        """Tell the core so many answers of history, for every gap in turn."""
        for _ in range(steps):
            if not self.fillings:
                return
            for filling in list(self.fillings):
                if next(filling, self) is self:
                    self.fillings.remove(filling)
                self.core.gap_answered(self.now)
                self.after()

    def _fill(self, asked: FetchGap) -> Iterator[None]:
        """Read history as the driver does; between its steps anything may happen."""
        history, recovery = self.history, self.core.session.recovery
        assert history is not None
        if self.fails():
            recovery.failed(asked, None, OSError("no history"))
            return
        # What it was by the service's clock when it was this late by ours.
        began = history.time() - (self.now - asked.since)
        since = datetime.fromtimestamp(math.floor(began - self.config.gap_overlap), timezone.utc)
        dialogs = history.changed_dialogs(self.server.user, since)
        yield
        wanted = recovery.dialogs(asked, dialogs, since)
        for dialog in dialogs if wanted else ():
            page: Sequence[Message] = ()
            while True:
                yield
                if self.fails():
                    recovery.failed(asked, dialog, OSError("no history"))
                    break
                page = history.page(dialog, since, page[-1] if page else None)
                yield
                if not (page and recovery.page(asked, dialog, page, self.now)):
                    recovery.filled(asked, dialog)
                    break

    # --- what the driver does ---

    def after(self) -> None:
        """Hand over the outputs, write what can be written, drop a link that nobody uses."""
        while outputs := self.core.session.take_outputs():
            refused = list(self._hand_over(outputs))
            if refused:
                error = QueueOverflowError("full", receiver=None)
                self.core.overflowed(refused, error, self.now)
            else:
                self.core.committed(self.now)
        link = self.link
        if link is not None:
            link.to_server += self.core.session.outgoing
            self.core.session.outgoing.clear()
            if not self.core.has_stream:
                self.upstream(self.survives(len(link.to_server)))
                self._drop_link()

    def _hand_over(self, outputs: list[Any]) -> Iterator[Delivery]:
        """Take the outputs; yield the deliveries there was no room for, and all behind them."""
        full = False
        for output in outputs:
            if isinstance(output, Delivery):
                if output.sequence is not None:
                    full = full or (self.room is not None and self.queued >= self.room)
                    self._was_full = self._was_full or full
                    if full:
                        yield output
                        continue
                if output.sequence is not None or output.takes_room:
                    self.queued += 1
                self.deliveries.append(output)
            elif isinstance(output, OutcomeKnown):
                self.settled.append(output)
            elif isinstance(output, Dropped):
                self.dropped.append(output)
            elif isinstance(output, UncommittedDelivery):
                self.overheard.append(output.delivery)
            elif isinstance(output, EchoReceived):
                self.echoes.append(output)
            elif isinstance(output, Answer):
                self.answers.append(output)
            elif isinstance(output, FetchGap):
                self.recovers.append(output)
                self.fillings.append(self._fill(output))
            else:
                self.seen.append("CheckStored")
                self.lookups.append(output)

    def _drop_link(self) -> None:
        link, self.link = self.link, None
        assert link is not None
        link.remote.close()
        if link.remote.session is not None and link.remote.session.link is link.remote:
            self.server.link_ended(link.remote.session)


def ids(*numbers: int) -> list[str]:
    return [f"{number:024x}" for number in numbers]


def ready(server: Server | None = None, **settings: Any) -> World:
    """A world whose user is logged in."""
    world = World(server, config(**settings))
    world.login()
    assert world.core.state is ChatState.READY
    return world


def reconnect(world: World) -> None:
    """Let the next attempt happen now."""
    world.core.relogin(world.now)
    world.after()
    world.settle()


def closed_reason(world: World) -> Any:
    """Why the connection is closed, once it is clear that nothing goes on."""
    assert world.core.state is ChatState.CLOSED
    assert world.states[-1] is ChatState.CLOSED and world.core.next_deadline is None
    assert not world.core.wants_link and world.link is None
    return world.core.closed_reason
