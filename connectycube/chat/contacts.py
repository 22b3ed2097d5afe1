"""The roster: contacts and presence subscriptions. (RFC 6121, sections 2 to 4.)"""

from __future__ import annotations

from collections.abc import Iterable

from .._checks import check_bool
from .._deadline import Deadline
from ..config import Config
from ..errors import ArgumentValueError
from ..models import ContactListItem, User
from ..models.users import check_user_id
from .driver import Driver
from .protocol import namespaces as ns
from .protocol.addresses import Addresses
from .protocol.iq import query_of
from .protocol.roster import (
    ROSTER_QUERY,
    decode_roster,
    encode_contact,
    encode_contact_removal,
    encode_subscription,
)

__all__ = ["Contacts"]


class Contacts:
    """One user's contact list; ``chat.contacts``.

    Two users who are contacts of each other see, by ``presence_changed``, when the other comes and
    goes. One asks with :meth:`add`; the other gets ``contact_requested`` and answers with
    :meth:`confirm` or :meth:`reject`, which the first is told by ``contact_confirmed`` or
    ``contact_rejected``.

    Every method may be called from any thread, also inside a receiver. Those that have a ``timeout``
    (seconds; None: ``Config.timeouts.iq``) wait for the server, a reconnection included, and raise
    StanzaError if it refuses, ChatTimeoutError, and NotConnectedError; the others return at once, what
    they say waits while the link is down, and they raise NotConnectedError in IDLE and CLOSED. All
    raise ArgumentTypeError or ArgumentValueError, naming the argument, before anything is sent.
    """

    def __init__(self, config: Config, driver: Driver, addresses: Addresses) -> None:
        self._config = config
        self._driver = driver
        self._addresses = addresses

    def list(self, *, timeout: float | None = None) -> tuple[ContactListItem, ...]:
        """Return all contacts. (RFC 6121, 2.1.3.)

        What changes later is told by ``contact_list_changed``; what changed between two sessions, only
        by the next call. What is no user of this application is left out.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        answer = self._driver.request("get", None, ROSTER_QUERY, deadline)
        return decode_roster(query_of(answer, ns.ROSTER), self._addresses)

    def add(
        self,
        user_id: int | User,
        *,
        name: str | None = None,
        groups: Iterable[str] = (),
        timeout: float | None = None,
    ) -> None:
        """Make a user a contact, and ask to see when they come and go. (RFC 6121, 2.3 and 3.1.)

        ``name`` and ``groups`` are for this user alone, and replace those of a contact who is there
        already. What comes of it is told later: ``contact_confirmed`` or ``contact_rejected``. Of a
        user who does not exist servers say nothing; the contact stays ``pending``.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        user = self._other("user_id", user_id)
        payload = encode_contact(user, name, groups, self._addresses)
        self._driver.request("set", None, payload, deadline)
        self._say("subscribe", user)

    def confirm(self, user_id: int | User, *, mutual: bool = True) -> None:
        """Let a user see when this user comes and goes. (RFC 6121, 3.1.4.)

        ``mutual``: ask the same of them, as ConnectyCube's own SDKs do unless they are told otherwise.
        """
        user = self._other("user_id", user_id)
        asks_too = check_bool("mutual", mutual)
        self._say("subscribed", user)
        if asks_too:
            # No roster set as those SDKs make it: that would take a contact's name and groups away.
            self._say("subscribe", user)

    def reject(self, user_id: int | User) -> None:
        """Refuse to let a user see when this user comes and goes, or let them no longer. (RFC 6121, 3.2.)"""
        self._say("unsubscribed", self._other("user_id", user_id))

    def remove(self, user_id: int | User, *, timeout: float | None = None) -> None:
        """Take a user off the contact list; neither sees the other any more. (RFC 6121, 2.5.)

        The other one is told by ``contact_cancelled`` and ``contact_rejected``, as far as there was
        anything between them. Of who is no contact servers say "item-not-found" (a StanzaError), or
        nothing.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        user = self._other("user_id", user_id)
        self._driver.request("set", None, encode_contact_removal(user, self._addresses), deadline)

    def _other(self, name: str, value: object) -> int:
        user = check_user_id(name, value)
        credentials = self._driver.core.credentials
        if credentials is not None and user == credentials.user_id:
            raise ArgumentValueError(f"{name} is the user who is logged in")
        return user

    def _say(self, kind: str, user: int) -> None:
        data = encode_subscription(kind, user, self._addresses)
        self._driver.command(lambda core, now: core.open_session.send_later(data, now))
