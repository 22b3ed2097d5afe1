"""Dialog rules: creating and changing dialogs. (Server documentation: Chat API, Create and Update a dialog.)

A body is the object of the request, not yet checked. A refusal names the field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from connectycube._containers import AnyDict

from ..db.store import Row
from .api_error import ApiError
from .conversations import BROADCAST, GROUP, LEAVABLE, PRIVATE, PUBLIC, Conversations
from .roles import MOST_ADMINS, Action, require
from .values import flag, natural, words

__all__ = ["change_admins", "create", "subscribe", "unsubscribe", "update"]

_MOST_EXTENSIONS = 3

# Fields that the service sets. A client may send them back with a dialog; they are ignored.
_READ_ONLY = frozenset(
    (
        "_id",
        "created_at",
        "last_message",
        "last_message_date_sent",
        "last_message_id",
        "last_message_status",
        "last_message_user_id",
        "occupants_count",
        "unread_messages_count",
        "updated_at",
        "user_id",
        "xmpp_room_jid",
    )
)
_TEXTS = ("name", "description", "photo")
_DESCRIPTIVE = (*_TEXTS, "extensions", "data")
_LISTS = ("occupants_ids", "admins_ids", "pinned_messages_ids")
_CREATABLE = {"type", *_DESCRIPTIVE, *_LISTS, "permissions"}
_UPDATABLE = {"type", *_DESCRIPTIVE, "permissions", "push_all", "pull_all"}


# --- create ---------------------------------------------------------------------------------------


def create(conversations: Conversations, user_id: int, body: Mapping[str, Any]) -> Row:
    """Create a dialog; two users get the private dialog that they have already."""
    _check_names(body, _CREATABLE)
    kind = str(body.get("type", ""))
    if not kind:
        raise ApiError.invalid("type", "is required")
    if kind == str(BROADCAST):
        raise ApiError(
            403, "A broadcast dialog cannot be made by this call, only in the admin panel"
        )
    if kind == str(PRIVATE):
        return _create_private(conversations, user_id, body)
    if kind not in map(str, LEAVABLE):
        raise ApiError.invalid("type", "must be 1, 2, 3, 4 or 5")
    return _create_room(conversations, user_id, int(kind), body)


def _create_private(conversations: Conversations, user_id: int, body: Mapping[str, Any]) -> Row:
    occupants = _required_ids(body)
    others = [occupant for occupant in occupants if occupant != user_id]
    if len(others) != 1:
        raise ApiError.invalid("occupants_ids", "of a private dialog must hold one other user")
    columns = _columns(conversations, body, {}, kind=PRIVATE)
    dialog = conversations.private_dialog(user_id, others[0], **columns)
    conversations.store.set_preference(dialog["id"], user_id, "hidden", False)
    return dialog


def _create_room(
    conversations: Conversations,
    user_id: int,
    kind: int,
    body: Mapping[str, Any],
) -> Row:
    if not body.get("name"):
        raise ApiError.invalid("name", "is required")
    occupants = _required_ids(body) if kind == GROUP else _ids("occupants_ids", body)
    admins = _ids("admins_ids", body)
    if len(admins) > MOST_ADMINS:
        raise ApiError.invalid("admins_ids", f"must not hold more than {MOST_ADMINS} users")
    conversations.check_users([*occupants, *admins])
    columns = _columns(conversations, body, {}, kind=kind)
    return conversations.add_dialog(kind, user_id, [user_id, *occupants], admins=admins, **columns)


def _required_ids(body: Mapping[str, Any]) -> list[int]:
    occupants = _ids("occupants_ids", body)
    if not occupants:
        raise ApiError.invalid("occupants_ids", "is required")
    return occupants


# --- change ---------------------------------------------------------------------------------------


def update(
    conversations: Conversations,
    user_id: int | None,
    dialog_id: str,
    body: Mapping[str, Any],
) -> None:
    """Change a dialog as far as the user's role allows; all changes are made, or none.

    ``user_id`` is None for the Administration API, which may change all that the type of the dialog has.
    """
    dialog = conversations.dialog(dialog_id)
    if user_id is not None:
        dialog = conversations.dialog_for(user_id, dialog_id)
    _check_names(body, _UPDATABLE)
    push, pull = _lists(body, "push_all"), _lists(body, "pull_all")
    if not push and not pull and not any(name in body for name in (*_DESCRIPTIVE, "permissions")):
        raise ApiError(422, "There is nothing to update")
    if user_id is not None:
        _check_rights(conversations, dialog, user_id, body, push, pull)
    extra = json.loads(dialog["extra"])
    _pin(conversations, dialog, extra, push, pull)
    columns = _columns(conversations, body, extra, kind=dialog["type"])
    add = _ids("occupants_ids", push)
    remove = _ids("occupants_ids", pull)
    conversations.check_users(add)
    add_admins, remove_admins = _admins(conversations, dialog, push, pull)
    conversations.store.update_dialog(
        dialog["id"],
        {**columns, "updated_at": conversations.now()},
        add=add,
        remove=remove,
        add_admins=add_admins,
        remove_admins=remove_admins,
    )


def _check_rights(
    conversations: Conversations,
    dialog: Row,
    user_id: int,
    body: Mapping[str, Any],
    push: Mapping[str, Any],
    pull: Mapping[str, Any],
) -> None:
    kind, role = dialog["type"], conversations.role(dialog, user_id)
    changes = {**push, **pull}
    wanted = {
        Action.DESCRIBE: any(name in body for name in _DESCRIPTIVE),
        Action.CHANGE_PERMISSIONS: "permissions" in body,
        Action.PIN: "pinned_messages_ids" in changes,
        Action.CHANGE_ADMINS: "admins_ids" in changes,
        Action.ADD_OCCUPANTS: "occupants_ids" in push,
    }
    for action, is_wanted in wanted.items():
        if is_wanted:
            require(role, action, kind)
    for other in _ids("occupants_ids", pull):
        _check_removal(conversations, dialog, user_id, other)


def _check_removal(conversations: Conversations, dialog: Row, user_id: int, other: int) -> None:
    role, kind = conversations.role(dialog, user_id), dialog["type"]
    if other == user_id and kind in LEAVABLE:
        return  # every occupant may leave
    require(role, Action.REMOVE_OCCUPANTS, kind)
    # Inferred: a user can remove only users of a lower role.
    if conversations.role(dialog, other) >= role:
        raise ApiError(403, f"You may not remove user {other} from this dialog")


def change_admins(
    conversations: Conversations, user_id: int, dialog_id: str, body: Mapping[str, Any]
) -> None:
    """Add and remove admins. Only the owner may, and a dialog has five at most."""
    dialog = conversations.dialog_for(user_id, dialog_id, Action.CHANGE_ADMINS)
    push, pull = _lists(body, "push_all"), _lists(body, "pull_all")
    if not push.get("admins_ids") and not pull.get("admins_ids"):
        raise ApiError(422, "push_all or pull_all with admins_ids is required")
    add, remove = _admins(conversations, dialog, push, pull)
    now = conversations.now()
    conversations.store.update_dialog(
        dialog_id, {"updated_at": now}, add_admins=add, remove_admins=remove
    )


def _admins(
    conversations: Conversations, dialog: Row, push: Mapping[str, Any], pull: Mapping[str, Any]
) -> tuple[list[int], list[int]]:
    add, remove = _ids("admins_ids", push), _ids("admins_ids", pull)
    conversations.check_users(add)
    occupants = conversations.store.occupants(dialog["id"])
    inside = {row["user_id"] for row in occupants} | set(_ids("occupants_ids", push))
    outside = [user_id for user_id in add if user_id not in inside]
    if outside and dialog["type"] != BROADCAST:
        raise ApiError.invalid("admins_ids", f"holds users that are not occupants: {outside}")
    admins = {row["user_id"] for row in occupants if row["admin"]}
    if len((admins - set(remove)) | set(add)) > MOST_ADMINS:
        raise ApiError.invalid("admins_ids", f"must not hold more than {MOST_ADMINS} users")
    return add, remove


def subscribe(conversations: Conversations, user_id: int, dialog_id: str) -> None:
    """Add the user to the occupants of a public dialog."""
    dialog = _public(conversations, dialog_id)
    conversations.store.update_dialog(dialog["id"], add=[user_id])


def unsubscribe(conversations: Conversations, user_id: int, dialog_id: str) -> None:
    """Remove the user from the occupants of a public dialog."""
    _public(conversations, dialog_id)
    conversations.dialog_for(user_id, dialog_id)
    conversations.store.update_dialog(dialog_id, remove=[user_id])


def _public(conversations: Conversations, dialog_id: str) -> Row:
    dialog = conversations.dialog(dialog_id)
    if dialog["type"] != PUBLIC:
        raise ApiError(422, "Only public dialogs (type 4) have subscribers")
    return dialog


# --- read the fields ------------------------------------------------------------------------------


def _check_names(body: Mapping[str, Any], known: set[str]) -> None:
    unknown = [name for name in body if name not in known and name not in _READ_ONLY]
    if unknown:
        raise ApiError(422, errors={name: ["is not a field of a dialog"] for name in unknown})


def _columns(
    conversations: Conversations, body: Mapping[str, Any], extra: dict[str, Any], *, kind: int
) -> dict[str, Any]:
    # The documentation: name and photo are ignored for private dialogs.
    names = ("description",) if kind == PRIVATE else _TEXTS
    columns: dict[str, Any] = {}
    for name in names:
        if name in body:
            columns[name] = _text(name, body[name])
    allowed = conversations.settings.dialog_extensions
    if "extensions" in body:
        extra["extensions"] = _extensions(body["extensions"], allowed)
    if "permissions" in body:
        extra["permissions"] = _permissions(body["permissions"])
    if "data" in body:
        data: dict[str, Any] = {**(extra.get("data") or {}), **_object("data", body["data"])}
        extra["data"] = {name: value for name, value in data.items() if value is not None}
    return {**columns, "extra": json.dumps(extra)}


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ApiError.invalid(name, "must be a string")
    if name == "name" and not value:
        raise ApiError.invalid("name", "must not be empty")
    return value


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, AnyDict):
        raise ApiError.invalid(name, "must be an object")
    return value


def _extensions(value: Any, allowed: Sequence[str] | None) -> dict[str, str] | None:
    if value is None:
        return None
    given = _object("extensions", value)
    kept = {
        name: _as_text(entry) for name, entry in given.items() if allowed is None or name in allowed
    }
    if len(kept) > _MOST_EXTENSIONS:
        raise ApiError.invalid("extensions", f"must not hold more than {_MOST_EXTENSIONS} fields")
    return kept


def _as_text(value: Any) -> str:
    # Inferred: a value that is not a string is stored as JSON.
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _permissions(value: Any) -> dict[str, bool] | None:
    if value is None:
        return None
    given = _object("permissions", value)
    unknown = given.keys() - {"allow_preview"}
    if unknown:
        raise ApiError.invalid("permissions", f"does not know {', '.join(sorted(unknown))}")
    return {name: flag(entry) for name, entry in given.items()}


def _lists(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the lists in push_all or pull_all that are not empty."""
    lists = _object(name, body[name]) if body.get(name) is not None else {}
    for unknown in lists.keys() - set(_LISTS):
        raise ApiError.invalid(name, f"does not take {unknown}")
    return {field: entries for field, entries in lists.items() if words(entries)}


def _ids(name: str, fields: Mapping[str, Any]) -> list[int]:
    # A list, or one string "1, 2" as the JavaScript SDK writes it.
    ids = [natural(part) for part in words(fields.get(name))]
    if not all(ids):  # None for a word that is no number; 0 is no id
        raise ApiError.invalid(name, "must be a list of user ids")
    return list(dict.fromkeys(user_id for user_id in ids if user_id is not None))


def _pin(
    conversations: Conversations,
    dialog: Row,
    extra: dict[str, Any],
    push: Mapping[str, Any],
    pull: Mapping[str, Any],
) -> None:
    add, remove = words(push.get("pinned_messages_ids")), words(pull.get("pinned_messages_ids"))
    for message_id in add:
        message = conversations.store.message(message_id)
        if message is None or message["dialog_id"] != dialog["id"]:
            raise ApiError.invalid("pinned_messages_ids", f"{message_id} is not in this dialog")
    pinned = [*extra.get("pinned_messages_ids", []), *add]
    extra["pinned_messages_ids"] = [
        message_id for message_id in dict.fromkeys(pinned) if message_id not in remove
    ]
