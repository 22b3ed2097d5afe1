"""The Administration API: what is sent, with which credentials, and what odd answers become."""

from __future__ import annotations

import logging
from datetime import date, datetime, timezone

import pytest

from connectycube import (
    ApiAuthenticationError,
    ApiNetworkError,
    ApiTimeoutError,
    ArgumentTypeError,
    ArgumentValueError,
    ConnectyCube,
    DialogRef,
    Message,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    Timeouts,
    UnexpectedResponseError,
    ValidationError,
)
from tests.support.scripted_http import answer, refusal, reset, silent
from tests.wire.rest.conftest import ADMIN_KEY

DIALOG = "6a1f00aa11bb22cc33dd4401"
FAST = RetryPolicy(max_retries=2, delay=0.001, max_delay=0.001)

CALLS = {
    "dialogs.get": lambda admin: admin.dialogs.get(DIALOG),
    "dialogs.list": lambda admin: admin.dialogs.list(),
    "dialogs.iter": lambda admin: list(admin.dialogs.iter()),
    "dialogs.count": lambda admin: admin.dialogs.count(),
    "dialogs.update": lambda admin: admin.dialogs.update(DIALOG, name="News"),
    "dialogs.mute": lambda admin: admin.dialogs.mute(DIALOG, 5),
    "dialogs.unmute": lambda admin: admin.dialogs.unmute(DIALOG, 5),
    "messages.list": lambda admin: admin.messages.list(),
    "messages.iter": lambda admin: list(admin.messages.iter()),
    "messages.count": lambda admin: admin.messages.count(),
    "users.delete": lambda admin: admin.users.delete(5),
    "messages_sent": lambda admin: admin.statistics.messages_sent(),
    "sent_per_day": lambda admin: admin.statistics.messages_sent_per_day(),
    "iter_sent_per_day": lambda admin: list(admin.statistics.iter_messages_sent_per_day()),
    "dialogs_created": lambda admin: admin.statistics.dialogs_created(),
    "created_per_day": lambda admin: admin.statistics.dialogs_created_per_day(),
    "iter_created": lambda admin: list(admin.statistics.iter_dialogs_created_per_day()),
    "meetings.create": lambda admin: admin.meetings.create(5, "Round", 1, 2, [6]),
    "meetings.recordings": lambda admin: admin.meetings.recordings("m1"),
    "delete_recordings": lambda admin: admin.meetings.delete_recordings("m1"),
}
EVERY = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture
def patient(config):
    """A client of the Administration API that repeats requests; nobody is logged in."""
    with ConnectyCube(config=config.replace(retry=FAST)) as made:
        yield made.admin


def page_of(*ids, **more):
    items = [{"_id": f"{number:024x}", "message": f"message {number}"} for number in ids]
    return answer(200, {"total_entries": 9, "skip": 0, "limit": 100, "items": items, **more})


def cut(conn, request):
    """Break the connection in the middle of an answer."""
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    conn.reset()


def numbers(found):
    return [int(message.id, 16) for message in found]


# --- credentials ----------------------------------------------------------------------------------


@EVERY
def test_without_a_key_every_call_says_what_to_set_and_sends_nothing(config, server, call):
    with (
        ConnectyCube(config=config.replace(admin_key=None)) as cube,
        pytest.raises(ArgumentValueError, match="set CONNECTYCUBE_ADMIN_KEY, or give Config"),
    ):
        call(cube.admin)
    assert server.requests == []


@EVERY
@pytest.mark.parametrize("logged_in", [False, True])
def test_every_call_has_the_key_and_no_token(cube, visitor, server, call, logged_in):
    server.respond(lambda request: refusal(401, "no"))
    with pytest.raises(ApiAuthenticationError):
        call((cube if logged_in else visitor).admin)
    (sent,) = server.requests  # a 401 renews no session
    assert sent.headers["cb-administration-api-key"] == ADMIN_KEY
    assert "cb-token" not in sent.headers
    assert sent.path.startswith("/admin/")


def test_other_calls_do_not_have_the_key(cube, server):
    server.respond(lambda request: answer(200, {"items": []}))
    cube.dialogs.list()
    assert "cb-administration-api-key" not in server.requests[0].headers


def test_the_clients_of_other_users_have_the_same_key(visitor, server):
    server.respond(lambda request: page_of())
    visitor.with_token("another-token-5ec4e7c0de").admin.messages.list()
    assert server.requests[0].headers["cb-administration-api-key"] == ADMIN_KEY


