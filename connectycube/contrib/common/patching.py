"""A method or a property that is replaced for as long as an integration is on, and put back afterwards."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["Patch"]


class Patch:
    """A replaced method: ``wrapper(original, instance, *arguments, **keywords)`` is called in its place.

    A property is replaced by another one: ``wrapper(original, instance)`` returns its value.

    Args:
        owner: The class.
        name: The name of its method or property.
        wrapper: Calls the original, or does not.
    """

    def __init__(self, owner: type, name: str, wrapper: Callable[..., Any]) -> None:
        self._owner = owner
        self._name = name
        self._is_on = True
        self._original = found = inspect.getattr_static(owner, name)
        original: Any = found.fget if isinstance(found, property) else found

        @functools.wraps(original)
        def replaced(instance: Any, *arguments: Any, **keywords: Any) -> Any:
            try:
                if not self._is_on:
                    return original(instance, *arguments, **keywords)
                return wrapper(
                    functools.partial(original, instance), instance, *arguments, **keywords
                )
            except BaseException:
                del arguments, keywords  # they may be secrets, which no traceback is to hold
                raise

        self._replaced = property(replaced) if isinstance(found, property) else replaced
        setattr(owner, name, self._replaced)

    def undo(self) -> None:
        """Put the original back. Under a wrapper of somebody else this one stays, and does nothing."""
        self._is_on = False
        if vars(self._owner).get(self._name) is self._replaced:
            setattr(self._owner, self._name, self._original)
