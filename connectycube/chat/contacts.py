"""The roster: contacts and presence subscriptions. (RFC 6121, sections 2 to 4.)"""

from __future__ import annotations

from collections.abc import Iterable

from .._checks import check_bool
from .._deadline import Deadline
from .._not_copied import NotCopied
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


class Contacts(NotCopied):
    """One user's contact list; ``chat.contacts``.

    Two users who are contacts of each other get ``presence_changed`` when the other comes and goes. One
    user asks with :meth:`add`. The other gets ``contact_requested`` and answers with :meth:`confirm` or
    :meth:`reject`; the first then gets ``contact_confirmed`` or ``contact_rejected``.

    Every method may be called from any thread, also inside a receiver. A method with a ``timeout`` waits for
    the server. The others return at once, and their stanzas wait while the link is down.

    Example:
        >>> chat.contacts.add(bob_id, name="Bob")
        >>> [item.name for item in chat.contacts.list()]
        ['Bob']
    """

    def __init__(self, config: Config, driver: Driver, addresses: Addresses) -> None:
        self._config = config
        self._driver = driver
        self._addresses = addresses

    def list(self, *, timeout: float | None = None) -> tuple[ContactListItem, ...]:
        """Return all contacts. (RFC 6121, 2.1.3.)

        ``contact_list_changed`` tells of later changes. A change between two sessions shows in the next call
        only. An entry that is no user of this application is left out.

        Args:
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Returns:
            The contacts, those included who have not answered yet.

        Raises:
            StanzaError: The server refused; its ``condition`` says why.
            UnexpectedAnswerError: The server's answer has no contact list.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
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

        ``contact_confirmed`` or ``contact_rejected`` tells the answer. For a user who does not exist the
        server says nothing, and the contact stays ``pending``.

        Args:
            user_id: The other user, or their id.
            name: A name that only this user sees; it replaces the one of an existing contact.
            groups: Groups that only this user sees; they replace those of an existing contact.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            StanzaError: The server refused; its ``condition`` says why.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
            SendQueueFullError: The outbound buffer had no room for ``Config.timeouts.send``.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        user = self._other("user_id", user_id)
        payload = encode_contact(user, name, groups, self._addresses)
        self._driver.request("set", None, payload, deadline)
        self._say("subscribe", user)

    def confirm(self, user_id: int | User, *, mutual: bool = True) -> None:
        """Let a user see when this user comes and goes. (RFC 6121, 3.1.4.)

        Args:
            user_id: The other user, or their id.
            mutual: Whether to ask the same of them, as ConnectyCube's own SDKs do by default.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            NotConnectedError: The state is IDLE, CLOSED or CLOSING.
            SendQueueFullError: The outbound buffer had no room for ``Config.timeouts.send``.
        """
        user = self._other("user_id", user_id)
        asks_too = check_bool("mutual", mutual)
        self._say("subscribed", user)
        if asks_too:
            # No roster set as those SDKs make it: that would take a contact's name and groups away.
            self._say("subscribe", user)

    def reject(self, user_id: int | User) -> None:
        """Refuse to let a user see when this user comes and goes, or let them no longer. (RFC 6121, 3.2.)

        Args:
            user_id: The other user, or their id.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            NotConnectedError: The state is IDLE, CLOSED or CLOSING.
            SendQueueFullError: The outbound buffer had no room for ``Config.timeouts.send``.
        """
        self._say("unsubscribed", self._other("user_id", user_id))

    def remove(self, user_id: int | User, *, timeout: float | None = None) -> None:
        """Remove a user from the contact list; neither sees the other any more. (RFC 6121, 2.5.)

        The other user gets ``contact_cancelled`` and ``contact_rejected``, as far as there was a
        subscription between them. For a user who is no contact the server says "item-not-found" (a
        StanzaError), or nothing.

        Args:
            user_id: The other user, or their id.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            StanzaError: The server refused; its ``condition`` says why.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        user = self._other("user_id", user_id)
        self._driver.request("set", None, encode_contact_removal(user, self._addresses), deadline)

    def _other(self, name: str, value: object) -> int:
        user = check_user_id(name, value)
        credentials = self._driver.core.credentials
        if credentials is not None and user == credentials.user_id:
            raise ArgumentValueError(f"{name} is the logged-in user")
        return user

    def _say(self, kind: str, user: int) -> None:
        data = encode_subscription(kind, user, self._addresses)
        self._driver.sender.send_later(lambda session, now: session.send_later(data, now))
