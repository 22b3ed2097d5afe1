from __future__ import annotations

import pytest

from tests.wire.emulator.api.people import answered, make_group, make_private, make_public, write


def results(person, query):
    return answered(person("GET", f"chat/search?{query}"))["results"]


def texts(person, query):
    return [message["message"] for message in results(person, query)["messages"]]


def test_messages_are_found_by_a_part_of_their_text_where_one_is_in(people, group):
    hidden = make_public(people)["_id"]
    write(people.alice, group, "lorem ipsum")
    write(people.alice, group, "Lorem dolor")
    write(people.alice, hidden, "lorem elsewhere")
    assert texts(people.bob, "search_text=lorem") == ["lorem ipsum"]
    assert texts(people.alice, "search_text=lorem") == ["lorem elsewhere", "lorem ipsum"]
    assert texts(people.alice, f"search_text=lorem&chat_dialog_ids={group}") == ["lorem ipsum"]
    assert texts(people.mallory, f"search_text=lorem&chat_dialog_ids={group}") == []


def test_messages_deleted_for_oneself_are_not_found(people, group):
    message = write(people.alice, group, "lorem ipsum")["_id"]
    answered(people.bob("DELETE", f"chat/Message/{message}"))
    assert texts(people.bob, "search_text=lorem") == []


def test_dialogs_and_users_are_found_by_name(people):
    make_group(people, name="lorem ipsum")
    make_private(people)
    body = {"type": 3, "occupants_ids": [people.charlotte.id]}
    answered(people.alice("POST", "chat/Dialog", json=body), 201)
    found = results(people.alice, "search_text=lorem")
    assert [dialog["name"] for dialog in found["dialogs"]] == ["lorem ipsum"]
    assert found["messages"] == found["users"] == []
    found = results(people.alice, "search_text=harlott")
    assert [user["full_name"] for user in found["users"]] == ["Charlotte"]
    assert results(people.bob, "search_text=harlott")["users"] == []


def test_dates_bound_from_the_newer_to_the_older(people, group):
    january, march = 1_700_000_000, 1_700_000_000 + 60 * 86_400
    write(people.alice, group, "lorem old", date_sent=january)
    write(people.alice, group, "lorem new", date_sent=march)
    newer, older = "start_date=2024-01-20T00:00:00Z", "end_date=2023-11-01T00:00:00.000Z"
    assert texts(people.bob, f"search_text=lorem&{newer}&{older}") == ["lorem new", "lorem old"]
    assert texts(people.bob, f"search_text=lorem&end_date={march - 10}") == ["lorem new"]
    query = f"search_text=lorem&start_date={march - 10}&{older}"
    assert texts(people.bob, query) == ["lorem old"]


def test_limit_bounds_each_kind(people, group):
    for number in range(3):
        write(people.alice, group, f"lorem {number}")
    assert texts(people.bob, "search_text=lorem&limit=2") == ["lorem 2", "lorem 1"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "search_text"),
        ("search_text=lore", "search_text"),
        ("search_text=lorem&limit=101", "limit"),
        ("search_text=lorem&limit=0", "limit"),
        ("search_text=lorem&limit=x", "limit"),
        ("search_text=lorem&chat_dialog_ids=1,2,3,4,5,6,7,8,9,10,11", "chat_dialog_ids"),
        ("search_text=lorem&start_date=2024-01-01T00:00:00Z", "end_date"),
        ("search_text=lorem&start_date=yesterday&end_date=0", "start_date"),
        (
            "search_text=lorem&start_date=2024-01-01T00:00:00Z&end_date=2024-01-02T00:00:00Z",
            "end_date",
        ),
        (
            "search_text=lorem&start_date=2024-01-01T00:00:00Z&end_date=2020-01-01T00:00:00Z",
            "end_date",
        ),
        ("search_text=lorem&colour=red", "colour"),
    ],
)
def test_what_is_wrong_is_named(people, query, field):
    answer = answered(people.alice("GET", f"chat/search?{query}"), 422)
    assert list(answer["errors"]) == [field]
