"""Exchanges: the requests, answers and stanzas of the clients, recorded while somebody asks for them.

While nobody asks, the servers look at ``active`` and do nothing more. Secrets are masked before an exchange
is kept, and the log is bounded in bytes.
"""

from __future__ import annotations

import shlex
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from connectycube._checks import check_int, check_one_of
from connectycube._containers import AnyDict
from connectycube.errors import ArgumentValueError

from .faults import CHAT, REST, STORAGE
from .masking import MASK

__all__ = ["Exchange", "Exchanges"]

_MOST_BYTES = 8 * 1_048_576
_MOST_TEXT = 65_536  # characters of one body or stanza
_BYTES_BESIDE_TEXT = 400
# Headers that curl writes itself.
_OF_CURL = frozenset(
    ("accept", "accept-encoding", "connection", "content-length", "host", "user-agent")
)


@frozen(kw_only=True)
class Exchange:
    """One request with its answer, or one element of a chat stream; secrets are ``***``.

    Attributes:
        id: The number of the exchange, from 1.
        at: When it began, in unix seconds by the emulator's clock.
        side: "rest", "storage" or "chat".
        user_id: The user that sent or received it, None if that is not known.
        connection: The resource of the chat connection.
        what: The method and path of a request, such as ``POST /chat/Message``, or the name of the element.
        about: The query of a request, or the names of the elements inside.
        direction: "request", or for the chat "in" (from the client) or "out" (to the client).
        kind: The ``type`` of a stanza; None for other elements and for requests.
        status: The status of the answer; None if there was none, and for the chat.
        seconds: How long the request took.
        url: The address of the request.
        request_headers: The headers of the request.
        request: The body of the request, or the element as XML.
        answer_headers: The headers of the answer.
        answer: The body of the answer.

    Example:
        >>> emulator.exchanges.record()
        >>> user = cube.users.get(bob_id)
        >>> exchange = emulator.exchanges.find(side="rest")[-1]
        >>> exchange.status, exchange.curl().startswith("curl --request GET")
        (200, True)
        >>> emulator.exchanges.stop()
    """

    id: int
    at: float
    side: str
    user_id: int | None
    what: str
    about: str = ""
    direction: str = "request"
    connection: str | None = None
    kind: str | None = None
    status: int | None = None
    seconds: float | None = None
    url: str | None = None
    request_headers: Mapping[str, str] = field(factory=AnyDict)
    request: str = ""
    answer_headers: Mapping[str, str] = field(factory=AnyDict)
    answer: str = ""

    @property
    def size(self) -> int:
        """The number of bytes that it takes in memory, approximately."""
        headers = (*self.request_headers.items(), *self.answer_headers.items())
        texts = (self.what, self.about, self.url or "", self.request, self.answer)
        return (
            _BYTES_BESIDE_TEXT
            + sum(len(text.encode("utf-8", "replace")) for text in texts)
            + sum(len(name) + len(value) for name, value in headers)
        )

    def curl(self) -> str:
        """Write the request as a command for a shell; a secret header is a variable to set first.

        Returns:
            The command, as one line.

        Raises:
            ArgumentValueError: The exchange is one of the chat.
        """
        if self.url is None:
            raise ArgumentValueError("a stanza is no request, so there is no curl for it")
        method = self.what.partition(" ")[0]
        words = ["curl", "--request", method, shlex.quote(self.url)]
        for name, value in self.request_headers.items():
            if name.lower() in _OF_CURL:
                continue
            if value == MASK:
                variable = name.upper().replace("-", "_")
                words.append(f'--header "{name}: ${variable}"')
            else:
                words.append(f"--header {shlex.quote(f'{name}: {value}')}")
        if self.request:
            words.append(f"--data-raw {shlex.quote(self.request)}")
        return " ".join(words)


