import itertools
import threading
import time
from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, given, settings

from connectycube.errors import (
    ApiTimeoutError,
    ArgumentTypeError,
    ArgumentValueError,
    NotFoundError,
    PermissionDeniedError,
    UnexpectedResponseError,
)
from connectycube.models import (
    Attachment,
    DeleteResult,
    Dialog,
    DialogRef,
    DialogType,
    File,
    Message,
    SystemMessage,
    UnreadCount,
    User,
)
from tests.support.examples import DIALOG, MESSAGE
from tests.support.scripted_http import answer, refusal
from tests.support.waiting import TIMEOUT
from tests.unit.chat.protocol.texts import texts

WRONG = (ArgumentTypeError, ArgumentValueError)

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


@pytest.mark.parametrize("message", ["m", Message(id="m")])
def test_get_asks_for_one_message_and_leaves_it_unread(cube, server, message):
    server.play(answer(200, {"items": [MESSAGE]}))
    assert cube.messages.get(PRIVATE, message) == Message.from_json(MESSAGE, dialog=PRIVATE)
    query = [("chat_dialog_id", "d"), ("mark_as_read", "0"), ("_id", "m"), ("limit", "1")]
    assert server.requests[0].query == query


def test_a_message_that_is_not_there_is_not_found(cube, server):
    server.play(answer(200, {"items": []}))
    with pytest.raises(NotFoundError, match=r"has no message m$"):
        cube.messages.get("d", "m")


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
    assert server.connections == []


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
        "markable": 0,
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
        ({"to": "d", "body": "x", "attachments": [File(name="f")]}, "file"),
        ({"to": "d", "body": 5}, "body"),
        ({"to": "d", "body": "a \x07"}, "body"),
        ({"to": "d", "body": "x", "silent": 1}, "silent"),
        ({"to": "d", "body": "x", "clean": 1}, "clean"),
        ({"to": "d", "body": "x", "attachments": [Attachment(name="\x00")]}, "attachments"),
        ({"to": "d", "body": "x", "a b": "c"}, "custom"),
        ({"to": "d", "body": "x", "CO₂": "c"}, "custom"),
        ({"to": "d", "body": "x", "_id": "c"}, "custom"),
        ({"to": "d", "body": "x", "recipient_id": 5}, "custom"),
        ({"to": "d", "body": "x", "colour": None}, "custom"),
        ({"to": "d", "body": "x", "colour": [1]}, "custom"),
        ({"to": "d", "body": "x", "colour": "\x1b[0m"}, "custom"),
        ({"to": "d", "body": "x", "colour": float("nan")}, "custom"),
        ({"to": "d", "body": "x", "colour": "\ud800"}, "custom"),
        ({"to": "d", "body": "x", "custom": [1]}, "custom"),
        ({"to": "d", "body": "x", "custom": {"a": {"b c": 1}}}, "custom"),
        ({"to": "d", "body": "x", "custom": {1: "a"}}, "custom"),
        ({"to": "d", "body": "x", "custom": {"edited_at": "a"}}, "custom"),
        ({"to": "d", "body": "x", "timeout": -1}, "timeout"),
    ],
)
def test_wrong_arguments_of_create_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=rf"^{name}\b"):
        cube.messages.create(**arguments)
    assert server.connections == []


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=30,
)
@given(body=texts)
def test_any_body_arrives_that_xml_can_carry(cube, server, body):
    server.respond(created)
    files = [Attachment(uid="u")]
    assert cube.messages.create("d", body, attachments=files).body == (body or None)


@pytest.mark.parametrize("change", [{}, {"update": True}])
def test_characters_that_xml_forbids_can_be_replaced(cube, server, change):
    server.respond(lambda request: answer(201, {"_id": "m"}))
    if change:
        cube.messages.update("d", "m", body="a bell: \x07", clean=True)
    else:
        cube.messages.create("d", "a bell: \x07", clean=True)
    assert server.requests[0].json["message"] == "a bell: \ufffd"


