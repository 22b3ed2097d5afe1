"""Relay: hands the events of a chat over to many workers, on Redis or RabbitMQ, and sends their answers.

``Relay(url).attach(chat)`` in the process of the bot; ``Worker(url)`` with handlers in any number of others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .children import Children, end_with_parent
    from .context import Context
    from .engine import Engine, Letter, PartitionStatus
    from .envelope import Envelope
    from .errors import (
        ClaimLostError,
        EngineFullError,
        EngineSettingsError,
        EngineUnavailableError,
        EnvelopeError,
        RelayError,
    )
    from .listener import RelayListener
    from .relay import Relay
    from .worker import Worker

__all__ = [
    "Children",
    "ClaimLostError",
    "Context",
    "Engine",
    "EngineFullError",
    "EngineSettingsError",
    "EngineUnavailableError",
    "Envelope",
    "EnvelopeError",
    "Letter",
    "PartitionStatus",
    "Relay",
    "RelayError",
    "RelayListener",
    "Worker",
    "end_with_parent",
]

_MODULE_OF = {
    "Children": "children",
    "ClaimLostError": "errors",
    "Context": "context",
    "Engine": "engine",
    "EngineFullError": "errors",
    "EngineSettingsError": "errors",
    "EngineUnavailableError": "errors",
    "Envelope": "envelope",
    "EnvelopeError": "errors",
    "Letter": "engine",
    "PartitionStatus": "engine",
    "Relay": "relay",
    "RelayError": "errors",
    "RelayListener": "listener",
    "Worker": "worker",
    "end_with_parent": "children",
}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that a worker needs no more than its engine.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
