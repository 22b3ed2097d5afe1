"""Whether two functions of the same name are one: durable mode knows a handler by its name alone."""

from __future__ import annotations

import functools
import inspect
from typing import Any

__all__ = ["is_same_function"]


def is_same_function(one: Any, other: Any) -> bool:
    """Whether two functions of the same name are one, which was perhaps imported anew.

    Otherwise the second one would take the place of the first one silently.
    """
    return _identity_of(one) == _identity_of(other)


def _identity_of(function: Any) -> object:
    """Return what tells functions of the same name apart, and stays the same in a new import."""
    if isinstance(function, functools.partial):
        return function.args, function.keywords, _identity_of(function.func)
    if inspect.ismethod(function):
        return id(function.__self__)
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else id(function)