@pytest.mark.parametrize(
    "call",
    [
        lambda messages: messages.update("d", "m", body="\x07"),
        lambda messages: messages.add_reaction("m", "\x07"),
        lambda messages: messages.add_reaction("m", "x", remove="\x07"),
        lambda messages: messages.remove_reaction("m", "\x07"),
        lambda messages: messages.create_system(6, {"a": {"b": "\x07"}}),
        lambda messages: messages.create_system(6, {}, "\x07"),
    ],
)
def test_what_xml_cannot_carry_is_sent_by_no_call(cube, server, call):
    with pytest.raises(ArgumentValueError, match=r"U\+0007 at position 0, which XML forbids"):
        call(cube.messages)
    assert server.connections == []


NAMES_OF_ARGUMENTS = ["to", "body", "timeout", "custom", "clean", "more", "self"]


def test_custom_parameters_may_have_the_names_of_arguments(cube, server):
    server.respond(created)
    custom = {name: name for name in NAMES_OF_ARGUMENTS} | {"nested": {"deep": {"er": 1.5}}}
    cube.messages.create("d", "x", custom=custom, colour="blue")
    expected = {"chat_dialog_id": "d", "message": "x", "markable": 1}
    assert server.requests[0].json == expected | custom | {"colour": "blue"}


def test_a_message_object_is_sent_over_rest_too(cube, server):
    server.respond(created)
    message = Message(
        body="x",
        attachments=(Attachment(type="image", uid="u"),),
        custom={"colour": "blue", "n": 1},
        markable=False,
        silent=True,
    )
    cube.messages.create("d", message, n=2)
    assert server.requests[0].json == {
        "chat_dialog_id": "d",
        "message": "x",
        "attachments": {"0": {"type": "image", "id": "u", "uid": "u"}},
        "markable": 0,
        "silent": 1,
        "colour": "blue",
        "n": 2,
    }


def test_arguments_take_precedence_over_the_message_object(cube, server):
    server.respond(created)
    message = Message(body="x", attachments=(Attachment(uid="u"),))
    cube.messages.create("d", message, attachments=[], markable=False, silent=True)
    assert server.requests[0].json == {
        "chat_dialog_id": "d",
        "message": "x",
        "markable": 0,
        "silent": 1,
    }


def test_a_message_of_history_can_be_passed_on(cube, server):
    server.respond(created)
    data = {**MESSAGE, "edited_at": None, "dialog_id": "old", "message": "x"}
    old = Message.from_json(data, dialog=DialogRef(id="old"))
    cube.messages.create("d", old)
    sent = server.requests[0].json
    assert (sent["chat_dialog_id"], sent["message"], sent["country"]) == ("d", "x", "Peru")
    assert sent.keys() == {"chat_dialog_id", "message", "markable", "attachments", "country"}


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (Message(body="x", id="m"), "id"),
        (Message(body="x", date_sent=datetime.now(timezone.utc)), "date_sent"),
        (Message(body="x", sender_id=999), "sender_id"),
        (Message(body="x", own=True), "own"),
        (Message(body="x", dialog_id="d"), "dialog_id"),
        (Message(body="x", save_to_history=False), "save_to_history"),
        (Message(body="x", destroy_after=5), "destroy_after"),
    ],
)
def test_what_rest_cannot_send_of_a_message_is_refused_by_name(cube, server, message, name):
    with pytest.raises(ArgumentValueError, match=rf"^body\.{name} "):
        cube.messages.create("d", message)
    assert server.connections == []


def test_an_uploaded_file_is_sent_as_an_attachment(cube, server):
    server.respond(created)
    photo = File(id=1, uid="u", name="cat.jpg", content_type="image/jpeg", size=12)
    cube.messages.create("d", attachments=[photo])
    cube.messages.create("d", Message(attachments=(photo,)))
    cube.messages.create("d", attachments=photo)
    expected = {
        "type": "image",
        "id": "u",
        "uid": "u",
        "name": "cat.jpg",
        "content-type": "image/jpeg",
        "size": 12,
    }
    assert [request.json["attachments"] for request in server.requests] == [{"0": expected}] * 3


