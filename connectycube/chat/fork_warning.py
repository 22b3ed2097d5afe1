"""Names, in a forked child, the receivers that only the parent calls."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from .._checks import name_of
from .signals import Signal

__all__ = ["warn_of_receivers"]

logger = logging.getLogger("connectycube.chat")


def warn_of_receivers(name: str, chat: object, signals: Iterable[Signal]) -> None:
    """Log one warning with the receivers of a connection that the parent goes on with, if it has any."""
    uncalled = [
        f"{name_of(receiver)} ({signal.name})"
        for signal in signals
        for receiver in signal.receivers_for(chat)
    ]
    if uncalled:
        logger.warning(
            "%s: this process was forked from the one that is logged in, and these receivers are called"
            " there alone: %s; call chat.login() here if they shall run here as well",
            name,
            ", ".join(uncalled),
        )
