"""Rosters: the contacts of each user, and how the subscriptions between two users change.

(RFC 6121, sections 2 and 3, and appendix A.)
"""

from __future__ import annotations

import json

from attrs import evolve, frozen

from ..db.database import Database, Row

__all__ = ["Contact", "Rosters", "SubscriptionState"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS roster (
    owner INTEGER NOT NULL, contact TEXT NOT NULL,
    listed INTEGER NOT NULL, name TEXT, groups TEXT NOT NULL,
    sub_to INTEGER NOT NULL, sub_from INTEGER NOT NULL, asks INTEGER NOT NULL, request TEXT,
    PRIMARY KEY (owner, contact)
);
CREATE INDEX IF NOT EXISTS roster_of_contact ON roster (contact, sub_from);
"""


@frozen
class SubscriptionState:
    """The subscription between a user and a contact: one of the nine states of RFC 6121, A.1.

    ``to``: the user gets the contact's presence; ``from_``: the contact gets the user's presence. ``asks``:
    the user asked for the contact's presence; ``asked``: the contact asked for the user's presence.
    """

    to: bool = False
    from_: bool = False
    asks: bool = False
    asked: bool = False

    @property
    def subscription(self) -> str:
        """The value of the roster's attribute ``subscription``."""
        if self.to and self.from_:
            return "both"
        return "to" if self.to else "from" if self.from_ else "none"

    def after_sending(self, kind: str) -> tuple[SubscriptionState, bool]:
        """Return the state after the user sent this kind of stanza, and whether it is routed. (A.2.)"""
        if kind == "subscribe":
            return evolve(self, asks=not self.to), True
        if kind == "unsubscribe":
            return evolve(self, to=False, asks=False), True
        if kind == "subscribed":
            return evolve(self, from_=self.from_ or self.asked, asked=False), self.asked
        return evolve(self, from_=False, asked=False), self.from_ or self.asked

    def after_receiving(self, kind: str) -> tuple[SubscriptionState, bool]:
        """Return the state after the contact sent this kind of stanza, and whether it is delivered. (A.3.)"""
        if kind == "subscribe":
            return evolve(self, asked=not self.from_), not self.from_ and not self.asked
        if kind == "unsubscribe":
            return evolve(self, from_=False, asked=False), self.from_ or self.asked
        if kind == "subscribed":
            return evolve(self, to=self.to or self.asks, asks=False), self.asks
        return evolve(self, to=False, asks=False), self.to or self.asks


@frozen(kw_only=True)
class Contact:
    """An entry of a user's roster for the contact with the bare JID ``jid``.

    A contact that has only asked for the user's presence is not ``listed``; ``request`` is the stanza that
    asks.
    """

    jid: str
    name: str | None = None
    groups: tuple[str, ...] = ()
    listed: bool = False
    state: SubscriptionState = SubscriptionState()
    request: str | None = None


class Rosters:
    """The table of contacts, by owner and by the contact's bare JID."""

    def __init__(self, database: Database) -> None:
        self._db = database
        database.create(_SCHEMA)

    def contact(self, owner: int, jid: str) -> Contact:
        """Return the entry for a JID; an empty one if the roster has none."""
        row = self._db.one("SELECT * FROM roster WHERE owner = ? AND contact = ?", owner, jid)
        return Contact(jid=jid) if row is None else _contact(row)

    def listed(self, owner: int) -> list[Contact]:
        """Return the contacts that a user's roster shows."""
        return self._contacts("owner = ? AND listed", owner)

    def requests(self, owner: int) -> list[Contact]:
        """Return the contacts whose requests for the user's presence are not answered yet."""
        return self._contacts("owner = ? AND request IS NOT NULL", owner)

    def all(self, owner: int) -> list[Contact]:
        """Return the contacts of a user, listed or not."""
        return self._contacts("owner = ?", owner)

    def subscribers(self, owner: int) -> list[str]:
        """Return the JIDs of the contacts that get a user's presence."""
        rows = self._db.all("SELECT contact FROM roster WHERE owner = ? AND sub_from", (owner,))
        return [row["contact"] for row in rows]

    def shown_to(self, jid: str) -> list[int]:
        """Return the users whose presence the owner of a JID gets."""
        rows = self._db.all("SELECT owner FROM roster WHERE contact = ? AND sub_from", (jid,))
        return [row["owner"] for row in rows]

    def save(self, owner: int, contact: Contact) -> None:
        """Save an entry; an empty one is removed."""
        state = contact.state
        if not contact.listed and not state.asked:
            self.remove(owner, contact.jid)
            return
        values = {
            "owner": owner,
            "contact": contact.jid,
            "listed": contact.listed,
            "name": contact.name,
            "groups": json.dumps(contact.groups),
            "sub_to": state.to,
            "sub_from": state.from_,
            "asks": state.asks,
            "request": contact.request if state.asked else None,
        }
        self._db.insert("roster", values, verb="INSERT OR REPLACE")

    def remove(self, owner: int, jid: str) -> None:
        """Remove an entry."""
        self._db.run("DELETE FROM roster WHERE owner = ? AND contact = ?", owner, jid)

    def _contacts(self, where: str, owner: int) -> list[Contact]:
        rows = self._db.all(f"SELECT * FROM roster WHERE {where} ORDER BY rowid", (owner,))
        return [_contact(row) for row in rows]


def _contact(row: Row) -> Contact:
    return Contact(
        jid=row["contact"],
        name=row["name"],
        groups=tuple(json.loads(row["groups"])),
        listed=bool(row["listed"]),
        state=SubscriptionState(
            to=bool(row["sub_to"]),
            from_=bool(row["sub_from"]),
            asks=bool(row["asks"]),
            asked=row["request"] is not None,
        ),
        request=row["request"],
    )
