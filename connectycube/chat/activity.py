"""Activity: the last activity of users, typing, and whether this client is active. (XEP-0012, 0085, 0352.)"""

from __future__ import annotations

from collections.abc import Hashable

from .._deadline import Deadline
from ..errors import StanzaError, UnexpectedAnswerError
from ..models._json import as_int
from .destinations import Destination
from .driver import Driver
from .protocol import markup
from .protocol import namespaces as ns
from .protocol.addresses import Addresses
from .protocol.core import Core
from .protocol.encoding import encode_chat_state
from .protocol.iq import query_of

__all__ = ["Activity"]

_INACTIVE = "inactive"


class Activity:
    """Requests about activity, and typing.

    The server forgets some requests with the session, so they are made again in every later session.
    """

    def __init__(self, driver: Driver, addresses: Addresses) -> None:
        self._driver = driver
        self._addresses = addresses

    def last_of(self, user_id: int, deadline: Deadline) -> int:
        """Return the seconds since a user was last active."""
        payload, to = f'<query xmlns="{ns.LAST_ACTIVITY}"/>', self._addresses.user(user_id)
        try:
            query = query_of(self._driver.request("get", to, payload, deadline), ns.LAST_ACTIVITY)
        except StanzaError as error:
            raise StanzaError(
                f"the last activity of user {user_id} is not known: {error.text or error.condition}",
                condition=error.condition,
                type=error.type,
                text=error.text,
                code=error.code,
            ) from None
        seconds = as_int(query.attrs.get("seconds"))
        if seconds is None or seconds < 0:
            raise UnexpectedAnswerError("the server's answer does not say the last activity")
        return seconds

    def subscribe(self, user_id: int, deadline: Deadline) -> None:
        """Ask for the activity of a user, in this session and in every later one."""
        self._request_in_every_session(
            ("activity", str(user_id)), self._subscription(user_id, "true"), deadline
        )

    def unsubscribe(self, user_id: int, deadline: Deadline) -> None:
        """Stop asking for the activity of a user."""
        self._forget(("activity", str(user_id)))
        self._driver.request("set", None, self._subscription(user_id, "false"), deadline)

    def send_typing(self, to: Destination, stop_after: float | None) -> None:
        """Tell a dialog that this user is typing; "paused" follows after so many seconds, if not None."""
        composing, paused = (
            encode_chat_state(state, to.jid, to.type) for state in ("composing", "paused")
        )

        def send(core: Core, now: float) -> None:
            session = core.open_session
            if to.is_room:
                session.enter_room(to.dialog)
            # Without stop_after this cancels the "paused" that an earlier call planned.
            ends = now + stop_after if stop_after else None
            session.send_typing(to.jid, composing, paused, ends, now)

        self._driver.command(send)

    def send_stop_typing(self, to: Destination) -> None:
        """Tell a dialog that this user has stopped typing."""
        paused = encode_chat_state("paused", to.jid, to.type)

        def send(core: Core, now: float) -> None:
            session = core.open_session
            if to.is_room:
                session.enter_room(to.dialog)
            session.stop_typing(to.jid, paused)

        self._driver.command(send)

    def mark_inactive(self, deadline: Deadline) -> None:
        """Tell the server that this client is inactive: by the service's request, or else by XEP-0352."""
        payload = f'<mobile xmlns="{ns.MOBILE}" enable="true"/>'
        try:
            self._request_in_every_session(_INACTIVE, payload, deadline)
        except StanzaError:
            if not self._set_client_state(is_active=False):
                raise

    def mark_active(self, deadline: Deadline) -> None:
        """Tell the server that this client is active again, in the way that told it the opposite."""
        if self._set_client_state(is_active=True):
            return
        self._forget(_INACTIVE)
        self._driver.request("set", None, f'<mobile xmlns="{ns.MOBILE}" enable="false"/>', deadline)

    def _request_in_every_session(self, key: Hashable, payload: str, deadline: Deadline) -> None:
        # Remember the request before it is sent: a session that begins before the answer makes it as well.
        self._driver.command(lambda core, _: core.open_session.remember(key, "set", None, payload))
        try:
            self._driver.request("set", None, payload, deadline)
        except StanzaError:
            self._forget(key)
            raise

    def _forget(self, key: Hashable) -> None:
        self._driver.command(lambda core, _: core.session.forget(key))

    def _set_client_state(self, *, is_active: bool) -> bool:
        is_told: bool = self._driver.command(
            lambda core, _: core.session.set_client_state(is_active=is_active)
        )
        return is_told

    def _subscription(self, user_id: int, enable: str) -> str:
        jid = markup.attribute(self._addresses.user(user_id))
        return f'<subscribe xmlns="{ns.STATUS_STREAMING}" user_jid="{jid}" enable="{enable}"/>'
