"""Models as dictionaries that JSON can carry, and back: for queues, files and other languages.

The annotations of a model are its schema: each field is written and read by its declared type. A field that
has its default is left out. The JSON Schema in the documentation is made of the same annotations.

The declared type alone decides what a value means, never the value: other users write custom parameters. A
field of the type Any holds an event, which is a model. The values of a mapping of Any are plain JSON.
"""

from __future__ import annotations

import enum
import functools
import math
import reprlib
import sys
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, TypeVar, Union, get_args, get_origin

import attrs

from .. import errors
from .._checks import repr_of, text_of
from .._containers import AnyDict, AnyList, AnyMapping, AnyTuple
from ..errors import ArgumentTypeError, ArgumentValueError, ConnectyCubeError, SerializedError

__all__ = ["DEEPEST", "SCHEMA", "Serializable", "json_schema", "read_event", "registered"]

SCHEMA = 1
"""The version of the dictionaries; it changes when a program that reads the present one would go wrong."""

DEEPEST = 128
"""The levels of plain JSON: more than ``Limits.stanza_depth``, to which others can nest parameters."""
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 200
_Model = TypeVar("_Model", bound="Serializable")
Codec = Callable[[str, Any], Any]
"""Writes or reads one value: (path of the field for errors, value)."""


class Serializable:
    """A model that can be written as a dictionary and read back, for queues, files and other languages.

    Example:
        >>> data = Typing(user_id=7).to_dict()
        >>> data
        {'schema': 1, 'model': 'Typing', 'user_id': 7}
        >>> Typing.from_dict(data)
        Typing(user_id=7)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the fields that differ from their defaults, but for what people wrote, for logs."""
        cls: Any = type(self)
        shown: list[str] = []
        for entry in attrs.fields(cls):
            value = getattr(self, entry.name)
            if entry.repr and (entry.default is attrs.NOTHING or value != _default_of(entry)):
                shown.append(f"{entry.name}={_short.repr(value)}")
        return f"{cls.__name__}({', '.join(shown)})"

    def to_dict(self) -> dict[str, Any]:
        """Return the model as a dictionary of JSON's types, with its version and the name of its class.

        Times are ISO 8601 texts in UTC, enumerations their values, tuples lists. Of an error the class, the
        text and, if the error is of this package, the plain attributes are written. A field that has its
        default is left out. Of a Dialog in a field ``dialog`` only the id, type and peer_id are written, and
        of a send handle its message. Of an application's subclass only the fields of the model are written.

        Returns:
            The dictionary: "schema" is 1, "model" the name of the class, the rest are the fields.

        Raises:
            ArgumentTypeError, ArgumentValueError: A field holds something that JSON cannot carry; the error
                names it.
        """
        model: Any = _model_of(type(self))
        return {"schema": SCHEMA, "model": model.__name__, **_writer_of(model)("", self)}

    @classmethod
    def from_dict(cls: type[_Model], data: Mapping[str, Any]) -> _Model:
        """Return the model of a dictionary that :meth:`to_dict` made.

        Fields that this release does not know are left out. Of an application's subclass of the model, the
        fields that the subclass adds have their defaults.

        Args:
            data: The dictionary, also after a way through JSON.

        Returns:
            The model, equal to the one that was written.

        Raises:
            ArgumentTypeError, ArgumentValueError: It is no dictionary of this model, it has another schema,
                or a field has a wrong type; the error names it.
        """
        model = _model_of(cls)
        values = _read_fields(model, "", _checked(data, model.__name__))
        for entry in attrs.fields(cls):  # type: ignore[arg-type]  # every model is an attrs class
            if entry.default is attrs.NOTHING and entry.name not in values:
                raise ArgumentTypeError(
                    f"{cls.__name__}.{entry.name} needs a default: data holds a {model.__name__}"
                )
        return cls(**values)


