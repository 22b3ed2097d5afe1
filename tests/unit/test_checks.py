import functools
import io
import json
import math
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import ConnectyCube, Observer
from connectycube import _checks as checks
from connectycube.emulator import Emulator
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from connectycube.testing import MockTransport

NAME = "the_name"
LIMA = timezone(timedelta(hours=-5))
JSON_OBJECTS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def refused(check, *arguments, **options):
    with pytest.raises((ArgumentTypeError, ArgumentValueError)) as caught:
        check(NAME, *arguments, **options)
    assert str(caught.value).startswith(f"{NAME} ")
    return type(caught.value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checks.check_str, "x"),
        (checks.check_str, "  "),
        (checks.check_int, 5),
        (checks.check_int, -5),
        (checks.check_number, 5),
        (checks.check_number, 0.5),
        (checks.check_bool, False),
        (checks.check_id, "5c094c0ce588ce6856f87422"),
        (checks.check_id, "ünï_-.1"),
    ],
)
def test_what_is_right_is_returned(check, value):
    assert check(NAME, value) == value


@pytest.mark.parametrize("value", ["a1", " a1", "a1\n", "\t a1\u00a0"])
def test_white_space_around_an_id_is_left_out(value):
    assert checks.check_id(NAME, value) == "a1"


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (checks.check_str, [None, 5, b"x", ["x"]]),
        (checks.check_int, [None, "5", 5.0, True]),
        (checks.check_number, [None, "5", True, 1j]),
        (checks.check_bool, [None, 0, 1, "true"]),
        (checks.check_id, [None, 5, b"x"]),
    ],
)
def test_a_wrong_type_is_a_type_error_with_the_name(check, values):
    for value in values:
        assert refused(check, value) is ArgumentTypeError


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (checks.check_str, ["", "\ud800", "a\udfffb"]),
        (checks.check_number, [math.nan, math.inf, -math.inf, 10**400, -(10**5000)]),
        (checks.check_int, [2**63, -(2**63), 10**5000, -(10**5000)]),
        (
            checks.check_id,
            [
                "",
                " ",
                "a b",
                "a/b",
                "a?b",
                "a#b",
                "a,b",
                "a@b",
                "a\nb",
                "a\x00",
                ".",
                "..",
                "\ud800",
            ],
        ),
    ],
)
def test_a_wrong_value_is_a_value_error_with_the_name(check, values):
    for value in values:
        assert refused(check, value) is ArgumentValueError


def test_strings_have_bounds():
    assert checks.check_str(NAME, "", empty=True) == ""
    assert checks.check_str(NAME, "abc", longest=3) == "abc"
    assert refused(checks.check_str, "abcd", longest=3) is ArgumentValueError


@pytest.mark.parametrize("check", [checks.check_int, checks.check_number])
def test_numbers_have_bounds(check):
    assert check(NAME, 1, least=1, most=1) == 1
    assert refused(check, 0, least=1) is ArgumentValueError
    assert refused(check, 2, most=1) is ArgumentValueError


def test_an_int_that_python_cannot_write_is_named_by_its_bits():
    with pytest.raises(
        ArgumentValueError, match=r"^x must be at most 5, not an int of 16610 bits$"
    ):
        checks.check_int("x", 10**5000, most=5)


def test_a_number_is_returned_as_a_float():
    assert type(checks.check_number(NAME, 5)) is float


def test_one_of_some():
    assert checks.check_one_of(NAME, 2, (1, 2)) == 2
    assert refused(checks.check_one_of, 3, (1, 2)) is ArgumentValueError
    assert refused(checks.check_one_of, [], (1, 2)) is ArgumentValueError
    assert refused(checks.check_one_of, 10**5000, (1, 2)) is ArgumentValueError


@given(st.text())
def test_whatever_passes_as_a_string_can_be_sent(text):
    try:
        checked = checks.check_str(NAME, text, empty=True)
    except ArgumentValueError:
        return
    assert checked.encode().decode() == text


@given(st.text())
def test_whatever_passes_as_an_id_is_one_word(text):
    try:
        checked = checks.check_id(NAME, text)
    except ArgumentValueError:
        return
    assert checked.split() == [checked]
    assert not set("/?#,@") & set(checked)


