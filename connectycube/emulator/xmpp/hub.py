"""Hub: the sessions of connected users, and the delivery of stanzas to them. No I/O."""

from __future__ import annotations

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable

from ..control.exchanges import Exchanges
from ..control.faults import Fault, Faults
from ..control.timers import Timer, Timers
from ..db.database import FULL, is_full
from ..db.store import Store
from ..domain.accounts import Accounts
from ..domain.conversations import Conversations
from ..domain.pushes import Pushes
from ..domain.rosters import Rosters
from ..domain.times import Clock
from ..settings import Settings
from . import namespaces as ns
from .deliveries import Deliveries
from .element import Element
from .faulty import FaultyDelivery
from .last_activity import LastActivity
from .occupancy import Occupancy
from .parser import StreamFault
from .privacy_lists import PrivacyLists
from .session import Link, OpenStream, Session
from .stanza import error_reply
from .stream_management import StreamManagement

__all__ = ["Hub", "TooManyResources"]

_log = logging.getLogger(__name__)

_MOST_RESOURCES = 1_000
_MOST_WAITING = 10_000
# The number of ended sessions whose count of handled stanzas is kept for <failed/>.
_MOST_REMEMBERED = 10_000


class TooManyResources(Exception):
    """A user has too many resources."""


class Hub:
    """The sessions by user, and the state and primitives with which handlers move stanzas between them.

    When a session ends the hub calls ``on_session_ended``, a hook: the handlers let the session leave its
    rooms and become unavailable.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        store: Store,
        accounts: Accounts,
        conversations: Conversations,
        pushes: Pushes,
        timers: Timers,
        faults: Faults,
        exchanges: Exchanges,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.store = store
        self.accounts = accounts
        self.conversations = conversations
        self.pushes = pushes
        self.timers = timers
        self.schedule: Callable[[float, Callable[[], object]], Timer] = timers.schedule
        self.faults = faults
        self.exchanges = exchanges
        faults.started, faults.ended = self._apply_fault, self._fault_ended
        self._faulty_delivery = FaultyDelivery(faults, timers, self._deliver)
        self.rosters: Rosters = Rosters(store.database)
        self.privacy: PrivacyLists = PrivacyLists(store.database, settings, self.rosters)
        self.activity: LastActivity = LastActivity(store.database, clock)
        self.streams: set[OpenStream] = set()
        self.deliveries: Deliveries = Deliveries()
        self.on_session_ended: Callable[[Session], None] = lambda session: None
        self.occupancy: Occupancy = Occupancy(store.database)
        self._sessions: dict[int, dict[str, Session]] = {}
        self._resumable: dict[str, Session] = {}
        self._expiry: dict[str, Timer] = {}  # of sessions that wait to be resumed, oldest first
        # Of ended sessions, by their id of stream management: the user and the count of handled stanzas.
        self._handled: OrderedDict[str, tuple[int, int]] = OrderedDict()

    # --- sessions ---------------------------------------------------------------------------------

    def bind(self, user_id: int, resource: str, link: Link) -> Session:
        """Create the session of a resource; an older session of the same full JID ends.

        Raises TooManyResources if the user has no room for another one.
        """
        older = self.session(user_id, resource)
        if older is not None:
            # The link first, so that its stream does not report the session as lost.
            older.end_link(StreamFault("conflict", "The same resource connected again"))
            self.end_session(older)
        if len(self._sessions.get(user_id, ())) >= _MOST_RESOURCES:
            raise TooManyResources
        session = Session(user_id, self.settings.user_jid(user_id), resource, link)
        self._sessions.setdefault(user_id, {})[resource] = session
        return session

    def session(self, user_id: int, resource: str) -> Session | None:
        """Return the session of a full JID; it may wait to be resumed."""
        return self._sessions.get(user_id, {}).get(resource)

    def sessions(self, user_id: int | None = None) -> list[Session]:
        """Return the sessions of a user, or all."""
        if user_id is not None:
            return list(self._sessions.get(user_id, {}).values())
        return [session for user in self._sessions.values() for session in user.values()]

    def end_session(self, session: Session, *, remember: bool = True) -> None:
        """End a session; with ``remember`` its count of handled stanzas is kept for <failed/>."""
        # First, so that the released stanza counts as unacknowledged. It may overflow the session, which
        # this method then ends inside.
        self._faulty_delivery.release_session(session)
        if self.session(session.user_id, session.resource) is not session:
            return
        resources = self._sessions[session.user_id]
        del resources[session.resource]
        if not resources:
            del self._sessions[session.user_id]
        management = session.management
        if management is not None and management.resumable:
            self._resumable.pop(management.id, None)
            self._stop_expiry(management.id)
            if remember:
                self._handled[management.id] = (session.user_id, management.handled)
            while len(self._handled) > _MOST_REMEMBERED:
                self._handled.popitem(last=False)
        # Last: the handlers send presence, and none of it must reach the ended session.
        try:
            self.on_session_ended(session)
        except sqlite3.OperationalError as error:
            if not is_full(error):
                raise
            _log.warning("Messages to user %s could not be kept: %s", session.user_id, FULL)

    # --- resumption (XEP-0198) ----------------------------------------------------------------------

    def offer_resumption(self, session: Session) -> None:
        """Make a session resumable by its id of stream management."""
        assert session.management is not None
        self._resumable[session.management.id] = session

    def link_lost(self, session: Session) -> None:
        """Keep a session whose link is lost until its client resumes it, or end one that is not resumable."""
        session.link = None
        management = session.management
        if management is None or not management.resumable:
            self.end_session(session)
            return
        self._stop_expiry(management.id)
        self._expiry[management.id] = self.schedule(
            self.settings.resume_seconds, lambda: self.end_session(session)
        )
        if len(self._expiry) > _MOST_WAITING:
            longest_waiting = next(iter(self._expiry))
            self.end_session(self._resumable[longest_waiting])

    def resumable(self, user_id: int, previous: str) -> Session | int | None:
        """Return the session with this id, the count of handled stanzas of an ended one, or None."""
        session = self._resumable.get(previous)
        if session is not None and session.user_id == user_id:
            return session
        owner, handled = self._handled.get(previous, (None, None))
        return handled if owner == user_id else None

    def resumed(self, session: Session) -> None:
        """Note that a session was resumed: it does not expire any more."""
        assert session.management is not None
        self._stop_expiry(session.management.id)

    def forget_sessions(self, user_id: int | None) -> int:
        """Drop the sessions that wait to be resumed, as a restart does; return their number."""
        for management_id, (owner, _) in list(self._handled.items()):
            if user_id in (None, owner):
                del self._handled[management_id]
        waiting = [session for session in self.sessions(user_id) if session.link is None]
        for session in waiting:
            self.end_session(session, remember=False)
        return len(waiting)

    def _stop_expiry(self, management_id: str) -> None:
        timer = self._expiry.pop(management_id, None)
        if timer is not None:
            timer.cancel()

    # --- routing ------------------------------------------------------------------------------------

    def send(self, session: Session, stanza: Element) -> None:
        """Send to one session."""
        if self.faults.active:
            self._faulty_delivery.send(session, stanza)
        else:
            self._deliver(session, stanza)

    def _deliver(self, session: Session, stanza: Element) -> None:
        session.send(stanza)
        management = session.management
        if management is not None and self._is_overflowing(management):
            self._overflow(session, management)

    def _is_overflowing(self, management: StreamManagement) -> bool:
        settings = self.settings
        return (
            management.backlog > settings.unacknowledged_stanzas
            or management.size > settings.unacknowledged_bytes
        )

    def _overflow(self, session: Session, management: StreamManagement) -> None:
        policy = self.settings.unacknowledged_overflow
        if policy == "end":
            session.end_link(StreamFault("resource-constraint", "Too much is not acknowledged"))
            self.end_session(session)
            return
        while self._is_overflowing(management):
            management.forget_oldest()
        # With a gap in its stanzas the session cannot be replayed, but its link can go on.
        if policy == "unresumable" and management.resumable:
            management.resumable = False
            self._resumable.pop(management.id, None)
            self._stop_expiry(management.id)
            if session.link is None:
                self.end_session(session)

    def send_all(self, sessions: Iterable[Session], stanza: Element) -> int:
        """Send to some sessions; return their number."""
        chosen = list(sessions)
        for session in chosen:
            self.send(session, stanza)
        return len(chosen)

    def reply(self, session: Session, stanza: Element) -> None:
        """Send an answer of the server to the session that asked."""
        self.send(session, stanza.replace(to=session.jid))

    def refuse(self, session: Session, stanza: Element, condition: str, text: str) -> None:
        """Answer a stanza with an error; an error or a result is never answered."""
        if stanza.get("type") not in ("error", "result"):
            self.reply(session, error_reply(stanza, condition, text))

    def push(self, session: Session, payload: Element) -> None:
        """Send an IQ set of the server: a change that the client did not ask for."""
        attributes = {"type": "set", "id": self.conversations.new_id(), "to": session.jid}
        self.send(session, Element("iq", ns.CLIENT, attributes, payload))

    def receivers(self, user_id: int) -> list[Session]:
        """Return the sessions that a message to a user's bare JID reaches."""
        return [session for session in self.sessions(user_id) if session.receives_messages]

    # --- faults -------------------------------------------------------------------------------------

    def cut(self, user_id: int | None, resource: str | None = None) -> int:
        """Abort the links of a user, or of one resource, or all; return their number."""
        streams = [
            stream
            for stream in self.streams
            if user_id in (None, stream.user_id) and resource in (None, stream.resource)
        ]
        for stream in streams:
            stream.cut()
        return len(streams)

    def _apply_fault(self, fault: Fault) -> None:
        """Apply a new fault to the open connections."""
        for stream in list(self.streams):
            if fault.is_on:  # it ends with its last use, which may have been an earlier stream
                stream.apply_fault(fault)

    def _fault_ended(self, fault: Fault) -> None:
        if fault.name == "reorder":
            self._faulty_delivery.release(fault)

    def shut_down(self, why: str) -> None:
        """End every stream with system-shutdown, and forget the sessions."""
        for stream in list(self.streams):
            stream.fail(StreamFault("system-shutdown", why))
        for timer in self._expiry.values():
            timer.cancel()
        self._expiry.clear()
        self._sessions.clear()
