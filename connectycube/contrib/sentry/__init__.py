"""Sentry: receivers that were given up, with the states of the connection before, and without secrets.

``sentry_sdk.init(…, integrations=[ConnectyCubeIntegration()])`` before the first client is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..common.extras import extra

with extra("sentry", "sentry_sdk"):
    import_module("sentry_sdk")

if TYPE_CHECKING:
    from .integration import ConnectyCubeIntegration

__all__ = ["ConnectyCubeIntegration"]

_MODULE_OF = {"ConnectyCubeIntegration": "integration"}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
