"""What a span says, of records and events that no network was needed for."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from connectycube import (
    ApiTimeoutError,
    DialogRef,
    Message,
    MessageEdit,
    RequestRecord,
    SystemMessage,
)
from connectycube.contrib.opentelemetry.spans import Spans, link_of
from tests.support.telemetry import Telemetry

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exported():
    made = Telemetry()
    yield made
    made.close()


@pytest.fixture
def spans(exported):
    return Spans(exported.tracer, exported.meters.get_meter("test"))


def record(**fields):
    whole = {"method": "POST", "path": "/chat/Message", "seconds": 0.5, "status": 201}
    return RequestRecord(**{"url": "https://api.example.org/chat/Message", **whole, **fields})


@pytest.mark.parametrize(
    ("fields", "name", "attributes", "is_error"),
    [
        ({}, "POST /chat/Message", {"http.response.status_code": 201}, False),
        (
            {"method": "GET", "path": "/chat/Dialog/{id}", "status": 404, "attempt": 3},
            "GET /chat/Dialog/{id}",
            {"error.type": "404", "http.request.resend_count": 2},
            True,
        ),
        (
            {"status": None, "error": ApiTimeoutError},
            "POST /chat/Message",
            {"error.type": "ApiTimeoutError"},
            True,
        ),
        (
            {"method": "PUT", "path": None, "url": "http://127.0.0.1:8080/x?login=anna"},
            "PUT",
            {"server.address": "127.0.0.1", "server.port": 8080, "url.scheme": "http"},
            False,
        ),
    ],
)
def test_a_request_is_named_by_its_template(spans, exported, fields, name, attributes, is_error):
    spans.request_finished(record(**fields))
    (span,) = exported.spans
    assert (span.name, span.kind) == (name, SpanKind.CLIENT)
    assert attributes.items() <= span.attributes.items()
    assert span.end_time - span.start_time == 500_000_000
    assert span.status.status_code is (StatusCode.ERROR if is_error else StatusCode.UNSET)
    assert "login" not in exported.text()


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Message(id="1", dialog=DialogRef.private(5)), "process private"),
        (Message(id="1", dialog=DialogRef.room("abc")), "process group"),
        (SystemMessage(id="1", sender_id=5), "process system"),
        (
            MessageEdit(user_id=5, message_id="1", body="x", dialog=DialogRef.room("abc")),
            "process group",
        ),
    ],
)
def test_a_receiver_is_named_by_the_kind_of_the_place(spans, exported, event, name):
    spans.receiver_began(None, "message_received", event, "receive")
    spans.receiver_ended(None, "message_received", event, "receive", None)
    (span,) = exported.spans
    assert (span.name, span.kind) == (name, SpanKind.CONSUMER)
    assert span.attributes["connectycube.signal"] == "message_received"
    assert span.attributes["messaging.message.id"] == "1"


def test_nested_receivers_and_threads_have_contexts_of_their_own(spans, exported):
    message = Message(id="1", dialog=DialogRef.private(5))
    seen = {}

    def other():
        seen["thread"] = trace.get_current_span().get_span_context().is_valid

    spans.receiver_began(None, "message_received", message, "outer")
    spans.receiver_began(None, "state_changed", None, "inner")
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    spans.receiver_ended(None, "state_changed", None, "inner", ValueError("SECRET"))
    spans.receiver_ended(None, "message_received", message, "outer", None)
    inner, outer = exported.spans
    assert inner.parent.span_id == outer.context.span_id
    assert outer.parent is None
    assert inner.attributes["error.type"] == "ValueError"
    assert "SECRET" not in exported.text()
    assert seen == {"thread": False}
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_receiver_that_runs_at_the_end_gives_its_context_back(spans, exported):
    message = Message(id="1", dialog=DialogRef.private(5))
    spans.receiver_began(None, "message_received", message, "outer")
    spans.end()
    spans.receiver_began(None, "message_received", message, "inner")
    spans.receiver_ended(None, "message_received", message, "inner", None)
    spans.receiver_ended(None, "message_received", message, "outer", None)
    assert len(exported.spans) == 1
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_traceparent_of_another_user_is_a_link_and_no_parent(spans, exported):
    message = Message(id="1", dialog=DialogRef.private(5), custom={"traceparent": TRACEPARENT})
    spans.receiver_began(None, "message_received", message, "receive")
    spans.receiver_ended(None, "message_received", message, "receive", None)
    (span,) = exported.spans
    (link,) = span.links
    assert f"{link.context.trace_id:x}" == TRACEPARENT.split("-")[1].lstrip("0")
    assert span.parent is None
    assert span.context.trace_id != link.context.trace_id


@given(st.one_of(st.text(), st.none(), st.integers(), st.dictionaries(st.text(), st.text())))
def test_a_wrong_traceparent_is_no_link(value):
    assert link_of(value) is None
