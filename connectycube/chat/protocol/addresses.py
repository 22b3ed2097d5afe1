"""JIDs of users and rooms, and the ids inside them. (protocol: ``{user}-{app}@{host}``.)"""

from __future__ import annotations

from typing import Any

from attrs import Factory, field, frozen

__all__ = ["Addresses", "bare"]


def bare(jid: str) -> str:
    """Return the JID without its resource."""
    return jid.partition("/")[0]


def _lower(host: str) -> str:
    return host.lower()


def _suffix(of: str) -> Any:
    return field(init=False, repr=False, default=Factory(of.format, takes_self=True))


@frozen
class Addresses:
    """How one application's users and rooms are addressed on one chat host."""

    app_id: int
    host: str = field(converter=_lower)
    _of_users: str = _suffix("-{0.app_id}@{0.host}")
    _of_rooms: str = _suffix("@muc.{0.host}")

    @property
    def rooms_host(self) -> str:
        """The host of all rooms."""
        return f"muc.{self.host}"

    def user(self, user_id: int) -> str:
        """The bare JID of a user."""
        return f"{user_id}{self._of_users}"

    def room(self, dialog_id: str) -> str:
        """The bare JID of the room of a group, public or broadcast dialog."""
        return f"{self.app_id}_{dialog_id}{self._of_rooms}"

    def user_id(self, jid: str | None) -> int | None:
        """The user a JID belongs to, or None if it is not one of this application on this chat host."""
        account = bare(jid or "")
        if not account.lower().endswith(self._of_users):
            return None
        number = account[: -len(self._of_users)]
        return int(number) if number.isascii() and number.isdigit() and len(number) < 20 else None

    def dialog_id(self, jid: str | None) -> str | None:
        """The dialog a room's JID belongs to, or None if it is no room of this application."""
        room = bare(jid or "")
        if not room.lower().endswith(self._of_rooms):
            return None
        app, underscore, dialog_id = room[: -len(self._of_rooms)].partition("_")
        return dialog_id if underscore and app == str(self.app_id) and dialog_id else None

    def occupant(self, jid: str) -> int | None:
        """The user whom an occupant's JID names: the nick in a room is the user's id."""
        nick = jid.partition("/")[2]
        return int(nick) if nick.isascii() and nick.isdigit() and len(nick) < 20 else None
