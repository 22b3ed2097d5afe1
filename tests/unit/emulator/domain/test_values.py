from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator.domain.values import LARGEST_INTEGER, flag, natural, words


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, []),
        ("", []),
        (" a, b ,,c", ["a", "b", "c"]),
        (["a", " 2 ", 3, ""], ["a", "2", "3"]),
        (7, ["7"]),
    ],
)
def test_words_are_the_parts_of_a_list_or_a_string(value, read):
    assert words(value) == read


@pytest.mark.parametrize("value", [1, "1", True, "true"])
def test_a_yes_is_read_in_each_of_its_forms(value):
    assert flag(value)


@pytest.mark.parametrize("value", [0, "0", False, "false", None, "yes", [], {}])
def test_everything_else_is_a_no(value):
    assert not flag(value)


@given(st.integers(0, LARGEST_INTEGER))
def test_a_number_that_a_column_holds_is_read(number):
    assert natural(str(number)) == number


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1.0", " 1", "1_0", "²", "٣", str(LARGEST_INTEGER + 1), "9" * 5000, "0" * 20],
)
def test_no_other_text_is_a_number(text):
    assert natural(text) is None
