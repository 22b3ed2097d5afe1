"""The rooms of group, public and broadcast dialogs: joining, leaving and their occupants. (XEP-0045.)

A room that the user has joined is wanted until the user leaves it or is removed from it; every new session
joins it again. The nick is the user's id, as the service requires.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from ..._containers import AnyList, AnySet
from ...errors import StanzaError
from ...models import DialogRef, DialogType, Occupant, RoomLeft
from . import namespaces as ns
from .addresses import Addresses, bare
from .decoding import Delivery, Unreported, error_of
from .encoding import encode_join, encode_leave
from .iq import Answer
from .nodes import Node, child, children

__all__ = ["Rooms"]

# Status codes of XEP-0045, section 15.6.
_SELF = "110"  # this presence is about the user who receives it
# Why a user is no longer in a room. The first code that the presence has decides.
_REASONS = (
    # 321 stands before 301, because ConnectyCube sends both codes to a user who was removed from the dialog.
    ("321", "removed"),  # an affiliation was changed: the user is no longer a member
    ("322", "removed"),  # the room became members-only
    ("301", "banned"),
    ("307", "kicked"),
    ("332", "shutdown"),  # the service shuts down
)
_HINTS = {
    "registration-required": "this user is not in the dialog"
    " (a public one is subscribed to first, with cube.dialogs.subscribe)",
    "forbidden": "this user is banned from it, or is not in the dialog",
    "item-not-found": "there is no such room",
    "not-allowed": "this user may not enter it",
    "service-unavailable": "it is full, or there is no room service",
    "conflict": "another user has taken this user's nick",
}

_MOST_OCCUPANTS = 50_000  # occupants of a room that are known; nothing is reported of further ones

Output = Answer | Delivery
Send = Callable[[bytes], None]


@define(eq=False)
class _Room:
    dialog: DialogRef
    is_joining: bool = False
    is_joined: bool = False
    is_leaving: bool = False
    # How often we have left and asked to join again, without the server's answer that we left.
    rejoins: int = 0
    occupants: set[int] = field(factory=AnySet)
    joining: list[object] = field(factory=AnyList)  # the waiters of join()
    leaving: list[object] = field(factory=AnyList)  # the waiters of leave()

    def reset(self) -> None:
        """Note that we are not in the room, and have asked for nothing."""
        self.is_joining = self.is_joined = self.is_leaving = False
        self.rejoins = 0
        self.occupants.clear()

    def answer_leaving(self) -> list[Output]:
        """Return the answers for the waiters of leave()."""
        answers: list[Output] = [Answer(waiter) for waiter in self.leaving]
        self.leaving.clear()
        return answers


class Rooms:
    """The rooms that one user wants to be in; ``send`` writes a stanza of this session."""

    def __init__(self, addresses: Addresses, new_id: Callable[[], str], send: Send) -> None:
        self._addresses = addresses
        self._new_id = new_id
        self._send = send
        self._rooms: dict[str, _Room] = {}

    def dialog(self, jid: str) -> DialogRef | None:
        """Return the dialog of a room that is wanted; None for another room."""
        room = self._rooms.get(jid)
        return room.dialog if room is not None else None

    def want(self, dialog: DialogRef) -> None:
        """Note that a dialog's room is wanted; :meth:`enter` asks the server to let us in."""
        assert dialog.id is not None
        jid = self._addresses.room(dialog.id)
        room = self._rooms.get(jid)
        if room is None:
            self._rooms[jid] = _Room(DialogRef.room(dialog.id, dialog.type or DialogType.GROUP))
        elif room.is_leaving:  # the server handles stanzas in order: the leave, then the new join
            rejoins = room.rejoins + 1
            room.reset()
            room.rejoins = rejoins

    def enter(self, me: int) -> None:
        """Ask to join every wanted room that was not asked yet in this session."""
        for jid, room in self._rooms.items():
            self._enter(jid, room, me)

    def enter_one(self, dialog_id: str, me: int) -> None:
        """Ask to join a wanted room, unless it was asked in this session."""
        jid = self._addresses.room(dialog_id)
        self._enter(jid, self._rooms[jid], me)

    def _enter(self, jid: str, room: _Room, me: int) -> None:
        if not room.is_joining:
            room.is_joining = True
            self._send(encode_join(jid, me, self._new_id()))

    def join(self, dialog: DialogRef, waiter: object, me: int) -> list[Output]:
        """Join a room and answer ``waiter`` once we are in it."""
        self.want(dialog)
        assert dialog.id is not None
        room = self._rooms[self._addresses.room(dialog.id)]
        if room.is_joined:
            return [Answer(waiter)]
        room.joining.append(waiter)
        self.enter_one(dialog.id, me)
        return []

    def leave(self, dialog_id: str, waiter: object, me: int) -> list[Output]:
        """Leave a room for good and answer ``waiter`` once we are out of it."""
        jid = self._addresses.room(dialog_id)
        room = self._rooms.get(jid)
        if room is None:
            return [Answer(waiter)]
        room.leaving.append(waiter)
        if not room.is_leaving:
            room.is_leaving = True
            self._send(encode_leave(jid, me))
        return []

    def cancel_join(self, dialog_id: str, waiter: object) -> None:
        """Give no answer to a waiter of ``join`` or ``leave``, whose caller has stopped waiting."""
        room = self._rooms.get(self._addresses.room(dialog_id))
        for waiting in (room.joining, room.leaving) if room is not None else ():
            if waiter in waiting:
                waiting.remove(waiter)

    def session_ended(self) -> list[Output]:
        """Note that we are in no room any more; the next session joins the wanted ones."""
        answers: list[Output] = []
        for jid, room in list(self._rooms.items()):
            if room.is_leaving:
                answers += self._forget(jid)
            else:
                answers += room.answer_leaving()
                room.reset()
        return answers

    def fail(self, error: Exception) -> list[Output]:
        """Return an answer with ``error`` for every waiter."""
        answers: list[Output] = []
        for room in self._rooms.values():
            answers += [Answer(waiter, error=error) for waiter in (*room.joining, *room.leaving)]
            room.joining.clear()
            room.leaving.clear()
        return answers

    def receive(self, presence: Node, me: int) -> list[Output] | Unreported:
        """Take a presence from a room; return the answers and events, or why there are none."""
        sender = presence.attrs.get("from", "")
        jid = bare(sender)
        room = self._rooms.get(jid)
        if room is None:
            return "not_understood"
        kind = presence.attrs.get("type")
        nick = self._addresses.occupant(sender)
        if kind == "error":
            # The room answers a join as itself, or as the nick that was asked for.
            if nick != me and sender != jid:
                return "forged"
            return self._refused(jid, room, error_of(child(presence, "error", ns.CLIENT)))
        details = child(presence, "x", ns.MUC_USER)
        codes = _codes(details)
        # ejabberd sends a presence of ours from the room itself. Behind another occupant's nick the code may
        # be that occupant's own writing.
        is_own = nick == me or (sender == jid and _SELF in codes)
        if kind not in (None, "unavailable") or (nick is None and not is_own):
            return "not_understood"
        if is_own:
            return self._entered(room) if kind is None else self._left(jid, details, codes)
        assert nick is not None
        return self._occupant_changed(jid, room, nick, present=kind is None)

    def _entered(self, room: _Room) -> list[Output]:
        room.is_joined = True
        answers: list[Output] = [Answer(waiter) for waiter in room.joining]
        room.joining.clear()
        return answers

    def _occupant_changed(
        self, jid: str, room: _Room, user_id: int, *, present: bool
    ) -> list[Output]:
        if present == (user_id in room.occupants):
            return []  # another device of the user, or a new status
        if present and len(room.occupants) >= _MOST_OCCUPANTS:
            return []
        if present:
            room.occupants.add(user_id)
        else:
            room.occupants.discard(user_id)
        if not room.is_joined:  # the server first lists the occupants who were there before us
            return []
        assert room.dialog.id is not None
        return [
            Delivery(
                signal="occupant_joined" if present else "occupant_left",
                event=Occupant(user_id=user_id, dialog_id=room.dialog.id),
                conversation=jid,
                merge_key=("occupant", jid, str(user_id)),
            )
        ]

    def _left(self, jid: str, details: Node | None, codes: frozenset[str]) -> list[Output]:
        """Take an unavailable presence of our own; the state of the room tells which stay it ends."""
        room = self._rooms[jid]
        if room.rejoins:
            # We left and asked to join again at once: this presence answers the leave.
            room.rejoins -= 1
            room.is_joined = False
            return room.answer_leaving()
        if room.is_leaving:
            return self._forget(jid)
        if not room.is_joined:
            # The server has not handled our join yet, so this presence is about the stay before. ejabberd
            # tells each device of a user that all devices were kicked, with one presence for each.
            return []
        left = self._read_room_left(room, details, codes)
        if left.reason == "shutdown":  # the room is still wanted: the next session joins it
            room.reset()
            return [self._room_left(jid, left)]
        return [*self._forget(jid), self._room_left(jid, left)]

    def _read_room_left(self, room: _Room, details: Node | None, codes: frozenset[str]) -> RoomLeft:
        """Read the reason of our removal from a room, the user who caused it, and that user's text."""
        destroyed = _child(details, "destroy")
        reason = "destroyed" if destroyed is not None else "removed"
        reason = next((word for code, word in _REASONS if code in codes), reason)
        item = _child(details, "item")
        actor = _child(item, "actor")
        text = _child(destroyed if destroyed is not None else item, "reason")
        return RoomLeft(
            dialog_id=room.dialog.id or "",
            reason=reason,
            actor_id=self._actor(actor.attrs) if actor is not None else None,
            text=(text.getData() or None) if text is not None else None,
        )

    def _actor(self, attributes: dict[str, str]) -> int | None:
        user_id = self._addresses.user_id(attributes.get("jid"))
        return user_id or self._addresses.occupant(f"/{attributes.get('nick', '')}")

    def _refused(self, jid: str, room: _Room, error: StanzaError) -> list[Output]:
        if not room.is_joining or room.is_joined:
            return []  # the error is about something else than our join
        hint = _HINTS.get(error.condition)
        words = f"dialog {room.dialog.id} cannot be joined: {error.condition}"
        failure = StanzaError(
            f"{words}: {hint}" if hint else words,
            condition=error.condition,
            type=error.type,
            text=error.text,
            code=error.code,
        )
        if not room.joining and not room.is_leaving:
            left = RoomLeft(dialog_id=room.dialog.id or "", reason="refused", error=failure)
            del self._rooms[jid]
            return [self._room_left(jid, left)]
        answers: list[Output] = [Answer(waiter, error=failure) for waiter in room.joining]
        room.joining.clear()
        return [*answers, *self._forget(jid)]

    def _forget(self, jid: str) -> list[Output]:
        """Forget a room; return the answers for its waiters."""
        room = self._rooms.pop(jid)
        error = StanzaError(
            f"dialog {room.dialog.id} was left before it was joined", condition="not-acceptable"
        )
        return [
            *(Answer(waiter, error=error) for waiter in room.joining),
            *room.answer_leaving(),
        ]

    def _room_left(self, jid: str, left: RoomLeft) -> Delivery:
        return Delivery(signal="room_left", event=left, conversation=jid, bypasses_gap=True)


def _child(node: Node | None, name: str) -> Node | None:
    return None if node is None else child(node, name, ns.MUC_USER)


def _codes(details: Node | None) -> frozenset[str]:
    if details is None:
        return frozenset()
    return frozenset(kid.attrs.get("code", "") for kid in children(details) if kid.name == "status")
