"""The bell: any process of the application wakes the streams of a dialog in all others on this machine.

Each process with open streams has a Unix datagram socket in the run folder. To ring is to send the dialog's
id to every socket there. Nothing depends on a ring that gets lost: a stream looks into history now and then
anyway. A process that was killed leaves its socket behind, and who rings next removes it.
"""

from __future__ import annotations

import logging
import os
import secrets
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from connectycube.errors import ArgumentValueError

from .run_folder import RunFolder

__all__ = ["Bell", "Waiter"]

logger: logging.Logger = logging.getLogger("connectycube.flask")

_EVERY_DIALOG = b"*"
_SUFFIX = ".bell"
_LONGEST = 256  # bytes of a dialog's id
_LOOKS = 0.2  # seconds between two looks whether the server ends


class Waiter:
    """One stream that waits for its dialog."""

    def __init__(self, dialog_id: str) -> None:
        self.dialog_id = dialog_id
        self.rung: threading.Event = threading.Event()
        """Is set when the dialog has news, and when the server ends."""


class Bell:
    """The bell of one application in this process; opened by the first stream, closed by the last.

    Args:
        folder: Returns the run folder; called when it is needed.
        is_ending: Says whether the server ends this process.
    """

    def __init__(self, folder: Callable[[], RunFolder], is_ending: Callable[[], bool]) -> None:
        self._folder = folder
        self._asks_ending = is_ending
        self._socket: socket.socket | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._create()

    def _create(self) -> None:
        """Create the objects of this process; a fork has its own."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._waiters: set[Waiter] = set()
        self._has_warned = False
        self.is_ending: bool = False
        """Whether the streams are to end."""

    def _check_process(self) -> None:
        if self._process == os.getpid():
            return
        # Forked, perhaps without Python's hooks. The streams are the parent's, and so are these sockets.
        for inherited in (self._socket, *(self._wake or ())):
            if inherited is not None:
                inherited.close()
        self._socket = self._wake = None
        self._create()

    @property
    def open_streams(self) -> int:
        """How many streams of this process are open."""
        self._check_process()
        return len(self._waiters)

    def wait_for(self, dialog_id: str) -> Waiter:
        """Return a waiter for the rings of a dialog; ``forget`` must be called for it."""
        self._check_process()
        waiter = Waiter(dialog_id)
        with self._lock:
            self._waiters.add(waiter)
            if self._wake is None:
                self._wake = socket.socketpair()
                self._socket = self._open()
                threading.Thread(
                    target=self._run, args=(self._wake[1], self._socket), name="bell", daemon=True
                ).start()
        return waiter

    def forget(self, waiter: Waiter) -> None:
        """Close the bell behind the last stream."""
        if self._process != os.getpid():
            return
        with self._lock:
            self._waiters.discard(waiter)
            if self._waiters or self._wake is None:
                return
            (end, _), self._wake = self._wake, None
            listener, self._socket = self._socket, None
            if listener is not None:  # now: the process may be gone before the thread is
                with suppress(OSError):
                    os.unlink(listener.getsockname())
            end.close()  # the thread closes its end, and the listener

    def end_streams(self) -> None:
        """Let the streams of this process end."""
        self._check_process()
        self.is_ending = True
        self._ring_here(_EVERY_DIALOG)

    # --- ringing ---

    def ring(self, dialog_id: str | None) -> None:
        """Wake the streams of a dialog in all processes; None: those of every dialog. Never raises."""
        self._check_process()
        word = _EVERY_DIALOG if dialog_id is None else dialog_id.encode()[:_LONGEST]
        self._ring_here(word)
        try:
            self._ring_others(word)
        except OSError as error:
            self._warn(error)

    def _ring_others(self, word: bytes) -> None:
        if not hasattr(socket, "AF_UNIX"):
            return
        folder = self._folder()
        with suppress(FileNotFoundError):
            names = [name for name in os.listdir(folder.path) if name.endswith(_SUFFIX)]
            if not names or not folder.is_safe():
                return
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                for name in names:
                    _send(sender, os.path.join(folder.path, name), word)

    def _ring_here(self, word: bytes) -> None:
        for waiter in tuple(self._waiters):
            if word in (_EVERY_DIALOG, waiter.dialog_id.encode()):
                waiter.rung.set()

    # --- listening ---

    def _open(self) -> socket.socket | None:
        """Return the socket of this process; None if there can be none, and history must do."""
        if not hasattr(socket, "AF_UNIX"):
            return None
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name = f"{os.getpid()}-{secrets.token_hex(3)}{_SUFFIX}"
            path = os.path.join(self._folder().made(), name)
            listener.bind(path)
            os.chmod(path, 0o666)  # who may enter the folder may ring
        except (OSError, ArgumentValueError) as error:
            listener.close()
            self._warn(error)
            return None
        listener.setblocking(False)
        return listener

    def _run(self, end: socket.socket, listener: socket.socket | None) -> None:
        """Wake the streams of this process until ``end`` is closed on the other side."""
        sockets = [end] if listener is None else [end, listener]
        try:
            while True:
                ready, _, _ = select.select(sockets, [], [], _LOOKS)
                if end in ready:
                    return
                if listener is not None and listener in ready:
                    with suppress(OSError):
                        self._ring_here(listener.recv(_LONGEST))
                if self._asks_ending() and not self.is_ending:
                    self.end_streams()
        finally:
            end.close()
            if listener is not None:
                listener.close()

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:  # once a process
            logger.warning("pages learn of messages by polling history alone: %s", error)
        self._has_warned = True


def _send(sender: socket.socket, path: str, word: bytes) -> None:
    try:
        sender.sendto(word, path)
    except (ConnectionRefusedError, FileNotFoundError):
        with suppress(OSError):
            os.unlink(path)  # its process was killed
    except OSError:
        pass  # its buffer is full: it has been woken
