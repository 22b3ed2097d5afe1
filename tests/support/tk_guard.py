"""Notes each thread that calls Tk: a program of Tk is right if that is one thread.

``guard(root)`` guards one window. With a folder that has ``sitecustomize.py`` with ``install(file)`` on its
path, a program is guarded without knowing it.
"""

from __future__ import annotations

import threading
import tkinter
from collections import Counter
from pathlib import Path
from typing import Any

__all__ = ["Guard", "guard", "install"]


class Guard:
    """Stands in for the interpreter of Tk, ``root.tk``: every widget calls it."""

    def __init__(self, tk: Any, file: Path | None = None) -> None:
        self._tk = tk
        self._file = file
        self._home = threading.current_thread()
        self.calls: Counter[str] = Counter()
        """The number of calls by the name of the thread."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._tk, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **keywords: Any) -> Any:
            thread = threading.current_thread()
            self.calls[thread.name] += 1
            if self._file is not None and thread is not self._home:
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(f"{thread.name} called {name} {arguments[:2]!r}\n")
            return value(*arguments, **keywords)

        return call


def guard(root: tkinter.Tk, file: Path | None = None) -> Guard:
    """Put a guard before the interpreter of a window that has no widgets yet."""
    made = Guard(root.tk, file)
    root.tk = made  # type: ignore[assignment]
    return made


def install(file: Path) -> None:
    """Guard each window that this process will make; calls of other threads are written to the file."""
    begin = tkinter.Tk.__init__

    def guarded(self: tkinter.Tk, *arguments: Any, **keywords: Any) -> None:
        begin(self, *arguments, **keywords)
        guard(self, file)
        with file.open("a", encoding="utf-8") as log:
            log.write("a window is guarded\n")

    tkinter.Tk.__init__ = guarded  # type: ignore[method-assign]
