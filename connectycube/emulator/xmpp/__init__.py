"""The XMPP side of the emulator: ``Exchange`` is the chat server, ``TcpServer`` its door."""

from . import privacy, roster  # noqa: F401  (they put their requests into the table)
from .exchange import Exchange
from .tcp import TcpServer

__all__ = ["Exchange", "TcpServer"]
