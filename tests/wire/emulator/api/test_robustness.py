"""Whatever a client sends, the emulator answers with a rule and never fails itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.emulator.api.people import write

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(("1", "2", "3", "1, 2", "²", "\0"))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
LISTS = ("occupants_ids", "admins_ids", "pinned_messages_ids")
CHANGES = st.fixed_dictionaries({}, optional=dict.fromkeys(LISTS, VALUES))
DIALOG = st.fixed_dictionaries(
    {},
    optional={
        "type": SCALARS | st.sampled_from((2, 3, 4)),
        **dict.fromkeys(("name", "description", "photo", "extensions", "permissions"), VALUES),
        **dict.fromkeys((*LISTS, "data", "enabled"), VALUES),
        "push_all": CHANGES | VALUES,
        "pull_all": CHANGES | VALUES,
    },
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            *("message", "attachments", "recipient_id", "recipientId", "date_sent", "silent"),
            *("send_to_chat", "markable", "read", "delivered", "add", "remove", "force", "custom"),
        ),
        VALUES,
    ),
)
DIALOG_CALLS = (
    *(("POST", "chat/Dialog"), ("PUT", "chat/Dialog/{dialog}")),
    *(("PUT", "chat/Dialog/{dialog}/admins"), ("PUT", "chat/Dialog/{dialog}/notifications")),
)
MESSAGE_CALLS = (
    *(("POST", "chat/Message"), ("PUT", "chat/Message"), ("PUT", "chat/Message/{message}")),
    *(("POST", "chat/Message/system"), ("PUT", "chat/Message/{message}/reactions")),
    ("DELETE", "chat/Message/{message}"),
)
FUZZ = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def places(people, group):
    return {"dialog": group, "message": write(people.alice, group)["_id"]}


def check(person, call, places, body):
    method, path = call
    answer = person(method, path.format(**places), json=body)
    assert answer.status_code < 500, (call, body, answer.text)
    if answer.status_code >= 400:
        assert answer.json()["errors"], (call, body)
    elif answer.content:
        json.loads(answer.content)


@FUZZ
@given(st.sampled_from(DIALOG_CALLS), DIALOG)
def test_dialogs(people, places, call, body):
    check(people.alice, call, places, body)


@FUZZ
@given(st.sampled_from(MESSAGE_CALLS), MESSAGE, st.booleans())
def test_messages(people, places, call, body, in_the_dialog):
    dialog = {"chat_dialog_id": places["dialog"]} if in_the_dialog else {}
    check(people.alice, call, places, {**body, **dialog})
