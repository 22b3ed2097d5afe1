"""Real time: one user's chat connection, its signals and its threads."""

from .connection import Chat
from .handle import SendHandle
from .signals import Signal

__all__ = ["Chat", "SendHandle", "Signal"]