CALLS_WITH_A_DIALOG = {
    "list": lambda cube: cube.messages.list("2"),
    "list by keyword": lambda cube: cube.messages.list(dialog="2"),
    "iter": lambda cube: next(cube.messages.iter("2")),
    "count": lambda cube: cube.messages.count("2"),
    "get": lambda cube: cube.messages.get("2", "m"),
    "update": lambda cube: cube.messages.update("2", "m", read=True),
    "mark_all_read": lambda cube: cube.messages.mark_all_read("2"),
    "mark_all_delivered": lambda cube: cube.messages.mark_all_delivered("2"),
    "create": lambda cube: cube.messages.create(to="2", body="x", service="y"),
    "dialogs.get": lambda cube: cube.dialogs.get("2"),
    "dialogs.update": lambda cube: cube.dialogs.update("2", name="n"),
    "update_admins": lambda cube: cube.dialogs.update_admins("2", add=5),
    "delete": lambda cube: cube.dialogs.delete("2"),
    "clear_history": lambda cube: cube.dialogs.clear_history("2"),
    "subscribe": lambda cube: cube.dialogs.subscribe("2"),
    "unsubscribe": lambda cube: cube.dialogs.unsubscribe("2"),
    "occupants": lambda cube: cube.dialogs.occupants("2"),
    "iter_occupants": lambda cube: next(cube.dialogs.iter_occupants("2")),
    "set_notifications": lambda cube: cube.dialogs.set_notifications("2", True),
    "notifications_enabled": lambda cube: cube.dialogs.notifications_enabled("2"),
}


@pytest.mark.parametrize("call", CALLS_WITH_A_DIALOG)
def test_each_call_hints_that_a_dialog_may_be_meant_as_a_user(cube, server, call):
    server.respond(lambda request: refusal(404, "Dialog 2 does not exist"))
    with pytest.raises(NotFoundError) as caught:
        CALLS_WITH_A_DIALOG[call](cube)
    assert str(caught.value).count("a user's id is an int") == 1


def test_a_user_given_as_a_dialog_is_noticed_in_the_refusal(cube, server):
    server.respond(lambda request: refusal(404, "Dialog 2 does not exist"))
    with pytest.raises(NotFoundError, match="a user's id is an int"):
        cube.messages.create("2", "x")
    with pytest.raises(NotFoundError, match=r"users\.get_by\(login=…\) finds a user"):
        cube.messages.create("bob", "x")
    with pytest.raises(NotFoundError, match=r"does not exist$"):
        cube.messages.create(DIALOG["_id"], "x")
    with pytest.raises(ArgumentTypeError, match=r"dialogs\.create_private\(user\)"):
        cube.messages.list(2)


def test_white_space_around_an_id_is_left_out(cube, server):
    server.respond(lambda request: answer(200, {"items": []}))
    cube.messages.list(" d\n")
    cube.messages.update("d", "\tm ", read=True)
    assert server.requests[0].query == [("chat_dialog_id", "d")]
    assert server.requests[1].path == "/chat/Message/m"


# --- what has changed


