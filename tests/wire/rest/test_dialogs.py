from datetime import datetime, timezone

import pytest

from connectycube.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    NotFoundError,
    PermissionDeniedError,
    UnexpectedResponseError,
)
from connectycube.models import (
    DeleteResult,
    Dialog,
    DialogRef,
    DialogType,
    Message,
    Page,
    Session,
    User,
)
from tests.support.examples import DIALOG, USER
from tests.support.inside import api_of
from tests.support.scripted_http import answer, refusal

WRONG = (ArgumentTypeError, ArgumentValueError)


@pytest.fixture
def ana(cube):
    """The client of user 85, who is in the example dialog."""
    api_of(cube).adopt(Session(token="t", user_id=85))
    return cube


@pytest.mark.parametrize("user", [86, User(id=86)])
def test_create_private_returns_a_dialog_that_knows_its_peer(ana, server, user):
    server.play(answer(201, {**DIALOG, "occupants_ids": []}))
    dialog = ana.dialogs.create_private(user)
    assert (dialog.id, dialog.type, dialog.peer_id) == (DIALOG["_id"], DialogType.PRIVATE, 86)
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/chat/Dialog")
    assert request.json == {"type": 3, "occupants_ids": [86]}


@pytest.mark.parametrize("user", ["86", 0, None, True, User()])
def test_what_is_no_user_sends_nothing(ana, server, user):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match="user"):
        ana.dialogs.create_private(user)
    assert server.connections == []


@pytest.mark.parametrize("dialog", ["d", DialogRef(id="d"), Message(dialog_id="d")])
def test_get_asks_for_one_dialog(ana, server, dialog):
    server.play(answer(200, {"items": [DIALOG], "limit": 1}))
    assert ana.dialogs.get(dialog) == Dialog.from_json(DIALOG, me=85)
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/chat/Dialog")
    assert server.requests[0].query == [("_id", "d"), ("limit", "1")]


@pytest.mark.parametrize(
    ("dialog", "words"),
    [("d", "has no dialog d$"), ("2", r"no dialog 2 \(.*user's id is an int\)$")],
)
def test_a_dialog_that_is_not_there_is_not_found(ana, server, dialog, words):
    server.play(answer(200, {"items": []}))
    with pytest.raises(NotFoundError, match=words):
        ana.dialogs.get(dialog)


@pytest.mark.parametrize("sort", ["created_at", "-updated_at"])
def test_dialogs_are_sorted_by_times_of_the_service_too(ana, server, sort):
    server.play(answer(200, {"items": []}))
    ana.dialogs.list(sort=sort)
    name = "sort_desc" if sort.startswith("-") else "sort_asc"
    assert server.requests[0].query == [(name, sort.removeprefix("-"))]


def test_a_session_known_by_its_token_alone_learns_whose_peer_it_is(cube, server):
    def respond(request):
        if request.path == "/session":
            return answer(200, {"session": {"id": 1, "user_id": 85, "token": "t"}})
        return answer(200, {"items": [{**DIALOG, "type": 2}, DIALOG, DIALOG]})

    server.respond(respond)
    other = cube.with_token("t")
    assert [dialog.peer_id for dialog in other.dialogs.list()] == [None, 86, 86]
    assert [dialog.peer_id for dialog in other.dialogs.list()] == [None, 86, 86]
    assert [request.path for request in server.requests].count("/session") == 1


def test_list_is_a_page_of_dialogs(ana, server):
    server.play(answer(200, {"items": [DIALOG], "total_entries": 4, "skip": 1, "limit": 2}))
    page = ana.dialogs.list(
        limit=2, skip=1, sort="-last_message_date_sent", updated_at__gt=5, type__in=[2, 3]
    )
    assert list(page) == [Dialog.from_json(DIALOG, me=85)]
    assert page[0].peer_id == 86
    assert (page.total_entries, page.skip, page.limit) == (4, 1, 2)
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/chat/Dialog")
    assert server.requests[0].query == [
        ("updated_at[gt]", "5"),
        ("type[in]", "2,3"),
        ("limit", "2"),
        ("skip", "1"),
        ("sort_desc", "last_message_date_sent"),
    ]


