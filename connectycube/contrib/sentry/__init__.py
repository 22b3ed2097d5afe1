"""Sentry: receivers that were given up, with the states of the connection before, and without secrets.

``sentry_sdk.init(…, integrations=[ConnectyCubeIntegration()])`` before the first client is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import sentry_sdk  # noqa: F401
except ModuleNotFoundError as _error:
    if _error.name != "sentry_sdk":
        raise
    raise ModuleNotFoundError(
        "sentry_sdk is missing: pip install 'connectycube[sentry]'", name="sentry_sdk"
    ) from None

if TYPE_CHECKING:
    from .integration import ConnectyCubeIntegration

__all__ = ["ConnectyCubeIntegration"]

_MODULE_OF = {"ConnectyCubeIntegration": "integration"}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
