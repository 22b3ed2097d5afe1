"""How the service's JSON becomes frozen attrs objects: leniently, by tables, without ever raising.

Each model declares its fields with :func:`wire`: the service's name and a reader. A reader returns
None for whatever it cannot understand, so one odd field costs that field and nothing else. ``extra`` keeps
what no field claims, and the values that a reader could not understand.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
import re
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar, cast

import attrs

from .._checks import MILLISECONDS_FROM
from .._containers import AnyDict, AnyList, AnyMapping

__all__ = [
    "EPOCH",
    "as_bool",
    "as_float",
    "as_int",
    "as_ints",
    "as_mapping",
    "as_number",
    "as_parameters",
    "as_string",
    "as_strings",
    "as_text",
    "as_texts",
    "as_time",
    "has_defaults",
    "made_init",
    "maker_of",
    "others",
    "read",
    "reader_of",
    "wire",
]

Model = TypeVar("Model")
Entry = TypeVar("Entry")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UTC = timezone.utc
_INTEGER = re.compile(r"-?[0-9]{1,30}")
_KEEPS_ODD_VALUES = "extra"  # other fields of this kind hold the application's own names
_DIGITS_OF_SECONDS = 11
_DIGITS_OF_SECONDS_NOW = 10  # as all live messages have them, each with a time of its own
_DEEPEST_PARAMETER = (
    100  # a message of history whose parameters are deeper must not cost the others
)


def wire(
    name: str,
    reader: Callable[[Any], Any],
    *,
    default: Any = None,
    empty: bool = True,
    **options: Any,
) -> Any:
    """Declare an attrs field that :func:`read` fills from the JSON key ``name`` with ``reader``.

    With ``empty=False`` an empty text and the number 0 are None.
    """
    metadata = {"wire": name, "reader": reader, "empty": empty}
    return attrs.field(default=default, metadata=metadata, **options)


def others(
    *,
    without: Iterable[str] = (),
    reader: Callable[[Mapping[str, Any], Container[str]], dict[str, Any]] | None = None,
    **options: Any,
) -> Any:
    """Declare an attrs field for the JSON keys that no other field claims, but for those of ``without``.

    ``reader`` takes the JSON object and the keys to leave out; by default the values stay as they are.
    """
    metadata = {"without": frozenset(without), "reader": reader}
    return attrs.field(factory=dict, metadata=metadata, **options)


def read(cls: type[Model], data: Mapping[str, Any], into: str = "extra", **known: Any) -> Model:
    """Build a ``cls`` from a JSON object.

    Args:
        cls: The model; it must have no converters, validators or hooks of attrs.
        data: The JSON object.
        into: The name of the field that takes everything that no other field claims.
        known: Fields that do not come from the JSON object.

    Raises:
        TypeError: A field without a default is missing, or ``known`` names no such field.
    """
    made: Model = reader_of(cls, into)(data, **known)  # type: ignore[arg-type]
    return made


@functools.cache
def reader_of(cls: type[Any], into: str = "extra") -> Callable[..., Any]:
    """Make the function that :func:`read` calls, for code that reads many objects of one class.

    The function is written out as Python and compiled, because a page holds thousands of values: a loop over
    a table of fields costs 1.4 µs a message more, and a page of 100 messages then takes 3.4 times as long as
    ``json.loads`` instead of 2.6 times (the goal is 3). For a class with the fields ``id`` (a string),
    ``own`` (not from JSON) and ``extra`` it is::

        def reader(data, *, own=default1):
            get = data.get
            made = new(thawed)
            odd = None
            v = get(wire0)
            if type(v) is not type0 and v is not None:
                v = read0(v)
                if v is None: odd = (odd or {}) | {wire0: get(wire0)}
            made.id = default0 if v is None else v
            made.own = own
            made.extra = {} if wires.issuperset(data) else others(data, wires)
            if odd: made.extra |= others(odd, ())
            made.__class__ = cls
            return made

    Without an ``extra`` nothing keeps the odd values, and the lines that collect them are left out.
    ``thawed`` is the class as it would be if it were not frozen. Attributes are set directly, so the class
    must have no converters, validators or hooks of attrs. Only names of fields, which are ours, become code.
    """
    names: dict[str, Any] = {"cls": cls, "thawed": _thawed(cls), "new": object.__new__}
    parameters, wires = ["data"], set[str]()
    lines: list[str] = []
    ending: list[str] = []
    keeps_odd = into == _KEEPS_ODD_VALUES and any(
        entry.name == into and "wire" not in entry.metadata for entry in attrs.fields(cls)
    )
    if keeps_odd:
        lines.append("odd = None")
    for number, entry in enumerate(attrs.fields(cast("type[attrs.AttrsInstance]", cls))):
        names[f"default{number}"] = entry.default
        if "wire" in entry.metadata:
            wires.add(entry.metadata["wire"])
            lines += _lines_of(number, entry, names, keeps_odd)
        elif entry.name == into:
            wires.update(entry.metadata.get("without", ()))
            names["others"] = entry.metadata.get("reader") or _others
            ending.append(
                f"made.{entry.name} = {{}} if wires.issuperset(data) else others(data, wires)"
            )
            if keeps_odd:
                ending.append(f"if odd: made.{entry.name} |= others(odd, ())")
        else:
            default = "" if entry.default is attrs.NOTHING else f"=default{number}"
            parameters.append(entry.alias + default)
            lines.append(f"made.{entry.name} = {entry.alias}")
    names["wires"] = frozenset(wires)
    first, last = ["get = data.get", "made = new(thawed)"], ["made.__class__ = cls", "return made"]
    body = [*first, *lines, *ending, *last]
    exec("\n    ".join([f"def reader({', '.join(parameters)}):", *body]), names)
    made: Callable[..., Any] = names["reader"]
    return made


def maker_of(cls: type[Model], *fields: str) -> Callable[..., Model]:
    """Make a function that builds a ``cls`` from the values of ``fields``, in this order, by position.

    The other fields get their defaults. It is for what arrives by the thousand, as the initializer of a class
    of many fields costs several times as much: no value is checked or converted, and the class must have no
    hooks of attrs. Only names of fields, which are ours, become code; see :func:`reader_of`.
    """
    is_frozen = cls.__setattr__ is not object.__setattr__
    names: dict[str, Any] = {"cls": cls, "new": object.__new__}
    if is_frozen:
        names["thawed"] = _thawed(cls)
    lines = ["made = new(thawed)" if is_frozen else "made = new(cls)"]
    for number, entry in enumerate(attrs.fields(cast("type[attrs.AttrsInstance]", cls))):
        assert entry.name in fields or not hasattr(entry.default, "factory")
        names[f"default{number}"] = entry.default
        value = entry.name if entry.name in fields else f"default{number}"
        lines.append(f"made.{entry.name} = {value}")
    body = [*lines, *(["made.__class__ = cls"] if is_frozen else []), "return made"]
    exec("\n    ".join([f"def maker({', '.join(fields)}):", *body]), names)
    made: Callable[..., Model] = names["maker"]
    return made


def has_defaults(cls: type[Any], *fields: str) -> Callable[[Any], bool]:
    """Make a function that says whether the values of ``fields`` in a ``cls`` are their very defaults.

    A value that is equal to its default may be another object: then the answer is False, too.
    """
    defaults = {entry.name: entry.default for entry in attrs.fields(cls)}
    names = {f"default_{name}": defaults[name] for name in fields}
    tests = " and ".join(f"made.{name} is default_{name}" for name in fields)
    exec(f"def tells(made): return {tests}", names)
    told: Callable[[Any], bool] = names["tells"]
    return told


def made_init(cls: type[Model]) -> type[Model]:
    """Give a frozen class of many fields an initializer that does what attrs' own does, for less.

    That of attrs calls a function for each field, which makes a Message of 24 fields cost as much as all the
    checks when it is sent. This one sets the attributes while the object is not frozen, as :func:`reader_of`
    does. Classes below ``cls`` keep that of attrs. ``cls`` must have no validators and no hooks of attrs.
    """
    usual = cast("Any", cls).__init__
    # With the module's names, by which ``typing.get_type_hints`` finds what the annotations mean.
    names: dict[str, Any] = {**vars(sys.modules[cls.__module__]), cls.__name__: cls}
    names |= {"cls": cls, "thawed": _thawed(cls), "usual": usual}
    names |= {"set_anyhow": object.__setattr__, "nothing": object()}
    # Python looks up the default of each parameter that may be given by its name alone, and copies those of
    # all others at once. So there is a parameter in front that takes what is given by position.
    parameters: list[str] = ["_positional=nothing"]
    needed: list[str] = []
    arguments: list[str] = []
    values: list[str] = []
    lines: list[str] = []
    for number, entry in enumerate(attrs.fields(cast("Any", cls))):
        name, factory = entry.name, getattr(entry.default, "factory", None)
        names[f"default{number}"] = attrs.NOTHING if factory is not None else entry.default
        if entry.default is attrs.NOTHING:
            needed.append(name)
        else:
            parameters.append(f"{name}=default{number}")
        arguments.append(f"{name}={name}")
        lines.append(f"self.{name} = {name}")
        if factory is not None:
            names[f"factory{number}"] = factory
            values.append(f"if {name} is default{number}: {name} = factory{number}()")
        if entry.converter is not None:
            names[f"convert{number}"] = entry.converter
            values.append(f"{name} = convert{number}({name})")
    body = [
        # That of attrs takes names alone, so it raises TypeError.
        "if _positional is not nothing: usual(self, _positional)",
        f"if self.__class__ is not cls: return usual(self, {', '.join(arguments)})",
        # A converter may raise: what is thawed must not be left.
        *values,
        'set_anyhow(self, "__class__", thawed)',
        *lines,
        "self.__class__ = cls",
    ]
    if needed:
        parameters += ["*", *needed]
    exec("\n    ".join([f"def __init__(self, {', '.join(parameters)}):", *body]), names)
    made: Any = functools.update_wrapper(names["__init__"], usual)
    del made.__wrapped__
    made.__signature__ = inspect.signature(usual)
    type.__setattr__(cls, "__init__", made)
    return cls


def _lines_of(
    number: int, entry: attrs.Attribute[Any], names: dict[str, Any], keeps_odd: bool
) -> list[str]:
    names[f"wire{number}"] = entry.metadata["wire"]
    names[f"read{number}"] = entry.metadata["reader"]
    names[f"type{number}"] = plain_type = _PLAIN_TYPES.get(entry.metadata["reader"])
    check = f"type(v) is not type{number} and v is not None" if plain_type else "v is not None"
    value = "v" if entry.default is None else f"default{number} if v is None else v"
    if not entry.metadata["empty"]:
        value += " or None"
    return [
        f"v = get(wire{number})",
        f"if {check}:",
        f"    v = read{number}(v)",
        *(
            [f"    if v is None: odd = (odd or {{}}) | {{wire{number}: get(wire{number})}}"]
            if keeps_odd
            else ()
        ),
        f"made.{entry.name} = {value}",
    ]


def _thawed(cls: type[Any]) -> type[Any]:
    free = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(cls.__name__, (cls,), free)


def _others(data: Mapping[str, Any], wires: Container[str]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in wires}


def as_string(value: Any) -> str | None:
    """Return a string as it is, a number as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def as_int(value: Any) -> int | None:
    """Return an integer, given as such, as text, or as a float without a fraction."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)  # a float would round a number of more than 15 digits
    number = as_float(value)
    return int(number) if number is not None and number.is_integer() else None


def as_float(value: Any) -> float | None:
    """Return a finite number, given as such or as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_number(value: Any) -> float | None:
    """Return a finite number, given as such or as text: an int where it has no fraction."""
    if type(value) is int:
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    number = as_float(value)
    return int(number) if number is not None and number.is_integer() else number


