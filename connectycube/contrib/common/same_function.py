"""Refuses a second handler of the same name: durable mode knows a handler by its name alone."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Protocol

from connectycube.errors import ArgumentValueError

__all__ = ["check_same_function"]


class _Handler(Protocol):
    @property
    def function(self) -> Any: ...
    @property
    def name(self) -> str: ...
    @property
    def signal(self) -> str: ...


def check_same_function(handler: _Handler, before: _Handler | None, advice: str) -> None:
    """Raise ArgumentValueError if a handler would silently replace another function of the same name.

    A module that is imported again brings the same functions, and they may replace the earlier ones.

    Args:
        handler: The new handler.
        before: The handler that has its name already, or None.
        advice: How to give the two different names, for the error.
    """
    if before is not None and _identity_of(before.function) != _identity_of(handler.function):
        raise ArgumentValueError(
            f"there are two handlers {handler.name} of {handler.signal}: {advice}"
        )


def _identity_of(function: Any) -> object:
    """Return what tells functions of the same name apart, and stays the same in a new import."""
    if isinstance(function, functools.partial):
        return function.args, function.keywords, _identity_of(function.func)
    if inspect.ismethod(function):
        return id(function.__self__)
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else id(function)
