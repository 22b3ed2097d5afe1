"""The chat of the emulator: ``ChatServer`` has the rules of XMPP, the other two servers have the sockets."""

# These modules fill the table of requests.
# pyright: reportUnusedImport=false
from . import privacy, roster  # noqa: F401
from .server import ChatServer
from .tcp import TcpServer
from .websocket import WebSocketServer

__all__ = ["ChatServer", "TcpServer", "WebSocketServer"]