def _model_of(cls: type[Any]) -> type[Serializable]:
    """Return the model of this package that a class is, or that an application's class extends."""
    models = registered()
    if models.get(cls.__name__) is cls:
        return cls
    return next(each for each in cls.__mro__ if models.get(each.__name__) is each)


def _checked(data: object, model: str) -> dict[str, Any]:
    """Return the fields of a dictionary, if it has our version and is of that model."""
    if not isinstance(data, AnyMapping):
        raise ArgumentTypeError(f"data must be a mapping, not {type(data).__name__}")
    fields = dict(data)
    schema = fields.pop("schema", None)
    if schema != SCHEMA or isinstance(schema, bool):
        raise ArgumentValueError(
            f"data has the schema {repr_of(schema)}, and this release reads schema {SCHEMA} alone"
        )
    found = fields.pop("model", None)
    if found != model:
        raise ArgumentValueError(f"data is a {repr_of(found)}, not a {model!r}")
    return fields


# --- the classes ------------------------------------------------------------------------------------


@functools.cache
def registered() -> Mapping[str, type[Serializable]]:
    """Return all models of this package by the names of their classes."""
    package = __name__.rpartition(".")[0]
    for name in sys.modules[package].__all__:
        getattr(sys.modules[package], name)  # which imports its module at the first use
    found: dict[str, type[Serializable]] = {}
    pending: list[type[Serializable]] = list(Serializable.__subclasses__())
    for cls in pending:  # the list grows while it is read
        # attrs makes another class for each class with slots; the one that the module holds is the model.
        is_made = vars(sys.modules[cls.__module__]).get(cls.__name__) is cls
        if is_made and cls.__module__.startswith(package):
            found[cls.__name__] = cls
        pending += cls.__subclasses__()
    return found


@attrs.frozen
class _Form:
    """How a value of one type is written and read, and its JSON Schema."""

    write: Codec
    read: Codec
    schema: Mapping[str, Any]
    plain: type | None = None
    """The type of which each value is written as it is, so that ``write`` need not be called for it."""


@attrs.frozen
class _Field:
    name: str
    form: _Form
    default: Any
    is_required: bool


@functools.cache
def _fields(cls: Any) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(cls)
    return tuple(
        _Field(
            entry.name,
            _form_of(hints[entry.name]),
            _default_of(entry),
            entry.default is attrs.NOTHING,
        )
        for entry in attrs.fields(cls)
    )


def _default_of(entry: attrs.Attribute[Any]) -> Any:
    default: Any = entry.default
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]


@functools.cache
def _writer_of(cls: Any) -> Callable[[str, Any], dict[str, Any]]:
    """Make the function that writes the fields that ``cls`` declares and that differ from their defaults.

    The function is written out as Python and compiled, because durable mode writes each message that arrives:
    a loop over the fields takes 1.5 times as long. For a class with the fields ``id`` (a string) and
    ``at`` (a time) it is::

        def writer(path, model):
            if not isinstance(model, cls):
                raise wrong_type(path, cls, model)
            written, within = {}, path and path + '.'
            v = model.id
            if v is not default0:
                written['id'] = v if type(v) is plain0 else write0(within + 'id', v)
            v = model.at
            if v is not default1 and v != default1:
                written['at'] = write1(within + 'at', v)
            return written

    A default that is None is looked for by identity alone. Only names of fields, which are ours, become code.
    """
    names: dict[str, Any] = {"cls": cls, "wrong_type": _wrong_type}
    lines = [
        "if not isinstance(model, cls): raise wrong_type(path, cls, model)",
        "written, within = {}, path and path + '.'",
    ]
    for number, field in enumerate(_fields(cls)):
        names[f"default{number}"], names[f"write{number}"] = field.default, field.form.write
        names[f"plain{number}"] = field.form.plain
        written = f"write{number}(within + {field.name!r}, v)"
        if field.form.plain is not None:
            written = f"v if type(v) is plain{number} else {written}"
        lines.append(f"v = model.{field.name}")
        if not field.is_required:
            differs = "" if field.default is None else f" and v != default{number}"
            lines.append(f"if v is not default{number}{differs}:")
        lines.append(f"{'' if field.is_required else '    '}written[{field.name!r}] = {written}")
    exec("\n    ".join(["def writer(path, model):", *lines, "return written"]), names)
    made: Callable[[str, Any], dict[str, Any]] = names["writer"]
    return made


