"""Spans and metrics of a test, kept in memory by OpenTelemetry's own SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from connectycube.contrib.opentelemetry import ConnectyCubeInstrumentor
from tests.support import canaries
from tests.support.waiting import wait_until

__all__ = ["Telemetry", "telemetry"]


class Telemetry:
    """The providers of a test, and what was exported through them."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.tracer = self.tracers.get_tracer("test")

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in this order."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str, count: int = 1) -> list[ReadableSpan]:
        """Wait for so many spans of a name."""

        def found() -> list[ReadableSpan] | None:
            spans = [span for span in self.spans if span.name == name]
            return spans if len(spans) >= count else None

        spans = wait_until(found, f"{count} spans {name!r}")
        assert spans is not None
        return spans

    def points(self) -> dict[str, list[Any]]:
        """The data points of each metric now."""
        data = self._reader.get_metrics_data()
        found: dict[str, list[Any]] = {}
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found.setdefault(metric.name, []).extend(metric.data.data_points)
        return found

    def value_of(self, metric: str) -> Any:
        """The value of a metric with one data point."""
        (point,) = self.points()[metric]
        return point.value

    def text(self) -> str:
        """All that was exported, as text."""
        return "\n".join([*(span.to_json() for span in self.spans), repr(self.points())])

    def close(self) -> None:
        """End the providers; no secret of the test may be in what they exported."""
        canaries.look_at("a span or a metric", self.text())
        self.tracers.shutdown()
        self.meters.shutdown()


@contextmanager
def telemetry(**options: Any) -> Iterator[Telemetry]:
    """Instrument the package until the end of the block."""
    made = Telemetry()
    instrumentor = ConnectyCubeInstrumentor()
    instrumentor.instrument(tracer_provider=made.tracers, meter_provider=made.meters, **options)
    try:
        yield made
    finally:
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()
        made.close()
