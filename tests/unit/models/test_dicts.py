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
    Limits,
    Message,
    MessageFailure,
    OutcomeUnknownError,
    ReceiverGaveUp,
    RunningReceiver,
    SerializedError,
    StanzaError,
    StateChange,
    StreamError,
    Typing,
    User,
)
from connectycube.chat.durable.serialization import message_of, text_of
from connectycube.models._dicts import DEEPEST, json_schema, registered
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
        min_value=datetime(1, 1, 2),
        max_value=datetime(9999, 12, 30),
        timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-3, minutes=-30))]),
    ),
}
KEYS = TEXTS | st.sampled_from(["schema", "model", "class", "text", "event"])
NAMES = st.sampled_from([1, "1", "Message", "Typing", "StanzaError"])
JSON = st.recursive(
    st.none() | TEXTS | st.booleans() | st.integers() | NAMES,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(KEYS, inner, max_size=2)
        | st.fixed_dictionaries({"schema": inner, "model": inner})
    ),
    max_leaves=4,
)
"""What other users write in custom parameters: also what looks like the dictionary of a model."""
EVENTS = (
    st.none() | st.builds(Message, custom=st.dictionaries(KEYS, JSON)) | st.just(Typing(user_id=7))
)
PLAINEST: dict[Any, Any] = {
    str: "x",
    int: 1,
    float: 1.0,
    bool: True,
    datetime: datetime(2026, 1, 1, tzinfo=timezone.utc),
    DialogRef: DialogRef(),
    Message: Message(),
    ChatState: ChatState.READY,
    Any: None,
    Exception: ValueError(),
    BaseException: ValueError(),
    str | None: None,
    int | None: None,
    float | None: None,
    Exception | None: None,
    tuple[RunningReceiver, ...]: (),
}
"""A value for each type of a field without a default."""
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
        return EVENTS
    if origin in (Union, types.UnionType):
        return st.one_of([values_of(each) for each in arguments])
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is not None:
        assert issubclass(origin, Mapping)
        values = JSON if arguments[1] is Any else values_of(arguments[1])
        return st.dictionaries(values_of(arguments[0]), values, max_size=2)
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
        (
            {"schema": 10**5000, "model": "Typing"},
            ArgumentValueError,
            "schema an int of 16610 bits",
        ),
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
        ("date_sent", "0001-01-01T00:00:00+14:00", "date_sent is outside the years 1 to 9999"),
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


@pytest.mark.hypothesis
@given(custom=st.dictionaries(KEYS, JSON))
def test_custom_parameters_are_never_read_as_structure(custom):
    message = Message(body="x", custom=custom, reactions=custom)
    failure = ReceiverGaveUp(
        event=message,
        signal="s",
        receiver="r",
        error=SerializedError("e", class_name="E"),
        attempts=1,
    )
    assert ReceiverGaveUp.from_dict(through_json(failure.to_dict())) == failure
    read = Message.from_dict(through_json(message.to_dict()))
    assert (read.custom, read.reactions) == (custom, custom)


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels > 1 else {"a": "x"}


def test_all_that_a_stanza_can_nest_comes_back():
    assert Limits().stanza_depth < DEEPEST
    message = Message(custom={"x": nested(DEEPEST)})
    assert Message.from_dict(through_json(message.to_dict())) == message
    assert message_of(text_of(message)) == message


def test_what_is_nested_deeper_is_refused_in_both_directions():
    deep = {"x": nested(DEEPEST + 1)}
    with pytest.raises(ArgumentValueError, match="nested too deeply"):
        Message(custom=deep).to_dict()
    with pytest.raises(ArgumentValueError, match="nested too deeply"):
        Message.from_dict({"schema": 1, "model": "Message", "custom": deep})


@pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("wrong", [object(), [object()], {"a": object()}], ids=["o", "list", "map"])
def test_a_field_that_holds_a_wrong_type_is_named(cls, wrong):
    data = {each.name: None for each in fields(cls) if each.default is attrs.NOTHING}
    for each in fields(cls):
        model = cls(**data)
        object.__setattr__(model, each.name, wrong)
        for required in data.keys() - {each.name}:
            object.__setattr__(model, required, PLAINEST[typing.get_type_hints(cls)[required]])
        with pytest.raises((ArgumentTypeError, ArgumentValueError), match=rf"^{each.name}\b"):
            model.to_dict()


