"""``@on``: functions that a bot calls for the events of its chat, and what stands around each call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, frozen
from django.conf import settings as django_settings
from django.db import close_old_connections, reset_queries
from django.utils.module_loading import autodiscover_modules

from connectycube._checks import check_callable, check_int, check_str, name_of, nearest
from connectycube.errors import ArgumentValueError

from ..common.same_function import check_same_function
from ..common.signal_names import check_signal
from .databases import KeptConnections
from .signals import SIGNALS, ChatSignal

if TYPE_CHECKING:
    from connectycube import Chat, Handling

__all__ = ["Handler", "around_receiver", "connect", "discover", "handlers_of", "on"]

Function = TypeVar("Function", bound=Callable[..., Any])


@frozen
class Handler:
    """A function with the name of its signal, and the bots that call it (None: all)."""

    function: Callable[[Any, Any], object]
    signal: str
    name: str
    """Module and qualified name: durable mode knows by it what has been handled."""
    bot: str | None = None
    attempts: int | None = None


_ADVICE = "give each a name of its own, a partial or a method by a function around it"
_handlers: dict[tuple[str, str, str | None], Handler] = {}
"""By signal, name and bot: a module that is imported again replaces its handlers."""


def on(
    signal: str | ChatSignal, bot: str | None = None, attempts: int | None = None
) -> Callable[[Function], Function]:
    """Return a decorator: the function is called as ``function(chat, event)`` for events of the signal.

    Write handlers in the module ``chat_handlers`` of an app: the listener imports it. They run on worker
    threads of the listener, each attempt with a database connection that works.

    Args:
        signal: The name of a signal of the chat, such as "message_received", or one of
            ``connectycube.contrib.django.signals``.
        bot: The name of the bot whose events are handled; None for those of every bot. The listener
            refuses to start if the setting has no such bot.
        attempts: How often the function runs for one event at most, if it raises transient errors. None: as
            ``HANDLING`` of the setting says.

    Returns:
        The decorator, which returns the function.

    Raises:
        ArgumentTypeError, ArgumentValueError: There is no such signal; an argument is wrong; the function
            cannot be called with ``(chat, event)``, or another one has its name.
    """
    name = check_signal(signal.name if isinstance(signal, ChatSignal) else signal)
    if bot is not None:
        check_str("bot", bot)
    if attempts is not None:
        check_int("attempts", attempts, least=1)

    def connected(function: Function) -> Function:
        check_callable("handler", function, "chat", "event")
        handler = Handler(function, name, name_of(function), bot, attempts)
        check_same_function(handler, _handlers.get((name, handler.name, bot)), _ADVICE)
        _handlers[name, handler.name, bot] = handler
        return function

    return connected


def discover(module: str, bots: Collection[str] = ()) -> None:
    """Import the module of that name in each app that has one, so that its handlers are known.

    Raises ArgumentValueError if a handler is for none of the ``bots``, where there are any: no bot would
    ever call it.
    """
    autodiscover_modules(module)
    for handler in _handlers.values():
        if bots and handler.bot is not None and handler.bot not in bots:
            raise ArgumentValueError(
                f"the handler {handler.name} is for the bot {handler.bot!r}, which is not in BOTS:"
                f" {nearest(handler.bot, bots)}"
            )


def handlers_of(bot: str) -> list[Handler]:
    """Return the handlers that a bot calls, in the order in which they were written."""
    return [handler for handler in _handlers.values() if handler.bot in (None, bot)]


# --- around each call -------------------------------------------------------------------------------


@contextmanager
def around_receiver(chat: Any, signal: str | None, event: Any, receiver: str) -> Generator[None]:
    """Do for one call what Django does for a request: no stale database connection before or after it."""
    if django_settings.DEBUG:
        reset_queries()  # otherwise a listener under DEBUG keeps every query forever
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


# --- connecting them to a chat ----------------------------------------------------------------------


def connect(
    chat: Chat, bot: str, handling: Handling, kept: KeptConnections | None = None
) -> list[Handler]:
    """Connect the handlers of a bot, and Django's signals, to its chat; return the handlers.

    Args:
        chat: The chat.
        bot: The name of the bot.
        handling: What follows when a handler raises.
        kept: Notes the connections that the worker threads keep open between calls.
    """

    @contextmanager
    def around(*call: Any) -> Generator[None]:
        with kept.noted() if kept is not None else nullcontext(), around_receiver(*call):
            yield

    chat.around(around)
    handlers = handlers_of(bot)
    for handler in handlers:
        function, options = handler.function, handling
        if handler.attempts is not None:
            counted = _Counted(function, handler.attempts, handling)
            function, options = counted, evolve(handling, transient=counted.passes)
        getattr(chat, handler.signal).connect(function, key=handler.name, handling=options)
    for name, signal in SIGNALS.items():
        bridge = _Bridge(signal, bot)
        key = f"connectycube.contrib.django.signals.{name}"
        getattr(chat, name).connect(bridge, key=key, where=bridge.wants, handling=handling)
    return handlers


class _Bridge:
    """Sends an event of the chat to the receivers of Django's signal."""

    def __init__(self, signal: ChatSignal, bot: str) -> None:
        self._signal = signal
        self._bot = bot

    def wants(self, event: object) -> bool:
        """Whether anybody listens."""
        return bool(self._signal.has_listeners(type(event)))

    def __call__(self, chat: Any, event: Any) -> None:
        # Not send_robust(): it would log the error with its traceback, and hide it from the repetition.
        self._signal.send(sender=type(event), chat=chat, event=event, bot=self._bot)


class _Counted:
    """A handler that runs at most so many times for one event of this process."""

    def __init__(
        self, function: Callable[[Any, Any], object], attempts: int, handling: Handling
    ) -> None:
        self._function = function
        self._attempts = attempts
        self._handling = handling
        self._failed: dict[int, tuple[Any, int]] = {}
        """By the event's id(); the event is held, so that no other has its id()."""
        self._current = threading.local()

    def __call__(self, chat: Any, event: Any) -> None:
        self._current.event = event
        self._function(chat, event)
        self._failed.pop(id(event), None)

    def passes(self, error: Exception) -> bool:
        """Whether the handler may run again; asked after each failed attempt, on its thread."""
        event = self._current.event
        _, failed = self._failed.pop(id(event), (event, 0))
        if failed + 1 >= self._attempts or not self._handling.passes(error):
            return False
        self._failed[id(event)] = event, failed + 1
        return True