@pytest.mark.parametrize("key", ["a\r\nb", "a key ", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused_without_repeating_it(config, key):
    with (
        ConnectyCube(config=config.replace(admin_key=key)) as cube,
        pytest.raises(ArgumentValueError, match="CB-Administration-API-Key holds") as caught,
    ):
        cube.admin.messages.list()
    assert key not in str(caught.value)


def test_no_repr_and_no_log_shows_the_key(cube, server, caplog):
    caplog.set_level(logging.DEBUG)
    server.respond(lambda request: refusal(422, f"what is {request.headers!r}?"))
    with pytest.raises(ValidationError) as caught:
        cube.admin.messages.list()
    parts = (cube.admin, cube.admin.dialogs, cube.admin.messages, cube.config, cube)
    assert ADMIN_KEY not in f"{caught.value} {parts!r} {caplog.text}"
    assert "***" in str(caught.value)


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda a: a.messages.iter(sort="created_at"), ArgumentValueError, "'id' or '-id'"),
        (lambda a: a.messages.iter(id__gt=DIALOG), ArgumentValueError, "after=…"),
        (lambda a: a.messages.iter(sort="-id", id__lt=DIALOG), ArgumentValueError, "after=…"),
        (lambda a: a.messages.iter(page_size=101), ArgumentValueError, "page_size"),
        (lambda a: a.messages.iter(after=5), ArgumentTypeError, "after"),
        (lambda a: a.messages.iter(body="x"), ArgumentTypeError, "body is no argument"),
        (lambda a: a.messages.list(limit=101), ArgumentValueError, "limit"),
        (lambda a: a.messages.list(sort="date_sent"), ArgumentValueError, "sort"),
        (lambda a: a.messages.list(dialog=7), ArgumentTypeError, "dialog must be"),
        (lambda a: a.messages.list(id__in=[DIALOG]), ArgumentTypeError, "no such look-up"),
        (lambda a: a.dialogs.list(id__ne=DIALOG), ArgumentTypeError, "no such look-up"),
        (lambda a: a.dialogs.update(DIALOG), ArgumentValueError, "nothing to change"),
        (lambda a: a.dialogs.mute(DIALOG, "5"), ArgumentTypeError, "user"),
        (lambda a: a.users.delete(0), ArgumentValueError, "user"),
        (lambda a: a.statistics.dialogs_created(types=9), ArgumentValueError, "types"),
        (
            lambda a: a.statistics.messages_sent(datetime(2024, 5, 1)),
            ArgumentValueError,
            "naive",
        ),
        (lambda a: a.meetings.create(5, "R", 1, 2, {"id": 3}), ArgumentTypeError, "attendees"),
        (lambda a: a.meetings.recordings(""), ArgumentValueError, "meeting"),
    ],
)
def test_a_wrong_argument_is_named_at_once(cube, server, call, error, words):
    with pytest.raises(error, match=words):
        call(cube.admin)
    assert server.requests == []


def test_each_page_begins_behind_the_last_id(cube, server):
    server.play(page_of(1, 2), page_of(5), page_of())
    found = list(
        cube.admin.messages.iter(page_size=2, updated_at__gte=7, dialog=DialogRef(id=DIALOG))
    )
    assert numbers(found) == [1, 2, 5]
    fixed = [("updated_at[gte]", "7"), ("chat_dialog_id", DIALOG)]
    page = [("limit", "2"), ("sort_asc", "_id")]
    assert [sent.query for sent in server.requests] == [
        [*fixed, *behind, *page]
        for behind in ([], [("_id[gt]", f"{2:024x}")], [("_id[gt]", f"{5:024x}")])
    ]


def test_an_iteration_goes_on_behind_a_message_backwards_too(cube, server):
    server.play(page_of(4), page_of())
    last = Message(id=f"{5:024x}")
    assert numbers(cube.admin.messages.iter(after=last, sort="-id")) == [4]
    assert server.requests[0].query == [
        ("_id[lt]", last.id),
        ("limit", "100"),
        ("sort_desc", "_id"),
    ]


def test_a_time_span_is_widened_to_whole_seconds(cube, server):
    server.play(answer(200, {"total": 0}))
    start = datetime(2024, 5, 1, 0, 0, 0, 500000, tzinfo=timezone.utc)
    assert cube.admin.statistics.messages_sent(start, start.timestamp() + 1) == 0
    assert server.requests[0].query == [("start_date", "1714521600"), ("end_date", "1714521602")]


def test_a_change_has_the_body_of_the_users_call(cube, server):
    server.respond(lambda request: answer(200, {"_id": DIALOG}))
    changes = {
        "name": "News",
        "photo": "",
        "add_occupants": [5, 6],
        "remove_admins": 7,
        "pin": "aa",
        "extensions": {},
    }
    cube.dialogs.update(DIALOG, **changes)
    cube.admin.dialogs.update(DIALOG, **changes)
    cube.admin.dialogs.unmute(DIALOG, 5)
    assert server.requests[1].json == server.requests[0].json
    assert server.requests[2].json == {"user_id": 5, "is_muted": False}


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, ApiAuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (422, ValidationError),
        (429, RateLimitError),
        (500, ServerError),
    ],
)
def test_a_refusal_is_the_error_of_its_status(cube, server, status, error):
    server.respond(lambda request: refusal(status, "because"))
    for call in CALLS.values():
        with pytest.raises(error, match="because"):
            call(cube.admin)


