import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import _checks as checks
from connectycube.errors import ArgumentTypeError, ArgumentValueError

NAME = "the_name"


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
        (checks.check_number, [math.nan, math.inf, -math.inf]),
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
                "a\n",
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


def test_a_number_is_returned_as_a_float():
    assert type(checks.check_number(NAME, 5)) is float


def test_one_of_some():
    assert checks.check_one_of(NAME, 2, (1, 2)) == 2
    assert refused(checks.check_one_of, 3, (1, 2)) is ArgumentValueError
    assert refused(checks.check_one_of, [], (1, 2)) is ArgumentValueError


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
