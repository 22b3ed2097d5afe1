"""The XMPP side of the emulator: ``Exchange`` is the chat server, ``TcpServer`` its door."""

from .exchange import Exchange
from .tcp import TcpServer

__all__ = ["Exchange", "TcpServer"]
