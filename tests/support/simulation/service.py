"""A service of several users without I/O: dialogs, their history, and a simulated server for each user.

What one user's server handles is stored and relayed to the servers of the others. The service's clock is not
the clients', senders' clocks are wrong, and a message may leave some time after it was stored. A message that
has an id of another form than the service's has an id of the service's in history.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from xml.etree import ElementTree

from attrs import define, evolve

from connectycube.models import DialogRef, Message
from tests.support.simulation.simulated import ADDRESSES, MARKERS, Server

PAGE = 3
AHEAD = 1_700_000_000.0  # of the clients' clock
NS = "{jabber:client}"


@define
class Stored:
    """A message that the service has handled."""

    number: int
    sender: int
    dialog: DialogRef  # as its sender sees it
    message: Message
    saved: bool
    stanza_id: str | None  # as its sender wrote it
    deleted: bool = False


class Service:
    """What all users share. Attributes are the habits a test chooses."""

    def __init__(self, users: Sequence[int], clock: Callable[[], float]) -> None:
        self._clock = clock
        self.servers = {user: Server(user) for user in users}
        for user, server in self.servers.items():
            server.handles = lambda stanza, user=user: self._handle(user, stanza)  # type: ignore[misc]
        self.rooms: dict[str, set[int]] = {}
        self.stored: dict[str, Stored] = {}  # by the id in history, in the order they were handled
        self.tells_ids = True  # whether a stanza says the id in history, if that is another one
        self.room_echo = True
        self.lag: Callable[[], float] = lambda: 0.0
        self._leaving: deque[tuple[float, Server, str]] = deque()

    def time(self) -> float:
        """Unix seconds by its clock."""
        return self._clock() + AHEAD

    # --- what others do ---

    def say(
        self,
        number: int,
        sender: int,
        dialog: DialogRef,
        sent: float,
        stanza_id: Callable[[str], str | None] = lambda own_id: own_id,
    ) -> None:
        """A user who is no client here says something; ``sent`` is unix seconds by their clock.

        ``stanza_id`` chooses the id of the stanza; it gets the one in history.
        """
        own_id = f"{number:024x}"
        message = Message(id=own_id, body=str(number), date_sent=_whole(sent), sender_id=sender)
        self._take(sender, dialog, message, saved=True, stanza_id=stanza_id(own_id))

    def touch(self, message_id: str) -> None:
        """Change a message's body, as an edit does, or anything else of it."""
        stored = self.stored[message_id]
        stored.message = evolve(stored.message, updated_at=_whole(self.time()))

    def delete(self, message_id: str) -> None:
        """Delete a message for everybody."""
        self.stored[message_id].deleted = True

    # --- messages ---

    def _handle(self, sender: int, stanza: ElementTree.Element) -> None:
        received = stanza.find(f"{{{MARKERS}}}received")
        if received is not None:
            stored = self.stored.get(received.attrib["id"])
            if stored is not None:
                named = (*stored.message.delivered_ids, sender)
                stored.message = evolve(stored.message, delivered_ids=named)
                self.touch(received.attrib["id"])
            return
        params, to = stanza.find(f"{NS}extraParams"), stanza.attrib["to"]
        peer, room = ADDRESSES.user_id(to), ADDRESSES.dialog_id(to)
        assert params is not None
        message = Message(
            id=stanza.attrib["id"],
            body=stanza.findtext(f"{NS}body"),
            date_sent=_whole(float(params.findtext(f"{NS}date_sent") or 0)),
            sender_id=sender,
        )
        dialog = DialogRef.room(room or "") if peer is None else _private(sender, peer)
        saved = params.findtext(f"{NS}save_to_history") == "1"
        self._take(sender, dialog, message, saved=saved, stanza_id=message.id)

    def _take(
        self,
        sender: int,
        dialog: DialogRef,
        message: Message,
        *,
        saved: bool,
        stanza_id: str | None,
    ) -> None:
        now, message_id = _whole(self.time()), message.id
        assert message_id is not None and message.body is not None
        if message_id not in self.stored:
            kept = evolve(message, created_at=now, updated_at=now, dialog_id=dialog.id)
            number = int(message.body)
            self.stored[message_id] = Stored(number, sender, dialog, kept, saved, stanza_id)
        for user in sorted(self._members(sender, dialog)):
            if user in self.servers and (user != sender or (self.room_echo and not dialog.peer_id)):
                stanza = _stanza(self.stored[message_id], user, tells_id=self.tells_ids)
                self._leaving.append((self._clock() + self.lag(), self.servers[user], stanza))
        self.relay()

    def relay(self, ahead: float = 0.0) -> None:
        """Relay what will have waited for long enough ``ahead`` from now; what is behind it waits as well."""
        while self._leaving and self._leaving[0][0] <= self._clock() + ahead:
            _, server, stanza = self._leaving.popleft()
            server.send(stanza)

    def _members(self, sender: int, dialog: DialogRef) -> set[int]:
        if dialog.peer_id is None:
            return self.rooms[dialog.id or ""]
        return {sender, dialog.peer_id}

    def messages_for(self, user: int) -> list[Stored]:
        """The messages of others that a user should have."""
        return [
            stored
            for stored in self.stored.values()
            if stored.sender != user and user in self._members(stored.sender, stored.dialog)
        ]

    def live_id(self, stored: Stored) -> str | None:
        """The id by which a client knows a message that arrived live."""
        return stored.message.id if self.tells_ids else stored.stanza_id

    # --- history ---

    def changed_dialogs(self, user: int, since: datetime) -> list[DialogRef]:
        """The user's dialogs that have a message, or a change of one, since."""
        found: dict[str | None, DialogRef] = {}
        for stored in self.stored.values():
            message, dialog = stored.message, stored.dialog
            assert message.updated_at is not None
            if message.updated_at >= since and user in self._members(stored.sender, dialog):
                if dialog.peer_id is not None:
                    other = dialog.peer_id if stored.sender == user else stored.sender
                    dialog = _private(user, other)
                found[dialog.id] = dialog
        return list(found.values())

    def page(self, dialog: DialogRef, since: datetime, before: Message | None) -> list[Message]:
        """The next page of a dialog's messages that are new or changed since, by ``date_sent``."""
        kept = [s for s in self.stored.values() if s.dialog.id == dialog.id]
        changed = [
            stored.message
            for stored in sorted(kept, key=lambda s: s.message.date_sent or since)
            if stored.saved
            and not stored.deleted
            and stored.message.updated_at is not None
            and (stored.message.updated_at >= since or stored.message is before)
        ]
        places = {message.id: place for place, message in enumerate(changed)}
        start = 0 if before is None else places.get(before.id, -1) + 1
        return changed[start : start + PAGE]


