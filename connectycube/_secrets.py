"""Secrets: values that show themselves only where they are opened, and frames that keep nothing of them.

A traceback holds the frames of a call with their locals, and error reports print these. So a public function
that takes a secret is under :func:`hides`: its frame, and all frames below it, hold a :class:`Secret`. The
value is opened where it is written to the socket, signed or stored. Where a library's frames must see it
there, :func:`confined` clears their locals if an error passes through.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from itertools import zip_longest
from typing import Any, NoReturn, TypeVar, cast

from ._checks import check_str

__all__ = ["Secret", "check_secret", "clear_locals", "confined", "hides"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_CLEARED = {"connectycube", "requests", "urllib3", "http", "ssl", "socket", "json", "attr"}
"""The packages whose frames may hold secrets. An application's frames keep their locals."""
# The file name of a method that attrs has generated begins so. Its frame names no module.
_GENERATED = "<attrs generated"


class Secret:
    """A value that no repr, text, format or pickle shows; immutable, so threads may share it.

    Args:
        value: The value, or a Secret with the value.
    """

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value: Any = value.open() if isinstance(value, Secret) else value

    def open(self) -> Any:
        """Return the value. The caller keeps it in no local: ``send(secret.open())``."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return bool(self._value == other._value) if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memory: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not written to a pickle")


def _hidden(value: object) -> object:
    return None if value is None else Secret(value)


def hides(*names: str, known: Collection[str] = ()) -> Callable[[_Function], _Function]:
    """Hand the named arguments to a function as Secrets; None stays None.

    An argument that the function does not have is hidden as well: it may be a secret under a wrong name.

    Args:
        names: The names of the arguments that are secrets.
        known: The names that the function takes as ``**keywords``.
    """

    def decorate(function: _Function) -> _Function:
        parameters = inspect.signature(function).parameters.values()
        positional = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        shown = {each.name for each in parameters if each.kind is not each.VAR_KEYWORD}
        shown = (shown | set(known)) - set(names)

        @functools.wraps(function)
        def hiding(*arguments: object, **keywords: object) -> object:
            try:
                arguments = tuple(
                    value if name in shown else _hidden(value)
                    for name, value in zip_longest(positional[: len(arguments)], arguments)
                )
                keywords = {
                    name: value if name in shown else _hidden(value)
                    for name, value in keywords.items()
                }
            except BaseException as error:  # of a signal handler: they are not hidden yet
                del arguments, keywords
                clear_locals(error)
                raise
            return function(*arguments, **keywords)

        return cast("_Function", hiding)

    return decorate


def confined(function: _Function) -> _Function:
    """Clear the locals of all frames inside a function if an error leaves it."""

    @functools.wraps(function)
    def confining(*arguments: object, **keywords: object) -> object:
        try:
            return function(*arguments, **keywords)
        except BaseException as error:  # also a KeyboardInterrupt in the middle of a request
            del arguments, keywords
            clear_locals(error)
            raise

    return cast("_Function", confining)


def clear_locals(error: BaseException) -> None:
    """Clear the locals of the finished frames in the tracebacks of an error and of those it is chained to.

    The lines stay. The frames of application code, such as a ``renew_session``, keep their locals.
    """
    pending, seen = [error], {id(error)}
    for each in pending:  # the list grows while it is read
        entry = each.__traceback__
        while entry is not None:
            frame, entry = entry.tb_frame, entry.tb_next
            module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if module in _CLEARED or frame.f_code.co_filename.startswith(_GENERATED):
                try:
                    frame.clear()
                except RuntimeError:
                    pass  # it still runs: its function handles the error, or lets it pass
        for other in (each.__cause__, each.__context__):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                pending.append(other)


@confined
def check_secret(name: str, value: object) -> Secret:
    """Return ``value`` as a Secret if it is a string that is not empty; errors do not repeat it."""
    secret = Secret(value)
    check_str(name, secret.open())
    return secret