ODD = {
    "users.delete": [{}, {"success": 0}, [], "deleted", None],
    "messages.count": [{}, {"items": []}, {"total_entries": "many", "items": []}],
    "messages.list": [{}, [], {"items": {"count": 3}}],
    "messages.iter": [{"items": [{}]}, {"items": [None]}, {"items": ["x", {"_id": "1"}]}],
    "dialogs.iter": [{"items": [{"name": "News"}]}, {"items": [5]}, {}],
    "messages_sent": [{}, {"total": None}, {"total": "many"}, []],
    "sent_per_day": [{"2024-05-01": None}, {"May": 5}, {"2024-05-01": "5x"}, []],
    "iter_created": [{"2024-05-01": {}}, {"1": 5}],
    "dialogs.mute": [{}, [], {"silent_ids": [5]}],
    "meetings.create": [{}, []],
    "meetings.recordings": [{}, {"items": []}],
    "delete_recordings": [[], "done"],
}


@pytest.mark.parametrize(
    ("name", "odd"), [(name, odd) for name, answers in ODD.items() for odd in answers]
)
def test_an_answer_that_is_not_as_documented_is_told(cube, server, name, odd):
    server.respond(
        lambda request: answer(200, odd) if odd is not None else answer(200, content=b"")
    )
    with pytest.raises(UnexpectedResponseError, match="answered 200, but"):
        CALLS[name](cube.admin)


def test_a_deletion_that_was_not_done_is_a_refusal(cube, server):
    server.play(answer(200, {"success": False}))
    with pytest.raises(ValidationError):
        cube.admin.users.delete(5)


def test_another_dialog_in_place_of_the_one_asked_for_is_not_found(cube, server):
    other = {"_id": "6a1f00aa11bb22cc33dd4499"}
    server.play(answer(200, {"items": [other]}), answer(200, {"items": []}))
    for _ in range(2):
        with pytest.raises(NotFoundError, match=DIALOG):
            cube.admin.dialogs.get(DIALOG)


def test_a_service_that_repeats_a_page_ends_in_an_error(cube, server):
    server.respond(lambda request: page_of(1, 2))
    reading = cube.admin.messages.iter()
    assert numbers([next(reading), next(reading)]) == [1, 2]
    with pytest.raises(UnexpectedResponseError, match="cannot be read to its end"):
        next(reading)
    assert len(server.requests) == 2


def test_a_service_that_ignores_the_offset_of_days_ends_in_an_error(cube, server):
    days = {f"2024-05-{day:02}": day for day in range(1, 31)}
    server.respond(lambda request: answer(200, days))
    reading = cube.admin.statistics.iter_messages_sent_per_day(page_size=30)
    found = []
    with pytest.raises(UnexpectedResponseError, match="brought nothing new"):
        found.extend(reading)


def test_days_come_once_over_pages(cube, server):
    days = {date(2024, 1, 1).isoformat()[:8] + f"{day:02}": day for day in range(1, 32)}

    def respond(request):
        query = dict(request.query)
        first = int(query.get("offset", 0))
        chosen = list(days.items())[first : first + int(query["limit"])]
        return answer(200, dict(chosen))

    server.respond(respond)
    found = list(cube.admin.statistics.iter_dialogs_created_per_day(page_size=7, types=2))
    assert [each.count for each in found] == list(range(1, 32))
    assert all(("types[]", "2") in sent.query for sent in server.requests)


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [refusal(429, "slow"), refusal(503, "busy"), reset],
    ids=["429", "503", "reset"],
)
def test_an_iteration_repeats_a_request_that_failed(patient, server, failure):
    server.play(page_of(1, 2), failure, page_of(3), failure, failure, page_of())
    assert numbers(patient.messages.iter(page_size=2)) == [1, 2, 3]


def test_after_an_error_an_iteration_goes_on_without_loss(cube, server):
    server.play(page_of(1, 2), refusal(500, "no"), reset, cut, page_of(3), page_of())
    reading = cube.admin.messages.iter(page_size=2)
    found = [next(reading), next(reading)]
    for error in (ServerError, ApiNetworkError, UnexpectedResponseError):
        with pytest.raises(error):
            next(reading)
    assert numbers([*found, *reading]) == [1, 2, 3]


def test_a_change_that_may_have_been_made_is_not_repeated(patient, server):
    for failure in (reset, refusal(503, "busy")):
        server.play(failure)
        with pytest.raises((ApiNetworkError, ServerError)):
            patient.dialogs.mute(DIALOG, 5)
    assert len(server.requests) == 2


def test_a_service_that_is_silent_ends_in_a_time_out(config, server):
    server.respond(lambda request: silent)
    with (
        ConnectyCube(config=config.replace(timeouts=Timeouts(rest_read=0.2))) as cube,
        pytest.raises(ApiTimeoutError),
    ):
        cube.admin.messages.count(timeout=0.2)