class Exchanges:
    """The log of one emulator: ``record()`` begins, ``stop()`` ends, ``find()`` reads.

    The log keeps the newest 8 MiB. A program gets this object from ``Emulator.exchanges``. Every method may
    be called from any thread.

    Example:
        >>> emulator.exchanges.record()
        >>> handle = chat.send_private(bob_id, "Hello")
        >>> sent = handle.result()
        >>> len(emulator.exchanges.find(side="chat")) > 0
        True
        >>> emulator.exchanges.stop()
    """

    def __init__(self) -> None:
        self.active: bool = False
        """Whether anybody asks for exchanges; the servers look at it before they do anything."""
        self.left_out: int = 0
        """How many exchanges made room for newer ones."""
        self._log: deque[Exchange] = deque()
        self._bytes = 0
        self._next_id = 1
        self._recording = False
        self._watchers: tuple[Callable[[Exchange], None], ...] = ()
        self._lock = threading.Lock()

    @property
    def recording(self) -> bool:
        """Whether exchanges are recorded until ``stop()``, also while no page is open."""
        return self._recording

    def record(self) -> None:
        """Record from now on, until ``stop()``."""
        with self._lock:
            self._recording = True
            self._update()

    def stop(self) -> None:
        """Stop recording, unless a page is open that asks for exchanges. The log stays."""
        with self._lock:
            self._recording = False
            self._update()

    def clear(self) -> None:
        """Empty the log."""
        with self._lock:
            self._log.clear()
            self._bytes = 0
            self.left_out = 0

    def find(
        self,
        *,
        user_id: int | None = None,
        side: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Exchange]:
        """Return exchanges, oldest first.

        Args:
            user_id: The user whose exchanges to return; None for all.
            side: "rest", "storage" or "chat"; None for all.
            after: Only exchanges with a larger id.
            limit: How many at most, the newest; None for all.

        Returns:
            The exchanges.

        Raises:
            ArgumentTypeError: An argument has the wrong type.
            ArgumentValueError: An argument has a value that is not allowed.
        """
        if user_id is not None:
            check_int("user_id", user_id)
        if side is not None:
            check_one_of("side", side, (REST, STORAGE, CHAT))
        check_int("after", after, least=0)
        if limit is not None:
            check_int("limit", limit, least=1)
        with self._lock:
            found = [
                each
                for each in self._log
                if each.id > after and user_id in (None, each.user_id) and side in (None, each.side)
            ]
        return found if limit is None else found[-limit:]

    def get(self, exchange_id: int) -> Exchange:
        """Return one exchange.

        Args:
            exchange_id: The id.

        Returns:
            The exchange.

        Raises:
            LookupError: The log does not have it, or not any more.
        """
        with self._lock:
            for each in self._log:
                if each.id == exchange_id:
                    return each
        raise LookupError(f"the log has no exchange {exchange_id}")

    # --- for the emulator, on its thread ------------------------------------------------------------

    def watch(self, watcher: Callable[[Exchange], None]) -> None:
        """Record while somebody watches, and tell each exchange."""
        with self._lock:
            self._watchers = (*self._watchers, watcher)
            self._update()

    def unwatch(self, watcher: Callable[[Exchange], None]) -> None:
        """Stop to tell."""
        with self._lock:
            self._watchers = tuple(each for each in self._watchers if each != watcher)
            self._update()

    def add(self, **values: object) -> None:
        """Keep an exchange, whose secrets are masked already; the oldest make room for it."""
        fields: dict[str, Any] = values
        for name in ("request", "answer"):
            fields[name] = _shortened(fields.get(name, ""))
        with self._lock:
            exchange = Exchange(id=self._next_id, **fields)
            self._next_id += 1
            self._log.append(exchange)
            self._bytes += exchange.size
            while self._bytes > _MOST_BYTES:
                self._bytes -= self._log.popleft().size
                self.left_out += 1
        for watcher in self._watchers:
            watcher(exchange)

    def _update(self) -> None:
        self.active = self._recording or bool(self._watchers)


def _shortened(text: str) -> str:
    if len(text) <= _MOST_TEXT:
        return text
    return f"{text[:_MOST_TEXT]} … and {len(text) - _MOST_TEXT:,} more characters"
