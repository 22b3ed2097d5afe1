"""Types for annotations: of functions that pass arguments of this package on, and of wrappers around it.

For type checkers alone: ``if TYPE_CHECKING: from connectycube.typing import ConfigFields``.
"""

from __future__ import annotations

from .client import RenewSession
from .config import ConfigFields
from .models.values import CustomValue, JsonValue
from .rest._lookups import DialogLookups, MessageLookups, RecordLookup, UserLookups
from .rest.sessions import Credentials
from .rest.users import UserKey

__all__ = [
    "ConfigFields",
    "Credentials",
    "CustomValue",
    "DialogLookups",
    "JsonValue",
    "MessageLookups",
    "RecordLookup",
    "RenewSession",
    "UserKey",
    "UserLookups",
]
