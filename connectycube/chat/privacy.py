"""Privacy lists: which users this user blocks, in one or both directions. (XEP-0016; guide: Block user.)"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, nullcontext, suppress

from .._checks import check_bool
from .._deadline import Deadline
from .._forks import check_fork, register_for_fork
from .._not_copied import NotCopied
from ..config import Config
from ..errors import ArgumentValueError, ChatError, ChatTimeoutError, StanzaError
from ..models import PrivacyItem, PrivacyListNames, User
from ..models.users import check_user_id
from .driver import Driver
from .ids import new_id
from .protocol import namespaces as ns
from .protocol.addresses import Addresses
from .protocol.encoding import encode_iq
from .protocol.iq import query_of
from .protocol.privacy import (
    NAMES_QUERY,
    Rule,
    check_list_name,
    decode_names,
    decode_rules,
    encode_default,
    encode_list_query,
    encode_rules,
    read_items,
    rules_of,
    with_user,
    without_user,
)

__all__ = ["BLOCK_LIST", "Privacy"]

BLOCK_LIST = "blocked"
"""The list that ``block`` makes where no list is the default one."""


class Privacy(NotCopied):
    """One user's privacy lists; ``chat.privacy``.

    A user may have several lists; the *default* one is in force, in all connections of the user.
    :meth:`block` and :meth:`unblock` do all that most programs need. A user who is blocked gets an error for
    each private message to this user, and this user does not get their messages in rooms.

    Every method may be called from any thread, also inside a receiver. Changes by one ``Chat`` wait for each
    other. If two devices change one list at the same time, the later change wins.

    Example:
        >>> chat.privacy.block(bob_id)
        >>> bob_id in chat.privacy.blocked()
        True
    """

    def __init__(self, config: Config, driver: Driver, addresses: Addresses) -> None:
        self._config = config
        self._driver = driver
        self._addresses = addresses
        self._changing = threading.Lock()
        register_for_fork(self)

    # --- whom this user blocks ---

    def block(
        self, user_id: int | User, *, mutual: bool = True, timeout: float | None = None
    ) -> None:
        """Get no more messages from a user, in private dialogs and in rooms. (Guide: Block user.)

        The default list is changed, whichever program made it, and its other rules are kept. If there is
        none, the list "blocked" becomes the default. A user who is blocked already stays blocked.

        Args:
            user_id: The other user, or their id.
            mutual: Whether this user cannot write to them either.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            StanzaError: The server refused; its ``condition`` says why.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
        """
        deadline = self._deadline(timeout)
        item = PrivacyItem(self._other("user_id", user_id), "deny", check_bool("mutual", mutual))
        with self._one_at_a_time(deadline):
            names = self._names(deadline)
            name = names.default or BLOCK_LIST
            rules = self._rules(name, deadline) if name in (names.default, *names.names) else []
            if item not in read_items(rules, self._addresses):
                self._write(name, with_user(rules, item, self._addresses), names, deadline)
            if names.default is None:
                self._set_default(name, deadline)

    def unblock(self, user_id: int | User, *, timeout: float | None = None) -> None:
        """Get messages from a user again, blocked or not. (Guide: Block user.)

        The default list is changed; its other rules are kept.

        Args:
            user_id: The other user, or their id.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            StanzaError: The server refused; its ``condition`` says why.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
        """
        deadline = self._deadline(timeout)
        user = self._other("user_id", user_id)
        with self._one_at_a_time(deadline):
            names = self._names(deadline)
            if names.default is None:
                return
            rules = self._rules(names.default, deadline)
            if user in _denied(read_items(rules, self._addresses)):
                left = without_user(rules, user, self._addresses)
                self._write(names.default, left, names, deadline)

    def blocked(self, *, timeout: float | None = None) -> tuple[int, ...]:
        """Return the ids of the users whom the default list denies.

        Args:
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Returns:
            The ids; empty without a default list.

        Raises:
            StanzaError: The server refused; its ``condition`` says why.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
        """
        deadline = self._deadline(timeout)
        default = self._names(deadline).default
        if default is None:
            return ()
        return _denied(read_items(self._rules(default, deadline), self._addresses))

    # --- lists ---

    def names(self, *, timeout: float | None = None) -> PrivacyListNames:
        """Return the names of the lists, and which one is in force. (Guide: Retrieve privacy list names.)

        Args:
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Returns:
            The names of all lists, of the default list and of the active one.

        Raises:
            StanzaError: The server refused; its ``condition`` says why.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
        """
        return self._names(self._deadline(timeout))

    def get(self, name: str, *, timeout: float | None = None) -> tuple[PrivacyItem, ...]:
        """Return the rules of a list about users, in its order. (Guide: Retrieve privacy list with name.)

        Rules of other kinds, which other programs may have made, are left out.

        Args:
            name: The name of the list.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Returns:
            The rules; rules about others than users are left out.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            StanzaError: There is no such list ("item-not-found"), or the server refused.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
        """
        deadline = self._deadline(timeout)
        rules = self._rules(check_list_name("name", name), deadline)
        return read_items(rules, self._addresses)

    def create(
        self, name: str, items: Iterable[PrivacyItem], *, timeout: float | None = None
    ) -> None:
        """Make a list, which is not in force before :meth:`set_default`. (Guide: Create privacy list.)

        A list of that name is replaced. Use :meth:`update` for a list that is in force.

        Args:
            name: The name of the list.
            items: The rules, in order; at least one.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            StanzaError: The server refused; its ``condition`` says why.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
        """
        deadline = self._deadline(timeout)
        checked = check_list_name("name", name)
        payload = encode_rules(checked, self._rules_of(items))
        with self._one_at_a_time(deadline):
            self._driver.request("set", None, payload, deadline)

    def update(
        self, name: str, items: Iterable[PrivacyItem], *, timeout: float | None = None
    ) -> None:
        """Replace the rules of a list. (Guide: Update privacy list.)

        A list that is in force is declined for that moment and set again, as the guide wants it.

        Args:
            name: The name of the list.
            items: The new rules, in order; at least one.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            StanzaError: There is no such list ("item-not-found"), or the server refused.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
        """
        deadline = self._deadline(timeout)
        checked, rules = check_list_name("name", name), self._rules_of(items)
        with self._one_at_a_time(deadline):
            names = self._names(deadline)
            if checked not in (names.default, *names.names):
                raise StanzaError(
                    f"there is no privacy list {checked!r}", condition="item-not-found"
                )
            self._write(checked, rules, names, deadline)

    def set_default(self, name: str | None, *, timeout: float | None = None) -> None:
        """Put a list in force, or none. (Guide: Activate privacy list.)

        Args:
            name: The name of the list; None for no list.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            StanzaError: There is no such list ("item-not-found"), or another device of this user uses
                a default list and the server does not change it ("conflict").
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
        """
        deadline = self._deadline(timeout)
        checked = None if name is None else check_list_name("name", name)
        with self._one_at_a_time(deadline):
            self._set_default(checked, deadline)

    def remove(self, name: str, *, timeout: float | None = None) -> None:
        """Remove a list; a list that is in force is declined first. (Guide: Remove privacy list.)

        Args:
            name: The name of the list.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            StanzaError: There is no such list ("item-not-found"), or the server refused.
            ChatTimeoutError: The server did not answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer arrived.
        """
        deadline = self._deadline(timeout)
        checked = check_list_name("name", name)
        with self._one_at_a_time(deadline):
            if self._names(deadline).default == checked:
                self._set_default(None, deadline)
            self._driver.request("set", None, encode_list_query(checked), deadline)

    # --- inside ---

    def _after_fork_in_child(self) -> None:
        """Replace the lock in a forked child: a thread that is gone may hold the old one."""
        self._changing = threading.Lock()

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline.of(timeout, self._config.timeouts.iq)

    @property
    def _me(self) -> int | None:
        credentials = self._driver.core.credentials
        return credentials.user_id if credentials is not None else None

    def _other(self, name: str, value: object) -> int:
        user = check_user_id(name, value)
        if user == self._me:
            raise ArgumentValueError(f"{name} is the logged-in user")
        return user

    def _rules_of(self, items: Iterable[PrivacyItem]) -> Sequence[Rule]:
        return rules_of(items, self._me, self._addresses)

    @contextmanager
    def _one_at_a_time(self, deadline: Deadline) -> Generator[None]:
        # Between reading a list and writing it no other thread may do the same, or its change is lost.
        # Whoever holds the lock waits for the connection thread alone, never for a receiver, and not long.
        check_fork()
        remaining = deadline.remaining()
        # The observer is told without a lock.
        notes = self._driver.notes
        with notes.telling_later() if notes is not None else nullcontext():
            if not self._changing.acquire(timeout=-1 if remaining is None else remaining):
                raise ChatTimeoutError("another thread's change of the privacy lists took too long")
            try:
                yield
            finally:
                self._changing.release()

    def _names(self, deadline: Deadline) -> PrivacyListNames:
        answer = self._driver.request("get", None, NAMES_QUERY, deadline)
        return decode_names(query_of(answer, ns.PRIVACY))

    def _rules(self, name: str, deadline: Deadline) -> list[Rule]:
        answer = self._driver.request("get", None, encode_list_query(name), deadline)
        return decode_rules(query_of(answer, ns.PRIVACY))

    def _set_default(self, name: str | None, deadline: Deadline) -> None:
        self._driver.request("set", None, encode_default(name), deadline)

    def _write(
        self, name: str, rules: Sequence[Rule], names: PrivacyListNames, deadline: Deadline
    ) -> None:
        """Give a list its rules; ConnectyCube wants the default one declined for that time."""
        payload = encode_rules(name, rules)
        if names.default != name:
            self._driver.request("set", None, payload, deadline)
            return
        with self._in_force_at_the_end(name):
            declined = self._decline_default(deadline)
            self._driver.request("set", None, payload, deadline)
            if declined:
                self._set_default(name, deadline)

    def _decline_default(self, deadline: Deadline) -> bool:
        """Put no list in force; False where the server keeps the list for another device that uses it."""
        try:
            self._set_default(None, deadline)
        except StanzaError as error:
            if error.condition != "conflict":
                raise
            return False  # XEP-0016 (2.6) lets a list be changed while it is in use
        return True

    @contextmanager
    def _in_force_at_the_end(self, name: str) -> Generator[None]:
        """Set the default list again if an error occurs, so that blocked users stay blocked."""
        try:
            yield
        except BaseException:
            data = encode_iq("set", None, encode_default(name), new_id())
            with suppress(ChatError):
                self._driver.sender.send_later(lambda session, now: session.send_later(data, now))
            raise


def _denied(items: Iterable[PrivacyItem]) -> tuple[int, ...]:
    return tuple(item.user_id for item in items if item.action == "deny")
