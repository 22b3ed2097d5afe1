from datetime import datetime, timezone

import pytest

from connectycube.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    NotFoundError,
    PermissionDeniedError,
    UnexpectedResponseError,
)
from connectycube.models import CustomObject, DeleteResult, Message, User
from tests.support.scripted_http import answer, refusal

OPEN = {"read": {"access": "open"}}
RECORD = {
    "_id": "5c09798aca8bf468ab8d2936",
    "_parent_id": "",
    "age": 41,
    "job": "accountant",
    "created_at": 1544124810,
    "updated_at": 1544124810,
    "user_id": 47592,
    "permissions": OPEN,
}
READ = CustomObject.from_json(RECORD, "profile")


def test_a_record_is_read():
    assert (READ.class_name, READ.id, READ.user_id) == ("profile", RECORD["_id"], 47592)
    assert READ.fields == {"age": 41, "job": "accountant"}
    assert READ.created_at == datetime.fromtimestamp(1544124810, timezone.utc)
    assert (READ.parent_id, READ.permissions) == (None, OPEN)


def test_a_record_is_created(cube, server):
    server.play(answer(201, RECORD))
    fields = {"age": "41", "job": None}
    made = cube.custom_objects.create("profile", fields, parent_id="p", permissions=OPEN)
    assert made == READ
    assert (server.requests[0].method, server.requests[0].path) == ("POST", "/data/profile")
    assert server.requests[0].json == {**fields, "_parent_id": "p", "permissions": OPEN}
    assert fields == {"age": "41", "job": None}


def test_several_records_are_created_in_one_call(cube, server):
    server.play(answer(201, {"class_name": "profile", "items": [RECORD, RECORD]}))
    made = cube.custom_objects.create_many("profile", [{"age": "11"}, {"age": "55"}])
    assert list(made) == [READ, READ]
    assert server.requests[0].path == "/data/profile/multi"
    assert server.requests[0].json == {"record": {"0": {"age": "11"}, "1": {"age": "55"}}}


@pytest.mark.parametrize("data", [RECORD, {"class_name": "profile", "items": [RECORD]}])
def test_a_record_is_looked_up(cube, server, data):
    server.play(answer(200, data))
    assert cube.custom_objects.get("profile", READ) == READ
    assert server.requests[0].path == f"/data/profile/{READ.id}"


def test_a_record_that_is_not_there_is_not_found(cube, server):
    server.play(refusal(404, "no"), answer(200, {"items": []}))
    for _ in range(2):
        with pytest.raises(NotFoundError):
            cube.custom_objects.get("profile", "5")


def test_records_are_looked_up_by_their_fields(cube, server):
    server.play(answer(200, {"items": [RECORD], "skip": 0, "limit": 100}))
    moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
    page = cube.custom_objects.list(
        "profile",
        limit=10,
        skip=5,
        sort="-full_name",
        age__gt=28,
        age__in=[1, 2],
        score__lte=1.5,
        active=True,
        job__contains="count",
        created_at__gte=moment,
        parent_id="p",
    )
    assert (list(page), page.limit) == ([READ], 100)
    assert server.requests[0].query == [
        ("age[gt]", "28"),
        ("age[in]", "1,2"),
        ("score[lte]", "1.5"),
        ("active", "true"),
        ("job[ctn]", "count"),
        ("created_at[gte]", "1704067200"),
        ("_parent_id", "p"),
        ("limit", "10"),
        ("skip", "5"),
        ("sort_desc", "full_name"),
    ]


def test_fields_places_and_calculations_are_asked_for(cube, server):
    server.respond(lambda request: answer(200, {"items": [{"_id": "India", "avg": 41.5}]}))
    cube.custom_objects.list(
        "profile", include=["id", "age"], exclude=["job"], home__near=(-0.1276, 51.5, 2000)
    )
    assert server.requests[0].query == [
        ("home[near]", "-0.1276,51.5;2000"),
        ("output[include]", "_id,age"),
        ("output[exclude]", "job"),
    ]
    page = cube.custom_objects.list("profile", age__calc="avg", group_by="country")
    assert page[0].fields == {"avg": 41.5}
    assert server.requests[1].query == [("age[calc]", "avg"), ("group_by", "country")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"age__calc": "avg"}, "group_by and a look-up with __calc go together"),
        ({"group_by": "age"}, "group_by and a look-up with __calc go together"),
        ({"group_by": "a b", "age__calc": "avg"}, "group_by"),
        ({"group_by": "age", "age__calc": "median"}, "age__calc"),
        ({"home__near": (1, 2)}, "home__near must be .longitude, latitude, metres"),
        ({"home__near": (200, 2, 5)}, "home__near"),
        ({"home__near": (1, 2, -5)}, "home__near"),
        ({"home__near": "1,2;5"}, "home__near"),
        ({"include": "age"}, "include"),
        ({"exclude": ["a,b"]}, "exclude"),
    ],
)
def test_wrong_options_of_a_list_send_nothing(cube, server, arguments, words):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=words):
        cube.custom_objects.list("profile", **arguments)
    assert server.connections == []


