"""Privacy lists: whom a user lets through, and whom not. (XEP-0016.)

An item ``muc.domain/{user id}``, as the official SDKs write it, is about a user in every room. (Inferred: to
XEP-0016 it is a resource of the domain itself.)
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
"""What a user gets: messages, presence, requests; what a user sends: presence; and everything else."""

CHILDREN: tuple[Traffic, ...] = ("message", "presence-in", "presence-out", "iq")
"""What an item can be limited to; one that is not limited covers everything, both ways."""


@frozen(kw_only=True)
class PrivacyItem:
    """One rule; ``only`` is empty for a rule about everything. ``type`` None fits everybody."""

    order: int
    action: str
    type: str | None
    value: str | None
    only: tuple[str, ...]

    def covers(self, traffic: Traffic) -> bool:
        """Whether the rule is about this traffic."""
        return not self.only or traffic in self.only


_Lists = dict[str, tuple[PrivacyItem, ...]]


class PrivacyLists:
    """The lists of every user, kept in the database, and what they allow."""

    def __init__(self, database: Database, settings: Settings, rosters: Rosters) -> None:
        self._db = database
        self._settings = settings
        self._rosters = rosters
        self._read: dict[int, tuple[_Lists, str | None]] = {}
        database.create(_SCHEMA)

    # --- what they allow ----------------------------------------------------------------------------

    def allows(
        self, user_id: int, jid: str, traffic: Traffic, session: Session | None = None
    ) -> bool:
        """Whether a user lets traffic with a JID through: by the session's active list, or the default one.

        For messages of a room the JID is the sender's in the room. A user's own resources always reach
        each other.
        """
        items = self._items(user_id, session)
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
        """Whether any of these sessions lets traffic through; without sessions the default list decides."""
        if not sessions:
            return self.allows(user_id, jid, traffic)
        return any(self.allows(user_id, jid, traffic, session) for session in sessions)

    def _items(self, user_id: int, session: Session | None) -> tuple[PrivacyItem, ...]:
        lists, default = self._of(user_id)
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

    # --- what they are ------------------------------------------------------------------------------

    def names(self, user_id: int) -> list[str]:
        """Return the names of a user's lists."""
        return list(self._of(user_id)[0])

    def default(self, user_id: int) -> str | None:
        """Return the name of the list that counts where no other is active."""
        return self._of(user_id)[1]

    def items(self, user_id: int, name: str) -> tuple[PrivacyItem, ...] | None:
        """Return the rules of a list in their order, None if there is no such list."""
        return self._of(user_id)[0].get(name)

    def save(self, user_id: int, name: str, items: Sequence[PrivacyItem]) -> None:
        """Make a list, or replace its rules."""
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
        self._read.pop(user_id, None)

    def remove(self, user_id: int, name: str) -> None:
        """Remove a list, also as the default one."""
        self._db.run("DELETE FROM privacy_lists WHERE user_id = ? AND name = ?", user_id, name)
        self._read.pop(user_id, None)

    def set_default(self, user_id: int, name: str | None) -> None:
        """Make a list the default one, or none."""
        self._db.run(
            "UPDATE privacy_lists SET is_default = (name = ?) WHERE user_id = ?",
            name or "",
            user_id,
        )
        self._read.pop(user_id, None)

    def forget_user(self, user_id: int) -> None:
        """Remove all lists of a user."""
        self._db.run("DELETE FROM privacy_lists WHERE user_id = ?", user_id)
        self._read.pop(user_id, None)

    def _of(self, user_id: int) -> tuple[_Lists, str | None]:
        # every message asks: what was read stays in memory
        known = self._read.get(user_id)
        if known is not None:
            return known
        rows = self._db.all(
            "SELECT * FROM privacy_lists WHERE user_id = ? ORDER BY rowid", (user_id,)
        )
        lists = {row["name"]: _items(row["items"]) for row in rows}
        default = next((row["name"] for row in rows if row["is_default"]), None)
        self._read[user_id] = lists, default
        return lists, default


_SCHEMA = """
CREATE TABLE IF NOT EXISTS privacy_lists (
    user_id INTEGER NOT NULL, name TEXT NOT NULL, items TEXT NOT NULL,
    is_default INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, name)
);
"""


def _items(text: str) -> tuple[PrivacyItem, ...]:
    return tuple(
        PrivacyItem(order=order, action=action, type=kind, value=value, only=tuple(only))
        for order, action, kind, value, only in json.loads(text)
    )


def _is_within(address: Jid, pattern: Jid | None) -> bool:
    """Whether a JID is the one, or one of those, that an item names. (XEP-0016, 2.1.)"""
    if pattern is None:
        return False
    if pattern.resource is not None and address.resource != pattern.resource:
        return False
    if pattern.local is not None:
        return address.bare == pattern.bare
    if pattern.resource is not None:
        return address.domain == pattern.domain
    return address.domain == pattern.domain or address.domain.endswith(f".{pattern.domain}")
