"""Messages that name the span of their sender, in the custom parameter ``traceparent``.

Only that travels to other users: neither ``tracestate`` nor baggage, which may hold what is theirs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from connectycube import Chat, Message

from ..common.patching import Patch
from . import names
from .begun import BEGUN

__all__ = ["Propagation"]

_TRACE_CONTEXT = TraceContextTextMapPropagator()


class Propagation:
    """Adds the parameter to what ``chat.send_message`` and the calls above it send, until it is undone.

    Args:
        tracer: Begins the spans.
        is_watched: Says whether there is somebody to end the span of a message of this chat.
    """

    def __init__(self, tracer: Tracer, is_watched: Callable[[Chat], bool]) -> None:
        self._tracer = tracer
        self._is_watched = is_watched
        self._patches = (
            Patch(Chat, "send_message", self._send),
            Patch(Chat, "send_system_message", self._send_system),
        )

    def undo(self) -> None:
        """Send messages as they are again."""
        for patch in self._patches:
            patch.undo()

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
        inside = trace.set_span_in_context(span)
        carrier: dict[str, str] = {}
        _TRACE_CONTEXT.inject(carrier, inside)
        attached = context.attach(inside)
        try:
            return send({name: carrier[name] for name in (names.TRACEPARENT,) if name in carrier})
        except BaseException as error:
            if begun:
                span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
                span.end()
            raise
        finally:
            context.detach(attached)
            BEGUN.reset(token)


def _is_content(message: object, custom: object, more: Mapping[str, object]) -> bool:
    """Whether the chat would send something, so that the parameter does not make a message of nothing."""
    if custom is not None and not isinstance(custom, Mapping):
        return False
    if custom or more.keys() - {"clean", "timeout"}:
        return True
    if isinstance(message, Message):
        return bool(message.body or message.attachments or message.custom)
    return bool(message)
