"""Signals: where receivers are connected. (blinker, with the promises this package makes.)"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import blinker

from ..errors import ArgumentTypeError

__all__ = ["Signal", "name_of"]

Receiver = TypeVar("Receiver", bound=Callable[..., Any])


class _InOrder(dict[Any, None]):
    """The part of a set's interface that blinker uses, in the order of insertion."""

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)


class Signal(blinker.Signal):
    """A kind of event of one chat connection; connect a receiver with ``signal.connect``.

    Receivers are called as ``receiver(chat, event)`` with one frozen event object, in the order
    they were connected, on a dispatcher worker. They are held strongly unless ``weak=True``, may be
    connected at any time from any thread, and survive reconnects. Coroutine functions are refused.
    ``connect`` works as a decorator and returns the receiver.
    """

    set_class = _InOrder  # type: ignore[assignment]

    def __init__(self, name: str, doc: str) -> None:
        super().__init__(doc)
        self.name = name
        self._lock = threading.RLock()  # a weak receiver may be collected while it is held

    def connect(
        self, receiver: Receiver, sender: Any = blinker.ANY, weak: bool = False
    ) -> Receiver:
        """Have ``receiver(chat, event)`` called for every event; returns ``receiver``.

        Raises ArgumentTypeError if it is not callable or is a coroutine function.
        """
        if not callable(receiver):
            raise ArgumentTypeError(f"receiver must be callable, not {type(receiver).__name__}")
        inner: Any = receiver
        while isinstance(inner, functools.partial):
            inner = inner.func
        if inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(
            getattr(inner, "__call__", None)  # noqa: B004
        ):
            raise ArgumentTypeError(
                f"receiver {name_of(receiver)} is a coroutine function; this SDK calls plain functions"
            )
        with self._lock:
            return super().connect(receiver, sender, weak)

    def disconnect(self, receiver: Callable[..., Any], sender: Any = blinker.ANY) -> None:
        """No longer call ``receiver``; one that was not connected is ignored."""
        with self._lock:
            super().disconnect(receiver, sender)

    def receivers_for(self, sender: Any) -> Iterator[Callable[..., Any]]:  # type: ignore[override]
        """Yield the receivers connected at this moment, in their order."""
        if self.is_muted:
            return iter(())
        with self._lock:
            return iter(list(super().receivers_for(sender)))

    def disconnect_all(self) -> None:
        """Forget every receiver."""
        with self._lock:
            self._clear_state()

    def renew_lock(self) -> None:
        """Replace the lock in a forked child: a thread that is gone may hold the old one."""
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<Signal {self.name}>"


def name_of(receiver: Any) -> str:
    """How a receiver is called in logs and errors: module and qualified name."""
    while isinstance(receiver, functools.partial):
        receiver = receiver.func
    name = getattr(receiver, "__qualname__", None) or type(receiver).__qualname__
    return f"{getattr(receiver, '__module__', None) or '?'}.{name}"
