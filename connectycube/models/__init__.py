"""The data of the service and the chat: frozen attrs classes, lenient when read, strict when sent."""

from .contacts import (
    AddressBookResult,
    Contact,
    ContactListItem,
    PrivacyItem,
    PrivacyListNames,
)
from .custom_objects import CustomObject
from .dialogs import Dialog, DialogRef, DialogType
from .events import (
    CallbackFailure,
    ChatState,
    ContactEvent,
    DeadLetter,
    LastActivity,
    MessageDeletion,
    MessageEdit,
    MessageFailure,
    MessageSent,
    MessageStatus,
    Occupant,
    Presence,
    ReactionChange,
    ReceiverGaveUp,
    RecoveryFailure,
    RecoveryFinished,
    RefusedStanza,
    RoomLeft,
    StateChange,
    Typing,
)
from .files import File
from .messages import Attachment, AttachmentType, Message
from .push import PushEvent, PushSubscription
from .results import (
    Abandoned,
    DeleteResult,
    Page,
    SearchResult,
    SystemMessage,
    UnreadCount,
)
from .statistics import RunningReceiver, Statistics
from .users import Session, User

__all__ = [
    "Abandoned",
    "AddressBookResult",
    "Attachment",
    "AttachmentType",
    "CallbackFailure",
    "ChatState",
    "Contact",
    "ContactEvent",
    "ContactListItem",
    "CustomObject",
    "DeadLetter",
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
    "ReceiverGaveUp",
    "RecoveryFailure",
    "RecoveryFinished",
    "RefusedStanza",
    "RoomLeft",
    "RunningReceiver",
    "SearchResult",
    "Session",
    "StateChange",
    "Statistics",
    "SystemMessage",
    "Typing",
    "UnreadCount",
    "User",
]
