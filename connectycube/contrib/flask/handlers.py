"""Handlers: functions that the listener calls for the events of its chat, in a context of the application."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from attrs import frozen
from flask import Flask, current_app

from connectycube import Chat, Handling
from connectycube._checks import check_callable, check_str, name_of
from connectycube.errors import ArgumentTypeError

from ..common.signal_names import check_signal

__all__ = ["Handler", "connect", "context_of", "handler_of", "this_app"]


@frozen(kw_only=True)
class Handler:
    """A function with the name of its signal, and the options of ``connect``."""

    function: Callable[[Any, Any], object]
    signal: str
    name: str
    """Its key, or its module and qualified name: durable mode knows by it what has been handled."""
    where: Callable[[Any], object] | None = None
    handling: Handling | None = None

    def wants(self, event: Any) -> bool:
        """Whether it is called for an event."""
        return self.where is None or bool(self.where(event))


def this_app() -> Flask:
    """Return the current application itself, in place of the proxy for whichever is current."""
    return cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]


def handler_of(
    function: Callable[[Any, Any], object],
    signal: object,
    key: str | None,
    where: Callable[[Any], object] | None,
    handling: Handling | None,
) -> Handler:
    """Return a handler, or raise an error that names what is wrong with it."""
    name = check_signal(signal)
    check_callable("handler", function, "chat", "event")
    if where is not None:
        check_callable("where", where, "event")
    if handling is not None and not isinstance(handling, Handling):
        raise ArgumentTypeError(f"handling must be a Handling, not {type(handling).__name__}")
    known_as = name_of(function) if key is None else check_str("key", key)
    return Handler(function=function, signal=name, name=known_as, where=where, handling=handling)


def connect(chat: Chat, handler: Handler) -> None:
    """Connect a handler to its signal of a chat."""
    options: dict[str, Any] = {"key": handler.name}
    if handler.where is not None:
        options["where"] = handler.where
    if handler.handling is not None:
        options["handling"] = handler.handling
    getattr(chat, handler.signal).connect(handler.function, **options)


def context_of(app: Flask) -> Callable[..., AbstractContextManager[None]]:
    """Return what stands around each call: a context of the application, whose teardown sees the error."""

    @contextmanager
    def in_context(chat: Any, signal: str | None, event: Any, receiver: str) -> Generator[None]:
        with app.app_context():
            yield

    return in_context