def test_records_are_changed_by_criteria(cube, server):
    server.play(answer(200, {"items": [RECORD], "total_found": 1}))
    fields = {"job": "pilot"}
    page = cube.custom_objects.update_by_criteria(
        "profile", fields, age__gt=28, age__lte=50.5, active=True, job__in=["a", "b,c"], id__ne="x"
    )
    assert list(page) == [READ]
    assert (server.requests[0].method, server.requests[0].path) == (
        "PUT",
        "/data/profile/by_criteria",
    )
    assert server.requests[0].json == {
        "job": "pilot",
        "search_criteria": {
            "age": {"gt": 28, "lte": 50.5},
            "active": True,
            "job": {"in": ["a", "b,c"]},
            "_id": {"ne": "x"},
        },
    }


def test_records_are_deleted_by_criteria(cube, server):
    server.play(answer(200, {"total_deleted": 2}), answer(200, {}))
    assert cube.custom_objects.delete_by_criteria("profile", age__gte=41) == 2
    assert (server.requests[0].method, server.requests[0].query) == ("DELETE", [("age[gte]", "41")])
    with pytest.raises(UnexpectedResponseError):
        cube.custom_objects.delete_by_criteria("profile", age__gte=41)


@pytest.mark.parametrize(
    ("lookups", "words"),
    [
        ({}, "every record would match"),
        ({"home__near": (1, 2, 3)}, "home__near has no such look-up"),
        ({"age__calc": "avg"}, "age__calc has no such look-up"),
        ({"age": 5, "age__gt": 4}, "beside another look-up"),
        ({"age__gt": 4, "age": 5}, "beside another look-up"),
    ],
)
def test_criteria_that_say_too_little_or_too_much_send_nothing(cube, server, lookups, words):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=words):
        cube.custom_objects.update_by_criteria("profile", {"a": 1}, **lookups)
    if "age" not in lookups:
        with pytest.raises((ArgumentTypeError, ArgumentValueError), match=words):
            cube.custom_objects.delete_by_criteria("profile", **lookups)
    assert server.connections == []


def test_records_are_looked_up_by_ids(cube, server):
    server.play(answer(200, {"items": [RECORD]}))
    cube.custom_objects.list("profile", ids=["a", "b"])
    assert server.requests[0].raw_path == "/data/profile/a,b"


def test_iter_yields_each_record_once(cube, server):
    def respond(request):
        skip = int(dict(request.query)["skip"])
        return answer(200, {"items": [{"_id": text} for text in "abc"[skip : skip + 2]]})

    server.respond(respond)
    found = cube.custom_objects.iter("profile", age__gt=1)
    assert [record.id for record in found] == ["a", "b", "c"]
    queries = [dict(request.query) for request in server.requests]
    assert [query["skip"] for query in queries] == ["0", "1", "2"]
    assert all(query["sort_asc"] == "_id" and query["age[gt]"] == "1" for query in queries)


def test_records_are_counted(cube, server):
    server.play(answer(200, {"items": {"count": 3}}))
    assert cube.custom_objects.count("profile", age=5) == 3
    assert server.requests[0].query == [("age", "5"), ("count", "1")]


def test_a_record_is_changed(cube, server):
    server.play(answer(200, RECORD))
    changes = {"inc": {"age": 1}, "job": None}
    assert cube.custom_objects.update("profile", READ, changes) == READ
    assert (server.requests[0].method, server.requests[0].json) == ("PUT", changes)