def test_list_without_arguments_asks_for_nothing(ana, server):
    server.play(answer(200, {"items": []}))
    assert len(ana.dialogs.list()) == 0
    assert server.requests[0].raw_path == "/chat/Dialog"


@pytest.mark.parametrize("data", [[], {"items": None}, {}])
def test_what_is_no_page_is_unexpected(ana, server, data):
    server.play(answer(200, data))
    with pytest.raises(UnexpectedResponseError):
        ana.dialogs.list()


def test_wrong_arguments_send_nothing(ana, server):
    for arguments in ({"limit": 0}, {"sort": "name"}, {"colour": "red"}, {"timeout": 0}):
        with pytest.raises((ArgumentTypeError, ArgumentValueError), match=next(iter(arguments))):
            ana.dialogs.list(**arguments)
    with pytest.raises(ArgumentTypeError, match="limit is no argument"):
        ana.dialogs.count(limit=5)
    assert server.connections == []


def test_count_is_a_number(ana, server):
    server.play(answer(200, {"items": {"count": 12}}))
    assert ana.dialogs.count(type=DialogType.GROUP) == 12
    assert server.requests[0].query == [("type", "2"), ("count", "1")]


# --- iter


def shelf(*items):
    """Answer with the slice that limit and skip ask for."""

    def respond(request):
        query = dict(request.query)
        skip, limit = int(query.get("skip", 0)), int(query["limit"])
        return answer(200, {"items": items[skip : skip + limit], "limit": limit, "skip": skip})

    return respond


def test_iter_gives_every_dialog_once_the_newest_first(ana, server):
    server.respond(shelf(*({"_id": f"d{number}"} for number in range(45))))
    dialogs = ana.dialogs.iter(page_size=20, type=2)
    assert server.requests == [], "nothing is asked for before it is needed"
    assert [dialog.id for dialog in dialogs] == [f"d{number}" for number in range(45)]
    assert server.requests[0].query == [
        ("type", "2"),
        ("limit", "20"),
        ("sort_desc", "last_message_date_sent"),
    ]
    assert dict(server.requests[1].query)["skip"] == "19"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"page_size": 0}, "page_size"), ({"sort": "name"}, "sort"), ({"skip": 1}, "skip")],
)
def test_iter_refuses_wrong_arguments_at_once(ana, server, arguments, name):
    with pytest.raises(WRONG, match=name):
        ana.dialogs.iter(**arguments)
    assert server.connections == []


# --- changed


def test_changed_dialogs_have_a_new_message_or_change_and_come_once(ana, server):
    """The one is by the senders' clocks, the other by the service's."""
    recent = [{**DIALOG, "_id": f"d{n}", "last_message_date_sent": 2_000 - n} for n in range(150)]
    silent = {**DIALOG, "_id": "silent", "last_message_date_sent": None}
    by_message = shelf(*recent[:30], silent, *recent[30:])
    by_change = shelf({**DIALOG, "_id": "d3"}, {**DIALOG, "_id": "backdated", "type": 2})

    def respond(request):
        return (by_change if "updated_at[gte]" in dict(request.query) else by_message)(request)

    server.respond(respond)
    since = datetime.fromtimestamp(1_950, timezone.utc)
    found = list(ana.dialogs.changed(since))
    assert [dialog.id for dialog in found] == [f"d{n}" for n in range(51)] + ["backdated"]
    assert found[0] == DialogRef(id="d0", type=DialogType.PRIVATE, peer_id=86)
    assert found[-1] == DialogRef(id="backdated", type=DialogType.GROUP)
    first, *_, second = (dict(request.query) for request in server.requests)
    assert first["sort_asc"] == second["sort_asc"] == "last_message_date_sent"
    assert first["last_message_date_sent[gte]"] == second["updated_at[gte]"] == "1950"