def _private(user: int, peer: int) -> DialogRef:
    return DialogRef.private(peer, f"p{min(user, peer)}-{max(user, peer)}")


def _whole(seconds: float) -> datetime:
    return datetime.fromtimestamp(math.floor(seconds), timezone.utc)


def _stanza(stored: Stored, user: int, *, tells_id: bool) -> str:
    message, dialog = stored.message, stored.dialog
    assert message.date_sent is not None
    if dialog.peer_id is None:
        sender, kind = f"{ADDRESSES.room(dialog.id or '')}/{stored.sender}", "groupchat"
    else:
        sender, kind = f"{ADDRESSES.user(stored.sender)}/phone", "chat"
    own_id = "" if stored.stanza_id is None else f" id='{stored.stanza_id}'"
    is_told = tells_id and stored.stanza_id != message.id
    told = f"<message_id>{message.id}</message_id>" if is_told else ""
    return (
        f"<message from='{sender}' to='{ADDRESSES.user(user)}' type='{kind}'{own_id}>"
        f"<body>{message.body}</body><extraParams>{told}<dialog_id>{dialog.id}</dialog_id><date_sent>"
        f"{int(message.date_sent.timestamp())}</date_sent><save_to_history>{int(stored.saved)}"
        f"</save_to_history></extraParams><markable xmlns='{MARKERS}'/></message>"
    )
