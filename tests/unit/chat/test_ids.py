"""Ids of messages: in the service's form, new or derived."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import _forks as forks
from connectycube.chat import ids
from connectycube.chat.ids import check_new_id, derived_id, new_id
from connectycube.errors import ArgumentTypeError, ArgumentValueError

INBOUND = ("7-1@localhost", 7, "6b0389199d7b03b767a0c241")
keys = st.tuples(st.text(max_size=9), st.integers(0, 99), st.text(max_size=9))
arguments = st.tuples(
    st.text(max_size=5), keys, st.text(max_size=9), st.text(max_size=9), st.integers(0, 9)
)


def is_object_id(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{24}", text) is not None


def test_new_ids_have_the_services_form_and_differ():
    made = {new_id() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(map(is_object_id, made))


def test_a_child_of_a_fork_drops_the_random_parts_of_its_parent(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_633_780_800.0)
    first, second = new_id(), new_id()
    assert first[:8] == second[:8] == "61618440"
    made = ids._ids
    _, _, parts = made._made
    assert parts
    forks._replace_inherited()
    assert made._made[2] is not parts and new_id()[8:] not in parts


def test_the_ids_of_a_second_begin_with_it_and_those_of_the_next_with_that(monkeypatch):
    for now, begin in ((10.9, "0000000a"), (10.99, "0000000a"), (11.0, "0000000b")):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        made = {new_id() for _ in range(200)}
        assert len(made) == 200
        assert {one[:8] for one in made} == {begin}


def test_a_derived_id_is_the_same_every_time():
    one, other = (derived_id("s", INBOUND, "bot.answer", "8-1@localhost", 0) for _ in range(2))
    assert one == other


def test_a_derived_id_begins_with_the_time_of_the_inbound_one():
    assert derived_id("s", INBOUND, "bot.answer", "r", 3).startswith("6b038919")


@given(arguments)
def test_a_derived_id_has_the_services_form(values):
    assert is_object_id(derived_id(*values))


@given(arguments, arguments)
def test_another_store_event_receiver_recipient_or_count_is_another_id(one, other):
    same = one == other
    assert (derived_id(*one) == derived_id(*other)) is same


@given(st.text() | st.from_regex("[0-9a-fA-F]{22,26}", fullmatch=True))
def test_only_ids_that_the_service_keeps_are_taken(text):
    if is_object_id(text):
        assert check_new_id("message.id", text) == text
    else:
        with pytest.raises(ArgumentValueError, match=r"message\.id must be 24 hexadecimal digits"):
            check_new_id("message.id", text)


def test_an_id_that_is_no_text_is_refused():
    assert check_new_id("message.id", new_id())
    with pytest.raises(ArgumentTypeError, match=r"message\.id must be a string, not int"):
        check_new_id("message.id", 5)
