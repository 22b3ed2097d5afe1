import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectycube.errors import (
    ApiTimeoutError,
    ArgumentTypeError,
    ArgumentValueError,
    UnexpectedResponseError,
)
from connectycube.models import Attachment, Dialog, DialogRef, DialogType, Message, User
from tests.models.examples import DIALOG, MESSAGE

from .server import answer

PRIVATE = DialogRef.private(6, "d")


# --- list and count


def test_list_is_a_page_of_messages_that_know_their_dialog(cube, server):
    server.play(answer(200, {"skip": 0, "limit": 1000, "items": [MESSAGE]}))
    page = cube.messages.list(PRIVATE, limit=5, skip=2, sort="-date_sent", date_sent__gt=10)
    assert list(page) == [Message.from_json(MESSAGE, dialog=PRIVATE)]
    assert (page.total_entries, page.limit) == (None, 1000)
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/chat/Message")
    assert server.requests[0].query == [
        ("chat_dialog_id", "d"),
        ("date_sent[gt]", "10"),
        ("limit", "5"),
        ("skip", "2"),
        ("sort_desc", "date_sent"),
    ]


def test_a_full_dialog_is_not_kept_with_each_message(cube, server):
    server.play(answer(200, {"items": [{"_id": "m"}]}))
    page = cube.messages.list(Dialog.from_json(DIALOG, me=85))
    assert type(page[0].dialog) is DialogRef
    assert page[0].dialog == DialogRef.private(86, DIALOG["_id"])


@pytest.mark.parametrize(
    "dialog", ["d", DialogRef(id="d"), Message(dialog_id="d"), Message(dialog=PRIVATE)]
)
def test_a_dialog_is_given_as_id_dialog_or_message(cube, server, dialog):
    server.play(answer(200, {"items": []}))
    cube.messages.list(dialog)
    assert server.requests[0].query == [("chat_dialog_id", "d")]


def test_marking_as_read_can_be_declined(cube, server):
    server.play(answer(200, {"items": []}))
    cube.messages.list("d", mark_as_read=False)
    assert server.requests[0].query == [("chat_dialog_id", "d"), ("mark_as_read", "0")]


def test_count_marks_nothing_as_read(cube, server):
    server.play(answer(200, {"items": {"count": 3}}))
    assert cube.messages.count("d", sender_id=5) == 3
    assert server.requests[0].query == [
        ("chat_dialog_id", "d"),
        ("sender_id", "5"),
        ("count", "1"),
        ("mark_as_read", "0"),
    ]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"dialog": ""}, "dialog"),
        ({"dialog": 5}, "dialog"),
        ({"dialog": DialogRef.private(6)}, "dialog"),
        ({"dialog": "d", "limit": 0}, "limit"),
        ({"dialog": "d", "mark_as_read": 0}, "mark_as_read"),
        ({"dialog": "d", "sort": "body"}, "sort"),
        ({"dialog": "d", "colour": 1}, "colour"),
        ({"dialog": "d", "timeout": "1"}, "timeout"),
    ],
)
def test_wrong_arguments_of_list_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=f"^{name} "):
        cube.messages.list(**arguments)
    assert server.connections == 0


# --- create


def created(request):
    return answer(201, {"_id": "m", "chat_dialog_id": "d", "message": request.json.get("message")})


@pytest.mark.parametrize(
    ("to", "target", "place"),
    [
        ("d", {"chat_dialog_id": "d"}, DialogRef(id="d")),
        (PRIVATE, {"chat_dialog_id": "d"}, PRIVATE),
        (Message(dialog=PRIVATE), {"chat_dialog_id": "d"}, PRIVATE),
        (6, {"recipient_id": 6}, DialogRef.private(6, "d")),
        (User(id=6), {"recipient_id": 6}, DialogRef.private(6, "d")),
        (DialogRef.private(6), {"recipient_id": 6}, DialogRef.private(6, "d")),
    ],
)
def test_a_message_goes_to_a_dialog_or_to_a_user(cube, server, to, target, place):
    server.respond(created)
    message = cube.messages.create(to, "hello")
    assert (message.id, message.body, message.dialog) == ("m", "hello", place)
    assert (server.requests[0].method, server.requests[0].path) == ("POST", "/chat/Message")
    assert server.requests[0].json == {**target, "message": "hello", "markable": 1}


