from __future__ import annotations

from typing import Any

import pytest

from connectycube.chat.protocol.decoding import error_of
from connectycube.chat.protocol.iq import PendingRequests
from connectycube.chat.protocol.nodes import element
from connectycube.errors import ConnectionLostError, StanzaError

STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
OWN = "1001-7@chat.example/laptop"
TICKET = object()


def iq(request_id: str | None, sender: str | None, kind: str = "result", *content: Any) -> Any:
    attributes = {"type": kind, "id": request_id, "from": sender}
    given = {name: value for name, value in attributes.items() if value is not None}
    return element("iq", "jabber:client", given, *content)


def pending(to: str | None) -> PendingRequests:
    requests = PendingRequests()
    requests.add("1", to, OWN, TICKET)
    return requests


@pytest.mark.parametrize(
    ("to", "sender", "accepted"),
    [
        # to the own account: answered in its name, the server's or none (RFC 6120, 8.1.2.1)
        (None, None, True),
        (None, "1001-7@chat.example", True),
        (None, OWN, True),
        (None, "chat.example", True),
        (None, "1002-7@chat.example", False),
        (None, "1001-7@chat.example/phone", False),
        (None, "evil.example", False),
        # to the server
        ("chat.example", "chat.example", True),
        ("chat.example", None, True),
        ("chat.example", "1002-7@chat.example", False),
        ("chat.example", "evil.example", False),
        # to somebody else
        ("1002-7@chat.example", "1002-7@chat.example", True),
        ("1002-7@chat.example", "1002-7@chat.example/phone", False),
        ("1002-7@chat.example", "chat.example", False),
        ("1002-7@chat.example", None, False),
        ("7_d@muc.chat.example", "7_d@muc.chat.example", True),
    ],
)
def test_an_answer_counts_only_from_whom_the_request_went_to(
    to: str | None, sender: str | None, accepted: bool
) -> None:
    requests = pending(to)
    node = iq("1", sender)
    answer = requests.answer(node)
    assert (answer is not None) == accepted
    assert len(requests) == (0 if accepted else 1), (
        "a stranger's answer must not use the request up"
    )
    if answer is not None:
        assert answer.waiter is TICKET and answer.node is node and answer.error is None


def test_an_answer_counts_once() -> None:
    requests = pending("chat.example")
    assert requests.answer(iq("1", "chat.example")) is not None
    assert requests.answer(iq("1", "chat.example")) is None


@pytest.mark.parametrize("request_id", ["2", "", None])
def test_an_answer_with_another_id_is_nobodys(request_id: str | None) -> None:
    assert pending("chat.example").answer(iq(request_id, "chat.example")) is None


def test_a_forgotten_request_leaves_nothing() -> None:
    requests = pending("chat.example")
    requests.forget("1")
    requests.forget("1")
    assert not len(requests)
    assert requests.answer(iq("1", "chat.example")) is None


def test_an_error_answers_the_request_with_what_it_says() -> None:
    error = element(
        "error", "jabber:client", {"type": "cancel"}, element("item-not-found", STANZAS)
    )
    answer = pending("chat.example").answer(iq("1", "chat.example", "error", error))
    assert answer is not None and answer.node is None
    assert isinstance(answer.error, StanzaError)
    assert answer.error.condition == "item-not-found"


def test_fail_ends_every_request_with_the_same_error() -> None:
    requests = pending("chat.example")
    requests.add("2", None, OWN, "other")
    error = ConnectionLostError("gone")
    assert [(a.waiter, a.error, a.node) for a in requests.fail(error)] == [
        (TICKET, error, None),
        ("other", error, None),
    ]
    assert not len(requests) and not requests.fail(error)


@pytest.mark.parametrize(
    ("attributes", "content", "expected"),
    [
        (
            {"type": "auth", "code": "403"},
            [element("forbidden", STANZAS), element("text", STANZAS, {}, "not you")],
            ("forbidden", "auth", "not you", 403),
        ),
        (
            {},
            [element("text", STANZAS, {}, "first"), element("gone", STANZAS)],
            ("gone", None, "first", None),
        ),
        # JavaScript's and older servers' form: a code and words, no condition
        (
            {"code": "503"},
            [element("text", "jabber:client", {}, "x")],
            ("undefined-condition", None, "x", 503),
        ),
        ({"code": "five"}, [], ("undefined-condition", None, None, None)),
        ({"code": "²"}, [], ("undefined-condition", None, None, None)),
        ({"code": "1" * 5000}, [], ("undefined-condition", None, None, None)),
        ({"type": "wait"}, ["only words"], ("undefined-condition", "wait", None, None)),
    ],
)
def test_an_error_is_read_as_far_as_it_goes(
    attributes: dict[str, str], content: list[Any], expected: tuple[object, ...]
) -> None:
    error = error_of(element("error", "jabber:client", attributes, *content))
    assert (error.condition, error.type, error.text, error.code) == expected
    assert expected[0] in str(error)  # type: ignore[operator]


def test_an_absent_error_element_is_an_error_without_a_reason() -> None:
    error = error_of(None)
    assert error.condition == "undefined-condition"
    assert str(error) == "refused without a reason"
