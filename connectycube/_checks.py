"""Checks of arguments: each names the argument and raises before anything is sent."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

from ._containers import AnyIterable, AnyList, AnyMapping, AnyTuple
from .errors import ArgumentTypeError, ArgumentValueError

__all__ = [
    "MILLISECONDS_FROM",
    "MOST_INT",
    "check_bool",
    "check_callable",
    "check_http_url",
    "check_id",
    "check_int",
    "check_json_object",
    "check_list",
    "check_number",
    "check_one_of",
    "check_str",
    "check_time",
    "keywords_only",
    "misspelt",
    "name_of",
    "nearest",
    "repr_of",
    "takes",
    "text_of",
    "to_install",
]

MILLISECONDS_FROM = 100_000_000_000
"""Above this a unix time counts milliseconds: as seconds it is the year 5138."""

MOST_INT = 2**63 - 1
"""The largest integer of the service. Python neither writes nor reads an int of thousands of digits."""

_DEEPEST = 32
_NOT_IN_IDS = re.compile("[ /?#,@]")
_TAKES_KEYWORDS = 0x08  # a flag of code objects: the function has a parameter like **others
_Method = TypeVar("_Method", bound=Callable[..., Any])


def check_str(name: str, value: object, *, empty: bool = False, longest: int | None = None) -> str:
    """Return ``value`` if it is a string, not empty unless allowed, at most ``longest`` characters."""
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} must be a string, not {type(value).__name__}")
    if not value and not empty:
        raise ArgumentValueError(f"{name} must not be empty")
    if longest is not None and len(value) > longest:
        raise ArgumentValueError(
            f"{name} has {len(value)} characters; at most {longest} are allowed"
        )
    try:
        value.encode()
        return value
    except UnicodeEncodeError:
        pass
    # Raised here and not in the handler: the error of Python holds the value, which may be a secret.
    raise ArgumentValueError(f"{name} holds half a surrogate pair, which UTF-8 cannot carry")


def check_http_url(name: str, value: object) -> SplitResult:
    """Return the parts of an http(s) URL with a host; no error repeats the URL, which may hold a secret."""
    text = check_str(name, value)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        raise ArgumentValueError(f"{name} must be an http(s) URL with a host")
    return parts


def check_int(name: str, value: object, *, least: int = -MOST_INT, most: int | None = None) -> int:
    """Return ``value`` if it is an int (no bool) within the bounds, by default those of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentTypeError(f"{name} must be an int, not {type(value).__name__}")
    most = MOST_INT if most is None else most
    if value < least or value > most:
        raise _out_of_bounds(name, value, least, most)
    return value


def check_number(
    name: str, value: object, *, least: float | None = None, most: float | None = None
) -> float:
    """Return ``value`` as a float if it is a finite number (no bool) within the bounds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentTypeError(f"{name} must be a number, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:  # an int beyond all floats
        number = math.inf if value > 0 else -math.inf
    if not math.isfinite(number):
        raise ArgumentValueError(f"{name} must be finite, not {number}")
    if (least is not None and number < least) or (most is not None and number > most):
        raise _out_of_bounds(name, value, least, most)
    return number


def check_bool(name: str, value: object) -> bool:
    """Return ``value`` if it is a bool."""
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be a bool, not {type(value).__name__}")
    return value


def check_id(name: str, value: object) -> str:
    """Return ``value`` if it is an opaque id: a non-empty string without spaces, slashes or controls.

    White space around it is left out, as it comes along from files and terminals.
    """
    text = check_str(name, check_str(name, value).strip())
    # Of what is white space only the space itself is printable.
    if text in (".", "..") or not text.isprintable() or _NOT_IN_IDS.search(text):
        raise ArgumentValueError(f"{name} is not an id: {text!r}")
    return text


def check_one_of(name: str, value: object, choices: Collection[object]) -> object:
    """Return ``value`` if it is one of ``choices``."""
    if value not in choices:
        known = ", ".join(sorted(map(repr, choices)))
        raise ArgumentValueError(f"{name} must be one of {known}, not {repr_of(value)}")
    return value


def check_list(name: str, value: object, items: str, *, empty: bool = True) -> list[Any]:
    """Return the items of ``value`` if it is iterable, and neither a string nor a mapping.

    ``items`` says in errors what the list is of.
    """
    if isinstance(value, (str, bytes, AnyMapping)) or not isinstance(value, AnyIterable):
        raise ArgumentTypeError(f"{name} must be a list of {items}, not {type(value).__name__}")
    values = list(value)
    if not values and not empty:
        raise ArgumentValueError(f"{name} must not be empty")
    return values


def check_time(name: str, value: object, whole: Callable[[float], int] | None = None) -> int:
    """Return unix seconds, given as such, in milliseconds (above 1e11) or as an aware datetime.

    The service counts whole seconds. ``whole`` (math.floor, math.ceil) rounds; without it a fraction
    is an error.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None or value.utcoffset() is None:
            raise ArgumentValueError(
                f"{name} is a naive datetime: it does not say in which time zone"
            )
        seconds = value.timestamp()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = check_number(name, value)
        if seconds > MILLISECONDS_FROM * 1000:
            raise ArgumentValueError(f"{name} is neither unix seconds nor milliseconds: {value}")
        if seconds > MILLISECONDS_FROM:
            seconds /= 1000
    else:
        raise ArgumentTypeError(
            f"{name} must be an aware datetime or unix seconds, not {type(value).__name__}"
        )
    if whole is None and not seconds.is_integer():
        raise ArgumentValueError(f"{name} has fractions of a second; the service has none")
    return (whole or int)(seconds)


