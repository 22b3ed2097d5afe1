"""Handlers of a relay's worker run in a span that is linked to the one of the envelope."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from connectycube import DialogRef, Message
from connectycube.contrib.opentelemetry import traced_worker
from tests.support.telemetry import Telemetry

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MESSAGE = Message(id="1", dialog=DialogRef.room("abc"))


class Worker:
    """A worker, as far as this is its business."""

    def around(self, manager):
        self.manager = manager
        return manager


def context(traceparent):
    envelope = SimpleNamespace(signal="message_received")
    return SimpleNamespace(traceparent=traceparent, envelope=envelope)


@pytest.fixture
def exported():
    made = Telemetry()
    yield made
    made.close()


@pytest.mark.parametrize(("traceparent", "links"), [(TRACEPARENT, 1), (None, 0), ("nonsense", 0)])
def test_a_handler_is_linked_to_the_span_of_its_envelope(exported, traceparent, links):
    worker = traced_worker(Worker(), tracer_provider=exported.tracers)
    with worker.manager(MESSAGE, context(traceparent)):
        pass
    (span,) = exported.spans
    assert (span.name, span.kind) == ("process group", SpanKind.CONSUMER)
    assert len(span.links) == links
    assert span.attributes["connectycube.signal"] == "message_received"


def test_a_handler_that_raises_shows_the_class_of_its_error_alone(exported):
    worker = traced_worker(Worker(), tracer_provider=exported.tracers)
    with pytest.raises(ValueError, match="SECRET"), worker.manager(MESSAGE, context(None)):
        raise ValueError("SECRET")
    (span,) = exported.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "ValueError"
    assert "SECRET" not in exported.text()
