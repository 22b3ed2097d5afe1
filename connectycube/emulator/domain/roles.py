"""Roles: the actions that a role allows in each type of dialog. (Server documentation: Chat API, Roles.)"""

from __future__ import annotations

from enum import Enum, IntEnum

from .api_error import ApiError

__all__ = [
    "BROADCAST",
    "GROUP",
    "LEAVABLE",
    "MEETING",
    "MOST_ADMINS",
    "PRIVATE",
    "PUBLIC",
    "TYPES",
    "Action",
    "Role",
    "require",
]

BROADCAST, GROUP, PRIVATE, PUBLIC, MEETING = 1, 2, 3, 4, 5
LEAVABLE = (GROUP, PUBLIC, MEETING)
"""The types of dialog that a user can leave. A meeting has the rules of a group. (Inferred.)"""
MOST_ADMINS = 5
"""Admins that a dialog can have."""
TYPES = {
    BROADCAST: "broadcast",
    GROUP: "group",
    PRIVATE: "private",
    PUBLIC: "public",
    MEETING: "meeting",
}


class Role(IntEnum):
    """The role of a user in a dialog; each allows all actions of the role before it."""

    NOBODY = 0
    REGULAR = 1
    ADMIN = 2
    OWNER = 3


class Action(Enum):
    """An action that a role allows; the value is the text for a refusal."""

    WRITE = "write messages"
    DESCRIBE = "change name, description, photo, extensions or data"
    PIN = "pin messages"
    ADD_OCCUPANTS = "add occupants"
    REMOVE_OCCUPANTS = "remove occupants"
    CHANGE_ADMINS = "add or remove admins"
    CHANGE_PERMISSIONS = "change permissions"
    DELETE_FOR_ALL = "delete the dialog or its history for everybody"
    DELETE_OWN_MESSAGES = "delete messages"
    DELETE_ANY_MESSAGE = "delete messages of others for everybody"


_REGULAR, _ADMIN, _OWNER = Role.REGULAR, Role.ADMIN, Role.OWNER

# The least role that each action needs; None: dialogs of the type do not have the action. The table of the
# documentation does not say who may pin in a private dialog, or change extensions, data and permissions:
# these are inferred.
_COLUMNS = (PRIVATE, GROUP, PUBLIC, BROADCAST)
_LEAST: dict[Action, tuple[Role | None, ...]] = {
    Action.WRITE: (_REGULAR, _REGULAR, _REGULAR, _ADMIN),
    Action.DESCRIBE: (_REGULAR, _REGULAR, _ADMIN, _ADMIN),
    Action.PIN: (_REGULAR, _ADMIN, _ADMIN, _ADMIN),
    Action.ADD_OCCUPANTS: (None, _REGULAR, None, None),
    Action.REMOVE_OCCUPANTS: (None, _ADMIN, _ADMIN, None),
    Action.CHANGE_ADMINS: (None, _OWNER, _OWNER, _OWNER),
    Action.CHANGE_PERMISSIONS: (None, _ADMIN, _ADMIN, _ADMIN),
    Action.DELETE_FOR_ALL: (_REGULAR, _OWNER, _OWNER, _OWNER),
    Action.DELETE_OWN_MESSAGES: (_REGULAR, _REGULAR, _REGULAR, _ADMIN),
    Action.DELETE_ANY_MESSAGE: (None, _ADMIN, _ADMIN, _ADMIN),
}


def _least(action: Action, kind: int) -> Role | None:
    return _LEAST[action][_COLUMNS.index(GROUP if kind == MEETING else kind)]


def may(role: Role, action: Action, kind: int) -> bool:
    """Whether a role allows an action in dialogs of a type."""
    least = _least(action, kind)
    return least is not None and role >= least


def require(role: Role, action: Action, kind: int) -> None:
    """Refuse an action that a role does not allow."""
    least = _least(action, kind)
    if least is None:
        raise ApiError(422, f"A {TYPES[kind]} dialog does not allow to {action.value}")
    if role < least:
        raise ApiError(
            403, f"To {action.value} in a {TYPES[kind]} dialog takes {least.name.lower()} rights"
        )
