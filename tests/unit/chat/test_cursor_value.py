"""The value of a cursor store: small, whatever it holds, and read with care."""

from __future__ import annotations

import json

import pytest

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
