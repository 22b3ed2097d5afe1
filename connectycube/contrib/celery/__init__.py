"""Celery: hands the events of a chat over to tasks that exist already, without a promise about their order.

``hand_over(bot.chat, task)`` in the process of the bot; ``@app.task(base=ChatTask)`` for the task.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..common.extras import extra

with extra("celery", "celery"):
    import_module("celery")

if TYPE_CHECKING:
    from .bridge import hand_over
    from .clients import client
    from .task import ChatTask

__all__ = ["ChatTask", "client", "hand_over"]

_MODULE_OF = {"ChatTask": "task", "client": "clients", "hand_over": "bridge"}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
