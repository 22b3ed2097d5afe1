import inspect
from datetime import datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from connectycube import Message
from connectycube.chat.durable.serialization import message_of, text_of
from connectycube.models import _json as fields
from connectycube.models._json import as_int, as_time, made_init, maker_of, others, read, wire
from tests.support.damage import JSON

READERS = [
    fields.as_bool,
    fields.as_float,
    fields.as_int,
    fields.as_ints,
    fields.as_mapping,
    fields.as_string,
    fields.as_strings,
    fields.as_time,
]
UTC = timezone.utc


@pytest.mark.parametrize("reader", READERS)
@given(value=JSON)
def test_no_json_makes_a_reader_raise(reader, value):
    reader(value)


@pytest.mark.parametrize("levels", [98, 101, 400, 5_000, 100_000])
def test_parameters_of_any_depth_are_read(levels):
    data: Any = {"a": "x"}
    for _ in range(levels):
        data = {"a": data}
    read_ = fields.as_parameters({"deep": data, "other": "y"})
    assert read_["other"] == "y"
    inner = read_["deep"]
    while isinstance(inner, dict) and "a" in inner:
        inner = inner["a"]
    assert isinstance(inner, str)
    if levels < 100:
        assert inner == "x"
    text = text_of(Message(custom=read_))
    assert message_of(text).custom == read_
    while isinstance(data, dict):  # level by level: the interpreter would free all in one recursion
        data = data["a"]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (5, 5),
        ("5", 5),
        (5.0, 5),
        ("-5", -5),
        ("5.0", 5),
        (5.5, None),
        (True, None),
        ("x", None),
        ([], None),
    ],
)
def test_as_int(value, read):
    assert fields.as_int(value) == read
    assert type(fields.as_int(value)) is type(read)


@given(st.integers(-(10**29), 10**29))
def test_an_int_as_text_keeps_every_digit(number):
    assert fields.as_int(str(number)) == number


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1, True),
        ("1", True),
        ("true", True),
        (True, True),
        (0, False),
        ("0", False),
        ("false", False),
        (None, None),
        (2, None),
        ("yes", None),
        ([], None),
        ({}, None),
    ],
)
def test_as_bool(value, read):
    assert fields.as_bool(value) is read