@pytest.mark.parametrize("wrong", [None, 1, "x", [1], [], {"schema": 1}, {"class": 5}])
@pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
def test_a_field_of_any_other_json_is_read_or_named(cls, wrong):
    data = {"schema": 1, "model": cls.__name__}
    for each in fields(cls):
        try:
            cls.from_dict({**data, **{every.name: wrong for every in fields(cls)}})
        except (ArgumentTypeError, ArgumentValueError):
            pass
        try:
            cls.from_dict({**data, each.name: wrong})
        except (ArgumentTypeError, ArgumentValueError) as error:
            assert any(every.name in str(error) for every in fields(cls))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"schema": 1, "model": {"a": "b"}}, "event has the model {'a': 'b'}"),
        ({"schema": 1, "model": "Hologram"}, "event has the model 'Hologram'"),
        ([1], "event must be a mapping, not list"),
    ],
)
def test_an_event_is_a_model_or_refused(event, words):
    data = CallbackFailure(receiver="r", signal="s", event=None, error=ValueError()).to_dict()
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=words):
        CallbackFailure.from_dict({**data, "event": event})


def test_attributes_of_an_error_that_are_no_mapping_are_named():
    data = {
        "schema": 1,
        "model": "StateChange",
        "state": "closed",
        "previous": "ready",
        "reason": {"class": "StanzaError", "text": "x", "attributes": [1]},
    }
    with pytest.raises(ArgumentTypeError, match=r"reason\.attributes must be a mapping, not list"):
        StateChange.from_dict(data)


def test_errors_of_other_packages_are_equal_by_class_name_and_text():
    change = StateChange(
        state=ChatState.CLOSED,
        previous=ChatState.READY,
        reason=SerializedError("x", class_name="library.Error"),
    )
    assert StateChange.from_dict(through_json(change.to_dict())) == change
    assert len({SerializedError("x", class_name="E"), SerializedError("x", class_name="E")}) == 1
    assert SerializedError("x", class_name="E") != SerializedError("x", class_name="F")
    assert SerializedError("x", class_name="E") != ValueError("x")


def test_an_error_that_has_no_text_is_written_all_the_same():
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    error = StreamError("ended", condition="reset")
    error.retry_after = float("nan")  # type: ignore[attr-defined]
    for each in (Mute(), error):
        change = StateChange(state=ChatState.CLOSED, previous=ChatState.READY, reason=each)
        assert StateChange.from_dict(through_json(change.to_dict())).reason is not None


def test_times_are_written_and_read_in_utc():
    moment = datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=2)))
    message = Message(body="x", date_sent=moment)
    data = message.to_dict()
    assert data["date_sent"] == "2026-01-01T23:00:00+00:00"
    assert Message.from_dict(data) == message
    again = Message.from_dict({**data, "date_sent": "2026-01-01T23:00:00"})
    assert again == message  # a time of another program, without its zone


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (datetime(2026, 1, 2), "date_sent must be an aware datetime"),
        (
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            "date_sent is outside the years 1 to 9999",
        ),
    ],
)
def test_a_time_that_is_none_in_utc_is_named(moment, words):
    with pytest.raises(ArgumentValueError, match=words):
        Message(date_sent=moment).to_dict()


def test_attachments_are_models_too():
    file = Attachment(type="photo", uid="u", size=12)
    assert Attachment.from_dict(through_json(file.to_dict())) == file


def test_the_error_is_a_public_name():
    assert connectycube.SerializedError is SerializedError


def test_of_a_subclass_only_the_model_is_written():
    @attrs.frozen(kw_only=True)
    class Member(User):
        secret: str

    written = Member(id=1, secret="s").to_dict()
    assert written == {"schema": 1, "model": "User", "id": 1}
    with pytest.raises(ArgumentTypeError, match=r"Member\.secret needs a default: .* a User"):
        Member.from_dict(written)


def test_a_subclass_is_read_with_the_defaults_of_its_own_fields():
    @attrs.frozen(kw_only=True)
    class Ticket(Message):
        is_urgent: bool = False
        tags: set[str] = attrs.field(factory=set)

    written = through_json(Ticket(body="x", is_urgent=True).to_dict())
    assert Ticket.from_dict(written) == Ticket(body="x")
    assert Message.from_dict(written) == Message(body="x")
