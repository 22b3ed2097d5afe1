"""Desktop: the receivers of a chat on the GUI thread of a window, and blocking calls off it.

``Handover(chat, tk_post(root))`` for Tk, ``Handover(chat, qt_post())`` for Qt (PySide6). Importing this
package imports neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .handover import Handover
    from .post import Post
    from .qt import qt_post
    from .tk import tk_post

__all__ = ["Handover", "Post", "qt_post", "tk_post"]

_MODULE_OF = {"Handover": "handover", "Post": "post", "qt_post": "qt", "tk_post": "tk"}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that a program without a window pays for none of it.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
