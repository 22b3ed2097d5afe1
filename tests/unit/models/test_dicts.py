"""Models as dictionaries: what comes back is what went in, and the JSON Schema tells the form."""

from __future__ import annotations

import enum
import functools
import json
import types
import typing
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Union, get_args, get_origin

import attrs
import jsonschema
import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

import connectycube
from connectycube import (
    ArgumentTypeError,
    ArgumentValueError,
    Attachment,
    CallbackFailure,
    Chat,
    ChatState,
    Config,
    Dialog,
    DialogRef,
    DialogType,
    Message,
    MessageFailure,
    OutcomeUnknownError,
    SerializedError,
    StanzaError,
    StateChange,
    StreamError,
    Typing,
    User,
)
from connectycube.models._dicts import json_schema, registered
from tests.support.inside import signals_of

MODELS = sorted(registered().values(), key=lambda cls: cls.__name__)
SCHEMA = json_schema()
TEXTS = st.text(max_size=12)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    bool: st.booleans(),
    int: st.integers(-(2**70), 2**70),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**40),
    datetime: st.datetimes(
        timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-3, minutes=-30))])
    ),
}
JSON = st.recursive(
    st.none() | TEXTS | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
ERRORS = st.sampled_from(
    [
        StanzaError("refused: forbidden", condition="forbidden", type="auth", text="no", code=403),
        StreamError("ended", condition="reset"),
        OutcomeUnknownError("nobody knows"),
        SerializedError("not here", class_name="library.Error"),
        ArgumentValueError("wrong"),
    ]
)


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Return values of a declared type: this test's own reading of the annotations."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return JSON
    if origin in (Union, types.UnionType):
        return st.one_of([values_of(each) for each in arguments])
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is not None:
        assert issubclass(origin, Mapping)
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=2)
    if hint is types.NoneType:
        return st.none()
    if issubclass(hint, BaseException):
        return ERRORS
    if issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    return instances_of(hint) if attrs.has(hint) else PLAIN[hint]


def instances_of(cls: Any) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls)
    required = {each.name for each in fields(cls) if each.default is attrs.NOTHING}
    known = {each.name: values_of(hints[each.name]) for each in fields(cls)}
    return st.fixed_dictionaries(
        {name: known[name] for name in required},
        optional={name: known[name] for name in known.keys() - required},
    ).map(lambda values: cls(**values))


def through_json(data: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(data, allow_nan=False))


@functools.cache
def validator_of(cls: Any) -> jsonschema.Draft202012Validator:
    schema = {"$ref": f"#/$defs/{cls.__name__}", "$defs": SCHEMA["$defs"]}
    return jsonschema.Draft202012Validator(schema)


def errors_as_texts(value: Any) -> Any:
    return (type(value), str(value), vars(value)) if isinstance(value, Exception) else value


@pytest.mark.hypothesis
@pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_what_comes_back_is_what_went_in(cls, data):
    model = data.draw(instances_of(cls))
    written = through_json(model.to_dict())
    read = cls.from_dict(written)
    for each in fields(cls):
        before, after = getattr(model, each.name), getattr(read, each.name)
        assert errors_as_texts(after) == errors_as_texts(before)
        assert type(after) is type(before)
    assert through_json(read.to_dict()) == written
    validator_of(cls).validate(written)


def test_the_whole_schema_tells_the_models_apart():
    jsonschema.validate(Typing(user_id=7).to_dict(), SCHEMA)


def test_the_schema_itself_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_signal_has_an_event_that_can_be_written():
    chat = Chat(Config(app_id=1, auth_key="key"))
    events = {signal.event for signal in signals_of(chat)}
    assert events <= set(MODELS)


def test_a_field_with_its_default_is_left_out():
    assert Typing(user_id=7).to_dict() == {"schema": 1, "model": "Typing", "user_id": 7}


def test_a_dialog_in_a_message_is_written_as_its_reference():
    dialog = Dialog(id="d", type=DialogType.GROUP, name="friends", occupants_ids=(1, 2))
    written = through_json(Message(body="hi", dialog=dialog).to_dict())
    assert written["dialog"] == {"id": "d", "type": 2}
    assert Message.from_dict(written).dialog == DialogRef(id="d", type=DialogType.GROUP)


