"""What the doctors of all integrations look at: the durable file of a bot, and its login to REST and chat."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from attrs import frozen

from connectycube import Config, ConnectyCube
from connectycube.errors import ConnectyCubeError

__all__ = ["Finding", "examine_bot", "examine_durable"]

_SECONDS = 15.0


@frozen
class Finding:
    """One thing that was looked at."""

    what: str
    state: str
    """"ok", "warning" or "failed"."""
    why: str = ""
    hint: str = ""


def examine_durable(what: str, path: str | None) -> Iterator[Finding]:
    """Look at the place of the file of durable mode, which need not be there yet.

    Args:
        what: What the finding is about.
        path: ``Config.durable``.
    """
    if path is None:
        return
    folder = os.path.dirname(path) or "."
    if not os.access(folder, os.W_OK | os.X_OK):
        why = f"the folder of {path} is missing, or cannot be written to"
        yield Finding(what, "failed", why, "Make the folder, or correct DURABLE.")
    elif not os.path.isabs(path):
        why = f"{path} is a relative path"
        hint = "A listener that starts in another folder finds another file."
        yield Finding(what, "warning", why, hint)
    else:
        yield Finding(what, "ok", path)


def examine_bot(
    what: str, config: Config, log_in: Callable[[ConnectyCube, float], object]
) -> Finding:
    """Log a bot in to REST and chat, beside its listener and without taking anything from it.

    Args:
        what: What the finding is about.
        config: The configuration of the bot.
        log_in: Logs a client in to REST, within so many seconds. The credentials stay on its side: the frames
            of an error must not show them.
    """
    config = config.replace(
        durable=None, cursor_store=None, auto_delivered=False, fill_gaps=False, join_rooms=False
    )
    step = "REST"
    try:
        with ConnectyCube(config=config) as client:
            log_in(client, _SECONDS)
            step = "chat"
            user = client.chat.login(timeout=_SECONDS)
            seconds = client.chat.ping(_SECONDS)
    except ConnectyCubeError as error:
        hint = "Check LOGIN and PASSWORD, API_URL and CHAT_HOST; docs/chat.md has a table of the errors."
        return Finding(what, "failed", f"{step}: {type(error).__name__}: {error}", hint)
    return Finding(what, "ok", f"user {user.id}, {seconds * 1000:.0f} ms to the chat server")
