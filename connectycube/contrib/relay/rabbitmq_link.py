"""One connection to RabbitMQ with one channel, on its own thread, as those of pika are for one thread."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from connectycube.errors import ArgumentValueError

from ..common.extras import extra

with extra("relay-rabbitmq", "pika"):
    import pika
    import pika.adapters.select_connection
    import pika.exceptions
    from pika.spec import Basic

from .errors import EngineFullError, EngineSettingsError, EngineUnavailableError

__all__ = [
    "BLOCKED",
    "REFUSED",
    "WAIT",
    "Basic",
    "Link",
    "blocking",
    "engine_errors",
    "parameters_of",
    "pika",
]

logger: logging.Logger = logging.getLogger("connectycube.relay")

WAIT = 10.0
"""Seconds for an answer of the broker."""
REFUSED = "RabbitMQ refused the event: a queue has no room (start more workers), or no leader at the moment"
BLOCKED = "RabbitMQ takes nothing more, as it has no memory or disk left"
_HEARTBEAT = 10  # seconds; two are missed before a silent broker counts as lost
_REFUSED = frozenset({402, 403, 404, 406, 530})
"""Reply codes that say that names, types or permissions are wrong."""


def parameters_of(url: str) -> list[Any]:
    """Return how to connect to each node of a URL; several are separated by commas."""
    found: list[Any] = []
    for each in url.split(","):
        try:
            parameters = pika.URLParameters(each.strip())
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise ArgumentValueError(f"url is no URL of AMQP: {error}") from None
        parameters.heartbeat = _HEARTBEAT
        parameters.socket_timeout = parameters.stack_timeout = WAIT
        parameters.blocked_connection_timeout = WAIT
        # The callers try again themselves, with a back-off and in the order of the nodes.
        parameters.connection_attempts = 1
        found.append(parameters)
    # So that the clients of a cluster share its nodes, and a node that is gone costs each of them little.
    random.shuffle(found)
    return found


@contextmanager
def engine_errors() -> Generator[None]:
    """Raise this package's errors in place of those of pika."""
    try:
        yield
    except (pika.exceptions.AMQPError, OSError) as error:
        raise error_of(error) from error


def error_of(error: BaseException) -> Exception:
    """Return this package's error for one of pika."""
    text = str(error) or type(error).__name__
    code = getattr(error, "reply_code", None)
    if isinstance(
        error,
        (
            pika.exceptions.ProbableAuthenticationError,
            pika.exceptions.ProbableAccessDeniedError,
            pika.exceptions.AuthenticationError,
        ),
    ):
        return EngineSettingsError(f"RabbitMQ refuses the credentials of the URL: {text}")
    if code in _REFUSED:
        return EngineSettingsError(
            f"what RabbitMQ has does not fit to these settings (types, limit, permissions): {text}"
        )
    if isinstance(error, pika.exceptions.NackError):
        return EngineFullError(REFUSED)
    if isinstance(error, pika.exceptions.UnroutableError):
        return EngineSettingsError("RabbitMQ has no queue for this: declare the topic first")
    return EngineUnavailableError(f"RabbitMQ cannot be reached: {text}")


@contextmanager
def blocking(parameters: Sequence[Any]) -> Generator[Any]:
    """Open a connection for some calls on this thread, and close it."""
    with engine_errors():
        connection = pika.BlockingConnection([*parameters])
        try:
            yield connection
        finally:
            with suppress(pika.exceptions.AMQPError, OSError):
                connection.close()


