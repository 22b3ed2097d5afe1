"""Whatever JSON or query comes, the answer is the service's: never a failure of the emulator."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.emulator import Emulator
from tests.wire.emulator.conftest import Rest

WORDS = st.sampled_from(
    (
        *("provider", "facebook", "keys", "token", "user", "login", "password", "email", "guest"),
        *("ids", "tags", "any", "message", "event", "push", "notification_type", "environment"),
        *("development", "device", "push_token", "udid", "platform", "ios", "gcm", "contacts"),
        *("name", "phone", "destroy", "force", "blob", "size", "content_type", "image/png", "new"),
        *("user_id", "is_muted", "attendees", "start_date", "end_date", "notify_before", "metric"),
        *("recipientId", "sessionID", "userInfo", "Web", "chat", "push_all", "occupants_ids"),
        *("record", "id", "inc", "push", "pull", "pop", "permissions", "read", "access", "open"),
        *("search_criteria", "lt", "in", "all", "age", "inf", "1", "-1", "tag_list", "timezone"),
    )
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | WORDS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
BODIES = st.dictionaries(WORDS, VALUES, max_size=4)

WRITES = (
    *("POST session", "POST login", "POST users", "PUT users/1", "POST users/password/reset"),
    *("POST blobs", "PUT blobs/1", "PUT blobs/1/complete", "POST subscriptions", "POST events"),
    *("POST address_book", "POST data/profile", "POST data/profile/multi"),
    *("POST admin/meetings", "POST meetings", "PUT meetings/{meeting}", "POST calls/reject"),
    "PUT admin/chat/{dialog}",
    *("PUT data/profile/multi", "PUT data/profile/by_criteria", "DELETE data/profile/by_criteria"),
)
READS = (
    *(
        "users/v2",
        "users",
        "users/by_tags",
        "users/by_full_name",
        "users/online",
        "users/external/1",
    ),
    *("admin/chat/list", "admin/chat/messages/list", "meetings"),
    *("admin/stats/messages/sent-total", "admin/stats/messages/sent-per-day"),
    *("admin/stats/dialogs/created-total", "admin/stats/dialogs/created-per-day"),
    *("blobs", "blobs/1", "data/profile", "address_book", "address_book/registered_users"),
)
NAMES = st.sampled_from(
    (
        *("id", "id[in][]", "login[start_with]", "user_tags", "created_at[gt]", "limit", "offset"),
        *("page", "per_page", "filter[]", "order", "sort_asc", "skip", "count", "tags", "udid"),
        *("_id[gt]", "chat_dialog_id", "updated_at[lt]", "start_date", "end_date", "types[]"),
        *("scheduled", "start_date[gte]", "_id"),
        *("full_name", "age[gt]", "age[in]", "age[ctn]", "x[y][z]", "compact", "token"),
    )
)


@pytest.fixture(scope="module")
def alice():
    """A session of a user who has a file and a record, with numbers of every size."""
    with Emulator() as emulator:
        emulator.add_user("alice", "secret")
        session = Rest(emulator, "alice")
        with session.http:
            session("POST", "blobs", json={"blob": {"name": "a", "content_type": "a/b"}})
            for age in (10**400, 1.5, "x", None, [1]):
                session("POST", "data/profile", data=json.dumps({"age": age}))
            body = {"name": "M", "start_date": 1, "end_date": 2, "attendees": []}
            made = session("POST", "meetings", json={**body, "chat": True}).json()
            session.ids = {"meeting": made["_id"], "dialog": made["chat_dialog_id"]}
            session.http.headers["CB-Administration-API-Key"] = emulator.admin_key
            yield session


def assert_clear(answer: requests.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.content:
        content = json.loads(answer.content, parse_constant=pytest.fail)
        assert answer.status_code < 400 or content["errors"]


@pytest.mark.parametrize("endpoint", WRITES)
@settings(max_examples=25)
@given(body=BODIES)
def test_any_body_gets_a_clear_answer(alice, endpoint, body):
    method, path = endpoint.format(**alice.ids).split()
    if endpoint == "POST login":
        body = {**body, "login": "nobody at all"}
    assert_clear(alice(method, path, data=json.dumps(body)))


@pytest.mark.parametrize("path", READS)
@settings(max_examples=25)
@given(query=st.lists(st.tuples(NAMES, st.text(max_size=6) | WORDS), max_size=3))
def test_any_query_gets_a_clear_answer(alice, path, query):
    text = "&".join(f"{quote(name)}={quote(value, errors='replace')}" for name, value in query)
    assert_clear(alice("GET", f"{path}?{text}"))
