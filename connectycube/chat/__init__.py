"""Real time: one user's chat connection, its signals and its threads."""

from .chat import Chat
from .dialog_stream import DialogStream
from .event_stream import EventStream
from .history_reader import History
from .lease.file_lease import FileLease
from .lease.lease import Lease
from .lease.sql_lease import SqlLease
from .send_handle import SendHandle
from .signals import Signal

__all__ = [
    "Chat",
    "DialogStream",
    "EventStream",
    "FileLease",
    "History",
    "Lease",
    "SendHandle",
    "Signal",
    "SqlLease",
]
