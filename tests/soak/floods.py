"""``python -m tests.soak.floods``: does a client grow, or fall silent, when it is flooded?

Each kind of flood is what any user may send, or a server that does not keep up. A client is flooded over
a link that is no socket, each kind in a process of its own, for some seconds of CPU: its memory must stay
flat, and a message that it sends meanwhile must go through. Prints a table, which ``--write`` keeps for the
documentation (docs/floods.json).
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from connectycube import Chat, Config, DialogRef, Message
from connectycube.chat.link import Waker
from connectycube.chat.protocol.events import Credentials
from connectycube.models import User
from tests.bench import chat_material as material
from tests.bench.chat_ours import LOGIN
from tests.support.inside import driver_of, session_of, signals_of
from tests.support.paths import ROOT

SECONDS = 30.0
FIGURES = ROOT / "docs" / "floods.json"
_CHUNK = 16_384  # bytes at least that arrive at once
_ROOM = f"{material.APP}_{material.DIALOG}@muc.{material.HOST}"
_ME = material.jid(material.ME)
_STRANGER = f"from='{material.jid(666)}/x'"
_OCCUPANT = f"from='{_ROOM}/666'"
_PING = "<ping xmlns='urn:xmpp:ping'/>"
_MUC_USER = "<x xmlns='http://jabber.org/protocol/muc#user'/>"


@frozen
class Flood:
    """A kind of flood; ``stanza(n)`` is its n-th stanza.

    A ``deaf`` server acknowledges nothing. The receivers of a ``slow`` client never return.
    """

    stanza: Callable[[int], str]
    deaf: bool = False
    slow: bool = False


def _ping(n: int) -> str:
    return f"<iq type='get' {_OCCUPANT} id='p{n}'>{_PING}</iq>"


def _names(n: int) -> str:
    each = "".join(f"<n{n}-{i}/>" for i in range(20))
    return f"<message {_STRANGER}>{each}</message>"


def _prefixes(n: int) -> str:
    each = " ".join(f"xmlns:p{n}-{i}='urn:{n}'" for i in range(20))
    return f"<message {_STRANGER} {each}/>"


def _long_namespace(n: int) -> str:
    each = "".join(f"<p:n{i}/>" for i in range(1_000))
    return f"<message {_STRANGER} xmlns:p='{'u' * 100_000}'><x>{each}</x></message>"


def _presence(n: int) -> str:
    sender = f"{material.jid(666)}/{n}"
    return f"<presence from='{sender}'><status>{n}{'s' * 10_000}</status></presence>"


def _push(n: int) -> str:
    item = f"<item jid='{material.jid(n + 1)}' name='{'n' * 1_000}' subscription='both'/>"
    return f"<iq type='set' id='r{n}'><query xmlns='jabber:iq:roster'>{item}</query></iq>"


def _message(n: int, content: str, own_id: str | None = None) -> str:
    own_id = f"{n:024x}" if own_id is None else own_id
    return f"<message {_STRANGER} type='chat' id='{own_id}'>{content}</message>"


FLOODS: dict[str, Flood] = {
    "pings through a room": Flood(_ping),
    "pings, and the server acknowledges nothing": Flood(_ping, deaf=True),
    "unknown requests, and the server acknowledges nothing": Flood(
        lambda n: f"<iq type='set' {_STRANGER} id='{n}{'i' * 500}'><x xmlns='urn:x'/></iq>",
        deaf=True,
    ),
    "markable messages, and the server acknowledges nothing": Flood(
        lambda n: _message(n, "<body>x</body><markable xmlns='urn:xmpp:chat-markers:0'/>"),
        deaf=True,
    ),
    "message ids of 10,000 characters": Flood(
        lambda n: _message(n, "<body>x</body>", f"{n}{'i' * 10_000}")
    ),
    "names that are used once": Flood(_names),
    "namespace prefixes that are used once": Flood(_prefixes),
    "a namespace of 100,000 characters before 1,000 names": Flood(_long_namespace),
    "messages with 2,000 empty parameters": Flood(
        lambda n: _message(n, f"<body>x</body><extraParams>{'<a/>' * 2_000}</extraParams>")
    ),
    "presences with 10,000 characters, and slow receivers": Flood(_presence, slow=True),
    "changed contacts, and slow receivers": Flood(_push, slow=True),
    "occupants of a room, and slow receivers": Flood(
        lambda n: f"<presence from='{_ROOM}/{n + 2_000}'>{_MUC_USER}</presence>", slow=True
    ),
    "typing users, and slow receivers": Flood(
        lambda n: (
            f"<message from='{material.jid(n + 2_000)}' type='chat'>"
            "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
        ),
        slow=True,
    ),
    "errors for messages that were never sent": Flood(
        lambda n: f"<message {_STRANGER} type='error' id='{n:024x}'>{'<error/>'}</message>"
    ),
    "edits of messages that were never seen": Flood(
        lambda n: _message(
            n, f"<body>x</body><replace xmlns='urn:xmpp:message-correct:0' id='m{n}'/>"
        )
    ),
    "answers to requests that were never made": Flood(
        lambda n: f"<iq type='result' {_STRANGER} id='a{n}'><x xmlns='urn:x'/></iq>"
    ),
    "stanzas of 2 MB": Flood(lambda n: _message(n, f"<body>{'x' * 2_000_000}</body>")),
}


@frozen
class Outcome:
    """What a flood did: stanzas that arrived, memory in bytes, and the slowest send in CPU seconds."""

    stanzas: int
    start: int
    half: int
    end: int
    sends: int
    slowest: float


class _Link:
    """What the driver takes for its link: it brings a flood, and answers what the client asks."""

    wants_write = has_ended = False

    def __init__(self) -> None:
        self.arriving: deque[bytes] = deque()
        self.written = b""
        self.asked = 0  # questions that are not answered yet
        self.wanted = b""
        self.is_written = threading.Event()

    def receive(self) -> bytes:
        return self.arriving.popleft() if self.arriving else b""

    def send(self, data: bytearray) -> int:
        self.written = bytes(data)
        self.asked += data.count(b"<r xmlns")
        if self.wanted and self.wanted in data:
            self.is_written.set()
        return len(data)


class Client:
    """A client that is logged in and flooded; one thread plays the connection thread."""

    def __init__(self, flood: Flood) -> None:
        config = Config(
            app_id=material.APP, auth_key="key", chat_host=material.HOST, typing_expires=60.0
        )
        self.chat = Chat(config)
        self._flood = flood
        self._driver: Any = driver_of(self.chat)
        self._link = _Link()
        self._gate = threading.Event()
        self.latencies: list[float] = []
        self._over = threading.Event()

    @contextmanager
    def logged_in(self) -> Iterator[None]:
        """Log in to a server that says just what it must, and enter a room."""
        driver, link = self._driver, self._link
        driver._link, driver._waker = link, Waker()
        self.chat._user = User(id=material.ME)
        with driver._mutex:
            now = time.monotonic()
            driver.core.login(Credentials(material.ME, "secret", "bench"), now, now + 60)
            driver.core.link_up(now)
        for answer in LOGIN:
            bind_id = getattr(driver.core._stream, "_bind_id", "")
            self._serve(answer.replace("{id}", bind_id).encode())
        carbons = self._request_id(b"urn:xmpp:carbons:2")
        self._serve(f"<iq type='result' id='{carbons}'/>".encode())
        assert self.chat.is_ready
        driver.command(lambda core, _: core.session.enter_room(DialogRef.room(material.DIALOG)))
        itself = _MUC_USER.replace("/>", "><status code='110'/></x>")
        self._serve(f"<presence from='{_ROOM}/{material.ME}'>{itself}</presence>".encode())
        for signal in signals_of(self.chat):
            signal.connect(self._receive)
        driver.dispatcher.start()
        try:
            yield
        finally:
            self._gate.set()
            self._over.set()
            with driver._mutex:
                driver.core.abort(None)
                driver.after_command()
            driver.dispatcher.stop()
            driver._waker.close()

    def _request_id(self, namespace: bytes) -> str:
        before = self._link.written.partition(namespace)[0]
        return before.rpartition(b' id="')[2].partition(b'"')[0].decode()

    def _receive(self, chat: Chat, event: Any) -> None:
        if self._flood.slow:
            self._gate.wait()

    def flood(self, seconds: float) -> Outcome:
        """Let the flood arrive for so many seconds of CPU."""
        sender = threading.Thread(target=self._send_now_and_then)
        number, memory = 0, list[int]()
        sender.start()
        began = time.process_time()
        for until in (0.1, 0.5, 1.0):  # the first part loads what is loaded late
            while time.process_time() - began < until * seconds:
                parts: list[str] = []
                size = 0
                while size < _CHUNK:
                    parts.append(self._flood.stanza(number))
                    size += len(parts[-1])
                    number += 1
                self._serve("".join(parts).encode())
                time.sleep(0)  # as a wait for the socket, it lets other threads run
            memory.append(resident())
        self._over.set()
        while sender.is_alive():
            self._serve(b" ")
            time.sleep(0.001)
        assert self.chat.is_ready, "the flood ended the link"
        return Outcome(number, *memory, len(self.latencies), max(self.latencies))

    def _send_now_and_then(self) -> None:
        dialog, link = DialogRef.private(material.PEER), self._link
        while not self._over.is_set():
            link.is_written.clear()
            link.wanted = f"flooded-{len(self.latencies)}<".encode()
            # In seconds of CPU, as the wall clock would measure what else this machine does.
            began = time.process_time()
            message = Message(body=link.wanted[:-1].decode(), save_to_history=False)
            handle = self.chat.send_message(dialog, message)
            assert link.is_written.wait(30), "a message was not sent"
            if not self._flood.deaf:
                handle.result(30)
            self.latencies.append(time.process_time() - began)
            self._over.wait(0.1)

    def _serve(self, data: bytes) -> None:
        """Do what the connection thread does; the server answers each question about its count."""
        driver, link = self._driver, self._link
        link.arriving += [data[at : at + 65_536] for at in range(0, len(data), 65_536)]
        with driver._mutex:
            while link.arriving:
                driver._read(link)
            driver._tick(time.monotonic())
            driver._write(link)
            if link.asked:
                link.asked = 0
                outbox = session_of(driver.core)._outbox
                handled = outbox._acknowledged if self._flood.deaf else outbox.sent
                link.arriving.append(material.ack(handled))
                driver._read(link)
                driver._write(link)
        driver._waker.drain()


def resident() -> int:
    """Return the resident memory of this process, in bytes."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def flooded(kind: str, seconds: float) -> Outcome:
    """Flood a client in a process of its own."""
    command = [sys.executable, "-m", "tests.soak.floods", "--kind", kind, "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{kind}:\n{done.stderr}")
    return Outcome(**json.loads(done.stdout))