def test_changed_messages_come_in_pages_by_service_time_and_stay_unread(cube, server):
    items = [{"_id": f"m{number}", "date_sent": 1_000 + number // 3} for number in range(230)]

    def respond(request):
        query = dict(request.query)
        start = int(query.get("date_sent[gte]", 0))
        left = [item for item in items if item["date_sent"] >= start][int(query.get("skip", 0)) :]
        return answer(200, {"items": left[: int(query["limit"])], "limit": int(query["limit"])})

    server.respond(respond)
    pages = cube.messages.changed(PRIVATE, datetime.fromtimestamp(900, timezone.utc))
    assert server.requests == []
    first = next(pages)
    assert len(first) == 100 and len(server.requests) == 1, (
        "each page is asked for when it is wanted"
    )
    messages = [*first, *itertools.chain.from_iterable(pages)]
    assert [message.id for message in messages] == [item["_id"] for item in items]
    assert {message.dialog for message in messages} == {PRIVATE}
    for request in server.requests:
        query = dict(request.query)
        assert (query["updated_at[gte]"], query["sort_asc"]) == ("900", "date_sent")
        assert (query["chat_dialog_id"], query["mark_as_read"]) == ("d", "0")


def test_where_nothing_has_changed_there_is_no_page(cube, server):
    server.play(answer(200, {"items": [], "limit": 100}))
    assert list(cube.messages.changed(PRIVATE, datetime.now(timezone.utc))) == []


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
    assert server.connections == []


@pytest.mark.parametrize(
    ("dialog_id", "ids"), [("", ["a"]), ("d", ["a,b"]), ("d", [5]), ("d", [""])]
)
def test_wrong_ids_send_nothing(cube, server, dialog_id, ids):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=r"^(dialog_id|ids) "):
        cube.messages.stored_ids(dialog_id, ids)
    assert server.connections == []


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
    assert time.monotonic() - started < TIMEOUT / 2


# --- preview and iter


def test_a_preview_is_asked_for(cube, server):
    server.play(answer(200, {"items": [MESSAGE]}))
    assert cube.messages.list("d", preview=True)[0].id == MESSAGE["_id"]
    assert server.requests[0].query == [("chat_dialog_id", "d"), ("preview", "1")]


@pytest.mark.parametrize("arguments", [{"limit": 5}, {"skip": 5}, {"sort": "date_sent"}])
def test_what_a_preview_ignores_is_refused(cube, server, arguments):
    with pytest.raises(ArgumentValueError, match=next(iter(arguments))):
        cube.messages.list("d", preview=True, **arguments)
    assert server.connections == []


def stored(*seconds):
    """Answer queries by date, limit and skip like the service."""

    def respond(request):
        query = dict(request.query)
        items = [{"_id": f"m{n}", "date_sent": second} for n, second in enumerate(seconds)]
        items.sort(key=lambda item: item["date_sent"], reverse="sort_desc" in query)
        items = [
            item
            for item in items
            if item["date_sent"] >= int(query.get("date_sent[gte]", 0))
            and item["date_sent"] <= int(query.get("date_sent[lte]", 1000))
        ]
        skip, limit = int(query.get("skip", 0)), int(query["limit"])
        return answer(200, {"items": items[skip : skip + limit], "limit": limit, "skip": skip})

    return respond


@pytest.mark.parametrize("sort", ["date_sent", "-date_sent"])
def test_iter_gives_every_message_once_in_order(cube, server, sort):
    seconds = [*range(10), *[10] * 30, *range(11, 20)]
    server.respond(stored(*seconds))
    messages = cube.messages.iter(PRIVATE, sort=sort, page_size=8, mark_as_read=False)
    assert server.requests == [], "nothing is asked for before it is needed"
    found = list(messages)
    assert len({message.id for message in found}) == len(found) == len(seconds)
    times = [message.date_sent for message in found]
    assert times == sorted(times, reverse=sort.startswith("-"))
    assert found[0].dialog == PRIVATE
    bound = "date_sent[lte]" if sort.startswith("-") else "date_sent[gte]"
    queries = [dict(request.query) for request in server.requests]
    assert bound not in queries[0]
    rest = (
        queries[1:-1] if sort.startswith("-") else queries[1:]
    )  # the last one asks for the undated
    assert all(bound in query for query in rest)
    assert max(int(query.get("skip", 0)) for query in queries) < 30, "within one second only"
    assert {query["mark_as_read"] for query in queries} == {"0"}


def test_iter_keeps_to_the_look_ups(cube, server):
    server.respond(stored(*range(50)))
    found = cube.messages.iter("d", page_size=10, date_sent__gte=12, date_sent__lte=38, sender_id=5)
    assert [message.id for message in found] == [f"m{number}" for number in range(12, 39)]
    assert {dict(request.query)["sender_id"] for request in server.requests} == {"5"}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"page_size": 0}, "page_size"),
        ({"page_size": 101}, "page_size"),
        ({"sort": None}, "sort"),
        ({"sort": "body"}, "sort"),
        ({"limit": 5}, "limit"),
        ({"mark_as_read": None}, "mark_as_read"),
        ({"dialog": ""}, "dialog"),
    ],
)
def test_iter_refuses_wrong_arguments_at_once(cube, server, arguments, name):
    with pytest.raises(WRONG, match=name):
        cube.messages.iter(**{"dialog": "d", **arguments})
    assert server.connections == []