@pytest.mark.parametrize(
    ("value", "read"),
    [("a", "a"), ("", ""), (5, "5"), (1.5, "1.5"), (True, None), (None, None), ([], None)],
)
def test_as_string(value, read):
    assert fields.as_string(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2018-12-05T11:58:02Z", datetime(2018, 12, 5, 11, 58, 2, tzinfo=UTC)),
        ("2018-12-05T11:58:02.123Z", datetime(2018, 12, 5, 11, 58, 2, 123000, tzinfo=UTC)),
        ("2018-12-05T13:58:02+02:00", datetime(2018, 12, 5, 11, 58, 2, tzinfo=UTC)),
        ("2018-12-05 11:58:02", datetime(2018, 12, 5, 11, 58, 2, tzinfo=UTC)),
        (1544010993, datetime(2018, 12, 5, 11, 56, 33, tzinfo=UTC)),
        ("1544010993", datetime(2018, 12, 5, 11, 56, 33, tzinfo=UTC)),
        (1544010993000, datetime(2018, 12, 5, 11, 56, 33, tzinfo=UTC)),
        (1544010993.5, datetime(2018, 12, 5, 11, 56, 33, 500000, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        (True, None),
        (1e300, None),
    ],
)
def test_as_time_is_aware_and_in_utc(value, read):
    moment = fields.as_time(value)
    assert moment == read
    assert moment is None or moment.utcoffset() == timedelta(0)


def test_lists_leave_out_what_is_none():
    assert fields.as_ints([1, "2", None, "x", 3.0]) == (1, 2, 3)
    assert fields.as_strings(["a", None, 5, []]) == ("a", "5")
    assert fields.as_ints("1,2") is None


# --- read


@attrs.frozen(kw_only=True, slots=True)
class Thing:
    """A model with all that a model may have."""

    name: str | None = fields.wire("n-a.me", fields.as_string)
    numbers: tuple = fields.wire("numbers", fields.as_ints, default=())
    moment: datetime | None = fields.wire("moment", fields.as_time)
    owner: str = attrs.field()
    own: bool = attrs.field(default=False)
    rest: dict = attrs.field(factory=dict)


def test_a_model_is_read_like_one_that_is_built():
    data = {"n-a.me": 5, "numbers": [1, "2"], "moment": 0, "other": [1], "own": True}
    assert fields.read(Thing, data, into="rest", owner="me") == Thing(
        name="5",
        numbers=(1, 2),
        moment=fields.EPOCH,
        owner="me",
        own=False,
        rest={"other": [1], "own": True},
    )


@pytest.mark.parametrize("data", [{}, {"n-a.me": None, "numbers": None, "moment": None}])
def test_absent_and_null_fields_have_their_defaults(data):
    assert fields.read(Thing, data, into="rest", owner="me", own=True) == Thing(
        owner="me", own=True
    )


def test_what_no_field_claims_is_not_shared_between_objects():
    first, second = (fields.read(Thing, {}, into="rest", owner="me") for _ in range(2))
    first.rest["a"] = 1
    assert second.rest == {}


def test_a_field_that_must_be_known_is_missed_by_name():
    with pytest.raises(TypeError, match="owner"):
        fields.read(Thing, {}, into="rest")
    with pytest.raises(TypeError, match="colour"):
        fields.read(Thing, {}, into="rest", owner="me", colour="red")


def test_what_is_read_is_as_frozen_as_what_is_built():
    read = fields.read(Thing, {}, into="rest", owner="me")
    assert type(read) is Thing
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        read.name = "other"


# --- what cannot be understood


@frozen(kw_only=True)
class Lenient:
    number: int | None = wire("number", as_int)
    at: datetime | None = wire("at", as_time)
    extra: dict = others()


@frozen(kw_only=True)
class Record:
    number: int | None = wire("number", as_int)
    fields: dict = others(without=["reserved"])


@given(data=st.dictionaries(st.sampled_from(["number", "at", "new", "reserved"]), JSON))
def test_extra_keeps_whatever_has_no_attribute(data):
    thing = read(Lenient, data)
    for name, value in data.items():
        is_known = name in ("number", "at") and getattr(thing, name) is not None
        assert (
            is_known or (name in ("number", "at") and value is None) or thing.extra[name] == value
        )
    assert thing.extra.keys() <= data.keys()


def test_fields_of_the_application_take_no_value_that_cannot_be_understood():
    data = {"number": "many", "reserved": 1, "own": 2}
    assert read(Record, data, into="fields") == Record(fields={"own": 2})


def test_a_maker_builds_what_the_class_builds():
    new = maker_of(Message, "id", "custom", "own")
    made = new("a", {"k": "v"}, True)
    assert made == Message(id="a", custom={"k": "v"}, own=True)
    assert type(made) is Message and hash(made.id) and repr(made) == repr(attrs.evolve(made))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.id = "b"


def test_a_maker_wants_the_fields_whose_default_is_made_anew():
    with pytest.raises(AssertionError):
        maker_of(Message, "id")


# --- made initializers --------------------------------------------------------------------------


def classes() -> tuple[Any, Any]:
    """The same class twice, with attrs' initializer and with a made one."""
    found = []
    for _ in range(2):

        @frozen(kw_only=True, slots=True)
        class Thing:
            one: int | None = attrs.field(default=None)
            many: tuple[int, ...] = attrs.field(default=(), converter=tuple)
            more: dict[str, int] = attrs.field(factory=dict)
            needed: str = attrs.field()

        found.append(Thing)
    return found[0], made_init(found[1])


USUAL, MADE = classes()


@given(
    st.fixed_dictionaries(
        {"needed": st.text()},
        optional={
            "one": st.none() | st.integers(),
            "many": st.lists(st.integers()),
            "more": st.dictionaries(st.text(), st.integers()),
        },
    )
)
def test_a_made_initializer_sets_what_that_of_attrs_sets(values):
    made = MADE(**values)
    assert attrs.asdict(made) == attrs.asdict(USUAL(**values))
    assert type(made) is MADE and made == attrs.evolve(made) == attrs.evolve(made, one=made.one)
    assert made.more is not MADE(needed="x").more


@pytest.mark.parametrize("wrong", [{}, {"needed": "x", "other": 1}, {"needed": "x", "many": 5}])
def test_a_made_initializer_refuses_what_that_of_attrs_refuses(wrong):
    with pytest.raises(TypeError) as usual:
        USUAL(**wrong)
    with pytest.raises(TypeError) as made:
        MADE(**wrong)
    assert str(made.value) == str(usual.value)


@pytest.mark.parametrize("given", [(None,), (5,), (None, "x"), ("x", "y", "z")])
def test_a_made_initializer_takes_names_alone(given):
    for cls in (USUAL, MADE):
        with pytest.raises(TypeError, match="takes 1 positional argument but"):
            cls(*given, needed="x")
    assert inspect.signature(MADE) == inspect.signature(USUAL)


def test_what_a_made_initializer_has_made_is_frozen():
    made = MADE(needed="x")
    for change in (lambda: setattr(made, "one", 1), lambda: delattr(made, "one")):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            change()


def test_a_class_below_one_with_a_made_initializer_has_that_of_attrs():
    class Plain(MADE):
        pass

    @frozen(kw_only=True, slots=True)
    class Longer(MADE):
        last: int = 7

    assert type(Plain(needed="x", one=3)) is Plain and Plain(needed="x", one=3).one == 3
    assert attrs.asdict(Longer(needed="x")) == {**attrs.asdict(MADE(needed="x")), "last": 7}