def main(arguments: Sequence[str] | None = None) -> int:
    """Flood with each kind and print a table; return 1 if memory grew, or a send took too long."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.floods")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of CPU, for each kind")
    parser.add_argument("--kind", choices=FLOODS, help="one kind, in this process")
    parser.add_argument("--write", action="store_true", help="keep the table for the docs")
    options = parser.parse_args(arguments)
    if options.kind:
        client = Client(FLOODS[options.kind])
        with client.logged_in():
            outcome = client.flood(options.seconds)
        print(json.dumps(asdict(outcome)))
        return 0
    found, failed = {}, False
    for kind in FLOODS:
        outcome = found[kind] = flooded(kind, options.seconds)
        faults = problems(outcome)
        failed = failed or bool(faults)
        megabytes = " ".join(
            f"{each / 1e6:6.1f}" for each in (outcome.start, outcome.half, outcome.end)
        )
        print(
            f"{kind:56} {outcome.stanzas:9} stanzas {megabytes} MB, slowest of {outcome.sends} sends"
            f" {outcome.slowest:.2f} s {'; '.join(faults)}",
            flush=True,
        )
    if options.write:
        kept = {
            "seconds": options.seconds,
            "python": platform.python_version(),
            "date": f"{date.today():%B %Y}",
            "floods": {kind: asdict(outcome) for kind, outcome in found.items()},
        }
        FIGURES.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return int(failed)


MOST_GROWTH = 30_000_000
MOST_IN_ALL = 150_000_000
SLOWEST = 1.0


def problems(outcome: Outcome) -> list[str]:
    """Return what was not as promised."""
    found = []
    if outcome.end - outcome.half > MOST_GROWTH:
        found.append("memory grew")
    if outcome.end > MOST_IN_ALL:
        found.append("memory is large")
    if outcome.slowest > SLOWEST:
        found.append("a send was slow")
    return found


if __name__ == "__main__":
    sys.exit(main())
