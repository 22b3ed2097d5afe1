"""What travels between the rooms: frozen attrs classes, lenient when read, strict when sent."""

from .dialog import Dialog, DialogRef, DialogType
from .events import (
    CallbackFailure,
    ChatState,
    MessageFailure,
    MessageSent,
    MessageStatus,
    StateChange,
    Typing,
)
from .message import Attachment, Message
from .page import Page
from .user import Session, User

__all__ = [
    "Attachment",
    "CallbackFailure",
    "ChatState",
    "Dialog",
    "DialogRef",
    "DialogType",
    "Message",
    "MessageFailure",
    "MessageSent",
    "MessageStatus",
    "Page",
    "Session",
    "StateChange",
    "Typing",
    "User",
]