class Link:
    """A connection with a channel; its callbacks run on the thread ``name``.

    Args:
        parameters: How to connect to each node, of which the first that answers is used.
        name: The name of the thread.
        on_open: Called with the channel once it is open, on the thread of the link.
        on_lost: Called with the error when the connection has ended, on the thread of the link.
    """

    def __init__(
        self,
        parameters: Sequence[Any],
        name: str,
        on_open: Callable[[Any], object],
        on_lost: Callable[[Exception], object],
    ) -> None:
        self._name = name
        self._on_open = on_open
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._ended = False
        self._free = threading.Event()  # the broker takes messages, or the connection has ended
        self._free.set()
        self._freed_at = -math.inf
        failure: Exception = EngineUnavailableError("no URL of RabbitMQ is given")
        for each in parameters:
            try:
                self._open(each)
                return
            except EngineUnavailableError as error:
                failure = error
        raise failure

    @property
    def is_open(self) -> bool:
        """Whether the connection has not ended."""
        return not self._ended

    @property
    def is_blocked(self) -> bool:
        """Whether the broker takes nothing more, as it has no memory or disk left."""
        return not self._free.is_set()

    def wait_until_free(self, seconds: float) -> bool:
        """Wait until the broker takes messages, or the connection has ended; return whether that is so."""
        return self._free.wait(seconds)

    def was_blocked_since(self, moment: float) -> bool:
        """Whether the broker has taken nothing for a while since a moment of ``time.monotonic()``."""
        return self.is_blocked or self._freed_at >= moment

    def _open(self, parameters: Any) -> None:
        opened: Future[None] = Future()
        self._ended = False
        # A link waits for the end of an alarm: what it has published is in the broker's hands already.
        parameters.blocked_connection_timeout = None
        self._loop = pika.adapters.select_connection.IOLoop()
        self._channel: Any = None

        def open_channel(connection: Any) -> None:
            connection.add_on_connection_blocked_callback(partial(self._block, True))
            connection.add_on_connection_unblocked_callback(partial(self._block, False))
            connection.channel(on_open_callback=channel_opened)

        def channel_opened(channel: Any) -> None:
            self._channel = channel
            channel.add_on_close_callback(channel_closed)
            self._on_open(channel)
            if not opened.done():
                opened.set_result(None)

        def channel_closed(channel: Any, error: BaseException) -> None:
            # A channel that the broker closed takes the connection along: half of a link would look
            # alive.
            if not connection.is_closing and not connection.is_closed:
                connection.close()
            lost(None, error)

        def lost(_: Any, error: BaseException | str) -> None:
            found = error if isinstance(error, BaseException) else OSError(error)
            failure = error_of(found)
            with self._lock:
                # Both ends may be noticed, of the channel and of the connection; it is told once.
                was_ended, self._ended = self._ended, True
            self._free.set()
            if not opened.done():
                opened.set_exception(failure)
            elif not was_ended:
                self._on_lost(failure)

        def closed(_: Any, error: BaseException) -> None:
            lost(_, error)
            self._loop.stop()

        connection = pika.SelectConnection(
            parameters,
            on_open_callback=open_channel,
            on_open_error_callback=closed,
            on_close_callback=closed,
            custom_ioloop=self._loop,
        )
        self._connection = connection
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        try:
            # TCP, the login and the channel may each take one WAIT.
            opened.result(3 * WAIT)
        except FutureTimeoutError:
            self.close()
            raise EngineUnavailableError("RabbitMQ did not answer in time") from None
        except Exception:
            self._thread.join(WAIT)
            raise

    def _block(self, is_blocked: bool, *_: object) -> None:
        if is_blocked:
            logger.warning("%s", BLOCKED)
            self._free.clear()
        else:
            logger.warning("RabbitMQ takes messages again")
            self._freed_at = time.monotonic()
            self._free.set()

    def _run(self) -> None:
        try:
            self._loop.start()
        finally:
            self._loop.close()

    def call(self, function: Callable[[Any], object]) -> None:
        """Call ``function(channel)`` on the thread of the link; raises EngineUnavailableError."""
        with self._lock:
            if not self._ended:
                # Under the lock: after the end the loop is closed, and would raise.
                self._loop.add_callback_threadsafe(lambda: self._guarded(function))
                return
        raise EngineUnavailableError("the connection to RabbitMQ was lost")

    def _guarded(self, function: Callable[[Any], object]) -> None:
        if self._channel.is_open:
            # The channel may have closed between the call and this moment; the loss is told elsewhere.
            function(self._channel)

    def close(self) -> None:
        """Close the connection in good order, and wait for its thread.

        A broker that takes nothing does not read that either, so then the connection is cut.
        """
        if self.is_blocked:
            self.abort()
        else:
            self._end(self._close)

    def abort(self) -> None:
        """Cut the connection, and wait for its thread.

        After a close in good order RabbitMQ (3.10) gives the next consumer of a queue the event *behind* the
        one that was not acknowledged, and only then that one. After a cut it keeps the order.
        """
        # This is how pika itself cuts a connection whose heartbeats fail; it has no public way.
        failure = pika.exceptions.StreamLostError("closed by this process")
        cut: Callable[[Exception], None] = getattr(self._connection, "_terminate_stream")  # noqa: B009
        self._end(partial(cut, failure))

    def _end(self, end: Callable[[], object]) -> None:
        with self._lock:
            if not self._ended:
                self._ended = True
                self._loop.add_callback_threadsafe(end)
        self._free.set()
        # A callback of the link may end it, and cannot wait for its own thread.
        if threading.current_thread() is not self._thread:
            self._thread.join(WAIT)

    def _close(self) -> None:
        if self._connection.is_closed:
            self._loop.stop()
        elif not self._connection.is_closing:
            self._connection.close()