def test_records_are_deleted(cube, server):
    told = {
        "SuccessfullyDeleted": {"ids": ["a"]},
        "WrongPermissions": {"ids": ["b"]},
        "NotFound": {"ids": ["c"]},
    }
    server.play(answer(200, told), answer(200), answer(204))
    result = cube.custom_objects.delete("profile", ["a", "b", "c"])
    assert result == DeleteResult(deleted=("a",), not_permitted=("b",), not_found=("c",))
    assert cube.custom_objects.delete("profile", READ).deleted == (READ.id,)
    assert cube.custom_objects.delete("profile", "a").deleted == ("a",)
    assert server.requests[0].raw_path == "/data/profile/a,b,c"


@pytest.mark.parametrize(
    ("told", "error"), [("NotFound", NotFoundError), ("WrongPermissions", PermissionDeniedError)]
)
def test_one_record_that_cannot_be_deleted_raises(cube, server, told, error):
    server.respond(lambda request: answer(200, {told: {"ids": ["a"]}}))
    with pytest.raises(error, match="a"):
        cube.custom_objects.delete("profile", "a")
    assert cube.custom_objects.delete("profile", ["a"]).deleted == ()


def test_reports_are_records(cube, server):
    server.play(*[answer(201, RECORD)] * 4)
    for user in (45, User(id=45)):
        cube.report_user(user, "spam")
    for message in ("58e6", Message(id="58e6")):
        cube.report_message(message, "phishing")
    by_user, _, by_message, _ = server.requests
    assert by_user.path == "/data/UserReports"
    assert by_user.json == {"reportedUserId": 45, "reason": "spam"}
    assert by_message.path == "/data/MessageReports"
    assert by_message.json == {"reportedMessageId": "58e6", "reason": "phishing"}
    assert server.requests[1].json == by_user.json
    assert server.requests[3].json == by_message.json


@pytest.mark.parametrize(
    ("call", "arguments", "name"),
    [
        ("create", ("a/b", {"a": 1}), "class_name"),
        ("create", ("", {"a": 1}), "class_name"),
        ("create", (5, {"a": 1}), "class_name"),
        ("create", ("c", {}), "fields"),
        ("create", ("c", [1]), "fields"),
        ("create", ("c", {5: 1}), "fields"),
        ("create", ("c", {"a": float("inf")}), "fields is not JSON"),
        ("create", ("c", {"a": "\ud800"}), "fields is not JSON"),
        ("create_many", ("c", []), "records"),
        ("create_many", ("c", [{}]), "records"),
        ("create_many", ("c", {"a": 1}), "records"),
        ("get", ("c", "a/b"), "record"),
        ("get", ("c", CustomObject()), "record"),
        ("update", ("c", "5", {}), "fields"),
        ("delete", ("c", []), "records"),
        ("delete", ("c", ["a", "b,c"]), "records"),
        ("delete", ("c", 5), "records"),
        ("report_user", (0, "spam"), "user"),
        ("report_user", (5, ""), "reason"),
        ("report_message", (5, "spam"), "message"),
        ("report_message", ("m", None), "reason"),
    ],
)
def test_wrong_arguments_send_nothing(cube, server, call, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        getattr(cube.custom_objects, call)(*arguments)
    assert server.connections == []


@pytest.mark.parametrize(
    ("lookups", "name"),
    [
        ({"limit": 101}, "limit"),
        ({"skip": -1}, "skip"),
        ({"sort": ""}, "sort"),
        ({"sort": "a b"}, "sort"),
        ({"ids": []}, "ids"),
        ({"age__above": 5}, "age__above"),
        ({"age__in": 5}, "age__in"),
        ({"age__in": ["a,b"]}, "age__in"),
        ({"age": None}, "age"),
        ({"age": float("nan")}, "age"),
        ({"created_at__gt": datetime(2024, 1, 1)}, "created_at__gt"),
    ],
)
def test_wrong_look_ups_send_nothing(cube, server, lookups, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.custom_objects.list("c", **lookups)
    assert server.connections == []


def test_iter_refuses_wrong_look_ups_before_its_first_step(cube):
    with pytest.raises(ArgumentTypeError, match="age__above"):
        cube.custom_objects.iter("c", age__above=5)


@pytest.mark.parametrize("data", [[], {}, {"items": 5}])
def test_an_answer_that_is_no_page_is_unexpected(cube, server, data):
    server.play(answer(200, data))
    with pytest.raises(UnexpectedResponseError):
        cube.custom_objects.list("c")
