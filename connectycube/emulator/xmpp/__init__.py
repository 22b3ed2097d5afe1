"""The XMPP side of the emulator: ``Exchange`` is the chat server, the other two are its doors."""

from . import privacy, roster  # noqa: F401  (they put their requests into the table)
from .exchange import Exchange
from .tcp import TcpServer
from .websocket import WebSocketServer

__all__ = ["Exchange", "TcpServer", "WebSocketServer"]