def _read(cls: Any, path: str, data: object) -> Any:
    return cls(**_read_fields(cls, path, data))


def _read_fields(cls: Any, path: str, data: object) -> dict[str, Any]:
    if not isinstance(data, AnyMapping):
        raise ArgumentTypeError(f"{path or 'data'} must be a mapping, not {type(data).__name__}")
    values: dict[str, Any] = {}
    for field in _fields(cls):
        if field.name in data:
            values[field.name] = field.form.read(_path(path, field.name), data[field.name])
        elif field.is_required:
            raise ArgumentValueError(f"{_path(path, field.name)} is missing")
    return values


def _wrong_type(path: str, kind: type, value: object) -> ArgumentTypeError:
    return ArgumentTypeError(f"{path} must be {kind.__name__}, not {type(value).__name__}")


def _path(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# --- values by their declared types -----------------------------------------------------------------


@functools.cache
def _form_of(hint: Any) -> _Form:
    """Return the form of a declared type."""
    origin, arguments = get_origin(hint), get_args(hint)
    schema: Mapping[str, Any]
    if hint is Any:
        form = _Form(_write_event, read_event, _SCHEMA_OF_EVENT)
    elif origin in (Union, types.UnionType):
        (inner,) = (_form_of(each) for each in arguments if each is not types.NoneType)
        schema = {"anyOf": [inner.schema, {"type": "null"}]}
        form = _Form(_optional(inner.write), _optional(inner.read), schema, inner.plain)
    elif origin is tuple:
        inner = _form_of(arguments[0])
        schema = {"type": "array", "items": inner.schema}
        form = _Form(_list_writer(inner.write), _tuple_reader(inner.read), schema)
    elif origin is not None:
        inner = _JSON if arguments[1] is Any else _form_of(arguments[1])
        schema = {"type": "object", "additionalProperties": inner.schema}
        read = _mapping_codec(inner.read, arguments[0])
        form = _Form(_mapping_codec(inner.write, str, inner.plain), read, schema)
    else:
        form = next(make(hint) for base, make in _FORMS if issubclass(hint, base))
    return form


def _optional(codec: Codec) -> Codec:
    return lambda path, value: None if value is None else codec(path, value)


def _list_writer(write: Codec) -> Codec:
    def write_all(path: str, value: Any) -> list[Any]:
        if not isinstance(value, (AnyList, AnyTuple)):
            raise ArgumentTypeError(f"{path} must be a list, not {type(value).__name__}")
        return [write(f"{path}[{n}]", entry) for n, entry in enumerate(value)]

    return write_all


def _tuple_reader(read: Codec) -> Codec:
    def read_all(path: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (AnyList, AnyTuple)):
            raise ArgumentTypeError(f"{path} must be a list, not {type(value).__name__}")
        return tuple([read(f"{path}[{n}]", entry) for n, entry in enumerate(value)])

    return read_all


def _mapping_codec(codec: Codec, key_type: type, plain: type | None = None) -> Codec:
    """Return a codec of mappings; JSON has texts as keys, so others are made of them.

    Values of the type ``plain`` stay as they are.
    """

    def convert(path: str, value: Any) -> dict[Any, Any]:
        # Usually a dict, which is found at once: an abstract class is asked in Python.
        if not isinstance(value, (AnyDict, AnyMapping)):
            raise ArgumentTypeError(f"{path} must be a mapping, not {type(value).__name__}")
        try:
            return {
                key_type(key): entry if type(entry) is plain else codec(f"{path}[{key!r}]", entry)
                for key, entry in value.items()
            }
        except ConnectyCubeError:
            raise
        except ValueError:
            raise ArgumentValueError(f"{path} has a key that is no {key_type.__name__}") from None

    return convert


def _plain_codec(kind: type) -> Codec:
    """Return a codec of texts, numbers and bools, which only checks the type."""
    kinds: tuple[type, ...] = (int, float) if kind is float else (kind,)

    def check(path: str, value: Any) -> Any:
        if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
            raise _wrong_type(path, kind, value)
        if isinstance(value, float) and not math.isfinite(value):
            raise ArgumentValueError(f"{path} must be finite, not {value}")
        return value

    return check


def _form_of_enum(kind: type[enum.Enum]) -> _Form:
    def read(path: str, value: Any) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise ArgumentValueError(f"{path} is no {kind.__name__}: {repr_of(value)}") from None

    def write(path: str, value: Any) -> Any:
        if not isinstance(value, kind):
            raise _wrong_type(path, kind, value)
        return value.value

    return _Form(write, read, {"enum": [member.value for member in kind]})


def _write_time(path: str, value: datetime) -> str:
    if not isinstance(value, datetime):
        raise ArgumentTypeError(f"{path} must be a datetime, not {type(value).__name__}")
    if value.tzinfo is None:
        raise ArgumentValueError(f"{path} must be an aware datetime: it has no time zone")
    if value.tzinfo is not timezone.utc:
        value = _in_utc(path, value)
    return value.isoformat()


def _read_time(path: str, value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (AttributeError, TypeError, ValueError):
        raise ArgumentValueError(f"{path} is no ISO 8601 time: {repr_of(value)}") from None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    return _in_utc(path, moment)


def _in_utc(path: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        raise ArgumentValueError(
            f"{path} is outside the years 1 to 9999 in UTC: {moment}"
        ) from None


# --- plain JSON, and events -------------------------------------------------------------------------


def _json_codec(path: str, value: Any, depth: int = DEEPEST) -> Any:
    """Return a value as plain JSON; JSON of another program may hold NaN, or be nested too deeply."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return _plain_codec(float)(path, value)
    if depth == 0:
        raise ArgumentValueError(f"{path} is nested too deeply")
    if isinstance(value, AnyMapping):
        return {
            str(key): _json_codec(f"{path}[{key!r}]", entry, depth - 1)
            for key, entry in value.items()
        }
    if isinstance(value, (AnyList, AnyTuple)):
        return [_json_codec(f"{path}[{n}]", entry, depth - 1) for n, entry in enumerate(value)]
    raise ArgumentTypeError(f"{path} is a {type(value).__name__}, which JSON cannot carry")


_JSON = _Form(_json_codec, _json_codec, {}, str)
_SCHEMA_OF_EVENT = {"type": ["object", "null"], "required": ["schema", "model"]}


def _write_event(path: str, value: Any) -> dict[str, Any] | None:
    """Write the event of a receiver; for a done-callback it is a send handle, whose message is written."""
    if value is None:
        return None
    event = value if isinstance(value, Serializable) else getattr(value, "message", None)
    if not isinstance(event, Serializable):
        raise ArgumentTypeError(
            f"{path} must be a message, an event or a send handle, not {type(value).__name__}"
        )
    return event.to_dict()


def read_event(path: str, value: Any) -> Serializable | None:
    """Return the model of a dictionary, whichever it is; None of None."""
    if value is None:
        return None
    if not isinstance(value, AnyMapping):
        raise ArgumentTypeError(f"{path} must be a mapping, not {type(value).__name__}")
    name = value.get("model")
    model = registered().get(name) if isinstance(name, str) else None
    if model is None:
        raise ArgumentValueError(f"{path} has the model {name!r}, which this release does not know")
    return model.from_dict(value)


# --- errors -----------------------------------------------------------------------------------------


def _write_error(path: str, error: BaseException) -> dict[str, Any]:
    """Write an error: its class, its text and, of an error of this package, its attributes."""
    if not isinstance(error, BaseException):
        raise _wrong_type(path, BaseException, error)
    if isinstance(error, SerializedError):
        return {"class": error.class_name, "text": str(error)}
    name = type(error).__name__
    if getattr(errors, name, None) is not type(error):
        return {"class": f"{type(error).__module__}.{name}", "text": text_of(error)}
    written = {"class": name, "text": str(error)}
    attributes = {key: value for key, value in vars(error).items() if _is_plain(value)}
    return {**written, "attributes": _json_codec(path, attributes)} if attributes else written


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, (AnyList, AnyTuple)):
        return all(not isinstance(each, (AnyList, AnyTuple)) and _is_plain(each) for each in value)
    return value is None or isinstance(value, (str, int))


def _read_error(path: str, data: Any) -> BaseException:
    if not isinstance(data, AnyMapping) or not isinstance(data.get("class"), str):
        raise ArgumentTypeError(f"{path} must be a mapping with a class, which is a string")
    text = str(data.get("text", ""))
    kind = getattr(errors, data["class"], None)
    if (
        not isinstance(kind, type)
        or not issubclass(kind, ConnectyCubeError)
        or kind is SerializedError
    ):
        return SerializedError(text, class_name=data["class"])
    attributes: Any = data.get("attributes") or {}
    if not isinstance(attributes, AnyMapping):
        raise ArgumentTypeError(
            f"{path}.attributes must be a mapping, not {type(attributes).__name__}"
        )
    values: dict[str, Any] = {
        str(key): tuple(value) if isinstance(value, AnyList) else value
        for key, value in attributes.items()
    }
    return errors.rebuilt(kind, (text,), values)


# --- the forms of classes ---------------------------------------------------------------------------


def _form_of_model(cls: Any) -> _Form:
    return _Form(_writer_of(cls), functools.partial(_read, cls), _schema_of_fields(cls))


def _form_of_plain(name: str) -> Callable[[type], _Form]:
    def form_of(kind: type) -> _Form:
        codec = _plain_codec(kind)
        # A float must be finite, which the codec checks.
        return _Form(codec, codec, {"type": name}, None if kind is float else kind)

    return form_of


_FORMS: tuple[tuple[type, Callable[[Any], _Form]], ...] = (
    # The first row whose class the declared type has as a base: an IntEnum is an int, too.
    (Serializable, _form_of_model),
    (enum.Enum, _form_of_enum),
    (BaseException, lambda _: _Form(_write_error, _read_error, {"$ref": "#/$defs/error"})),
    (datetime, lambda _: _Form(_write_time, _read_time, {"type": "string", "format": "date-time"})),
    (str, _form_of_plain("string")),
    (bool, _form_of_plain("boolean")),
    (int, _form_of_plain("integer")),
    (float, _form_of_plain("number")),
)


# --- the JSON Schema --------------------------------------------------------------------------------


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of all models, made of their annotations."""
    models = registered()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Messages and events of the connectycube package",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in sorted(models)],
        "$defs": {
            **{name: _schema_of_model(models[name]) for name in sorted(models)},
            "error": {
                "type": "object",
                "properties": {
                    "class": {"type": "string"},
                    "text": {"type": "string"},
                    "attributes": {"type": "object"},
                },
                "required": ["class", "text"],
            },
        },
    }


def _schema_of_model(cls: Any) -> dict[str, Any]:
    """Return the schema of a whole dictionary, with its version and the name of its class."""
    summary = " ".join((cls.__doc__ or "").partition("\n\n")[0].split())
    fields = _schema_of_fields(cls)
    head = {"schema": {"const": SCHEMA}, "model": {"const": cls.__name__}}
    return {
        "description": summary,
        **fields,
        "properties": {**head, **fields["properties"]},
        "required": [*head, *fields["required"]],
    }


def _schema_of_fields(cls: Any) -> dict[str, Any]:
    fields = _fields(cls)
    return {
        "type": "object",
        "properties": {field.name: field.form.schema for field in fields},
        "required": [field.name for field in fields if field.is_required],
    }
