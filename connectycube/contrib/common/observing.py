"""Observers of every client of the process, beside the observer that an application gives its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from connectycube import Config, Observer

from .patching import Patch

__all__ = ["Observers", "is_told", "unwatch", "watch"]


class Observers(Observer):
    """Several observers as one. Each is told, whatever another one raises."""

    def __init__(self, *members: Observer) -> None:
        self.members = members

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.members!r}"


def _method(name: str) -> Callable[..., None]:
    # What the first one begins before a receiver, it ends after all others.
    is_end = name == "receiver_ended"

    def tell(self: Observers, *arguments: Any) -> None:
        with ExitStack() as stack:  # calls the last one first, and goes on after an error
            for member in self.members if is_end else reversed(self.members):
                stack.callback(getattr(member, name), *arguments)

    tell.__name__ = name
    tell.__doc__ = f"Call ``{name}`` of each observer."
    return tell


for _name in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(Observers, _name, _method(_name))


class _Watch:
    """What watches the clients of this process."""

    def __init__(self) -> None:
        self.observers: tuple[Observer, ...] = ()
        self.patch: Patch | None = None

    def set(self, observers: tuple[Observer, ...]) -> None:
        """Watch with these from now on; ``Config`` is as it was if there are none."""
        self.observers = observers
        if observers and self.patch is None:
            self.patch = Patch(Config, "__init__", self._make_config)
        elif not observers and self.patch is not None:
            self.patch.undo()
            self.patch = None

    def _make_config(
        self,
        make: Callable[..., None],
        config: Config,
        *arguments: Any,
        observer: Observer | None = None,
        **fields: Any,
    ) -> None:
        try:
            make(*arguments, observer=self._with(observer), **fields)
        except BaseException:
            del arguments, fields  # the key of the application is among them
            raise

    def _with(self, observer: Any) -> Any:
        """Return the observer with those that watch; what is none as it is, for the error of ``Config``."""
        if observer is None:
            members: tuple[Observer, ...] = ()
        elif isinstance(observer, Observers):  # of a configuration that is made from another one
            members = observer.members
        elif isinstance(observer, Observer):
            members = (observer,)
        else:
            return observer
        missing = [each for each in self.observers if each not in members]
        return Observers(*missing, *members) if missing else observer


_watch = _Watch()


def watch(observer: Observer) -> None:
    """Have an observer told of every client whose configuration is made from now on.

    Call it from one thread at a time.

    Args:
        observer: It is told before the observer of the application. It must raise nothing.
    """
    _watch.set((*_watch.observers, observer))


def unwatch(observer: Observer) -> None:
    """End what ``watch`` began, for clients that are made from now on; the others still tell the observer.

    Args:
        observer: That of ``watch``.
    """
    _watch.set(tuple(each for each in _watch.observers if each is not observer))


def is_told(config: Config, observer: Observer) -> bool:
    """Whether the clients of a configuration tell an observer.

    Args:
        config: The configuration.
        observer: That of ``watch``.
    """
    found = config.observer
    return found is observer or (isinstance(found, Observers) and observer in found.members)
