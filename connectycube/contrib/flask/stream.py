"""A live page: the messages of a dialog as server-sent events, from history, woken by the bell.

No chat connection is needed: the stream reads history over REST as the page's user, from the position that
the browser sends back after a lost connection. So whatever process is killed, the page goes on where it was.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence

from attrs import define, field

from connectycube import ApiError, ApiResponseError, ConnectyCube, ConnectyCubeError, Message

from .bell import Bell, Waiter
from .position import Position, stored_at

__all__ = [
    "MOST_HISTORY",
    "DialogReader",
    "EventStream",
    "come_back_later",
    "first_blocks",
    "is_temporary",
]

logger: logging.Logger = logging.getLogger("connectycube.flask")

MOST_HISTORY = 100  # a page of the service
_MOST_MISSED = 10_000  # messages
_RETRY = 1_000  # milliseconds after which a browser comes back
_RETRY_AFTER_ERROR = 5_000
_LEAST_PAUSE = 0.1  # seconds between two looks, however often the bell rings
_AGAIN = 0.4  # a message may be delivered a moment before history has it
_RUNG_FOR = 2.0  # seconds after a ring in which to look again
_SECONDS = 10.0  # for one request: a service that hangs holds up the end of the server no longer
_LONGEST_PAUSE = 30.0  # seconds between two looks that fail


@define
class DialogReader:
    """Reads what is new in a dialog, as one user."""

    client: ConnectyCube
    dialog_id: str
    position: Position

    def begin(self, history: int) -> list[Message]:
        """Go to the end of the dialog; return the newest messages, the oldest first.

        Raises:
            ApiError: The user may not read the dialog, or the request failed.
        """
        page = self.client.messages.list(
            self.dialog_id,
            limit=MOST_HISTORY,
            sort="-date_sent",
            mark_as_read=False,
            timeout=_SECONDS,
        )
        newest = list(page)[::-1]
        for message in sorted(newest, key=lambda message: stored_at(message, 0)):
            self.position.add(message)
        return newest[len(newest) - history :] if history else []

    def look(self) -> list[Message] | None:
        """Return what is new, in the order in which the service stored it; None if it is too much.

        Raises:
            ApiError: The user may not read the dialog any more, or a request failed.
        """
        since = self.position.since
        found = self.client.messages.iter(
            self.dialog_id, updated_at__gte=since, mark_as_read=False, timeout=_SECONDS
        )
        new: list[Message] = []
        for message in found:
            if self.position.is_new(message):
                new.append(message)
            if len(new) > _MOST_MISSED:
                return None
        # Stable: within a second they keep history's order.
        return sorted(new, key=lambda message: stored_at(message, self.position.at))


def first_blocks(reader: DialogReader, *, is_resumed: bool, history: int) -> list[bytes]:
    """Return what a stream begins with. The first request is made here, so it asks for the permission, too.

    Raises:
        ApiError: The user may not read the dialog, or the request failed.
    """
    if is_resumed:
        new = reader.look()
        if new is not None:
            return [_retry(_RETRY), *_blocks_of(reader.position, new)]
    return [_retry(_RETRY), *_beginning(reader, history)]


def come_back_later() -> list[bytes]:
    """Return the blocks for a browser that is to come back: any status but 200 would end it for good."""
    return [_retry(_RETRY_AFTER_ERROR)]


def is_temporary(error: ConnectyCubeError) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, ApiResponseError):
        return error.status == 429 or error.status >= 500
    return isinstance(error, ApiError)


def _beginning(reader: DialogReader, history: int) -> list[bytes]:
    """Return ``begin`` and the newest messages; the last block alone has an id, as a part is no whole."""
    messages = reader.begin(history)
    contents = [("begin", "{}"), *(("message", _json(message)) for message in messages)]
    *others, (name, data) = contents
    return [
        *(_block(data, event=name) for name, data in others),
        _block(data, event=name, id=str(reader.position)),
    ]


def _blocks_of(position: Position, messages: Sequence[Message]) -> Iterator[bytes]:
    for message in messages:
        position.add(message)
        yield _block(_json(message), event="message", id=str(position))


def _json(message: Message) -> str:
    return json.dumps(message.to_dict())  # on one line


def _retry(milliseconds: int) -> bytes:
    return f"retry: {milliseconds}\n\n".encode()


def _block(data: str, *, event: str, id: str | None = None) -> bytes:
    place = "" if id is None else f"id: {id}\n"
    return f"{place}event: {event}\ndata: {data}\n\n".encode()


@define(eq=False)
class EventStream:
    """The body of the response: blocks of bytes, without end unless something ends it.

    It is an object and not a generator: a server calls ``close()`` also if it never asked for the first
        block,
    as for HEAD, and a generator that was not started runs no ``finally``.

    Args:
        reader: Reads the dialog.
        first: The blocks that are known already.
        history: How many messages of history it shows if the last position is unknown.
        bell: The bell of this process.
        poll: Seconds between two looks without a ring.
        heartbeat: Seconds of silence after which the browser is sent a comment.
        goes_on: Whether it waits for news; otherwise it ends, and the browser comes back.
        owns_client: Whether the client is closed at the end.
    """

    reader: DialogReader
    first: list[bytes]
    history: int
    bell: Bell
    poll: float
    heartbeat: float
    goes_on: bool
    owns_client: bool
    _waiter: Waiter | None = field(default=None, init=False)
    _blocks: Iterator[bytes] = field(init=False)
    _is_closed: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)
    _last_sent: float = field(factory=time.monotonic, init=False)
    _last_rung: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._blocks = self._run()
        if self.goes_on:  # now, so that it counts, and no ring is missed
            self._waiter = self.bell.wait_for(self.reader.dialog_id)

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> bytes:
        """Return the next block; wait for it."""
        try:
            block = next(self._blocks)
        except BaseException:
            self.close()
            raise
        self._last_sent = time.monotonic()
        return block

    def close(self) -> None:
        """End it: the browser has gone, or the server ends. May be called more than once."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._waiter is not None:
            self.bell.forget(self._waiter)
        if self.owns_client:
            self.reader.client.close()

    def _run(self) -> Iterator[bytes]:
        yield b"".join(self.first)
        if self._waiter is None:
            return
        found: Sequence[bytes] | None = ()
        while found is not None and not self._is_over():
            yield from self._wait(self._waiter, self._pause(bool(found)))
            if not self._is_over():
                found = self._look()
                yield from found or ()

    def _is_over(self) -> bool:
        return self._is_closed or self.bell.is_ending

    # --- waiting ---

    def _pause(self, has_found: bool) -> float:
        """Return the seconds until the next look, if the bell does not ring."""
        if self._failures:
            return float(min(2**self._failures, _LONGEST_PAUSE))
        is_awaited = not has_found and time.monotonic() < self._last_rung + _RUNG_FOR
        return min(_AGAIN, self.poll) if is_awaited else self.poll

    def _wait(self, waiter: Waiter, seconds: float) -> Iterator[bytes]:
        """Wait for the bell, or so many seconds; yield a comment after each silence of ``heartbeat``."""
        began = time.monotonic()
        earliest, due = began + _LEAST_PAUSE, began + seconds
        while not self._is_over():
            now = time.monotonic()
            is_rung = waiter.rung.is_set()
            until = earliest if is_rung and not self._failures else due
            if now >= until:
                break
            if now >= self._last_sent + self.heartbeat:
                yield b":\n\n"  # a write is also how a server notices that the browser has gone
                continue
            pause = min(until, self._last_sent + self.heartbeat) - now
            if is_rung:
                time.sleep(min(pause, _LEAST_PAUSE))
            else:
                waiter.rung.wait(pause)
        # Before the look, so that a ring during it leads to another one.
        if waiter.rung.is_set():
            waiter.rung.clear()
            self._last_rung = time.monotonic()

    # --- looking ---

    def _look(self) -> Sequence[bytes] | None:
        """Return the blocks of what is new; None if the stream has to end."""
        try:
            new = self.reader.look()
            blocks = (
                _beginning(self.reader, self.history)
                if new is None
                else list(_blocks_of(self.reader.position, new))
            )
        except ConnectyCubeError as error:
            return self._failed(error)
        self._failures = 0
        return blocks

    def _failed(self, error: ConnectyCubeError) -> Sequence[bytes] | None:
        if not is_temporary(error):
            # The browser comes back, and is told why by the status of the answer.
            logger.info("a stream of dialog %s ends: %s", self.reader.dialog_id, error)
            return None
        if self._failures == 0:  # once an outage
            logger.warning(
                "dialog %s cannot be read for the moment: %s", self.reader.dialog_id, error
            )
        self._failures += 1
        return ()
