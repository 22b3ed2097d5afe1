"""A core, the link that its driver would give it, and the answers of a server that does everything right."""

from __future__ import annotations

import itertools
import re
from typing import Any

from connectycube import DialogRef, Message
from connectycube.chat.protocol.core import Core
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.encoding import encode_message
from connectycube.chat.protocol.events import CheckStored, Credentials, FetchGap, OutcomeKnown
from connectycube.chat.protocol.iq import Answer
from connectycube.chat.protocol.outbox import Submission
from connectycube.config import Config
from connectycube.errors import ConnectionLostError
from connectycube.models import ChatState
from connectycube.models._json import EPOCH
from tests.fuzz.stanzas import FEATURES, HEADER, SUCCESS

__all__ = ["ALICE", "BOB", "STAGES", "Connection"]

ALICE, BOB = 1001, 1002
_HOST = "chat.example"
_SM = "urn:xmpp:sm:3"
_IQ = re.compile(rb'<iq type="[gs]et" id="([^"]*)"')
_BIND = re.compile(rb'<iq type="set" id="([^"]*)"><bind')
_STANZA = re.compile(rb"<(?:message|presence|iq)[ />]")
_CONFIG = Config(app_id=7, auth_key="k", chat_host=_HOST)
_MANAGED = f"<stream:features><sm xmlns='{_SM}'/></stream:features>"
_UNMANAGED = "<stream:features/>"
STAGES = (
    "opened",
    "asked",
    "authenticated",
    "binding",
    "enabling",
    "managed",
    "unmanaged",
    "resuming",
)
"""How far a login has come: the server has sent everything before this."""


class Connection:
    """A core, the bytes that it has written, and what it has reported."""

    def __init__(self) -> None:
        ids = (f"own{number}" for number in itertools.count(1))
        self.core = Core(_CONFIG, new_id=lambda: next(ids), random=lambda: 0.5)
        self.now = 1000.0
        self.written = b""
        self.deliveries: list[Delivery] = []
        self.outcomes: list[OutcomeKnown] = []
        self.answers: list[Answer] = []

    # --- what the driver does ---

    def feed(self, data: str | bytes) -> None:
        """Let bytes arrive."""
        self.core.receive(data.encode() if isinstance(data, str) else data, self.now)
        self.after()

    def after(self) -> None:
        """Take the outputs, answer the questions to history, and keep what is written."""
        core = self.core
        while outputs := core.session.take_outputs():
            for output in outputs:
                self._take(output)
            core.committed(self.now)
        self.written += core.session.outgoing
        core.session.outgoing.clear()

    def _take(self, output: Any) -> None:
        if isinstance(output, Delivery):
            self.deliveries.append(output)
        elif isinstance(output, OutcomeKnown):
            self.outcomes.append(output)
        elif isinstance(output, Answer):
            self.answers.append(output)
        elif isinstance(output, CheckStored):
            self.core.session.stored_ids_received(output, frozenset(), self.now)
        elif isinstance(output, FetchGap):
            self.core.session.recovery.failed(output, None, OSError("no history"))

    def lose(self) -> None:
        """Cut the link."""
        self.core.link_lost(ConnectionLostError("cut"), self.now)
        self.after()

    def wait(self, most: int = 50) -> None:
        """Let time pass until the core wants a link or has nothing to do."""
        core = self.core
        for _ in range(most):
            deadline = core.next_deadline
            if core.wants_link and not core.has_stream:
                return
            if deadline is None:
                return
            self.now = max(self.now, deadline)
            core.tick(self.now)
            self.after()
        raise AssertionError(f"something is always due: {core.next_deadline} in {core.state}")

    # --- what a program and a server do ---

    def login(self) -> None:
        """Begin to log in."""
        self.core.login(Credentials(ALICE, "secret", "desk"), self.now, self.now + 30)
        self.after()

    def send(self, number: int) -> None:
        """Send a private message."""
        dialog = DialogRef.private(BOB)
        message = Message(id=f"{number:024x}", body=str(number), date_sent=EPOCH, dialog=dialog)
        to = f"{BOB}-7@{_HOST}"
        submission = Submission(message.id or "", to, dialog, message, waiter=number)
        data = encode_message(message, to, "chat")
        self.core.open_session.submit(submission, data, self.now)
        self.after()

    def link_up(self, stage: str) -> None:
        """Give the core a link whose server has come so far."""
        self.written = b""
        self.core.link_up(self.now)
        self.after()
        for data in self._answers(STAGES.index(stage), managed=stage != "unmanaged"):
            self.feed(data)

    def _answers(self, stage: int, *, managed: bool) -> Any:
        if stage >= STAGES.index("asked"):
            yield HEADER + FEATURES
        if stage >= STAGES.index("authenticated"):
            yield SUCCESS
        if stage >= STAGES.index("binding"):
            yield HEADER + (_MANAGED if managed else _UNMANAGED)
        if stage < STAGES.index("enabling") or stage == STAGES.index("resuming"):
            return
        if b"<resume " in self.written:
            yield f"<failed xmlns='{_SM}'/>"
        yield self._bound()
        if stage < STAGES.index("managed"):
            return
        if managed:
            self.written = b""  # what is counted begins here
            yield f"<enabled xmlns='{_SM}' id='resume-me' resume='true'/>"
        for _ in range(2):  # the requests of a login, and what follows them
            yield self.results()

    def _bound(self) -> str:
        asked = _BIND.findall(self.written)[-1].decode()
        return (
            f"<iq type='result' id='{asked}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<jid>{ALICE}-7@{_HOST}/desk</jid></bind></iq>"
        )

    def results(self) -> str:
        """Return a result for every request on this link, and the count of what was handled."""
        results = [
            f"<iq type='result' id='{asked.decode()}'/>" for asked in _IQ.findall(self.written)
        ]
        count = self.stanzas_written()
        counted = f"<a xmlns='{_SM}' h='{count}'/>" if b"urn:xmpp:sm:3" in self.written else ""
        return "".join(results) + counted

    def stanzas_written(self) -> int:
        """Return the number of stanzas in ``written``."""
        return len(_STANZA.findall(self.written))

    def come_back(self) -> None:
        """Check that the connection comes back, unless it has ended for good, and that messages arrive."""
        core = self.core
        for _ in range(12):
            if core.state is ChatState.CLOSED:
                core.relogin(self.now)
                self.after()
            self.wait()
            if core.has_stream:
                self.lose()
            elif core.wants_link:
                self.link_up("unmanaged")
            if core.is_ready:
                break
        assert core.is_ready, f"{core.state}, although the server does everything right"
        before = len(self.deliveries)
        self.feed(
            f"<message from='{BOB}-7@{_HOST}/phone' to='{ALICE}-7@{_HOST}' type='chat' id='{'f' * 24}'>"
            "<body>at the end</body></message>"
        )
        events = [delivery.event for delivery in self.deliveries[before:]]
        assert [event.body for event in events if isinstance(event, Message)] == ["at the end"], (
            events
        )
