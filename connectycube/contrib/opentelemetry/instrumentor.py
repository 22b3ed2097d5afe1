"""``ConnectyCubeInstrumentor``: turns spans and metrics on for every client of the process, and off again."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from connectycube._checks import check_bool

from ..common import observing
from .propagation import Propagation
from .spans import Spans

__all__ = ["ConnectyCubeInstrumentor"]

_NAME = "connectycube"


class ConnectyCubeInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Spans of requests, messages and receivers, and metrics, of each client that is made afterwards.

    ``instrument()`` comes before the first client, in each process that shall be watched;
    ``opentelemetry-instrument`` calls it by itself. It takes:

    - ``tracer_provider``, ``meter_provider``: Those of the process by default.
    - ``propagate``: Whether the messages of the chat and of ``cube.messages`` have the custom parameter
      ``traceparent``, so that receivers of other programs are linked to it. Off by default, as it travels to
      the clients of all recipients.

    ``uninstrument()`` ends all of it, also for clients that are there; a later ``instrument()`` is for those
    that are made after it. Call both from one thread at a time.

    Example:
        >>> from connectycube.contrib.opentelemetry import ConnectyCubeInstrumentor
        >>> ConnectyCubeInstrumentor().instrument()  # before the first client is made
        >>> ConnectyCubeInstrumentor().uninstrument()
    """

    _spans: Spans | None = None
    _propagation: Propagation | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages that are needed: this package itself, and no other.

        Returns:
            Nothing, as an empty tuple.
        """
        return ()

    def _instrument(self, **options: Any) -> None:
        propagate = check_bool("propagate", options.get("propagate", False))
        tracer = trace.get_tracer(_NAME, tracer_provider=options.get("tracer_provider"))
        meter = metrics.get_meter(_NAME, meter_provider=options.get("meter_provider"))
        self._spans = Spans(tracer, meter)
        observing.watch(self._spans)
        if propagate:
            is_told = partial(observing.is_told, observer=self._spans)
            self._propagation = Propagation(tracer, self._spans.watches, is_told)

    def _uninstrument(self, **options: Any) -> None:
        if self._propagation is not None:
            self._propagation.undo()
        if self._spans is not None:
            observing.unwatch(self._spans)
            self._spans.end()
        self._propagation = self._spans = None
