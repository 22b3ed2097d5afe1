"""What travels between the rooms: frozen attrs classes, lenient when read, strict when sent."""

from .abandoned import Abandoned
from .contact import AddressBookResult, Contact
from .contact_list import ContactListItem, PrivacyItem, PrivacyListNames
from .custom_object import CustomObject
from .deletion import DeleteResult
from .dialog import Dialog, DialogRef, DialogType
from .events import (
    CallbackFailure,
    ChatState,
    ContactEvent,
    LastActivity,
    MessageDeletion,
    MessageEdit,
    MessageFailure,
    MessageSent,
    MessageStatus,
    Occupant,
    Presence,
    ReactionChange,
    RecoveryFailure,
    RoomLeft,
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
    "Abandoned",
    "AddressBookResult",
    "Attachment",
    "CallbackFailure",
    "ChatState",
    "Contact",
    "ContactEvent",
    "ContactListItem",
    "CustomObject",
    "DeleteResult",
    "Dialog",
    "DialogRef",
    "DialogType",
    "File",
    "LastActivity",
    "Message",
    "MessageDeletion",
    "MessageEdit",
    "MessageFailure",
    "MessageSent",
    "MessageStatus",
    "Occupant",
    "Page",
    "Presence",
    "PrivacyItem",
    "PrivacyListNames",
    "PushEvent",
    "PushSubscription",
    "ReactionChange",
    "RecoveryFailure",
    "RoomLeft",
    "SearchResult",
    "Session",
    "StateChange",
    "SystemMessage",
    "Typing",
    "UnreadCount",
    "User",
]
