"""JIDs of users and rooms, and the ids inside them. (protocol: ``{user}-{app}@{host}``.)"""

from __future__ import annotations

from attrs import field, frozen

__all__ = ["Addresses", "bare"]


def bare(jid: str) -> str:
    """Return the JID without its resource."""
    return jid.partition("/")[0]


def _lower(host: str) -> str:
    return host.lower()


@frozen
class Addresses:
    """How one application's users and rooms are addressed on one chat host."""

    app_id: int
    host: str = field(converter=_lower)

    @property
    def rooms_host(self) -> str:
        """The host of all rooms."""
        return f"muc.{self.host}"

    def user(self, user_id: int) -> str:
        """The bare JID of a user."""
        return f"{user_id}-{self.app_id}@{self.host}"

    def room(self, dialog_id: str) -> str:
        """The bare JID of the room of a group, public or broadcast dialog."""
        return f"{self.app_id}_{dialog_id}@{self.rooms_host}"

    def user_id(self, jid: str | None) -> int | None:
        """The user a JID belongs to, or None if it is not a user of this chat host."""
        local, _, rest = (jid or "").partition("@")
        number = local.partition("-")[0]
        if rest.partition("/")[0].lower() != self.host:
            return None
        return int(number) if number.isascii() and number.isdigit() and len(number) < 20 else None

    def dialog_id(self, jid: str | None) -> str | None:
        """The dialog a room's JID belongs to, or None if it is not a room of this chat host."""
        local, _, rest = (jid or "").partition("@")
        _, underscore, dialog_id = local.partition("_")
        if not underscore or rest.partition("/")[0].lower() != self.rooms_host:
            return None
        return dialog_id or None

    def occupant(self, jid: str) -> int | None:
        """The user whom an occupant's JID names: the nick in a room is the user's id."""
        nick = jid.partition("/")[2]
        return int(nick) if nick.isascii() and nick.isdigit() and len(nick) < 20 else None
