"""The REST API: one small class for each resource, above a transport that can be replaced."""

from typing import TYPE_CHECKING

from .._first_use import at_first_use
from ._http import HttpTransport, Request, Response

if TYPE_CHECKING:
    from .address_book import AddressBook
    from .admin import Admin
    from .calls import Calls
    from .custom_objects import CustomObjects
    from .dialogs import Dialogs
    from .files import Files
    from .meetings import Meetings
    from .messages import Messages
    from .push import Push
    from .users import Users

__all__ = [
    "AddressBook",
    "Admin",
    "Calls",
    "CustomObjects",
    "Dialogs",
    "Files",
    "HttpTransport",
    "Meetings",
    "Messages",
    "Push",
    "Request",
    "Response",
    "Users",
]

# The modules below this package that are imported when a client uses them first, and their names here.
_NAMES = {
    "address_book": ("AddressBook",),
    "admin": ("Admin",),
    "calls": ("Calls",),
    "custom_objects": ("CustomObjects",),
    "dialogs": ("Dialogs",),
    "files": ("Files",),
    "meetings": ("Meetings",),
    "messages": ("Messages",),
    "push": ("Push",),
    "users": ("Users",),
}

if not TYPE_CHECKING:  # they would let a type checker believe that there is any name
    __getattr__, __dir__ = at_first_use(__name__, _NAMES)
