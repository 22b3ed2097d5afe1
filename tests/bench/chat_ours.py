"""Our side of the chat benchmarks: a whole Chat, logged in, with a link that is no socket.

All that runs for a message in production runs here, but for the kernel and TLS. The dispatcher's worker
runs in the measuring thread after each chunk, or, with ``threaded=True``, on its own thread as it does
in production; then switching between threads counts, and how often they do is the kernel's choice.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from connectycube import Attachment, Chat, Config, DialogRef, Message
from connectycube.chat.connection_thread import Run
from connectycube.chat.link import Waker
from connectycube.chat.protocol.events import Credentials
from connectycube.models import User
from tests.bench import chat_material as material
from tests.support.inside import driver_of, session_of

__all__ = ["LOGIN", "Ours", "attachment", "ours", "read_fields"]

LOGIN = (
    f"{material.HEADER}<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
    "<mechanism>PLAIN</mechanism></mechanisms></stream:features>",
    "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    f"{material.HEADER}<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
    "<sm xmlns='urn:xmpp:sm:3'/></stream:features>",
    "<iq type='result' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    f"<jid>{material.jid(material.ME)}/bench</jid></bind></iq>",
    "<enabled xmlns='urn:xmpp:sm:3' id='again' resume='true'/>",
)
_CARBONS = re.compile(rb'<iq type="set" id="([^"]+)"><enable xmlns="urn:xmpp:carbons:2"/>')
_SECONDS = 60


class _Link:
    """What the driver takes for its link."""

    wants_write = has_ended = False

    def __init__(self) -> None:
        self.arriving: deque[bytes] = deque()
        self.written: list[bytes] = []

    def receive(self) -> bytes:
        return self.arriving.popleft() if self.arriving else b""

    def send(self, data: bytearray) -> int:
        self.written.append(bytes(data))
        return len(data)


class Ours:
    """A logged-in Chat; ``read`` and ``written`` are the last burst's, by the receiver and to the link."""

    def __init__(self, chat: Chat, *, threaded: bool, marks: bool) -> None:
        self.chat = chat
        self.read: list[tuple[Any, ...]] = []
        self._driver: Any = driver_of(chat)
        self._threaded, self._marks = threaded, marks
        self._caught_up = threading.Event()
        self._link = _Link()
        self.written = self._link.written
        self._dialog = DialogRef.private(material.PEER, material.DIALOG)
        chat.message_received.connect(self._receive)

    def log_in(self) -> None:
        """Log in to a server that says just what it must."""
        driver = self._driver
        driver._link, driver._waker = self._link, Waker()
        self._run = Run(driver._generation, None, self._link)  # type: ignore[arg-type]
        credentials = Credentials(material.ME, "secret", "bench")
        self.chat._user = User(id=material.ME)
        with driver._mutex:
            driver._durability.open(material.ME, None)
            now = time.monotonic()
            driver.core.login(credentials, now, now + _SECONDS)
            driver.core.link_up(now)
        for answer in LOGIN:
            bind_id = getattr(driver.core._stream, "_bind_id", "")
            self.serve([answer.replace("{id}", bind_id).encode()])
        carbons = _CARBONS.search(b"".join(self.written))
        assert carbons is not None
        self.serve([f"<iq type='result' id='{carbons[1].decode()}'/>".encode()])
        assert self.chat.is_ready
        if self._threaded:
            driver.dispatcher.start()
        self.acknowledge()

    def log_out(self) -> None:
        """End it without a server."""
        driver = self._driver
        with driver._mutex:
            driver.core.abort(None)
            driver.after_command()
        driver.dispatcher.stop()
        driver._waker.close()

    def receive_burst(self, chunks: Sequence[bytes]) -> None:
        """Take a burst and wait until the receiver has read all of it."""
        self.read.clear()
        self.written.clear()
        self._caught_up.clear()
        for chunk in chunks:
            self.serve([chunk])
        if self._threaded:
            assert self._caught_up.wait(_SECONDS)
        assert len(self.read) == material.BURST
        if self._marks:
            self.acknowledge()

    def send_burst(self) -> None:
        """Send as many messages as a burst has, which the server then acknowledges."""
        self.written.clear()
        for _ in range(material.BURST):
            self.chat.send_message(
                self._dialog,
                Message(
                    body=material.TEXT,
                    custom={"topic": material.TOPIC},
                    attachments=(attachment(),),
                ),
            )
        self.acknowledge()

    def acknowledge(self) -> None:
        """Have the server acknowledge all that was sent."""
        self.serve([material.ack(session_of(self._driver.core)._outbox.sent)])
        self._driver._waker.drain()  # the connection thread does when it was woken

    def serve(self, chunks: Sequence[bytes]) -> None:
        """Do what the connection thread does when the socket is readable, then what the worker does."""
        self.queue(chunks)
        if not self._threaded:
            self.work()

    def queue(self, chunks: Sequence[bytes]) -> None:
        """Do what the connection thread does when the socket is readable."""
        self._link.arriving.extend(chunks)
        while self._link.arriving:
            self._driver.serve(self._run)

    def work(self) -> None:
        """Do what the worker does until the queue is empty."""
        dispatcher = self._driver.dispatcher
        dispatcher.begin()
        dispatcher.work()
        dispatcher.end()

    def _receive(self, chat: Chat, message: Message) -> None:
        self.read.append(read_fields(message))
        if len(self.read) == material.BURST:
            self._caught_up.set()


def read_fields(message: Message) -> tuple[Any, ...]:
    """Read all fields of a message."""
    file = message.attachments[0]
    return (
        message.sender_id,
        message.id,
        message.body,
        message.date_sent,
        message.dialog_id,
        message.save_to_history,
        message.custom["topic"],
        file.id,
        file.uid,
        file.type,
        file.url,
        file.content_type,
        file.size,
        file.name,
        message.markable,
    )


def attachment() -> Attachment:
    """Return the attachment of each message."""
    given = material.ATTACHMENT
    return Attachment(
        type=given["type"],
        uid=given["uid"],
        url=given["url"],
        content_type=given["content-type"],
        size=int(given["size"]),
        name=given["name"],
    )


@contextmanager
def ours(*, threaded: bool = False, marks: bool = False, **options: Any) -> Iterator[Ours]:
    """Log in; ``marks`` leaves on that each message is answered with the marker 'received'."""
    config = Config(
        app_id=material.APP,
        auth_key="key",
        chat_host=material.HOST,
        auto_delivered=marks,
        **options,
    )
    side = Ours(Chat(config), threaded=threaded, marks=marks)
    side.log_in()
    try:
        yield side
    finally:
        side.log_out()
