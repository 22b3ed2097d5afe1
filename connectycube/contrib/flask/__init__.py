"""Flask: a bot as a command of ``flask``, live pages by server-sent events, tests without a network.

``cube = FlaskCube()``, then ``cube.init_app(app)`` in the application's factory. Both open nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..common.extras import extra

with extra("flask", "flask"):
    import_module("flask")

if TYPE_CHECKING:
    from .extension import FlaskCube
    from .testing import OutboxMessage

__all__ = ["FlaskCube", "OutboxMessage"]

_MODULE_OF = {"FlaskCube": "extension", "OutboxMessage": "testing"}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