# --- update


@pytest.mark.parametrize(
    ("messages", "arguments", "path", "body"),
    [
        ("m", {"body": "new", "read": True}, "m", {"message": "new", "read": 1}),
        (Message(id="m"), {"delivered": True}, "m", {"delivered": 1}),
        (["m", Message(id="n"), "m"], {"read": True}, "m,n", {"read": 1}),
    ],
)
def test_update_names_the_dialog_and_what_changes(cube, server, messages, arguments, path, body):
    server.play(answer(200))
    assert cube.messages.update(PRIVATE, messages, **arguments) is None
    request = server.requests[0]
    assert (request.method, request.raw_path) == ("PUT", f"/chat/Message/{path}")
    assert request.json == {"chat_dialog_id": "d", **body}


def test_many_messages_are_updated_in_pieces(cube, server):
    server.respond(lambda request: answer(200))
    ids = [f"{number:024x}" for number in range(120)]
    cube.messages.update("d", ids, read=True)
    sent = [request.path.rpartition("/")[2].split(",") for request in server.requests]
    assert [each for piece in sent for each in piece] == ids
    assert [len(piece) for piece in sent] == [40, 40, 40]


@pytest.mark.parametrize(
    ("messages", "arguments", "words"),
    [
        ("m", {}, "nothing to change"),
        ("m", {"read": False}, "nothing to change"),
        ("m", {"body": ""}, "body"),
        ("m", {"read": 1}, "read"),
        ("m", {"delivered": "yes"}, "delivered"),
        ([], {"read": True}, "messages"),
        (None, {"read": True}, "messages"),
        (5, {"read": True}, "messages"),
        ("", {"read": True}, "messages"),
        (Message(), {"read": True}, "messages"),
    ],
)
def test_wrong_arguments_of_update_send_nothing(cube, server, messages, arguments, words):
    with pytest.raises(WRONG, match=words):
        cube.messages.update("d", messages, **arguments)
    assert server.connections == []


def test_a_whole_dialog_is_marked_without_ids(cube, server):
    server.respond(lambda request: answer(200))
    cube.messages.mark_all_read("d")
    cube.messages.mark_all_delivered(PRIVATE)
    assert [(r.method, r.path, r.json) for r in server.requests] == [
        ("PUT", "/chat/Message", {"chat_dialog_id": "d", "read": 1}),
        ("PUT", "/chat/Message", {"chat_dialog_id": "d", "delivered": 1}),
    ]


# --- delete


def test_messages_are_deleted_with_a_result(cube, server):
    server.play(
        answer(200, {"SuccessfullyDeleted": {"ids": ["m"]}, "NotFound": {"ids": ["n"]}}),
        answer(200),
    )
    both = cube.messages.delete([Message(id="m"), "n"], force=True)
    assert both == DeleteResult(deleted=("m",), not_found=("n",))
    assert cube.messages.delete("m") == DeleteResult(deleted=("m",))
    assert [r.raw_path for r in server.requests] == [
        "/chat/Message/m,n?force=1",
        "/chat/Message/m",
    ]


@pytest.mark.parametrize(
    ("step", "error", "result"),
    [
        (refusal(404, "no"), NotFoundError, DeleteResult(not_found=("m",))),
        (answer(200, {"NotFound": {"ids": ["m"]}}), NotFoundError, DeleteResult(not_found=("m",))),
        (refusal(403, "no"), PermissionDeniedError, DeleteResult(not_permitted=("m",))),
        (
            answer(200, {"WrongPermissions": {"ids": ["m"]}}),
            PermissionDeniedError,
            DeleteResult(not_permitted=("m",)),
        ),
    ],
)
def test_what_cannot_be_deleted_raises_alone_and_is_told_of_a_list(
    cube, server, step, error, result
):
    server.play(step, step)
    with pytest.raises(error):
        cube.messages.delete(Message(id="m"))
    assert cube.messages.delete(["m"]) == result


@pytest.mark.parametrize("messages", [[], None, 5, DialogRef(id="d")])
def test_what_is_no_message_is_not_deleted(cube, server, messages):
    with pytest.raises(WRONG, match="messages"):
        cube.messages.delete(messages)
    assert server.connections == []


