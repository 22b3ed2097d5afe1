from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol.addresses import Addresses, bare

ADDRESSES = Addresses(7, "chat.example")


def test_user_and_room_addresses_are_written_as_the_service_does() -> None:
    assert ADDRESSES.user(1001) == "1001-7@chat.example"
    assert ADDRESSES.room("5f1e") == "7_5f1e@muc.chat.example"


@pytest.mark.parametrize(
    ("jid", "expected"),
    [
        ("1001-7@chat.example/laptop", "1001-7@chat.example"),
        ("1001-7@chat.example", "1001-7@chat.example"),
        ("7_d@muc.chat.example/1001/x", "7_d@muc.chat.example"),
        ("chat.example", "chat.example"),
        ("", ""),
    ],
)
def test_bare_leaves_out_the_resource(jid: str, expected: str) -> None:
    assert bare(jid) == expected


@pytest.mark.parametrize(
    ("jid", "expected"),
    [
        ("1001-7@chat.example", 1001),
        ("1001-7@chat.example/any/resource@x", 1001),
        ("1001-7@CHAT.Example", 1001),
        ("1001@chat.example", None),
        ("1001-8@chat.example/of-another-application", None),
        ("1001-7@other.example", None),
        ("1001-7@muc.chat.example", None),
        ("bob-7@chat.example", None),
        ("-7@chat.example", None),
        ("١٢-7@chat.example", None),
        ("9" * 20 + "-7@chat.example", None),
        ("chat.example", None),
        ("", None),
        (None, None),
    ],
)
def test_user_id_is_read_from_users_of_this_host_only(jid: str | None, expected: object) -> None:
    assert ADDRESSES.user_id(jid) == expected


@pytest.mark.parametrize(
    ("jid", "expected"),
    [
        ("7_5f1e@muc.chat.example", "5f1e"),
        ("7_5f1e@muc.chat.example/1001", "5f1e"),
        ("7_a_b@MUC.chat.example", "a_b"),
        ("7_@muc.chat.example", None),
        ("7@muc.chat.example", None),
        ("7_5f1e@chat.example", None),
        ("", None),
        (None, None),
    ],
)
def test_dialog_id_is_read_from_rooms_of_this_host_only(jid: str | None, expected: object) -> None:
    assert ADDRESSES.dialog_id(jid) == expected


@given(st.integers(1, 10**18), st.text(max_size=10))
def test_a_user_is_read_back_from_any_of_his_full_addresses(user_id: int, resource: str) -> None:
    assert ADDRESSES.user_id(f"{ADDRESSES.user(user_id)}/{resource}") == user_id


@given(st.text())
def test_no_text_makes_an_address_raise(text: str) -> None:
    user_id, dialog_id = ADDRESSES.user_id(text), ADDRESSES.dialog_id(text)
    assert user_id is None or user_id >= 1
    assert dialog_id is None or dialog_id


@pytest.mark.parametrize("number", ["0", "08", "00000008", "+8", "8 ", "٨", "1" * 20, "", "-8"])
def test_a_user_id_is_written_in_one_way_only(number: str) -> None:
    assert ADDRESSES.user_id(f"{number}-7@chat.example/phone") is None
    assert ADDRESSES.occupant(f"7_d@muc.chat.example/{number}") is None


def test_the_id_of_a_dialog_is_no_longer_than_256_characters() -> None:
    assert ADDRESSES.dialog_id(ADDRESSES.room("d" * 256)) == "d" * 256
    assert ADDRESSES.dialog_id(ADDRESSES.room("d" * 257)) is None


def test_a_host_is_the_same_however_it_is_written() -> None:
    assert Addresses(7, "Chat.EXAMPLE") == ADDRESSES
