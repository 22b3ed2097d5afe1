"""Django: a bot as a management command, sending from views, tests without a network.

Put ``"connectycube.contrib.django"`` into ``INSTALLED_APPS``. Importing it opens nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..common.extras import extra

with extra("django", "django"):
    import_module("django")

if TYPE_CHECKING:
    from . import signals, testing
    from .clients import client_for, get_client
    from .handlers import on
    from .identity import IdentityView, identity_token
    from .sending import asend, send
    from .tokens import CacheTokenStore

__all__ = [
    "CacheTokenStore",
    "IdentityView",
    "asend",
    "client_for",
    "get_client",
    "identity_token",
    "on",
    "send",
    "signals",
    "testing",
]

_MODULE_OF = {
    "CacheTokenStore": "tokens",
    "IdentityView": "identity",
    "asend": "sending",
    "client_for": "clients",
    "get_client": "clients",
    "identity_token": "identity",
    "on": "handlers",
    "send": "sending",
}
_MODULES = ("signals", "testing")


def __getattr__(name: str) -> Any:
    # Imported on first use: Django imports this package before its settings and models are ready.
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