# --- create


def test_create_group_sends_all_that_a_group_may_have(ana, server):
    server.play(answer(201, {**DIALOG, "type": 2}))
    dialog = ana.dialogs.create_group(
        "Hikers",
        [86, User(id=87), 86],
        description="Sundays",
        photo="uid-5",
        data={"class_name": "Places", "height": 1.5, "tags": ("a", None, True)},
        admins=[87],
        extensions={"location": "Lima"},
        permissions={"allow_preview": True},
    )
    assert (dialog.type, dialog.name) == (DialogType.GROUP, "a room")
    assert (server.requests[0].method, server.requests[0].path) == ("POST", "/chat/Dialog")
    assert server.requests[0].json == {
        "type": 2,
        "name": "Hikers",
        "occupants_ids": [86, 87],
        "description": "Sundays",
        "photo": "uid-5",
        "data": {"class_name": "Places", "height": 1.5, "tags": ["a", None, True]},
        "admins_ids": [87],
        "extensions": {"location": "Lima"},
        "permissions": {"allow_preview": True},
    }


def test_create_public_needs_a_name_only(ana, server):
    server.play(answer(201, {**DIALOG, "type": 4}))
    assert ana.dialogs.create_public("News").type is DialogType.PUBLIC
    assert server.requests[0].json == {"type": 4, "name": "News"}


def test_a_broadcast_dialog_is_made_in_the_admin_panel(ana, server):
    with pytest.raises(ArgumentValueError, match="admin panel"):
        ana.dialogs.create_broadcast("News")
    assert server.connections == []


LOOP = {}
LOOP["a"] = LOOP


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"occupants": []}, "occupants"),
        ({"occupants": "86"}, "occupants"),
        ({"occupants": {86: 1}}, "occupants"),
        ({"occupants": [0]}, "occupants"),
        ({"description": 5}, "description"),
        ({"photo": b"x"}, "photo"),
        ({"data": "x"}, "data"),
        ({"data": {"a": {1: 2}}}, "data is not JSON: a key of data"),
        ({"data": {"a": object()}}, "data"),
        ({"data": {"a": float("inf")}}, "data"),
        ({"data": LOOP}, "data"),
        ({"admins": [None]}, "admins"),
        ({"extensions": ["location"]}, "extensions"),
        ({"permissions": {"allow_preview": 1}}, "permissions"),
    ],
)
def test_wrong_arguments_of_create_group_send_nothing(ana, server, arguments, name):
    with pytest.raises(WRONG, match=f"^{name}"):
        ana.dialogs.create_group(**{"name": "n", "occupants": [86], **arguments})
    assert server.connections == []


# --- update


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({"name": "New"}, {"name": "New"}),
        ({"description": "", "photo": ""}, {"description": "", "photo": ""}),
        ({"extensions": {}}, {"extensions": None}),
        ({"extensions": {"a": "b"}}, {"extensions": {"a": "b"}}),
        ({"permissions": {"allow_preview": False}}, {"permissions": {"allow_preview": False}}),
        ({"data": {"class_name": "C"}}, {"data": {"class_name": "C"}}),
        ({"data": {"place": None}}, {"data": {"place": None}}),
        ({"add_occupants": 5}, {"push_all": {"occupants_ids": [5]}}),
        (
            {"name": "N", "add_occupants": [5], "pin": ["m1"], "photo": "p"},
            {
                "name": "N",
                "photo": "p",
                "push_all": {"occupants_ids": [5], "pinned_messages_ids": ["m1"]},
            },
        ),
        (
            {"remove_occupants": [User(id=5)], "add_admins": [6], "unpin": Message(id="m")},
            {
                "push_all": {"admins_ids": [6]},
                "pull_all": {"occupants_ids": [5], "pinned_messages_ids": ["m"]},
            },
        ),
    ],
)
def test_update_sends_what_changes_and_returns_the_dialog(ana, server, arguments, body):
    server.play(answer(200, DIALOG))
    assert ana.dialogs.update(DialogRef(id="d"), **arguments).id == DIALOG["_id"]
    assert (server.requests[0].method, server.requests[0].path) == ("PUT", "/chat/Dialog/d")
    assert server.requests[0].json == body


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "nothing to change"),
        ({"add_occupants": [], "pin": ()}, "nothing to change"),
        ({"name": ""}, "name"),
        ({"data": {}}, "^data must not be empty"),
        ({"add_occupants": [5], "remove_occupants": [5]}, "add_occupants and remove_occupants"),
        ({"pin": "m", "unpin": ["m"]}, "pin and unpin"),
        ({"pin": [5]}, "pin"),
        ({"pin": Message()}, "pin"),
        ({"photo": 5}, "photo"),
        ({"add_admins": None}, "add_admins"),
    ],
)
def test_wrong_arguments_of_update_send_nothing(ana, server, arguments, words):
    with pytest.raises(WRONG, match=words):
        ana.dialogs.update("d", **arguments)
    assert server.connections == []


