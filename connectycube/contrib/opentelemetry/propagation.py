"""Messages that name the span of their sender, in the custom parameter ``traceparent``.

Only that travels to other users: neither ``tracestate`` nor baggage, which may hold what is theirs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import partial
from types import NoneType
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from connectycube import Chat, Config, ConnectyCube, Message

from ..common.patching import Patch
from . import names
from .begun import BEGUN
from .spans import of_sending

__all__ = ["Propagation"]

_TRACE_CONTEXT = TraceContextTextMapPropagator()


class Propagation:
    """Adds the parameter to what ``chat.send_message`` and the calls above it send, until it is undone.

    And to what ``cube.messages`` creates. REST tells no observer of messages: their spans begin and end here.

    Args:
        tracer: Begins the spans.
        is_watched: Says whether there is somebody to end the span of a message of this chat.
        is_told: Says whether requests of clients with this configuration have spans.
    """

    def __init__(
        self,
        tracer: Tracer,
        is_watched: Callable[[Chat], bool],
        is_told: Callable[[Config], bool],
    ) -> None:
        self._tracer = tracer
        self._is_watched = is_watched
        self._is_told = is_told
        self._is_on = True
        self._patches = (
            Patch(Chat, "send_message", self._send),
            Patch(Chat, "send_system_message", self._send_system),
            Patch(ConnectyCube, "messages", self._messages_of),
        )

    def undo(self) -> None:
        """Send messages as they are again."""
        self._is_on = False
        for patch in self._patches:
            patch.undo()

    def _messages_of(self, find: Callable[[], Any], client: ConnectyCube) -> Any:
        found = find()
        return _Messages(self, found) if self._is_told(client.config) else found

    def _send(
        self,
        send: Callable[..., Any],
        chat: Chat,
        dialog: Any,
        message: Any,
        *,
        custom: Any = None,
        **more: Any,
    ) -> Any:
        is_ours = self._is_watched(chat) and _is_content(message, custom, more)
        if not is_ours or names.TRACEPARENT in more:
            return send(dialog, message, custom=custom, **more)
        return self._inside_span(
            lambda found: send(dialog, message, custom={**found, **(custom or {})}, **more)
        )

    def _send_system(
        self,
        send: Callable[..., Any],
        chat: Chat,
        user_id: Any,
        custom: Any,
        *rest: Any,
        **more: Any,
    ) -> Any:
        if not self._is_watched(chat) or not isinstance(custom, Mapping):
            return send(user_id, custom, *rest, **more)
        return self._inside_span(lambda found: send(user_id, {**found, **custom}, *rest, **more))

    def _inside_span(self, send: Callable[[dict[str, str]], Any]) -> Any:
        """Call ``send(parameters)`` inside a span, which the observer takes once the message is accepted.

        A message that an earlier attempt has sent is not sent again, and the span is dropped.
        """
        span = self._tracer.start_span("send", kind=SpanKind.PRODUCER)
        begun = [span]
        token = BEGUN.set(begun)
        try:
            with _current(span) as found:
                return send(found)
        except BaseException as error:
            if begun:
                _fail(span, error)
                span.end()
            raise
        finally:
            BEGUN.reset(token)

    def create(self, create: Callable[[dict[str, str]], Any]) -> Any:
        """Call ``create(parameters)`` inside a span, which is over with the request; return its message."""
        if not self._is_on:
            return create({})
        span = self._tracer.start_span("send", kind=SpanKind.PRODUCER)
        try:
            with _current(span) as found:
                made = create(found)
            name, attributes = of_sending(made)
            span.update_name(name)
            span.set_attributes(attributes)
            return made
        except BaseException as error:
            _fail(span, error)
            raise
        finally:
            span.end()


class _Messages:
    """``cube.messages`` of a client whose messages name the span of their sender."""

    def __init__(self, propagation: Propagation, messages: Any) -> None:
        self._propagation = propagation
        self._messages = messages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._messages, name)

    def __dir__(self) -> Iterable[str]:
        return dir(self._messages)

    def create(self, *arguments: Any, custom: Any = None, **more: Any) -> Any:
        """Create a message, as ``cube.messages.create`` does."""
        create = partial(self._messages.create, *arguments, **more)
        if names.TRACEPARENT in more or not isinstance(custom, (Mapping, NoneType)):
            return create(custom=custom)
        return self._propagation.create(lambda found: create(custom={**found, **(custom or {})}))

    def create_system(self, user: Any, custom: Any, *rest: Any, **more: Any) -> Any:
        """Send a system message, as ``cube.messages.create_system`` does."""
        create = self._messages.create_system
        if not isinstance(custom, Mapping):
            return create(user, custom, *rest, **more)
        return self._propagation.create(
            lambda found: create(user, {**found, **custom}, *rest, **more)
        )


@contextmanager
def _current(span: Span) -> Generator[dict[str, str]]:
    """Make a span the current one, and give the parameters that name it."""
    inside = trace.set_span_in_context(span)
    carrier: dict[str, str] = {}
    _TRACE_CONTEXT.inject(carrier, inside)
    attached = context.attach(inside)
    try:
        yield {name: carrier[name] for name in (names.TRACEPARENT,) if name in carrier}
    finally:
        context.detach(attached)


def _fail(span: Span, error: BaseException) -> None:
    span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
    span.set_status(StatusCode.ERROR)


def _is_content(message: object, custom: object, more: Mapping[str, object]) -> bool:
    """Whether the chat would send something, so that the parameter does not make a message of nothing."""
    if custom is not None and not isinstance(custom, Mapping):
        return False
    if custom or more.keys() - {"clean", "timeout"}:
        return True
    if isinstance(message, Message):
        return bool(message.body or message.attachments or message.custom)
    return bool(message)
