"""What events are handed over from: one chat, or a fleet with the chats of its members."""

from __future__ import annotations

from connectycube import Chat, Fleet
from connectycube.errors import ArgumentTypeError

__all__ = ["check_source"]


def check_source(chat: object) -> None:
    """Raise ArgumentTypeError if this is neither a chat nor a fleet."""
    if not isinstance(chat, (Chat, Fleet)):
        raise ArgumentTypeError(
            f"chat must be a Chat, such as cube.chat, or a Fleet, not {type(chat).__name__}"
        )
