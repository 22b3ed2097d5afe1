"""Occupancy: the users in each room, the sessions with which they have joined it, and the bans."""

from __future__ import annotations

from attrs import define, field, frozen

from connectycube._containers import AnyDict

from ..db.database import Database
from . import namespaces as ns
from .element import Element
from .session import Session

__all__ = ["NOBODY", "OUTCAST", "Occupancy", "Occupant", "Privileges"]


@frozen
class Privileges:
    """Affiliation and role of a user in a room; the role ends when the user leaves. (XEP-0045, 5.)"""

    affiliation: str
    role: str

    @property
    def is_member(self) -> bool:
        """Whether the user may enter the room."""
        return self.affiliation not in ("none", "outcast")


NOBODY = Privileges("none", "none")
OUTCAST = Privileges("outcast", "none")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS bans (
    dialog_id TEXT NOT NULL, user_id INTEGER NOT NULL, PRIMARY KEY (dialog_id, user_id)
) WITHOUT ROWID;
"""
_EMPTY = Element("presence", ns.CLIENT)


@define(eq=False)
class Occupant:
    """A user in a room; each of the user's sessions there has the presence it joined with."""

    user_id: int
    privileges: Privileges
    presences: dict[Session, Element] = field(factory=AnyDict)

    @property
    def presence(self) -> Element:
        """The newest presence of the user in the room; an empty one when the last session has left."""
        return next(reversed(self.presences.values()), _EMPTY)


class Occupancy:
    """The rooms that are not empty, by dialog id; bans are stored in the database, too."""

    def __init__(self, database: Database) -> None:
        self._db = database
        database.create(_SCHEMA)
        self._rooms: dict[str, dict[int, Occupant]] = {}
        bans = database.all("SELECT dialog_id, user_id FROM bans")
        self._banned = {(row["dialog_id"], row["user_id"]) for row in bans}

    def occupants(self, dialog_id: str) -> list[Occupant]:
        """Return the occupants of a room, in the order in which they joined."""
        return list(self._rooms.get(dialog_id, {}).values())

    def occupant(self, dialog_id: str, user_id: int) -> Occupant | None:
        """Return the occupant that a user is in a room; None if the user is not in it."""
        return self._rooms.get(dialog_id, {}).get(user_id)

    def has_joined(self, dialog_id: str, session: Session) -> bool:
        """Whether a session is in a room."""
        occupant = self.occupant(dialog_id, session.user_id)
        return occupant is not None and session in occupant.presences

    def sessions(self, dialog_id: str) -> list[Session]:
        """Return the sessions in a room."""
        occupants = self.occupants(dialog_id)
        return [session for occupant in occupants for session in occupant.presences]

    def rooms_of(self, session: Session) -> list[str]:
        """Return the dialog ids of the rooms a session is in."""
        return [dialog_id for dialog_id in self._rooms if self.has_joined(dialog_id, session)]

    def enter(
        self, dialog_id: str, session: Session, privileges: Privileges, presence: Element
    ) -> Occupant:
        """Put a session into a room, or give it another presence there."""
        room = self._rooms.setdefault(dialog_id, {})
        occupant = room.setdefault(session.user_id, Occupant(session.user_id, privileges))
        occupant.presences.pop(session, None)
        occupant.presences[session] = presence
        return occupant

    def leave(self, dialog_id: str, session: Session) -> None:
        """Remove a session from a room that it is in; with the last session the occupant is removed."""
        occupant = self._rooms[dialog_id][session.user_id]
        del occupant.presences[session]
        if not occupant.presences:
            self.remove(dialog_id, session.user_id)

    def remove(self, dialog_id: str, user_id: int) -> None:
        """Remove an occupant from a room."""
        room = self._rooms[dialog_id]
        del room[user_id]
        if not room:
            del self._rooms[dialog_id]

    def ban(self, dialog_id: str, user_id: int) -> None:
        """Keep a user out of a room from now on."""
        values = {"dialog_id": dialog_id, "user_id": user_id}
        self._db.insert("bans", values, verb="INSERT OR IGNORE")
        self._banned.add((dialog_id, user_id))

    def unban(self, dialog_id: str, user_id: int) -> bool:
        """End a ban; return False if there was none."""
        was_banned = self.is_banned(dialog_id, user_id)
        self._db.run("DELETE FROM bans WHERE dialog_id = ? AND user_id = ?", dialog_id, user_id)
        self._banned.discard((dialog_id, user_id))
        return was_banned

    def is_banned(self, dialog_id: str, user_id: int) -> bool:
        """Whether a user was banned from a room."""
        return (dialog_id, user_id) in self._banned
