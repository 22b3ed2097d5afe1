"""Privacy lists: the rules of each user for traffic with other users. (XEP-0016.)

The official SDKs write items ``muc.domain/{user id}``. Such an item concerns a user in every room.
(Inferred: by XEP-0016 it would be a resource of the domain itself.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from attrs import frozen

from ..db.database import Database
from ..domain.rosters import Rosters
from ..settings import Settings
from .session import Session
from .stanza import Jid, user_of

__all__ = ["CHILDREN", "PrivacyItem", "PrivacyLists", "Traffic"]

Traffic = Literal["message", "presence-in", "presence-out", "iq", "other"]
"""Received messages, presence and requests; sent presence; and all other traffic."""

CHILDREN: tuple[Traffic, ...] = ("message", "presence-in", "presence-out", "iq")
"""The traffic to which an item can be limited; an item without a limit covers all traffic."""


@frozen(kw_only=True)
class PrivacyItem:
    """One rule. An empty ``only`` covers all traffic; ``type`` None fits every JID."""

    order: int
    action: str
    type: str | None
    value: str | None
    only: tuple[str, ...]

    def covers(self, traffic: Traffic) -> bool:
        """Whether the rule covers this traffic."""
        return not self.only or traffic in self.only


_SCHEMA = """
CREATE TABLE IF NOT EXISTS privacy_lists (
    user_id INTEGER NOT NULL, name TEXT NOT NULL, items TEXT NOT NULL,
    is_default INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, name)
);
"""

_Lists = dict[str, tuple[PrivacyItem, ...]]


class PrivacyLists:
    """The lists of every user, stored in the database, and their decisions."""

    def __init__(self, database: Database, settings: Settings, rosters: Rosters) -> None:
        self._db = database
        self._settings = settings
        self._rosters = rosters
        self._cache: dict[int, tuple[_Lists, str | None]] = {}
        database.create(_SCHEMA)

    # --- decisions ----------------------------------------------------------------------------------

    def allows(
        self, user_id: int, jid: str, traffic: Traffic, session: Session | None = None
    ) -> bool:
        """Whether a user allows traffic with a JID, by the session's active list or by the default list.

        For a message of a room the JID is that of the sender in the room. Traffic between the resources of
        one user is always allowed.
        """
        items = self._items_in_use(user_id, session)
        if not items:
            return True
        address = Jid.parse(jid)
        if address is None or user_of(address, self._settings) == user_id:
            return True
        for item in items:
            if item.covers(traffic) and self._fits(user_id, item, address):
                return item.action == "allow"
        return True

    def admits(self, user_id: int, jid: str, traffic: Traffic, sessions: Sequence[Session]) -> bool:
        """Whether any of these sessions allows traffic; without sessions the default list decides."""
        if not sessions:
            return self.allows(user_id, jid, traffic)
        return any(self.allows(user_id, jid, traffic, session) for session in sessions)

    def _items_in_use(self, user_id: int, session: Session | None) -> tuple[PrivacyItem, ...]:
        lists, default = self._lists_of(user_id)
        if not lists:
            return ()
        active = None if session is None else session.active_list
        return lists.get(active or default or "", ())

    def _fits(self, user_id: int, item: PrivacyItem, address: Jid) -> bool:
        if item.type is None:
            return True
        if item.type == "jid":
            return _is_within(address, Jid.parse(item.value or ""))
        contact = self._rosters.contact(user_id, address.bare)
        if item.type == "group":
            return item.value in contact.groups
        return item.value == contact.state.subscription

    # --- lists --------------------------------------------------------------------------------------

    def names(self, user_id: int) -> list[str]:
        """Return the names of a user's lists."""
        return list(self._lists_of(user_id)[0])

    def default(self, user_id: int) -> str | None:
        """Return the name of the default list, which counts for sessions without an active one."""
        return self._lists_of(user_id)[1]

    def items(self, user_id: int, name: str) -> tuple[PrivacyItem, ...] | None:
        """Return the rules of a list in their order, None if there is no such list."""
        return self._lists_of(user_id)[0].get(name)

    def save(self, user_id: int, name: str, items: Sequence[PrivacyItem]) -> None:
        """Create a list, or replace its rules."""
        ordered = sorted(items, key=lambda item: item.order)
        text = json.dumps(
            [[item.order, item.action, item.type, item.value, item.only] for item in ordered]
        )
        self._db.run(
            "INSERT INTO privacy_lists (user_id, name, items) VALUES (?, ?, ?)"
            " ON CONFLICT (user_id, name) DO UPDATE SET items = excluded.items",
            user_id,
            name,
            text,
        )
        self._cache.pop(user_id, None)

    def remove(self, user_id: int, name: str) -> None:
        """Remove a list; if it is the default list, there is none any more."""
        self._db.run("DELETE FROM privacy_lists WHERE user_id = ? AND name = ?", user_id, name)
        self._cache.pop(user_id, None)

    def set_default(self, user_id: int, name: str | None) -> None:
        """Set the default list; None: no default list."""
        self._db.run(
            "UPDATE privacy_lists SET is_default = (name = ?) WHERE user_id = ?",
            name or "",
            user_id,
        )
        self._cache.pop(user_id, None)

    def forget_user(self, user_id: int) -> None:
        """Remove all lists of a user."""
        self._db.run("DELETE FROM privacy_lists WHERE user_id = ?", user_id)
        self._cache.pop(user_id, None)

    def _lists_of(self, user_id: int) -> tuple[_Lists, str | None]:
        """Return the lists of a user by name, and the name of the default list."""
        # Every message needs the lists, so they are kept in memory.
        known = self._cache.get(user_id)
        if known is not None:
            return known
        rows = self._db.all(
            "SELECT * FROM privacy_lists WHERE user_id = ? ORDER BY rowid", (user_id,)
        )
        lists = {row["name"]: _read_items(row["items"]) for row in rows}
        default = next((row["name"] for row in rows if row["is_default"]), None)
        self._cache[user_id] = lists, default
        return lists, default


def _read_items(text: str) -> tuple[PrivacyItem, ...]:
    return tuple(
        PrivacyItem(order=order, action=action, type=kind, value=value, only=tuple(only))
        for order, action, kind, value, only in json.loads(text)
    )


def _is_within(address: Jid, pattern: Jid | None) -> bool:
    """Whether a JID fits the JID of an item. (XEP-0016, 2.1.)"""
    if pattern is None:
        return False
    if pattern.resource is not None and address.resource != pattern.resource:
        return False
    if pattern.local is not None:
        return address.bare == pattern.bare
    if pattern.resource is not None:
        return address.domain == pattern.domain
    return address.domain == pattern.domain or address.domain.endswith(f".{pattern.domain}")
