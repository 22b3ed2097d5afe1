"""The value of a cursor store: small, whatever it holds, and read with care."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.cursor_value import CursorValue, value_of

KEYS = {
    "short": ("1-1@chat", 1, "5f1e0a0b0c0d0e0f10111213"),
    "long": (f"12345678-12345@{'h' * 250}", 2**53, "d" * 200),
    "emoji": ("1-1@chat", 1, "\N{PARROT}" * 256),
}


def value(**fields: object) -> CursorValue:
    return CursorValue(1, 2, "chat", identity="ab", **fields)


@pytest.mark.parametrize("kind", KEYS)
def test_the_value_is_below_200_kb_and_keeps_the_newest(kind):
    key = KEYS[kind]
    handled = tuple((key, float(number)) for number in range(1_000))
    saved = value(handled=handled, older=(key,) * 1_000).to_json()
    assert len(json.dumps(saved)) < 200_000
    assert saved["handled"] == [[*key, at] for _, at in handled[-len(saved["handled"]) :]]
    assert len(saved["handled"]) > 40 and len(saved["older"]) > 10
    assert kind != "short" or len(saved["handled"]) == 1_000


def test_what_was_saved_is_read():
    key = KEYS["short"]
    saved = value(first=1.5, low=2.5, handled=((key, 3.0),), older=(key,))
    assert value_of(json.loads(json.dumps(saved.to_json()))) == saved


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": None}, "its schema is None, and this release reads 1"),
        ({"schema": 2}, "its schema is 2"),
        ({"schema": True}, "its schema is True"),
        ({"identity": ""}, "identity is ''"),
        ({"identity": 5}, "identity is 5, and no text"),
        ({"user_id": "2"}, "user_id is '2', and no whole number"),
        ({"user_id": True}, "user_id is True"),
        ({"app_id": 1.5}, "app_id is 1.5"),
        ({"chat_host": None}, "chat_host is None, and no text"),
        ({"low": 1e300}, "low is 1e\\+300, and no time in unix seconds"),
        ({"low": -1e12}, "low is -1000000000000.0"),
        ({"low": float("nan")}, "low is nan"),
        ({"low": "5"}, "low is '5'"),
        ({"first": True}, "first is True, and no time"),
        ({"first": 10**400}, "first is 1000"),
        ({"handled": None}, "handled is None, and no list"),
        ({"handled": {}}, "handled is {}, and no list"),
        ({"handled": [5]}, "handled has 5, and no list of 4"),
        ({"handled": [["c", 1, "i"]]}, "handled has .*, and no list of 4"),
        ({"handled": [["c", "1", "i", 5]]}, "a sender in handled is '1'"),
        ({"handled": [["c", 1, 7, 5]]}, "handled has .*, and no key of a message"),
        ({"handled": [["c", 1, "i", "x"]]}, "handled is 'x', and no time"),
        ({"older": "abc"}, "older is 'abc', and no list"),
        ({"older": [[None, 1, "i"]]}, "older has .*, and no key"),
    ],
)
def test_a_damaged_value_says_what_is_wrong(change, words):
    with pytest.raises(ValueError, match=words):
        value_of(value().to_json() | change)


@pytest.mark.parametrize("data", [None, 5, "x", [], [1]])
def test_a_value_that_is_no_mapping_says_so(data):
    with pytest.raises(ValueError, match="and no mapping"):
        value_of(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.sampled_from(sorted(value().to_json())), JSON)
def test_any_damage_is_a_value_error_or_is_none(name, junk):
    data = value(first=1.0, low=2.0, handled=((KEYS["short"], 3.0),)).to_json()
    try:
        read = value_of(data | {name: junk})
    except ValueError:
        return
    json.dumps(read.to_json(), allow_nan=False)
