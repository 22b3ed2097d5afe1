"""JIDs of users and rooms, and the ids inside them. (A user's JID is ``{user}-{app}@{host}``.)"""

from __future__ import annotations

import re
from typing import Any

from attrs import Factory, field, frozen

from ..._containers import AnyDict

__all__ = ["OBJECT_ID", "Addresses", "bare"]

OBJECT_ID = re.compile(r"[0-9a-f]{24}\Z")
"""The id of a dialog or message as the service makes it: 24 hexadecimal digits."""

_USER_ID = re.compile(r"[1-9][0-9]{0,18}")  # 64 bits; written in one way only, so "08" is no id
_LONGEST_DIALOG_ID = 256


def bare(jid: str) -> str:
    """Return the JID without its resource."""
    return jid.partition("/")[0]


def _lower(host: str) -> str:
    return host.lower()


def _suffix(of: str) -> Any:
    return field(init=False, repr=False, default=Factory(of.format, takes_self=True))


@frozen
class Addresses:
    """The JIDs of one application's users and rooms on one chat host."""

    app_id: int
    host: str = field(converter=_lower)
    _of_users: str = _suffix("-{0.app_id}@{0.host}")
    _of_rooms: str = _suffix("@muc.{0.host}")
    origins: dict[Any, Any] = field(init=False, repr=False, eq=False, factory=AnyDict)
    """What the decoder remembers of the JIDs that it has read, up to a bound."""

    @property
    def rooms_host(self) -> str:
        """The host of all rooms."""
        return f"muc.{self.host}"

    def user(self, user_id: int) -> str:
        """Return the bare JID of a user."""
        return f"{user_id}{self._of_users}"

    def room(self, dialog_id: str) -> str:
        """Return the bare JID of the room of a group, public or broadcast dialog."""
        return f"{self.app_id}_{dialog_id}{self._of_rooms}"

    def user_id(self, jid: str | None) -> int | None:
        """Return the user's id in a JID; None if it is no user of this application on this chat host."""
        account = bare(jid or "")
        if not account.lower().endswith(self._of_users):
            return None
        number = account[: -len(self._of_users)]
        return int(number) if _USER_ID.fullmatch(number) else None

    def dialog_id(self, jid: str | None) -> str | None:
        """Return the dialog's id in the JID of a room; None if it is no room of this application."""
        room = bare(jid or "")
        if not room.lower().endswith(self._of_rooms):
            return None
        app, underscore, dialog_id = room[: -len(self._of_rooms)].partition("_")
        is_ours = underscore and app == str(self.app_id)
        return dialog_id if is_ours and 0 < len(dialog_id) <= _LONGEST_DIALOG_ID else None

    def occupant(self, jid: str) -> int | None:
        """Return the user's id in the JID of an occupant, whose nick is that id; None if it is no id."""
        nick = jid.partition("/")[2]
        return int(nick) if _USER_ID.fullmatch(nick) else None
