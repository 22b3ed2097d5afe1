"""What travels between the rooms: frozen attrs classes, lenient when read, strict when sent."""

from .contact import AddressBookResult, Contact
from .custom_object import CustomObject
from .deletion import DeleteResult
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
from .file import File
from .message import Attachment, Message
from .page import Page
from .push import PushEvent, PushSubscription
from .results import SearchResult, SystemMessage, UnreadCount
from .user import Session, User

__all__ = [
    "AddressBookResult",
    "Attachment",
    "CallbackFailure",
    "ChatState",
    "Contact",
    "CustomObject",
    "DeleteResult",
    "Dialog",
    "DialogRef",
    "DialogType",
    "File",
    "Message",
    "MessageFailure",
    "MessageSent",
    "MessageStatus",
    "Page",
    "PushEvent",
    "PushSubscription",
    "SearchResult",
    "Session",
    "StateChange",
    "SystemMessage",
    "Typing",
    "UnreadCount",
    "User",
]