def check_json_object(name: str, value: object, *, empty: bool = True) -> dict[str, Any]:
    """Return a copy of a mapping that JSON can carry, with texts as keys."""
    if not isinstance(value, AnyMapping):
        raise ArgumentTypeError(f"{name} must be a mapping, not {type(value).__name__}")
    if not value and not empty:
        raise ArgumentValueError(f"{name} must not be empty")
    try:
        copy: dict[str, Any] = _json_value(name, value, _DEEPEST)
    except (ArgumentTypeError, ArgumentValueError) as error:
        raise type(error)(f"{name} is not JSON: {error}") from None
    return copy


def _json_value(name: str, value: object, depth: int) -> Any:
    if depth == 0:
        raise ArgumentValueError(f"{name} is nested too deeply")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return check_str(name, value, empty=True)
    if isinstance(value, (int, float)):
        check_number(name, value)
        return value
    if isinstance(value, AnyMapping):
        return {
            check_str(f"a key of {name}", key): _json_value(f"{name}[{key!r}]", entry, depth - 1)
            for key, entry in value.items()
        }
    if isinstance(value, (AnyList, AnyTuple)):
        return [_json_value(f"{name}[{n}]", entry, depth - 1) for n, entry in enumerate(value)]
    raise ArgumentTypeError(f"{name} is a {type(value).__name__}, which JSON cannot carry")


def _out_of_bounds(
    name: str, value: float, least: float | None, most: float | None
) -> ArgumentValueError:
    bound = f"at least {least}" if least is not None and value < least else f"at most {most}"
    return ArgumentValueError(f"{name} must be {bound}, not {repr_of(value)}")


# --- callables of the application ---------------------------------------------------------------


def check_callable(name: str, value: object, *parameters: str) -> None:
    """Raise ArgumentTypeError unless ``value`` can be called as ``value(*parameters)`` and runs its code.

    ``name`` is that of the argument, ``parameters`` those of the call, for the error.
    """
    if not callable(value):
        raise ArgumentTypeError(f"{name} must be callable, not {type(value).__name__}")
    inner = _without_partial(value)
    for function in (inner, getattr(inner, "__call__", None)):  # noqa: B004
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ArgumentTypeError(
                f"{name} {name_of(value)} is a coroutine function; this SDK calls plain functions"
            )
        if inspect.isgeneratorfunction(function):
            raise ArgumentTypeError(
                f"{name} {name_of(value)} is a generator function (it has a yield): a call would not run it"
            )
    _check_parameters(name, value, parameters)


def takes(value: Callable[..., Any], count: int) -> bool:
    """Whether ``value`` can be called with so many positional arguments; True if that is not known."""
    signature = _signature_of(value)
    if signature is None:
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _check_parameters(name: str, value: Callable[..., Any], parameters: Sequence[str]) -> None:
    signature = _signature_of(value)
    if signature is None:
        return
    try:
        signature.bind(*parameters)
    except TypeError:
        words = (
            f"{name} {name_of(value)} cannot be called as {name}({', '.join(parameters)}):"
            f" its parameters are {_shown(signature)}"
        )
        if _is_of_blinker(signature):
            words += "; unlike blinker, this SDK gives each receiver the chat and one event object"
        raise ArgumentTypeError(words) from None