def test_update_admins_adds_and_removes(ana, server):
    server.play(answer(200, {**DIALOG, "type": 2, "admins_ids": [7]}))
    assert ana.dialogs.update_admins("d", add=[7], remove=User(id=8)).admins_ids == (7,)
    assert (server.requests[0].method, server.requests[0].path) == ("PUT", "/chat/Dialog/d/admins")
    assert server.requests[0].json == {
        "push_all": {"admins_ids": [7]},
        "pull_all": {"admins_ids": [8]},
    }


@pytest.mark.parametrize(
    ("dialog", "arguments", "words"),
    [
        ("d", {}, "nothing to change"),
        ("d", {"add": 5, "remove": 5}, "add and remove"),
        (DialogRef.private(5, "d"), {"add": 5}, "dialog is private"),
        ("", {"add": 5}, "dialog"),
    ],
)
def test_wrong_arguments_of_update_admins_send_nothing(ana, server, dialog, arguments, words):
    with pytest.raises(WRONG, match=words):
        ana.dialogs.update_admins(dialog, **arguments)
    assert server.connections == []


# --- delete

LISTS = {
    "SuccessfullyDeleted": {"ids": ["a"]},
    "NotFound": {"ids": ["b"]},
    "WrongPermissions": {"ids": ["c"]},
}


@pytest.mark.parametrize("dialogs", ["a", DialogRef(id="a"), ["a"], ["a", "a"]])
def test_one_dialog_is_deleted_with_an_empty_answer(ana, server, dialogs):
    server.play(answer(200))
    assert ana.dialogs.delete(dialogs) == DeleteResult(deleted=("a",))
    request = server.requests[0]
    assert (request.method, request.raw_path, request.content) == ("DELETE", "/chat/Dialog/a", b"")


def test_several_dialogs_are_deleted_with_a_result(ana, server):
    server.play(answer(200, LISTS))
    result = ana.dialogs.delete(Page(items=(Dialog(id="a"), Dialog(id="b"), "c")), force=True)
    assert result == DeleteResult(deleted=("a",), not_found=("b",), not_permitted=("c",))
    assert server.requests[0].raw_path == "/chat/Dialog/a,b,c?force=1"


def test_many_dialogs_are_deleted_in_pieces_never_of_one(ana, server):
    def respond(request):
        ids = request.path.rpartition("/")[2].split(",")
        assert 2 <= len(ids) <= 50
        return answer(200, {"SuccessfullyDeleted": {"ids": ids}})

    server.respond(respond)
    ids = [f"d{number}" for number in range(101)]
    assert ana.dialogs.delete(ids).deleted == tuple(ids)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "error", "result"),
    [
        (404, NotFoundError, DeleteResult(not_found=("a",))),
        (403, PermissionDeniedError, DeleteResult(not_permitted=("a",))),
    ],
)
def test_what_cannot_be_deleted_raises_alone_and_is_told_of_a_list(
    ana, server, status, error, result
):
    server.respond(lambda request: refusal(status, "no"))
    with pytest.raises(error):
        ana.dialogs.delete("a")
    assert ana.dialogs.delete(["a"]) == result


