"""Real time: one user's chat connection, its signals and its threads."""

from .handle import SendHandle
from .history import History
from .messaging import Chat
from .signals import Signal
from .waiting import EventStream

__all__ = ["Chat", "EventStream", "History", "SendHandle", "Signal"]