def _signature_of(value: Callable[..., Any]) -> inspect.Signature | None:
    """Return the parameters with which ``value`` can be called; None if they are not known for certain."""
    inner = _without_partial(value)
    # Decorators may show the parameters of the function inside, and pass others to it.
    if any(hasattr(one, "__signature__") for one in (inner, type(inner).__call__)):
        return None
    try:
        return inspect.signature(value, follow_wrapped=False)
    except Exception:  # noqa: BLE001 - many callables written in C have no signature
        return None


def _shown(signature: inspect.Signature) -> str:
    """Return the parameters of a signature without their annotations and without the values of defaults."""
    empty = inspect.Parameter.empty
    bare = [
        one.replace(annotation=empty, default=empty if one.default is empty else ...)
        for one in signature.parameters.values()
    ]
    return str(inspect.Signature(bare)).replace("=Ellipsis", "=…")


def _is_of_blinker(signature: inspect.Signature) -> bool:
    """Whether a receiver is written for blinker: ``receiver(sender, **kwargs)``."""
    kinds = [one.kind for one in signature.parameters.values()]
    return inspect.Parameter.VAR_KEYWORD in kinds


def _without_partial(value: Any) -> Any:
    while isinstance(value, functools.partial):
        value = value.func
    return value


def name_of(value: Any) -> str:
    """Return the name of a callable for logs and errors: module and qualified name."""
    value = _without_partial(value)
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    return f"{getattr(value, '__module__', None) or '?'}.{name}"


def repr_of(value: object) -> str:
    """Return ``repr(value)`` of an application's object, whose ``__repr__`` may raise."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - it is the application's code
        if isinstance(value, int):  # Python refuses to write thousands of digits
            return f"an int of {value.bit_length()} bits"
        return f"<{type(value).__qualname__}, whose repr() raised {type(error).__qualname__}>"


def text_of(error: BaseException) -> str:
    """Return ``str(error)`` of an application's error, whose ``__str__`` may raise."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is the application's code
        return "(an error whose text cannot be made)"


# --- names of arguments -------------------------------------------------------------------------


def nearest(name: str, known: Collection[str], words: Mapping[str, str] | None = None) -> str:
    """Return the end of a sentence that names what ``name`` may have meant, or the known names.

    ``words`` are other words for known names.
    """
    found = (words or {}).get(_plain(name)) or _most_like(_plain(name), known, 0.7)
    return f"did you mean {found}?" if found else f"there are: {', '.join(known)}"


def to_install(module: str, extra: str) -> str:
    """Return a sentence for a module that is missing: which extra brings it, from an index or a clone."""
    return f"{module} is missing: pip install 'connectycube[{extra}]', or '.[{extra}]' in a clone"


def misspelt(name: str, arguments: Collection[str]) -> str | None:
    """Return which of a call's ``arguments`` a keyword is, or seems to be, where other names are free.

    A longer word is no misspelling of a shorter one: "customer" and "custom_id" are not "custom".
    """
    asked = _plain(name)
    found = _most_like(asked, arguments, 0.8)
    if found is None or (asked.startswith(_plain(found)) and len(asked) > len(_plain(found)) + 1):
        return None
    return found


def _most_like(plain_name: str, known: Collection[str], cutoff: float) -> str | None:
    import difflib

    plain = {_plain(each): each for each in known}
    close = difflib.get_close_matches(plain_name, plain, n=1, cutoff=cutoff)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def keywords_only(example: str, **words: str) -> Callable[[_Method], _Method]:
    """Let a method whose arguments are keywords explain a wrong call.

    Python's own error neither says that the arguments are keywords, nor names the nearest right one.

    Args:
        example: A right call, for the error.
        words: Other words for arguments, such as ``username="login"``.
    """

    def decorate(method: _Method) -> _Method:
        code = cast("Any", method).__code__
        known = code.co_varnames[1 : 1 + code.co_kwonlyargcount]
        takes_others = bool(code.co_flags & _TAKES_KEYWORDS)

        @functools.wraps(method)
        def checked(self: object, *arguments: object, **keywords: object) -> object:
            if arguments:
                raise ArgumentTypeError(f"the arguments are keywords: {example}")
            for name in keywords:
                if name not in known and not takes_others:
                    raise ArgumentTypeError(
                        f"{name} is no argument of {example}: {nearest(name, known, words)}"
                    )
            return method(self, **keywords)

        return cast("_Method", checked)

    return decorate
