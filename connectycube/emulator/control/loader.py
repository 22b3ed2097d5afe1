"""Loader: users, dialogs and messages from one JSON document, which refers to users and dialogs by name.

::

    {"users": [{"login": "alice", "password": "…", "full_name": "Alice"}, …],
     "dialogs": [{"type": "group", "name": "Hikers", "owner": "alice", "occupants": ["bob"]}, …],
     "messages": [{"dialog": "Hikers", "sender": "bob", "message": "Hello"},
                  {"dialog": ["alice", "bob"], "sender": "alice", "message": "Just us"}, …]}
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import field, frozen

from connectycube._checks import check_str
from connectycube._containers import AnyDict, AnyList, AnyMapping
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from .seeder import Seeder

__all__ = ["LoadReport", "Loader", "read_document"]

_PARTS = ("users", "dialogs", "messages")
_DIALOG_FIELDS = frozenset(
    ("type", "name", "key", "owner", "occupants", "admins", "description", "photo")
)
_MESSAGE_FIELDS = frozenset(
    ("dialog", "sender", "message", "date_sent", "attachments", "custom", "read_by", "_id")
)


@frozen(kw_only=True)
class LoadReport:
    """The users, dialogs and messages that ``Emulator.load`` has added.

    Attributes:
        users: The ids of the users by login, and by email.
        dialogs: The ids of the dialogs by name, or by key if they have one.
        messages: The number of messages.

    Example:
        >>> report = emulator.load({"users": [{"login": "carol", "password": "a password"}]})
        >>> sorted(report.users), report.messages
        (['carol'], 0)
    """

    users: dict[str, int] = field(factory=AnyDict)
    dialogs: dict[str, str] = field(factory=AnyDict)
    messages: int = 0


def read_document(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[str, Any]:
    """Return the prefix of errors in a document, its path, and the document; raise OSError if unreadable."""
    if isinstance(source, Mapping):
        return "", source
    path = os.fspath(source)
    with open(path, "rb") as file:
        data = file.read()
    try:
        return f"{path}: ", json.loads(data)
    except json.JSONDecodeError as error:
        raise ArgumentValueError(f"{path}:{error.lineno}:{error.colno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise ArgumentValueError(f"{path}: {error}") from None


class Loader:
    """Loads one document into a service."""

    def __init__(self, seeder: Seeder) -> None:
        self._seeder = seeder
        self._users: dict[str, int] = {}
        self._dialogs: dict[str, str] = {}

    def load(self, document: Any) -> LoadReport:
        """Add the content of a document; an error names its place. The caller opens the transaction."""
        parts = _mapping(document, frozenset(_PARTS))
        for place, user in _items(parts, "users"):
            with _at(place):
                self._user(_mapping(user))
        for place, dialog in _items(parts, "dialogs"):
            with _at(place):
                self._dialog(_mapping(dialog, _DIALOG_FIELDS))
        return LoadReport(
            users=self._users, dialogs=self._dialogs, messages=self._all_messages(parts)
        )

    def _user(self, user: Mapping[str, Any]) -> None:
        user_id = self._seeder.user(user)
        for name in ("login", "email"):
            if user.get(name):
                self._users[user[name]] = user_id

    def _dialog(self, dialog: Mapping[str, Any]) -> None:
        kind, name = dialog.get("type", "group"), dialog.get("name")
        called = dialog.get("key", name)
        if isinstance(called, str) and called in self._dialogs:
            raise ArgumentValueError(f"name: another dialog is called {called!r}")
        dialog_id = self._seeder.dialog(
            kind,
            self._user_id("owner", dialog.get("owner")),
            self._user_ids("occupants", dialog.get("occupants", [])),
            admins_ids=self._user_ids("admins", dialog.get("admins", [])),
            name=name,
            description=dialog.get("description"),
            photo=dialog.get("photo"),
        )
        if called is not None:
            self._dialogs[check_str("key", called)] = dialog_id

    def _all_messages(self, parts: Mapping[str, Any]) -> int:
        # One call for all messages of a dialog is much faster than a call for each message.
        by_dialog: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        count = 0
        for place, message in _items(parts, "messages"):
            with _at(place):
                fields = _mapping(message, _MESSAGE_FIELDS)
                dialog_id = self._dialog_id(fields.get("dialog"))
                row = self._message(fields)
            by_dialog.setdefault(dialog_id, []).append((place, row))
            count += 1
        for dialog_id, rows in by_dialog.items():
            try:
                self._seeder.messages(dialog_id, [row for _, row in rows])
            except (ArgumentTypeError, ArgumentValueError) as error:
                raise type(error)(_in_document(str(error), [place for place, _ in rows])) from None
        return count

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        row = {name: message[name] for name in message.keys() - {"dialog", "sender", "read_by"}}
        row["sender_id"] = self._user_id("sender", message.get("sender"))
        row["read_ids"] = self._user_ids("read_by", message.get("read_by", []))
        return row

    # --- references -----------------------------------------------------------------------------

    def _user_id(self, name: str, reference: Any) -> int:
        found = self._users.get(reference) if isinstance(reference, str) else None
        if found is None:
            raise ArgumentValueError(f"{name}: the document has no user {reference!r}")
        return found

    def _user_ids(self, name: str, references: Any) -> list[int]:
        if not isinstance(references, AnyList):
            raise ArgumentTypeError(f"{name} must be a list of logins")
        return [
            self._user_id(f"{name}[{index}]", reference)
            for index, reference in enumerate(references)
        ]

    def _dialog_id(self, reference: Any) -> str:
        if isinstance(reference, list):
            pair = self._user_ids("dialog", reference)
            if len(set(pair)) != 2:
                raise ArgumentValueError("dialog must be a name, or a list of two logins")
            return self._seeder.dialog("private", pair[0], pair[1:])
        found = self._dialogs.get(reference) if isinstance(reference, str) else None
        if found is None:
            raise ArgumentValueError(f"dialog: the document has no dialog {reference!r}")
        return found


@contextmanager
def _at(place: str) -> Generator[None]:
    """Let the errors inside name their place in the document."""
    try:
        yield
    except (ArgumentTypeError, ArgumentValueError) as error:
        raise type(error)(f"{place}: {error}") from None


def _in_document(text: str, places: list[str]) -> str:
    """Turn "messages[0].…", a place among the messages of one dialog, into the place in the document."""
    number, bracket, rest = text.removeprefix("messages[").partition("]")
    return f"{places[int(number)]}{rest}" if bracket and number.isdigit() else text


def _items(parts: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    items = parts.get(name, [])
    if not isinstance(items, AnyList):
        raise ArgumentTypeError(f"{name} must be a list")
    return ((f"{name}[{index}]", item) for index, item in enumerate(items))


def _mapping(value: Any, known: frozenset[str] | None = None) -> Mapping[str, Any]:
    if not isinstance(value, AnyMapping):
        raise ArgumentTypeError(f"must be an object, not {type(value).__name__}")
    for name in value:
        if known is not None and name not in known:
            raise ArgumentValueError(f"{name} is not known here: {', '.join(sorted(known))}")
    return value
