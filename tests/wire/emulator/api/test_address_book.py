"""The address book: uploads, devices, and who of the contacts is a user."""

from __future__ import annotations

import pytest

ANN = {"name": "Ann", "phone": "+61412675500"}
BEN = {"name": "Ben", "phone": "61736404001"}


def send(session, *contacts, **more):
    answer = session("POST", "address_book", json={"contacts": list(contacts), **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def phones(session, query=""):
    return [contact["phone"] for contact in session("GET", f"address_book{query}").json()]


def test_contacts_are_created_updated_and_removed(rest, alice):
    hers = rest("alice")
    assert send(hers, ANN, BEN) == {"created": 2, "updated": 0, "deleted": 0, "rejected": {}}
    change = send(hers, {**ANN, "name": "Anna"}, {"phone": BEN["phone"], "destroy": 1})
    assert change == {"created": 0, "updated": 1, "deleted": 1, "rejected": {}}
    assert hers("GET", "address_book").json() == [{"phone": "61412675500", "name": "Anna"}]


def test_force_replaces_the_whole_book(rest, alice):
    hers = rest("alice")
    send(hers, ANN, BEN)
    assert send(hers, BEN, force=1) == {"created": 0, "updated": 1, "deleted": 1, "rejected": {}}
    assert phones(hers) == [BEN["phone"]]


def test_a_device_has_its_own_book_and_the_global_one_has_all(rest, alice):
    hers = rest("alice")
    send(hers, ANN, udid="one")
    send(hers, BEN, udid="two")
    assert phones(hers, "?udid=one") == ["61412675500"]
    assert phones(hers, "?udid=two") == [BEN["phone"]]
    assert phones(hers) == ["61412675500", BEN["phone"]]
    assert send(hers, {"phone": BEN["phone"], "destroy": "1"}, udid="one")["deleted"] == 0
    assert send(hers, force=1, udid="one")["deleted"] == 1
    assert phones(hers) == [BEN["phone"]]


def test_books_are_private(rest, alice, bob):
    send(rest("alice"), ANN)
    assert phones(rest("bob")) == []


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        ({"name": "x", "phone": "123456789"}, "Length of 'phone' field should be min: 10 and max: 15."),
        ({"name": "x", "phone": "1" * 16}, "Length of 'phone' field should be min: 10 and max: 15."),
        ({"name": "x", "phone": "call me maybe"}, "Invalid fields set"),
        ({"name": "x" * 256, "phone": "1234567890"}, "Length of 'name' field should be min: 1 and max: 255."),
        ({"name": "", "phone": "1234567890"}, "Length of 'name' field should be min: 1 and max: 255."),
        ({"phone": "1234567890"}, "Length of 'name' field should be min: 1 and max: 255."),
        ({"name": "x", "phone": 1234567890}, "Invalid fields set"),
        ({"name": "x"}, "Invalid fields set"),
        ("x", "Invalid fields set"),
    ],
)  # fmt: skip
def test_a_wrong_contact_is_rejected_by_its_place_and_the_others_are_kept(
    rest, alice, contact, reason
):
    hers = rest("alice")
    result = send(hers, ANN, contact)
    assert (result["created"], result["rejected"]) == (1, {"1": [reason]})
    assert phones(hers) == ["61412675500"]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "contacts"),
        ({"contacts": "x"}, "contacts"),
        ({"contacts": [], "udid": "x" * 65}, "udid"),
    ],
)
def test_a_wrong_field_is_named(rest, alice, body, wrong):
    answer = rest("alice")("POST", "address_book", json=body)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [wrong])


def test_a_device_name_has_64_characters_at_most(rest, alice):
    assert rest("alice")("GET", f"address_book?udid={'x' * 65}").status_code == 422


def test_registered_users_are_found_by_their_digits(emulator, rest, alice):
    ann = emulator.add_user("ann", "secret", phone="+61 412 675 500", full_name="Dr Ann")
    emulator.add_user("nobody", "secret", phone="+49000000000")
    hers = rest("alice")
    send(hers, ANN, BEN, udid="one")
    path = "address_book/registered_users"
    assert hers("GET", f"{path}?compact=1").json() == {
        "items": [{"user": {"id": ann, "phone": "+61 412 675 500", "address_book_name": "Ann"}}]
    }
    (item,) = hers("GET", f"{path}?compact=0&udid=one").json()["items"]
    assert (item["user"]["full_name"], item["user"]["address_book_name"]) == ("Dr Ann", "Ann")
    assert hers("GET", f"{path}?udid=two").json() == {"items": []}
