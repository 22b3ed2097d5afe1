"""The post of Qt: a signal whose slot is called on the GUI thread, in its own order."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from connectycube.errors import ArgumentTypeError, ArgumentValueError

from ..common.extras import extra

if TYPE_CHECKING:
    from .post import Post

__all__ = ["qt_post"]


def qt_post(window: Any = None) -> Post:
    """Return the ``post`` of Qt for ``Handover``, with PySide6.

    It emits a signal with a queued connection: Qt calls the slot on the GUI thread. Call it on the GUI
    thread, when there is a ``QApplication``.

    Args:
        window: A ``QWidget`` or another ``QObject``: the handover ends when it is destroyed. None: it ends
            with ``close()`` alone.

    Returns:
        The function, for any thread.

    Raises:
        ModuleNotFoundError: PySide6 is missing.
        ArgumentTypeError: ``window`` is no QObject.
        ArgumentValueError: There is no application yet, or this is not its thread.
    """
    with extra("desktop", "PySide6"):
        QtCore: Any = import_module("PySide6.QtCore")
    if window is not None and not isinstance(window, QtCore.QObject):
        raise ArgumentTypeError(f"window must be a QObject, not {type(window).__name__}")
    application = QtCore.QCoreApplication.instance()
    if application is None:
        raise ArgumentValueError("there is no application yet: make a QApplication first")
    if QtCore.QThread.currentThread() is not application.thread():
        raise ArgumentValueError("qt_post() must be called on the GUI thread")

    class Caller(QtCore.QObject):  # type: ignore[misc]
        posted = QtCore.Signal(object)

        def __init__(self) -> None:
            QtCore.QObject.__init__(self)  # super() is of no known type, as QObject is not
            self.posted.connect(self.call, QtCore.Qt.ConnectionType.QueuedConnection)

        def call(self, function: Callable[[], object]) -> None:
            function()

    return _QtPost(Caller(), window)


class _QtPost:
    def __init__(self, caller: Any, window: Any) -> None:
        self._caller = caller
        self._ends: list[Callable[[], object]] = []
        if window is not None:
            window.destroyed.connect(
                self._end
            )  # and not held, or it would not go with its last reference

    def __call__(self, function: Callable[[], object]) -> None:
        """Have a function called on the GUI thread; for any thread."""
        self._caller.posted.emit(function)

    def call_when_destroyed(self, function: Callable[[], object]) -> None:
        """Call a function, on the GUI thread, when the window is destroyed."""
        self._ends.append(function)

    def _end(self, *_: object) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            end()
