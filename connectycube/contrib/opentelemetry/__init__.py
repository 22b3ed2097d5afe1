"""OpenTelemetry: spans of requests, messages and receivers, and metrics of queues and connections.

``ConnectyCubeInstrumentor().instrument()`` before the first client is made, or ``opentelemetry-instrument``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..common.extras import extra

with extra("opentelemetry", "opentelemetry"):
    import_module("opentelemetry.instrumentation.instrumentor")
    import_module("opentelemetry.trace")

if TYPE_CHECKING:
    from .instrumentor import ConnectyCubeInstrumentor
    from .workers import traced_worker

__all__ = ["ConnectyCubeInstrumentor", "traced_worker"]

_MODULE_OF = {"ConnectyCubeInstrumentor": "instrumentor", "traced_worker": "workers"}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
