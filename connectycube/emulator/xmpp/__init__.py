"""The XMPP side of the emulator: ``ChatServer`` knows no socket; the other two listen for it."""

from . import privacy, roster  # noqa: F401  (they put their requests into the table)
from .server import ChatServer
from .tcp import TcpServer
from .websocket import WebSocketServer

__all__ = ["ChatServer", "TcpServer", "WebSocketServer"]