@pytest.mark.parametrize("value", [[], ["a"], ("a", "b"), {1, 2}, iter("ab"), range(3)])
def test_what_can_be_iterated_is_several(value):
    assert isinstance(checks.check_list(NAME, value, "things"), list)


@pytest.mark.parametrize("value", ["abc", b"abc", {"a": 1}, None, 5])
def test_a_string_a_mapping_or_one_thing_is_not_several(value):
    assert refused(checks.check_list, value, "things") is ArgumentTypeError


# --- times


@pytest.mark.parametrize(
    "value",
    [
        1_700_000_000,
        1_700_000_000.0,
        datetime.fromtimestamp(1_700_000_000, timezone.utc),
        datetime.fromtimestamp(1_700_000_000, LIMA),
        1_700_000_000_000,
        1_700_000_000_000.0,
    ],
)
def test_a_time_is_unix_time_or_an_aware_datetime(value):
    assert checks.check_time("at", value) == 1_700_000_000


@pytest.mark.parametrize(
    ("value", "cls", "words"),
    [
        (datetime(2024, 1, 1), ArgumentValueError, "naive"),
        (1.5, ArgumentValueError, "fractions"),
        (1_700_000_000_500, ArgumentValueError, "fractions"),
        (1_700_000_000_000_000, ArgumentValueError, "neither unix seconds nor milliseconds"),
        (math.nan, ArgumentValueError, "finite"),
        (math.inf, ArgumentValueError, "finite"),
        ("2024-01-01", ArgumentTypeError, "aware datetime"),
        (True, ArgumentTypeError, "aware datetime"),
        (None, ArgumentTypeError, "aware datetime"),
    ],
)
def test_what_is_no_time_is_refused_by_name(value, cls, words):
    with pytest.raises(cls, match=f"^at .*{words}"):
        checks.check_time("at", value)


# --- JSON


@given(JSON_OBJECTS)
def test_what_json_can_carry_is_copied(value):
    copy = checks.check_json_object("x", value)
    assert copy == value
    assert json.loads(json.dumps(copy)) == copy


@pytest.mark.parametrize(
    ("value", "cls", "words"),
    [
        ({"a": math.inf}, ArgumentValueError, r"x is not JSON: x\['a'\] must be finite, not inf"),
        ({"a": 10**5000}, ArgumentValueError, r"x is not JSON: x\['a'\] must be finite, not inf"),
        ({"a": [object()]}, ArgumentTypeError, r"x is not JSON: x\['a'\]\[0\] is a object"),
        ({5: 1}, ArgumentTypeError, "x is not JSON: a key of x must be a string, not int"),
        ([], ArgumentTypeError, "x must be a mapping, not list"),
    ],
)
def test_what_json_cannot_carry_is_refused_with_its_place(value, cls, words):
    with pytest.raises(cls, match=f"^{words}"):
        checks.check_json_object("x", value)


def test_an_object_may_be_required_to_hold_something():
    with pytest.raises(ArgumentValueError, match=r"^x must not be empty$"):
        checks.check_json_object("x", {}, empty=False)
    with pytest.raises(ArgumentValueError, match=r"^x must not be empty$"):
        checks.check_list("x", [], "things", empty=False)


# --- names of arguments


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("appId", "app_id"),
        ("APP_ID", "app_id"),
        ("app-id", "app_id"),
        ("apikey", "api_key"),
        ("timeot", "timeout"),
        ("username", "login"),
        ("user_name", "login"),
    ],
)
def test_the_nearest_right_name_is_told(name, meant):
    known = ["app_id", "api_key", "login", "timeout"]
    assert checks.nearest(name, known, {"username": "login"}) == f"did you mean {meant}?"


def test_without_a_near_name_all_are_told():
    assert checks.nearest("colour", ["app_id", "login"]) == "there are: app_id, login"


class Door:
    @checks.keywords_only("door.open(key=…)", lever="key")
    def open(self, *, key: str = "", timeout: float | None = None) -> str:
        """Open it."""
        return key

    @checks.keywords_only("door.paint(colour=…)")
    def paint(self, *, colour: str, **others: str) -> dict[str, str]:
        return {"colour": colour, **others}


def test_keywords_reach_the_method():
    assert Door().open(key="k") == "k"
    assert Door().paint(colour="red", gloss="high") == {"colour": "red", "gloss": "high"}
    assert Door.open.__doc__ == "Open it."