# --- unread, reactions, system messages


def test_unread_messages_are_counted_in_total_and_by_dialog(cube, server):
    server.play(answer(200, {"total": 5, "a": 3, "b": 2}), answer(200, {"total": 9}))
    assert cube.messages.unread_count([DialogRef(id="a"), "b"]) == UnreadCount(
        total=5, by_dialog={"a": 3, "b": 2}
    )
    assert cube.messages.unread_count() == UnreadCount(total=9)
    assert [r.query for r in server.requests] == [[("chat_dialog_ids", "a,b")], []]


def test_many_dialogs_are_counted_in_pieces(cube, server):
    def respond(request):
        ids = dict(request.query)["chat_dialog_ids"].split(",")
        return answer(200, {"total": len(ids), **dict.fromkeys(ids, 1)})

    server.respond(respond)
    ids = [f"d{number}" for number in range(120)]
    assert cube.messages.unread_count(ids) == UnreadCount(
        total=120, by_dialog=dict.fromkeys(ids, 1)
    )


def test_reactions_are_added_replaced_removed_and_listed(cube, server):
    server.play(answer(200), answer(200), answer(200), answer(200, {"👍": [5, 6], "x": None}))
    cube.messages.add_reaction("m", "👍")
    cube.messages.add_reaction(Message(id="m"), "👍", remove="👎")
    cube.messages.remove_reaction("m", "👎")
    assert cube.messages.reactions("m") == {"👍": (5, 6)}
    assert {r.path for r in server.requests} == {"/chat/Message/m/reactions"}
    assert [(r.method, r.content and r.json) for r in server.requests] == [
        ("PUT", {"add": "👍"}),
        ("PUT", {"add": "👍", "remove": "👎"}),
        ("PUT", {"remove": "👎"}),
        ("GET", b""),
    ]


@pytest.mark.parametrize(
    ("message", "reaction", "words"),
    [("", "x", "message"), (5, "x", "message"), ("m", "", "reaction"), ("m", 5, "reaction")],
)
def test_wrong_reactions_send_nothing(cube, server, message, reaction, words):
    for call in (cube.messages.add_reaction, cube.messages.remove_reaction):
        with pytest.raises(WRONG, match=words):
            call(message, reaction)
    assert server.connections == []


def test_a_system_message_carries_texts_and_objects(cube, server):
    server.play(
        answer(
            201,
            {"messageId": "m", "recipientId": 6, "extensionParams": {"who": {"name": "Ana"}}},
        )
    )
    sent = cube.messages.create_system(User(id=6), {"who": {"name": "Ana"}, "n": 1})
    assert sent == SystemMessage(id="m", recipient_id=6, custom={"who": {"name": "Ana"}})
    assert (server.requests[0].method, server.requests[0].path) == ("POST", "/chat/Message/system")
    assert server.requests[0].json == {"recipientId": 6, "who": {"name": "Ana"}, "n": 1}


def test_the_body_of_a_system_message_is_one_more_parameter(cube, server):
    server.play(answer(201, {"messageId": "m", "extensionParams": {"a": "1", "body": "hello"}}))
    sent = cube.messages.create_system(6, {"a": 1}, "hello")
    assert (sent.body, sent.custom) == (None, {"a": "1", "body": "hello"})
    assert server.requests[0].json == {"recipientId": 6, "a": 1, "body": "hello"}


@pytest.mark.parametrize(
    ("user", "custom", "words"),
    [
        (0, {}, "user"),
        ("6", {}, "user"),
        (6, None, "custom"),
        (6, {"a b": 1}, "a b"),
        (6, {"CO₂": 1}, "CO₂"),
        (6, {"recipientId": 5}, "recipientId"),
        (6, {"moduleIdentifier": "x"}, "moduleIdentifier"),
        (6, {"a": object()}, "custom"),
    ],
)
def test_wrong_system_messages_are_not_sent(cube, server, user, custom, words):
    with pytest.raises(WRONG, match=words):
        cube.messages.create_system(user, custom)
    assert server.connections == []
