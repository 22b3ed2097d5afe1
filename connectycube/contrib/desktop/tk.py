"""The post of Tk: a queue that the GUI thread looks into, as no other thread may call Tk safely.

``root.after(0, function)`` from another thread works while ``mainloop()`` runs, if Tcl has threads. Before
``mainloop()`` and after it the call raises RuntimeError, one second late. While the window is busy it
blocks, and if ``mainloop()`` ends before, it never returns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from connectycube.errors import ArgumentTypeError

if TYPE_CHECKING:
    import tkinter

    from .post import Post

__all__ = ["tk_post"]

_IDLE_MS = 40
"""Milliseconds between two looks into an empty queue."""
_BUSY_MS = 1
"""The same after a function was called. Not 0: Tk draws only when no timer is due."""
_SLICE = 0.008
"""Seconds for which functions are called before Tk gets its turn."""
_NEXT = 0.001
"""Seconds to wait for the next function: a worker whose event was handled comes back with another one."""


def tk_post(root: tkinter.Misc) -> Post:
    """Return the ``post`` of a window of Tk, for ``Handover``.

    Functions are put into a queue; the GUI thread looks into it every 40 milliseconds, and at once while
    there are more. So it works before ``mainloop()`` runs, and the thread that posts never waits. Call it on
    the thread that made the window.

    Args:
        root: The ``tkinter.Tk``, or a ``Toplevel`` or other widget with which the handover ends.

    Returns:
        The function, for any thread.

    Raises:
        ArgumentTypeError: ``root`` is no widget of tkinter.
    """
    if isinstance(root, type) or not all(
        callable(getattr(root, name, None)) for name in ("after", "after_cancel", "bind")
    ):
        what = f"the class {root.__name__}" if isinstance(root, type) else type(root).__name__
        raise ArgumentTypeError(
            f"root must be a widget of tkinter, such as tkinter.Tk(), not {what}"
        )
    return _TkPost(root)


class _TkPost:
    def __init__(self, root: tkinter.Misc) -> None:
        self._root: tkinter.Misc | None = root
        self._functions: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._ends: list[Callable[[], object]] = []
        self._timer = root.after(_IDLE_MS, self._look)
        root.bind("<Destroy>", self._note_destroyed, add="+")

    def __call__(self, function: Callable[[], object]) -> None:
        """Have a function called on the GUI thread; for any thread."""
        self._functions.put(function)

    def call_when_destroyed(self, function: Callable[[], object]) -> None:
        """Call a function, on the GUI thread, when the window is destroyed."""
        self._ends.append(function)

    def _look(self) -> None:
        """Call what is in the queue, on the GUI thread."""
        # First the timer: a function may open a dialog, whose own event loop goes on with the queue.
        self._wait(_IDLE_MS)
        until = time.monotonic() + _SLICE
        function = self._next(0.0)
        while function is not None:
            try:
                function()
            finally:
                self._hurry()  # whatever the function raised
            del function  # or it would stay alive until the next one comes
            if self._root is None or time.monotonic() > until:
                return
            function = self._next(_NEXT)

    def _next(self, seconds: float) -> Callable[[], object] | None:
        try:
            return self._functions.get(timeout=seconds)
        except Empty:
            return None

    def _hurry(self) -> None:
        if self._root is not None:
            self._root.after_cancel(self._timer)
            self._wait(_BUSY_MS)

    def _wait(self, milliseconds: int) -> None:
        if self._root is not None:
            self._timer = self._root.after(milliseconds, self._look)

    def _note_destroyed(self, event: tkinter.Event[Any]) -> None:
        # A window hears of its widgets as well.
        if self._root is None or event.widget is not self._root:
            return
        self._root.after_cancel(self._timer)
        # The last reference to a Tk must not be dropped by a thread that holds this object.
        self._root = None
        for end in self._ends:
            end()
        self._ends.clear()
