"""The clients of this process: one for each bot, and those of users."""

from __future__ import annotations

from typing import Any

from connectycube import ConnectyCube

from .backends import get_backend

__all__ = ["client_for", "get_client"]


def get_client(bot: str = "default") -> ConnectyCube:
    """Return the client of a bot: one for each process, logged in to REST at the first call.

    Its chat is not connected: the listener does that, in a process of its own. Call this in a view, a task or
    a command, not while modules are imported: the first call asks the service.

    Args:
        bot: A name in ``CONNECTYCUBE["BOTS"]``.

    Returns:
        The client.

    Raises:
        ImproperlyConfigured: The setting is wrong, or has no such bot.
        ApiError: The bot could not log in.
    """
    return get_backend().client(bot)


def client_for(user: Any) -> ConnectyCube:
    """Return a client that acts as a user of Django, who becomes one of the service at the first call.

    ``CONNECTYCUBE["USERS"]`` says how. The token of the session is kept in the cache, for all processes.

    Args:
        user: A user of Django, saved and active.

    Returns:
        The client.

    Raises:
        ImproperlyConfigured: The setting is wrong.
        ArgumentTypeError, ArgumentValueError: ``user`` is no saved and active user of Django.
        ApiError: The user could not log in.
    """
    return get_backend().client_for(user)