def test_several_without_a_result_are_unexpected(ana, server):
    server.play(answer(200))
    with pytest.raises(UnexpectedResponseError):
        ana.dialogs.delete(["a", "b"])


@pytest.mark.parametrize(
    ("dialogs", "force"),
    [([], False), (None, False), ("a,b", False), (5, False), (Message(dialog_id="d"), False)],
)
def test_what_is_no_dialog_is_not_deleted(ana, server, dialogs, force):
    with pytest.raises(WRONG, match="dialogs"):
        ana.dialogs.delete(dialogs, force=force)
    with pytest.raises(ArgumentTypeError, match="force"):
        ana.dialogs.delete("a", force=1)
    assert server.connections == []


@pytest.mark.parametrize(("force", "query"), [(False, ""), (True, "?force=1")])
def test_clear_history_leaves_the_dialog(ana, server, force, query):
    server.play(answer(200))
    assert ana.dialogs.clear_history(Message(dialog_id="d"), force=force) is None
    assert server.requests[0].method == "DELETE"
    assert server.requests[0].raw_path == f"/chat/Dialog/clearHistory/d{query}"


# --- occupants and notifications


def test_subscribe_returns_the_dialog_and_unsubscribe_nothing(ana, server):
    server.play(answer(201, {**DIALOG, "type": 4, "occupants_ids": []}), answer(200))
    assert ana.dialogs.subscribe("d").occupants_count == 2
    assert ana.dialogs.unsubscribe("d") is None
    assert [(r.method, r.path, r.content) for r in server.requests] == [
        ("POST", "/chat/Dialog/d/subscribe", b""),
        ("DELETE", "/chat/Dialog/d/subscribe", b""),
    ]


def test_occupants_are_users_bare_or_wrapped(ana, server):
    server.play(answer(200, {"items": [USER, {"user": {**USER, "id": 82}}]}))
    page = ana.dialogs.occupants("d", limit=2, skip=4)
    assert [user.id for user in page] == [81, 82]
    assert page[1].full_name == "Ana Oro"
    assert server.requests[0].raw_path == "/chat/Dialog/d/occupants?limit=2&skip=4"


def test_iter_occupants_goes_on_until_there_are_no_more(ana, server):
    people = [{"id": number} for number in range(1, 31)]

    def respond(request):
        query = dict(request.query)
        skip = int(query.get("skip", 0))
        return answer(200, {"items": people[skip : skip + int(query["limit"])]})

    server.respond(respond)
    users = ana.dialogs.iter_occupants("d", page_size=10)
    assert [user.id for user in users] == list(range(1, 31))


@pytest.mark.parametrize(("enabled", "said"), [(True, 1), (False, "0")])
def test_notifications_are_set_and_asked_for(ana, server, enabled, said):
    server.respond(lambda request: answer(200, {"notifications": {"enabled": said}}))
    assert ana.dialogs.set_notifications("d", enabled) is enabled
    assert ana.dialogs.notifications_enabled(DialogRef(id="d")) is enabled
    assert [(r.method, r.path) for r in server.requests] == [
        ("PUT", "/chat/Dialog/d/notifications"),
        ("GET", "/chat/Dialog/d/notifications"),
    ]
    assert server.requests[0].json == {"enabled": int(enabled)}


@pytest.mark.parametrize("data", [{}, {"notifications": None}, {"notifications": {"enabled": 7}}])
def test_settings_that_say_nothing_are_unexpected(ana, server, data):
    server.play(answer(200, data))
    with pytest.raises(UnexpectedResponseError):
        ana.dialogs.notifications_enabled("d")


def test_only_a_bool_turns_notifications_on(ana, server):
    with pytest.raises(ArgumentTypeError, match="enabled"):
        ana.dialogs.set_notifications("d", 1)
    assert server.connections == []