def test_fields_of_a_later_release_are_left_out():
    data = {"schema": 1, "model": "Typing", "user_id": 7, "thumbs": 2}
    assert Typing.from_dict(data) == Typing(user_id=7)


def test_an_error_of_this_package_comes_back_as_itself():
    error = StanzaError("no", condition="forbidden", code=403)
    read = MessageFailure.from_dict(
        through_json(MessageFailure(message_id="m", dialog_id=None, error=error).to_dict())
    )
    assert type(read.error) is StanzaError
    assert (str(read.error), read.error.condition, read.error.code) == ("no", "forbidden", 403)


def test_an_error_of_another_package_keeps_its_name_and_text():
    change = StateChange(
        state=ChatState.CLOSED, previous=ChatState.READY, reason=KeyError("missing")
    )
    read = StateChange.from_dict(through_json(change.to_dict()))
    assert isinstance(read.reason, SerializedError)
    assert read.reason.class_name == "builtins.KeyError"
    assert str(read.reason) == "'missing'"


def test_the_event_of_a_failed_receiver_comes_back_as_its_model():
    failure = CallbackFailure(
        receiver="bot.answer",
        signal="message_received",
        event=Message(id="a", body="hi"),
        error=ValueError("x"),
    )
    assert CallbackFailure.from_dict(through_json(failure.to_dict())).event == failure.event


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ("text", ArgumentTypeError, "data must be a mapping, not str"),
        ({}, ArgumentValueError, "data has the schema None"),
        ({"schema": 2, "model": "Typing"}, ArgumentValueError, "schema 2.*reads schema 1 alone"),
        ({"schema": True, "model": "Typing"}, ArgumentValueError, "schema True"),
        ({"schema": 1, "model": "Message"}, ArgumentValueError, "'Message', not a 'Typing'"),
        ({"schema": 1, "model": "Typing"}, ArgumentValueError, "user_id is missing"),
        (
            {"schema": 1, "model": "Typing", "user_id": "7"},
            ArgumentTypeError,
            "user_id must be int, not str",
        ),
        (
            {"schema": 1, "model": "Typing", "user_id": True},
            ArgumentTypeError,
            "user_id must be int, not bool",
        ),
    ],
)
def test_what_is_no_dictionary_of_the_model_is_refused(data, error, words):
    with pytest.raises(error, match=words):
        Typing.from_dict(data)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("date_sent", "yesterday", "date_sent is no ISO 8601 time"),
        ("date_sent", 5, "date_sent is no ISO 8601 time"),
        ("attachments", "photo", "attachments must be a list"),
        ("attachments", ["photo"], r"attachments\[0\] must be a mapping"),
        ("attachments", [{"size": "big"}], r"attachments\[0\]\.size must be float"),
        ("dialog", {"type": 99}, "dialog.type is no DialogType: 99"),
        ("custom", [1], "custom must be a mapping"),
        ("read_ids", [None], r"read_ids\[0\] must be int"),
    ],
)
def test_a_field_of_a_wrong_type_is_named(field, value, words):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=words):
        Message.from_dict({"schema": 1, "model": "Message", field: value})


@pytest.mark.parametrize(
    ("custom", "words"),
    [
        ({"a": float("nan")}, r"custom\['a'\] must be finite"),
        ({"a": object()}, r"custom\['a'\] is a object, which JSON cannot carry"),
        ({"a": {"b": b"x"}}, r"custom\['a'\]\['b'\] is a bytes"),
    ],
)
def test_what_json_cannot_carry_is_named(custom, words):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=words):
        Message(body="x", custom=custom).to_dict()


def test_attachments_are_models_too():
    file = Attachment(type="photo", uid="u", size=12)
    assert Attachment.from_dict(through_json(file.to_dict())) == file


def test_the_error_is_a_public_name():
    assert connectycube.SerializedError is SerializedError


def test_of_a_subclass_only_the_model_is_written():
    @attrs.frozen(kw_only=True)
    class Member(User):
        secret: str

    assert Member(id=1, secret="s").to_dict() == {"schema": 1, "model": "User", "id": 1}
