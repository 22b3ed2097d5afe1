"""Writes messages as text for a file and reads them back, without loss for a receiver or a send."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import attrs

from ...models import Attachment, DialogRef, DialogType, Message

__all__ = ["message_of", "text_of"]


def text_of(message: Message) -> str:
    """Write a message as JSON: the fields that differ from their defaults, under their own names."""
    return json.dumps(_changed(message), separators=(",", ":"), default=_plain)


def message_of(text: str) -> Message:
    """Read a text of :func:`text_of`; fields that this release does not know are left out.

    Raises ValueError, TypeError or KeyError if the text was not written by it.
    """
    try:
        values = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, dict):
        raise TypeError("no object")
    known = {name: values[name] for name in values.keys() & _FIELDS.keys()}
    for name, read in _READERS.items():
        if name in known:
            known[name] = read(known[name])
    for name, value in known.items():
        if not isinstance(value, _TYPES[name]):
            raise TypeError(f"{name} is of type {type(value).__name__}")
    return Message(**known)


def _changed(thing: Any) -> dict[str, Any]:
    values = {}
    for entry in attrs.fields(type(thing)):
        value, default = getattr(thing, entry.name), entry.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
            default = default.factory()
        if value is not None and value != default:
            values[entry.name] = value
    return values


def _plain(value: Any) -> Any:
    """Return a form that JSON has for models, times and mappings that are no dict."""
    if isinstance(value, DialogRef):
        # Of a Dialog only the fields of a DialogRef, because the others get out of date.
        return {"id": value.id, "type": value.type, "peer_id": value.peer_id}
    if isinstance(value, Attachment):
        return _changed(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _dialog(values: Mapping[str, Any]) -> DialogRef:
    dialog_id, kind, peer_id = values["id"], values["type"], values["peer_id"]
    if not isinstance(dialog_id, str | None) or not isinstance(peer_id, int | None):
        raise TypeError("its dialog is no dialog")
    kind = DialogType(kind) if kind is not None else None
    return DialogRef(id=dialog_id, type=kind, peer_id=peer_id)


def _attachments(values: list[dict[str, Any]]) -> tuple[Attachment, ...]:
    return tuple(Attachment(**value) for value in values)


def _ids(values: list[int]) -> tuple[int, ...]:
    if not all(isinstance(value, int) for value in values):
        raise TypeError("an id is no number")
    return tuple(values)


_FIELDS = attrs.fields_dict(Message)
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "date_sent": datetime.fromisoformat,
    "created_at": datetime.fromisoformat,
    "updated_at": datetime.fromisoformat,
    "attachments": _attachments,
    "dialog": _dialog,
    "read_ids": _ids,
    "delivered_ids": _ids,
}
_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("id", "dialog_id", "body"), str),
    **dict.fromkeys(("sender_id", "recipient_id", "views_count", "destroy_after"), int),
    **dict.fromkeys(("read", "silent", "markable", "save_to_history"), bool),
    **dict.fromkeys(("delayed", "recovered", "redelivered", "own"), bool),
    **dict.fromkeys(("date_sent", "created_at", "updated_at"), datetime),
    **dict.fromkeys(("attachments", "read_ids", "delivered_ids"), tuple),
    **dict.fromkeys(("custom", "reactions"), dict),
    "dialog": DialogRef,
}
