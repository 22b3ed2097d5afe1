"""Names, at a fork, the receivers that only the parent calls."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .._forks import register_before_fork
from .chat_signals import ChatSignals

__all__ = ["ForkWarning"]

logger: logging.Logger = logging.getLogger("connectycube.chat")


class ForkWarning:
    """One warning for each login, at its first fork.

    The parent logs it, before the fork: a thread that writes to a log at that moment holds the lock of the
    log's stream, and that thread is not there in the child, which would wait for the lock forever.

    ``name`` is the name of the chat or the fleet. A thread that forks calls ``is_connected()``, so it must
    take no lock.
    """

    def __init__(self, name: str, is_connected: Callable[[], bool], signals: ChatSignals) -> None:
        self._name = name
        self._is_connected = is_connected
        self._signals = signals
        self._was_given = False
        register_before_fork(self)

    def renew(self) -> None:
        """Warn at the next fork again, after a login."""
        self._was_given = False

    def _before_fork(self) -> None:
        if self._is_connected():
            self.give()

    def give(self) -> None:
        """Log the warning, unless it was given since the login.

        A child calls this too: the parent has not given it before a fork in C.
        """
        uncalled = [
            f"{name} ({signal.name})"
            for signal in self._signals._signals()
            for name in signal.names()
        ]
        if uncalled and not self._was_given:
            self._was_given = True
            logger.warning(
                "%s: a process that is forked from the one that is logged in does not call its receivers: %s;"
                " call chat.login() there if they shall run there as well",
                self._name,
                ", ".join(uncalled),
            )