def test_everything_that_a_message_may_have(cube, server):
    server.respond(created)
    cube.messages.create(
        "d",
        attachments=[Attachment(type="image", uid="u"), Attachment(type="video", id="2")],
        send_to_chat=True,
        markable=False,
        country="Perú",
        stars=5,
        rate=0.5,
        silent=True,
    )
    assert server.requests[0].json == {
        "chat_dialog_id": "d",
        "attachments": {
            "0": {"type": "image", "id": "u", "uid": "u"},
            "1": {"type": "video", "id": "2", "uid": "2"},
        },
        "send_to_chat": 1,
        "country": "Perú",
        "stars": 5,
        "rate": 0.5,
        "silent": True,
    }


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"to": ""}, "to"),
        ({"to": 0}, "to"),
        ({"to": None}, "to"),
        ({"to": True}, "to"),
        ({"to": User()}, "to"),
        ({"to": DialogRef(type=DialogType.GROUP)}, "to"),
        ({"to": "d", "body": ""}, "body"),
        ({"to": "d", "body": None}, "body"),
        ({"to": "d", "body": "\udfff"}, "body"),
        ({"to": "d", "body": "x", "attachments": "u"}, "attachments"),
        ({"to": "d", "body": "x", "attachments": [{"uid": "u"}]}, "attachments"),
        ({"to": "d", "body": "x", "attachments": 5}, "attachments"),
        ({"to": "d", "body": "x", "send_to_chat": 1}, "send_to_chat"),
        ({"to": "d", "body": "x", "markable": "yes"}, "markable"),
        ({"to": "d", "body": "x", "a b": "c"}, "a b"),
        ({"to": "d", "body": "x", "1st": "c"}, "1st"),
        ({"to": "d", "body": "x", "_id": "c"}, "_id"),
        ({"to": "d", "body": "x", "recipient_id": 5}, "recipient_id"),
        ({"to": "d", "body": "x", "colour": None}, "colour"),
        ({"to": "d", "body": "x", "colour": {"a": 1}}, "colour"),
        ({"to": "d", "body": "x", "colour": float("nan")}, "colour"),
        ({"to": "d", "body": "x", "colour": "\ud800"}, "colour"),
        ({"to": "d", "body": "x", "timeout": -1}, "timeout"),
    ],
)
def test_wrong_arguments_of_create_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=f"^'?{name}'? "):
        cube.messages.create(**arguments)
    assert server.connections == 0


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(body=st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_body_arrives(cube, server, body):
    server.respond(created)
    assert cube.messages.create("d", body).body == body


# --- what history holds


def history(*stored):
    """Answer a query for ids like the service: those that are stored."""

    def respond(request):
        query = dict(request.query)
        assert query["chat_dialog_id"] == "d"
        assert query["mark_as_read"] == "0"
        asked = query["_id[in]"].split(",")
        assert len(asked) <= int(query["limit"])
        return answer(
            200, {"items": [{"_id": each} for each in asked if each in stored], "limit": 100}
        )

    return respond


def test_stored_ids_are_those_that_history_holds(cube, server):
    server.respond(history("a", "c"))
    assert cube.messages.stored_ids("d", ["a", "b", "c", "a"]) == {"a", "c"}
    assert len(server.requests) == 1


def test_many_ids_are_asked_for_in_pieces(cube, server):
    ids = [f"{number:024x}" for number in range(1_234)]
    server.respond(history(*ids[::2]))
    assert cube.messages.stored_ids("d", ids) == set(ids[::2])
    assert len(server.requests) == 25
    assert max(len(request.raw_path) for request in server.requests) < 2_000


def test_no_ids_ask_nothing(cube, server):
    assert cube.messages.stored_ids("d", []) == set()
    assert server.connections == 0


@pytest.mark.parametrize(
    ("dialog_id", "ids"), [("", ["a"]), ("d", ["a,b"]), ("d", [5]), ("d", [""])]
)
def test_wrong_ids_send_nothing(cube, server, dialog_id, ids):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=r"^(dialog_id|ids) "):
        cube.messages.stored_ids(dialog_id, ids)
    assert server.connections == 0


def test_an_answer_without_items_does_not_mean_that_nothing_is_stored(cube, server):
    server.play(answer(200, {"limit": 100}))
    with pytest.raises(UnexpectedResponseError):
        cube.messages.stored_ids("d", ["a"])


def test_ids_that_were_not_asked_for_are_not_returned(cube, server):
    server.play(answer(200, {"items": [{"_id": "z"}, {"_id": "a"}, {"_id": None}, {}]}))
    assert cube.messages.stored_ids("d", ["a"]) == {"a"}


def test_the_timeout_is_for_all_pieces_together(cube, server):
    closing = threading.Event()

    def respond(request):
        closing.wait(0.1)
        return history()(request)

    server.respond(respond)
    started = time.monotonic()
    with pytest.raises(ApiTimeoutError):
        cube.messages.stored_ids("d", [f"{number:024x}" for number in range(1_000)], timeout=0.35)
    assert time.monotonic() - started < 2
