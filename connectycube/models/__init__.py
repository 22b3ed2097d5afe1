"""The data of the service and the chat: frozen attrs classes, lenient when read, strict when sent.

A module is imported at the first use of one of its names: attrs compiles each class, which takes 0.3 ms, and
a program that uses REST alone needs few of them.
"""

from typing import TYPE_CHECKING

from .._first_use import at_first_use

if TYPE_CHECKING:
    from .administration import AdminDialog, AdminMessage, DailyCount
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
        MemberFailure,
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
    from .meetings import Attendee, Meeting, Recording
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
    from .statistics import FleetStatistics, RunningReceiver, Statistics
    from .users import Session, User

__all__ = [
    "Abandoned",
    "AddressBookResult",
    "AdminDialog",
    "AdminMessage",
    "Attachment",
    "AttachmentType",
    "Attendee",
    "CallbackFailure",
    "ChatState",
    "Contact",
    "ContactEvent",
    "ContactListItem",
    "CustomObject",
    "DailyCount",
    "DeadLetter",
    "DeleteResult",
    "Dialog",
    "DialogRef",
    "DialogType",
    "File",
    "FleetStatistics",
    "LastActivity",
    "Meeting",
    "MemberFailure",
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
    "Recording",
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

# The modules below this package, and their names that it has as well.
_NAMES = {
    "administration": ("AdminDialog", "AdminMessage", "DailyCount"),
    "contacts": (
        "AddressBookResult",
        "Contact",
        "ContactListItem",
        "PrivacyItem",
        "PrivacyListNames",
    ),
    "custom_objects": ("CustomObject",),
    "dialogs": ("Dialog", "DialogRef", "DialogType"),
    "events": (
        "CallbackFailure",
        "ChatState",
        "ContactEvent",
        "DeadLetter",
        "LastActivity",
        "MemberFailure",
        "MessageDeletion",
        "MessageEdit",
        "MessageFailure",
        "MessageSent",
        "MessageStatus",
        "Occupant",
        "Presence",
        "ReactionChange",
        "ReceiverGaveUp",
        "RecoveryFailure",
        "RecoveryFinished",
        "RefusedStanza",
        "RoomLeft",
        "StateChange",
        "Typing",
    ),
    "files": ("File",),
    "meetings": ("Attendee", "Meeting", "Recording"),
    "messages": ("Attachment", "AttachmentType", "Message"),
    "push": ("PushEvent", "PushSubscription"),
    "results": (
        "Abandoned",
        "DeleteResult",
        "Page",
        "SearchResult",
        "SystemMessage",
        "UnreadCount",
    ),
    "statistics": ("FleetStatistics", "RunningReceiver", "Statistics"),
    "users": ("Session", "User"),
}

if not TYPE_CHECKING:  # they would let a type checker believe that there is any name
    __getattr__, __dir__ = at_first_use(__name__, _NAMES)
