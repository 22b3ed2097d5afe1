"""The objects that all chats of a fleet share: threads, signals, and a callback for a chat that has ended."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from .._network import Network
from .chat_signals import ChatSignals
from .fork_warning import ForkWarning
from .shared_reader import SharedReader
from .workers import Workers

__all__ = ["Shared"]


@frozen
class Shared:
    """The part of one chat in what all chats of its fleet share."""

    reader: SharedReader
    workers: Workers
    network: Network
    """Its TLS contexts are those of all the chats: each holds the certificates of all authorities."""
    signals: ChatSignals
    """Their signals and context managers are those of all the chats."""
    fork_warning: ForkWarning
    closed: Callable[[Exception | None], None]
    """Called with the reason when this chat has entered CLOSED, with the driver's mutex held."""
