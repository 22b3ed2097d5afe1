"""Containers with unchecked contents: ``isinstance`` knows the container, type checkers what is inside.

``isinstance(value, dict)`` makes a dict of unknown keys and values of it. These names say that both may be
anything. At run time they are the classes themselves: a check costs what it cost before, and the factory of
a field makes a plain dict. Only values of unknown type need them: a Mapping with known contents stays one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

__all__ = [
    "AnyDict",
    "AnyIterable",
    "AnyList",
    "AnyMapping",
    "AnyPath",
    "AnySequence",
    "AnySet",
    "AnyTuple",
]

if TYPE_CHECKING:

    class AnyDict(dict[Any, Any]):
        """A dict."""

    class AnyList(list[Any]):
        """A list."""

    class AnySequence(Sequence[Any]):
        """A sequence."""

    class AnySet(set[Any]):
        """A set."""

    class AnyTuple(tuple[Any, ...]):
        """A tuple."""

    class AnyMapping(Mapping[Any, Any]):
        """A mapping."""

    class AnyIterable(Iterable[Any]):
        """Whatever can be iterated over."""

    class AnyPath(os.PathLike[str]):
        """A path that is no string."""
else:
    AnyDict, AnyList, AnySet, AnyTuple = dict, list, set, tuple
    AnyIterable, AnyMapping, AnySequence, AnyPath = Iterable, Mapping, Sequence, os.PathLike