@pytest.mark.parametrize(
    ("arguments", "keywords", "words"),
    [
        (["k"], {}, r"the arguments are keywords: door\.open\(key=…\)"),
        ([], {"lever": "k"}, r"lever is no argument of .*: did you mean key\?"),
        ([], {"time_out": 1}, r"did you mean timeout\?"),
        ([], {"wind": 1}, "there are: key, timeout"),
    ],
)
def test_a_call_with_wrong_names_is_explained(arguments, keywords, words):
    with pytest.raises(ArgumentTypeError, match=words):
        Door().open(*arguments, **keywords)


# --- misspelt keywords where other names are free ---

ARGUMENTS = ("attachments", "custom", "send_to_chat", "markable", "silent", "clean", "timeout")


@pytest.mark.parametrize(
    ("keyword", "argument"),
    [
        *(("send_to_chatt", "send_to_chat"), ("sendToChat", "send_to_chat")),
        *(("attachment", "attachments"), ("attachements", "attachments")),
        *(("slient", "silent"), ("cutsom", "custom"), ("customs", "custom")),
        *(("Silent", "silent"), ("time_out", "timeout"), ("markeable", "markable")),
    ],
)
def test_a_misspelt_keyword_is_recognized(keyword, argument):
    assert checks.misspelt(keyword, ARGUMENTS) == argument


@pytest.mark.parametrize(
    "keyword",
    ["colour", "customer", "custom_id", "n", "kind", "client", "time", "mark", "order_id", "title"],
)
def test_another_word_is_no_misspelling(keyword):
    assert checks.misspelt(keyword, ARGUMENTS) is None


# --- callables of the application ---


async def coroutine_function(*_):
    """Return a coroutine, which nobody awaits."""


async def asynchronous_generator_function(*_):
    yield


def generator_function(*_):
    yield


def without_parameters():
    """Take nothing."""


NEVER_RUN = [
    *(coroutine_function, asynchronous_generator_function, generator_function),
    *(functools.partial(coroutine_function, 1), without_parameters),
]


def client(**options):
    return ConnectyCube(app_id=1, auth_key="k", **{"transport": MockTransport(), **options})


def a_file(**methods):
    return SimpleNamespace(seek=lambda *_: 0, tell=lambda: 0, **methods)


def observer_with(**methods):
    observer = Observer()
    vars(observer).update(methods)
    return observer


HANDED_OVER = {
    "renew_session": lambda value: client(renew_session=value),
    "renew_session of for_user": lambda value: client().for_user(
        renew_session=value, login="a", password="b"
    ),
    "renew_session of with_token": lambda value: client().with_token("t", renew_session=value),
    "observer.request_finished": lambda value: client(
        observer=observer_with(request_finished=value)
    ),
    "transport.send": lambda value: client(transport=SimpleNamespace(send=value)),
    "progress of upload": lambda value: client().files.upload(b"x", name="x", progress=value),
    "progress of download": lambda value: client().files.download("uid", progress=value),
    "source.read": lambda value: client().files.upload(a_file(read=value), name="x"),
    "to.write": lambda value: client().files.download("uid", to=a_file(write=value)),
    "receiver": lambda value: client().chat.message_received.connect(value),
    "where": lambda value: client().chat.wait_for(client().chat.message_received, where=value),
    "handler": MockTransport,
    "answer": lambda value: MockTransport().add("GET", "/users", value),
    "identity_provider": lambda value: Emulator(identity_provider=value),
    "social_identity": lambda value: Emulator(social_identity=value),
}


@pytest.mark.parametrize("place", HANDED_OVER)
@pytest.mark.parametrize(
    "value", NEVER_RUN, ids=lambda value: getattr(value, "__name__", "partial")
)
def test_a_callable_that_would_not_run_is_refused_at_once(place, value):
    name = place.partition(" ")[0]
    with pytest.raises(ArgumentTypeError, match=rf"^{name} .*{checks.name_of(value)}"):
        HANDED_OVER[place](value)


def test_callables_of_every_other_kind_are_taken():
    checks.check_callable(NAME, print, "sent", "size")
    checks.check_callable(NAME, io.BytesIO().write, "data")
    checks.check_callable(NAME, lambda *_: None, "sent", "size")
    checks.check_callable(NAME, functools.partial(max, 1), "value")
