"""Spans of the handlers of a relay's worker, linked to the message that the relay handed over."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from . import names
from .spans import link_of, of_event

if TYPE_CHECKING:
    from ..relay import Context, Worker

__all__ = ["traced_worker"]


def traced_worker(worker: Worker, *, tracer_provider: Any = None) -> Worker:
    """Have each handler of a worker run in a CONSUMER span, linked to the span that the envelope names.

    Args:
        worker: A worker of ``connectycube.contrib.relay``, before its ``run()``.
        tracer_provider: That of the process by default.

    Returns:
        The worker.
    """
    tracer = trace.get_tracer("connectycube", tracer_provider=tracer_provider)

    @contextmanager
    def traced(event: Any, context: Context) -> Generator[None]:
        link = link_of(context.traceparent)
        name, attributes = of_event(event)
        with tracer.start_as_current_span(
            name,
            kind=SpanKind.CONSUMER,
            attributes={**attributes, names.SIGNAL: context.envelope.signal},
            links=() if link is None else (link,),
            record_exception=False,  # its text may be a secret, or what somebody wrote
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise

    worker.around(traced)
    return worker
