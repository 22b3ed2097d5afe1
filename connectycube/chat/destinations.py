"""Where a stanza to a dialog goes: the JID and the type of message for the dialog that a caller gives."""

from __future__ import annotations

from attrs import frozen

from .._checks import check_id, check_int
from .._deadline import Deadline
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import DialogRef, DialogType, Message, User
from .known_dialogs import KnownDialogs, LookUp
from .protocol.addresses import Addresses

__all__ = ["Destination", "Destinations", "room_of"]

_MOST_REMEMBERED = 1_000
_LONGEST_REMEMBERED = 512  # characters of the JID and the dialog's id


@frozen
class Destination:
    """The dialog of a stanza, the bare JID of the other user or of the room, and the type of its messages."""

    dialog: DialogRef
    jid: str
    type: str

    @property
    def is_room(self) -> bool:
        """Whether the JID is that of a room."""
        return self.type == "groupchat"


class Destinations:
    """Finds the destination for a dialog, which a caller gives as its id or as any DialogRef.

    May be called from any thread. ``look_up`` asks REST for the dialogs whose type or other user the caller
    does not give.
    """

    def __init__(self, addresses: Addresses, look_up: LookUp | None) -> None:
        self._addresses = addresses
        self._known = KnownDialogs(look_up)
        self._found: dict[tuple[object, ...], Destination] = {}

    def find(self, dialog: object, me: int | None, deadline: Deadline) -> Destination:
        """Return the destination of a dialog of user ``me``.

        Raises ArgumentTypeError and ArgumentValueError for what is no dialog that can be written to, and the
        errors of the look-up.
        """
        if not isinstance(dialog, DialogRef):
            return self._destination(dialog, me, deadline)
        kind, own_id, peer_id = dialog.type, dialog.id, dialog.peer_id
        # With the classes: True is equal to 1, and is no user.
        key = (kind, type(kind), own_id, type(own_id), peer_id, type(peer_id), me)
        try:
            return self._found[key]
        except (KeyError, TypeError):  # an id that is not hashable: the checks say why
            found = self._destination(dialog, me, deadline)
        # What had to be looked up may be found out differently the next time.
        is_whole = kind is not None and (kind is not DialogType.PRIVATE or peer_id is not None)
        if is_whole and len(found.jid) + len(own_id or "") <= _LONGEST_REMEMBERED:
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[key] = found
        return found

    def _destination(self, dialog: object, me: int | None, deadline: Deadline) -> Destination:
        found = self._reference(dialog, me, deadline)
        if found.type is not DialogType.PRIVATE:
            assert found.id is not None
            return Destination(found, self._addresses.room(found.id), "groupchat")
        if found.peer_id is None:
            raise ArgumentValueError("dialog does not say who the other user is (peer_id)")
        peer_id = check_int("dialog.peer_id", found.peer_id, least=1)
        if peer_id == me:
            raise ArgumentValueError(
                "dialog is a private dialog with the logged-in user: give another user"
            )
        return Destination(found, self._addresses.user(peer_id), "chat")

    def _reference(self, dialog: object, me: int | None, deadline: Deadline) -> DialogRef:
        if isinstance(dialog, str):
            return self._known.find(dialog, me, deadline)
        if not isinstance(dialog, DialogRef):
            raise ArgumentTypeError(_no_dialog(dialog))
        if dialog.type is not None and dialog.type is not DialogType.PRIVATE:
            return room_of(dialog)
        if dialog.type is None or dialog.peer_id is None:
            return self._known.complete(dialog, me, deadline)
        dialog_id = dialog.id.strip() if isinstance(dialog.id, str) else dialog.id
        if type(dialog) is DialogRef and dialog_id == dialog.id:
            return dialog
        return DialogRef.private(dialog.peer_id, dialog_id)


def room_of(dialog: object) -> DialogRef:
    """Return the reference of a group, public or broadcast dialog, given as its id or as any DialogRef.

    Raises ArgumentTypeError and ArgumentValueError for what has no room.
    """
    if isinstance(dialog, str):
        return DialogRef.room(check_id("dialog", dialog))
    if not isinstance(dialog, DialogRef):
        raise ArgumentTypeError(_no_dialog(dialog))
    if dialog.type is DialogType.PRIVATE:
        raise ArgumentValueError("dialog is private, and has no room")
    if dialog.id is None:
        raise ArgumentValueError("dialog does not say its id")
    return DialogRef.room(check_id("dialog", dialog.id), dialog.type or DialogType.GROUP)


def _no_dialog(dialog: object) -> str:
    words = f"dialog must be a Dialog, a DialogRef or an id, not {type(dialog).__name__}"
    if isinstance(dialog, Message):
        return f"{words}: chat.reply(message, …) answers a message"
    if isinstance(dialog, (int, User)) and not isinstance(dialog, bool):
        return f"{words}: chat.send_private(user, …) writes to a user"
    return words
