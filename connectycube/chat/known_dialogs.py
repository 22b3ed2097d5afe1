"""Dialogs by their id: real time needs the type, and of a private dialog the other user."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from .._checks import check_id
from .._deadline import Deadline
from .._forks import check_fork, register_for_fork
from ..errors import ArgumentValueError
from ..models import Dialog, DialogRef, DialogType

__all__ = ["KnownDialogs", "LookUp"]

LookUp = Callable[[str, "float | None"], Dialog]
"""Return the user's dialog with that id, or raise NotFoundError; the other argument is seconds."""

_MOST_KNOWN = 1_000


class KnownDialogs:
    """Finds dialogs by id: each is asked for once, as neither its type nor its other user ever changes.

    Without ``look_up`` an id is that of a room. Every method may be called from any thread; no lock is held
    while ``look_up`` runs.
    """

    def __init__(self, look_up: LookUp | None) -> None:
        self._look_up = look_up
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[int | None, str], DialogRef] = OrderedDict()
        register_for_fork(self)

    def _after_fork_in_child(self) -> None:
        """Replace the lock, which a thread of the parent may have held."""
        self._lock = threading.Lock()

    def find(self, dialog_id: str, me: int | None, deadline: Deadline) -> DialogRef:
        """Return the dialog of user ``me`` with that id.

        Raises the errors of the look-up, and ArgumentValueError for a dialog without a known type.
        """
        dialog_id = check_id("dialog", dialog_id)
        if self._look_up is None:
            return DialogRef.room(dialog_id)
        check_fork()
        with self._lock:
            known = self._known.get((me, dialog_id))
            if known is not None:
                self._known.move_to_end((me, dialog_id))
                return known
        found = self._look_up(dialog_id, deadline.remaining())
        if found.type is None:
            raise ArgumentValueError(f"dialog {dialog_id} is of no type that can be written to")
        reference = DialogRef(id=dialog_id, type=found.type, peer_id=_peer_of(found, me))
        with self._lock:
            self._known[me, dialog_id] = reference
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return reference

    def complete(self, dialog: DialogRef, me: int | None, deadline: Deadline) -> DialogRef:
        """Return a dialog of user ``me`` with its type and, as far as that can be found out, the other user.

        Raises ArgumentValueError if the type cannot be found out, and the errors of the look-up.
        """
        peer_id = _peer_of(dialog, me)
        if peer_id is not None:
            return DialogRef.private(peer_id, dialog.id)
        if self._look_up is not None and dialog.id is not None:
            dialog = self.find(dialog.id, me, deadline)
        if dialog.type is None:
            raise ArgumentValueError(
                "dialog does not say its type: use DialogRef.private(user_id) or DialogRef.room(id)"
            )
        return dialog


def _peer_of(dialog: DialogRef, me: int | None) -> int | None:
    """Return the other user of a private dialog, as far as the dialog tells."""
    if dialog.peer_id is not None or dialog.type is not DialogType.PRIVATE:
        return dialog.peer_id
    others = [user for user in getattr(dialog, "occupants_ids", ()) if user != me]
    return others[0] if len(others) == 1 else None
