from datetime import datetime, timedelta, timezone

import pytest

from connectycube.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    UnexpectedResponseError,
    ValidationError,
)
from connectycube.models import Dialog, DialogRef, Message, SearchResult, Session
from tests.support.examples import DIALOG, MESSAGE, USER
from tests.support.inside import api_of
from tests.support.scripted_http import answer, refusal

FOUND = {"dialogs": [DIALOG], "messages": [MESSAGE], "users": [USER]}
JUNE = datetime(2024, 6, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("data", [FOUND, {"results": FOUND}])
def test_a_search_finds_dialogs_messages_and_users(cube, server, data):
    api_of(cube).adopt(Session(token="t", user_id=85))
    server.play(answer(200, data))
    found = cube.search("much")
    assert found.dialogs == (Dialog.from_json(DIALOG, me=85),)
    assert found.messages == (
        Message.from_json(MESSAGE, dialog=DialogRef(id=MESSAGE["chat_dialog_id"]), own=True),
    )
    assert [user.login for user in found.users] == ["ana"]
    assert server.requests[0].raw_path == "/chat/search?search_text=much"


def test_everything_that_a_search_may_be_asked(cube, server):
    server.play(answer(200, {"results": {"dialogs": []}}))
    east = timezone(timedelta(hours=2))
    found = cube.search(
        "a & b",
        dialogs=["a", DialogRef(id="b")],
        start=JUNE.astimezone(east),
        end=JUNE - timedelta(days=30),
        limit=3,
    )
    assert found == SearchResult()
    assert server.requests[0].query == [
        ("search_text", "a & b"),
        ("chat_dialog_ids", "a,b"),
        ("start_date", "2024-06-01T12:00:00Z"),
        ("end_date", "2024-05-02T12:00:00Z"),
        ("limit", "3"),
    ]


@pytest.mark.parametrize(
    ("bounds", "sent"),
    [
        (
            {"start": 1000.5, "end": 2000.5},
            [("start_date", "1970-01-01T00:33:21Z"), ("end_date", "1970-01-01T00:16:40Z")],
        ),
        (
            {"start": 2000, "end": 1000},
            [("start_date", "1970-01-01T00:33:20Z"), ("end_date", "1970-01-01T00:16:40Z")],
        ),
        ({"end": 1000.5}, [("end_date", "1970-01-01T00:16:40Z")]),
    ],
)
def test_the_newer_bound_is_the_services_start(cube, server, bounds, sent):
    server.play(answer(200, {"results": {"dialogs": []}}))
    cube.search("much", **bounds)
    assert server.requests[0].query[1:] == sent


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"text": ""}, "text"),
        ({"text": None}, "text"),
        ({"dialogs": []}, "dialogs"),
        ({"dialogs": [5]}, "dialogs"),
        ({"start": JUNE}, "start"),
        ({"end": JUNE.replace(tzinfo=None)}, "end"),
        ({"start": JUNE.replace(tzinfo=None), "end": JUNE}, "start"),
        ({"end": "2024"}, "end"),
        ({"end": 1e18}, "end"),
        ({"limit": 0}, "limit"),
    ],
)
def test_wrong_arguments_of_a_search_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=f"^{name} "):
        cube.search(**{"text": "words", **arguments})
    assert server.connections == []


def test_the_services_refusal_of_a_long_span_reaches_the_caller(cube, server):
    server.play(refusal(422, "three months at most"))
    with pytest.raises(ValidationError, match="three months"):
        cube.search("words", start=JUNE, end=JUNE - timedelta(days=400))


@pytest.mark.parametrize("data", [{}, [], {"results": []}, {"results": {}}, {"errors": 1}])
def test_what_is_no_result_is_unexpected(cube, server, data):
    server.play(answer(200, data))
    with pytest.raises(UnexpectedResponseError):
        cube.search("words")
