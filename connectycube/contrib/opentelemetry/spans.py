"""The observer that makes spans, and the durations among the metrics.

No span has a body, an address of a user, or the text of an error: an error is named by its class.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextvars import Token
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from attrs import define, frozen
from opentelemetry import context, trace
from opentelemetry.metrics import Histogram, Meter
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from connectycube import (
    DialogType,
    Message,
    MessageDeletion,
    MessageEdit,
    Observer,
    ReactionChange,
    RequestRecord,
    SendHandle,
    StateChange,
    SystemMessage,
)

from . import names
from .begun import take_begun
from .numbers import Numbers

__all__ = ["Spans", "link_of", "of_event", "of_sending"]

_HANDLE: type[Any] = SendHandle  # for isinstance(), which knows no content of the handle
_OF_OTHERS = (Message, MessageEdit, MessageDeletion, ReactionChange, SystemMessage)
"""Events that somebody sent, with or without a span: their receivers have CONSUMER spans."""
_OF_METRIC = (
    *(names.MESSAGING_SYSTEM, names.MESSAGING_OPERATION_NAME),
    names.MESSAGING_DESTINATION_TEMPLATE,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TRACE_CONTEXT = TraceContextTextMapPropagator()

Attributes = dict[str, "str | int | bool"]


@frozen
class _Sending:
    """A message that has no outcome yet."""

    span: Span
    began: float
    attributes: Mapping[str, str]
    """Those of the metric."""


@define
class _Call:
    """A receiver that runs."""

    span: Span
    token: Token[context.Context]
    began: float
    attributes: Attributes
    """Those of the metric."""


class _Calls(threading.local):
    """The receivers that the calling thread runs, the innermost one last; None: one without a span."""

    def __init__(self) -> None:
        self.all: list[_Call | None] = []


class Spans(Observer):
    """Makes a span of each request, message and receiver call; ``end()`` makes it do nothing.

    It has no lock, so a fork at any moment leaves none held: each table is written in single steps.
    """

    def __init__(self, tracer: Tracer, meter: Meter) -> None:
        self._is_on = True
        self._tracer = tracer
        self._numbers = Numbers(meter)
        self._calls = _Calls()
        # An outcome may never be told, as of a client that is dropped. So the handle decides how long.
        self._sending: WeakKeyDictionary[SendHandle[Any], _Sending] = WeakKeyDictionary()
        self._requests = _seconds(meter, names.HTTP_CLIENT_REQUEST_DURATION, "REST requests.")
        self._sends = _seconds(
            meter,
            names.MESSAGING_CLIENT_OPERATION_DURATION,
            "From sending a message to the server's acknowledgement.",
        )
        self._processes = _seconds(meter, names.MESSAGING_PROCESS_DURATION, "Calls of receivers.")

    def end(self) -> None:
        """Begin no more spans, and observe no more numbers. A receiver that runs ends its span."""
        self._is_on = False
        self._numbers.end()

    def watches(self, chat: Any) -> bool:
        """Whether this observer is told of a chat. One whose client was made before is not known."""
        return self._numbers.has(chat)

    # --- requests ---

    def request_finished(self, record: RequestRecord) -> None:
        """Make the span of a request, which is over."""
        if not self._is_on:
            return
        attributes, server = _of_request(record), urlsplit(record.url)
        attributes |= _of_server(server.scheme, server.hostname, server.port)
        if record.path is not None:
            attributes[names.URL_TEMPLATE] = record.path
        self._requests.record(record.seconds, attributes)
        if record.attempt > 1:
            attributes[names.HTTP_REQUEST_RESEND_COUNT] = record.attempt - 1
        if record.bytes_received:
            attributes[names.HTTP_RESPONSE_BODY_SIZE] = record.bytes_received
        end = time.time_ns()
        span = self._tracer.start_span(
            f"{record.method} {record.path}" if record.path is not None else record.method,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=end - round(record.seconds * 1e9),
        )
        if names.ERROR_TYPE in attributes:
            span.set_status(StatusCode.ERROR)
        span.end(end)

    # --- connections ---

    def state_changed(self, chat: Any, change: StateChange) -> None:
        """Observe the numbers of this chat from now on."""
        if self._is_on:
            self._numbers.add(chat)

    def reconnected(
        self, chat: Any, resumed: bool, seconds: float, reason: Exception | None
    ) -> None:
        """Count a reconnection by its reason."""
        if self._is_on:
            self._numbers.reconnected(resumed, reason)

    # --- messages ---

    def message_submitted(self, chat: Any, handle: Any) -> None:
        """Begin the span of a message, inside that of the caller."""
        if not self._is_on:
            return
        name, attributes = of_sending(handle.message)
        attributes[names.MESSAGING_MESSAGE_ID] = handle.id
        of_metric = {key: str(attributes[key]) for key in _OF_METRIC}
        span = take_begun()
        if span is None:
            span = self._tracer.start_span(name, kind=SpanKind.PRODUCER, attributes=attributes)
        else:
            span.update_name(name)
            span.set_attributes(attributes)
        self._sending[handle] = _Sending(span, time.perf_counter(), of_metric)

    def message_settled(self, chat: Any, handle: Any, error: Exception | None) -> None:
        """End the span of a message. A message of an earlier process has none."""
        sending = self._sending.get(handle)
        if sending is None:
            return
        attributes = dict(sending.attributes)
        if error is not None:
            attributes[names.ERROR_TYPE] = _name_of(error)
            sending.span.set_attribute(names.ERROR_TYPE, _name_of(error))
            sending.span.set_status(StatusCode.ERROR)
        sending.span.end()
        if self._is_on:
            self._sends.record(time.perf_counter() - sending.began, attributes)

    # --- receivers ---

    def receiver_began(self, chat: Any, signal: str | None, event: Any, receiver: str) -> None:
        """Begin the span of a receiver, and make it the current one of this thread."""
        call = None
        try:
            if self._is_on:
                call = self._begin(signal, event, receiver)
        finally:  # whatever happens: receiver_ended() takes the last entry
            self._calls.all.append(call)

    def receiver_ended(
        self, chat: Any, signal: str | None, event: Any, receiver: str, error: BaseException | None
    ) -> None:
        """End the span of a receiver."""
        call = self._calls.all.pop()
        if call is None:
            return
        context.detach(call.token)
        if error is not None:
            call.attributes[names.ERROR_TYPE] = _name_of(error)
            call.span.set_attribute(names.ERROR_TYPE, _name_of(error))
            call.span.set_status(StatusCode.ERROR)
        call.span.end()
        if self._is_on and names.MESSAGING_SYSTEM in call.attributes:
            self._processes.record(time.perf_counter() - call.began, call.attributes)

    def _begin(self, signal: str | None, event: Any, receiver: str) -> _Call:
        of_metric: Attributes = {}
        attributes: Attributes = {names.RECEIVER: receiver}
        if signal is not None:
            attributes[names.SIGNAL] = signal
        kind, name, link = SpanKind.INTERNAL, signal or "done_callback", None
        if isinstance(event, _OF_OTHERS):
            kind = SpanKind.CONSUMER
            name, found = of_event(event)
            of_metric = {key: found[key] for key in _OF_METRIC}
            attributes |= found
            link = link_of(getattr(event, "custom", {}).get(names.TRACEPARENT))
        elif isinstance(event, _HANDLE):
            sending = self._sending.get(event)
            link = None if sending is None else Link(sending.span.get_span_context())
        span = self._tracer.start_span(
            name, kind=kind, attributes=attributes, links=() if link is None else (link,)
        )
        token = context.attach(trace.set_span_in_context(span))
        return _Call(span, token, time.perf_counter(), of_metric)


def of_event(event: Any) -> tuple[str, Attributes]:
    """Return the name and the attributes of the span of a receiver, or of a handler of a worker.

    Args:
        event: What somebody sent, such as a Message.
    """
    return _of_message("process", event)


def of_sending(message: Any) -> tuple[str, Attributes]:
    """Return the name and the attributes of the span of a message that this program sends.

    Args:
        message: A Message, or another one that the chat or REST sends.
    """
    return _of_message("send", message)


def _of_message(operation: str, message: Any) -> tuple[str, Attributes]:
    destination = _destination(message)
    return f"{operation} {destination}", {
        names.MESSAGING_SYSTEM: names.SYSTEM,
        names.MESSAGING_OPERATION_NAME: operation,
        names.MESSAGING_OPERATION_TYPE: operation,
        names.MESSAGING_DESTINATION_TEMPLATE: destination,
        **_message_id(message),
        **_conversation(message),
    }


def link_of(traceparent: object) -> Link | None:
    """Return the link to the span that a ``traceparent`` names; None if it is none.

    It comes from another user. So it is a link and not the parent, and what it says of sampling is not heard.
    """
    if not isinstance(traceparent, str):
        return None
    where_from = _TRACE_CONTEXT.extract({names.TRACEPARENT: traceparent}, context.Context())
    where = trace.get_current_span(where_from).get_span_context()
    return Link(where) if where.is_valid else None


def _seconds(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(name, unit="s", description=description)


def _of_request(record: RequestRecord) -> Attributes:
    attributes: Attributes = {names.HTTP_REQUEST_METHOD: record.method}
    if record.status is not None:
        attributes[names.HTTP_RESPONSE_STATUS_CODE] = record.status
        if record.status >= 400:
            attributes[names.ERROR_TYPE] = str(record.status)
    if record.error is not None:
        attributes[names.ERROR_TYPE] = record.error.__qualname__
    return attributes


def _of_server(scheme: str, host: str | None, port: int | None) -> Attributes:
    attributes: Attributes = {names.URL_SCHEME: scheme}
    if host is not None:
        attributes[names.SERVER_ADDRESS] = host
        port = port or _DEFAULT_PORTS.get(scheme)
    if port is not None:
        attributes[names.SERVER_PORT] = port
    return attributes


def _destination(message: Any) -> str:
    """Return the kind of the place that a message goes to, which has few values and no id."""
    if isinstance(message, SystemMessage):
        return "system"
    dialog = getattr(message, "dialog", None)
    if dialog is not None and (dialog.type == DialogType.PRIVATE or dialog.peer_id):
        return "private"
    # Its type may be unknown: in a private dialog a message has a recipient.
    return "private" if getattr(message, "recipient_id", None) else "group"


def _conversation(message: Any) -> Mapping[str, str]:
    dialog = getattr(message, "dialog", None)
    found = getattr(message, "dialog_id", None) or getattr(dialog, "id", None)
    return {} if found is None else {names.MESSAGING_MESSAGE_CONVERSATION_ID: found}


def _message_id(event: Any) -> Mapping[str, str]:
    found = getattr(event, "message_id", None) or getattr(event, "id", None)
    return {} if found is None else {names.MESSAGING_MESSAGE_ID: found}


def _name_of(error: BaseException) -> str:
    return type(error).__qualname__