def as_bool(value: Any) -> bool | None:
    """Return true or false, given as such, as 1 or 0, or as text."""
    if value == 0 or value in ("0", "false"):
        return False
    return True if value in (1, "1", "true") else None


def as_text(value: Any) -> str | None:
    """Return a value of JSON as the text that stands for it in XML: a string as it is; None for null."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def as_texts(data: Mapping[str, Any], without: Container[str] = ()) -> dict[str, str]:
    """Return the values of a JSON object as texts, except for null and the keys of ``without``."""
    return {
        key: value if type(value) is str else as_text(value) or ""
        for key, value in data.items()
        if value is not None and key not in without
    }


def as_parameters(
    data: Mapping[str, Any], without: Container[str] = (), depth: int = _DEEPEST_PARAMETER
) -> dict[str, Any]:
    """Return the values of a JSON object as XML carries them: texts, and dictionaries of texts.

    Null and the keys of ``without`` are left out. Below ``depth`` levels a dictionary is its JSON as text.
    """
    return {
        key: value if type(value) is str else _parameter(value, depth - 1)
        for key, value in data.items()
        if value is not None and key not in without
    }


def _parameter(value: Any, depth: int) -> dict[str, Any] | str:
    if depth > 0 and isinstance(value, AnyMapping):
        return as_parameters(value, (), depth) or ""
    try:
        return as_text(value) or ""
    except RecursionError:  # json.loads reads what is nested deeper than json.dumps can write
        return ""


def as_time(value: Any) -> datetime | None:
    """Return ISO 8601 text or unix time (seconds; above 1e11 milliseconds) as an aware datetime in UTC."""
    try:
        if type(value) is int and 0 <= value <= MILLISECONDS_FROM:
            return _from_seconds(value, _UTC)
        if isinstance(value, str):
            if len(value) == _DIGITS_OF_SECONDS_NOW and value.isdigit() and value.isascii():
                return _from_seconds(int(value), _UTC)
            return _moment_of(value)
        return _at_number(as_float(value))
    except (ValueError, OverflowError):
        return None


def _at_number(number: float | None) -> datetime | None:
    if number is None:
        return None
    return EPOCH + timedelta(seconds=number / 1000 if number > MILLISECONDS_FROM else number)


@functools.lru_cache(1024)
def _moment_of(text: str) -> datetime | None:
    # Remembered: most things were last updated when they were created, many at the same second.
    if text.isdigit() and text.isascii() and len(text) <= _DIGITS_OF_SECONDS:
        return _from_seconds(int(text), _UTC)
    if "-" not in text[1:]:  # a number before 1970 begins with it
        return _at_number(as_float(text))
    moment = _from_text(text if text[-1] == "Z" else text.strip())
    if moment.tzinfo is _UTC:
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=_UTC)
    return moment.astimezone(_UTC)


if sys.version_info >= (3, 11):
    _from_text = datetime.fromisoformat
else:

    def _from_text(text: str) -> datetime:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))


_from_seconds = datetime.fromtimestamp


def _list_of(
    plain_type: type[Entry], reader: Callable[[Any], Entry | None]
) -> Callable[[Any], tuple[Entry, ...] | None]:
    """Return a reader of lists; entries that ``reader`` cannot understand are left out."""

    def read_all(value: Any) -> tuple[Entry, ...] | None:
        if not isinstance(value, AnyList):
            return None
        entry: object
        for entry in value:
            if type(entry) is not plain_type:
                return tuple([read for read in map(reader, value) if read is not None])
        return tuple(value)

    return read_all


as_ints = _list_of(int, as_int)
as_strings = _list_of(str, as_string)


def as_mapping(value: Any) -> dict[str, Any] | None:
    """Return a JSON object as it is."""
    return value if isinstance(value, AnyDict) else None


_PLAIN_TYPES: Mapping[Callable[[Any], Any], type] = {
    # A value of this type is right already, as most are; then no reader is called.
    as_string: str,
    as_int: int,
    as_bool: bool,
    as_mapping: dict,
}
