"""The connection of a chat as a user sees it: its life, its states, its signals of them."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from attrs import asdict

from .. import checks
from ..config import Config
from ..deadline import Deadline
from ..errors import (
    ArgumentTypeError,
    ArgumentValueError,
    CallbackContextError,
    NotConnectedError,
)
from ..forks import register_for_fork
from ..models import Abandoned, ChatState, StateChange, User
from .driver import Driver
from .ending import report
from .history import History
from .protocol import markup
from .protocol import namespaces as ns
from .protocol.addresses import Addresses
from .protocol.decoding import Delivery
from .protocol.stream import Credentials
from .receivers import call_receivers
from .renewal import SessionCredentials, first_credentials
from .signals import Signal, check_callback
from .termination import check_signals, wait_until_closed
from .waiting import EventStream

__all__ = ["Connection"]

logger = logging.getLogger("connectycube.chat")

Self = TypeVar("Self", bound="Connection")


def _new_resource() -> str:
    return f"python-{secrets.token_hex(16)}"


class Connection:
    """One user's connection to the chat server; :class:`Chat` adds what travels over it."""

    def __init__(
        self,
        config: Config,
        *,
        session_credentials: SessionCredentials | None = None,
        history: History | None = None,
    ) -> None:
        self._config = config
        self._session_credentials = session_credentials
        self._addresses = Addresses(config.app_id, config.chat_host)
        self._resource = _new_resource()
        self._user: User | None = None
        self._driver = Driver(config, f"connectycube-{self._resource[-8:]}", self._deliver, history)
        register_for_fork(self)
        self.state_changed = Signal("state_changed", "The connection entered another state.")
        self.callback_failed = Signal("callback_failed", "A receiver raised.")

    # --- the connection ---

    @property
    def state(self) -> ChatState:
        """The connection's state. (Guide: Connect to chat.)"""
        return self._driver.state

    @property
    def is_ready(self) -> bool:
        """Whether messages flow: READY or RESUMED."""
        return self._driver.core.is_ready

    @property
    def user(self) -> User | None:
        """Who logged in; kept by ``logout()``, forgotten by ``destroy()``. (Guide: currentUser.)"""
        return self._user

    @property
    def counters(self) -> Mapping[str, int]:
        """What happened without an event of its own, for diagnosis: a copy of the counts so far.

        ``calls`` (signals of audio and video calls), ``forged`` (stanzas in a wrong name), ``own_echoes``
        (what came back of this user's doing), ``repeated`` (messages seen before), ``not_understood``
        (stanzas that mean nothing to this package), ``unclaimed_answers``, ``refused`` (what the server
        did not grant to a new session, and markers and typing that were refused) and
        ``ephemeral_dropped`` (typing while the link was down). Logger ``connectycube.chat`` names each of
        these stanzas at level DEBUG.
        """
        return asdict(self._driver.core.counters)

    def login(
        self,
        user_id: int | User | None = None,
        password: str | None = None,
        *,
        resource: str | None = None,
        timeout: float | None = None,
    ) -> User:
        """Connect and log in; return the user once the connection is READY. (Guide: Connect to chat.)

        Without arguments the REST session's user and token are used. ``resource`` tells apart the
        connections of one user (default: random, kept over reconnects, in durable mode also by later
        processes). ``timeout`` is in seconds (None: ``Config.timeouts.login``).

        While READY the same user returns at once; concurrent calls share one attempt. When it
        fails, nothing goes on in the background. Raises ChatAuthenticationError (wrong user id or
        password), a ConnectionLostError that tells the cause, LoginTimeoutError, ChatError if
        another user is logged in, DurableStoreError if the file of durable mode cannot be used.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.login)
        if resource is not None:
            markup.check_text("resource", checks.check_str("resource", resource, longest=1023))
        user, secret, by_token = self._resolve_credentials(user_id, password, deadline)
        assert user.id is not None
        credentials = Credentials(user.id, secret, resource or self._resource, by_token)
        self._driver.login(
            credentials,
            self._session_credentials if by_token else None,
            deadline,
            any_resource=resource is None,
        )
        self._user = user
        return user

    def _resolve_credentials(
        self, user_id: int | User | None, password: str | None, deadline: Deadline
    ) -> tuple[User, str, bool]:
        if user_id is None:
            if password is not None:
                raise ArgumentValueError("user_id must be given with password")
            if self._session_credentials is None:
                raise ArgumentValueError("user_id and password must be given: there is no session")
            name = f"{self._driver.name}-renewal"
            user, token = first_credentials(self._session_credentials, name, deadline)
            return user, token, True
        user = user_id if isinstance(user_id, User) else User(id=user_id)
        checks.check_int("user_id", user.id, least=1)
        if password is None:
            raise ArgumentValueError("password must be given with user_id")
        secret = checks.check_str("password", password)
        if "\0" in secret or any("\ud800" <= character <= "\udfff" for character in secret):
            raise ArgumentValueError("password holds a character that cannot be sent")
        return user, secret, False

    def logout(self, *, timeout: float | None = None) -> Abandoned:
        """End the connection; the user and the receivers are kept. (Guide: Disconnect from chat.)

        Messages already written get until the time-out (seconds; None: ``Config.timeouts.logout``)
        to be acknowledged, receivers to get what has arrived. Returns what was left undone by then,
        which the log names as well, at WARNING. Legal in every state, from every thread, also inside a
        receiver: then receivers are not waited for, and not counted. Never raises for a dead link.
        """
        abandoned = self._driver.logout(Deadline.of(timeout, self._config.timeouts.logout))
        report(self._driver, abandoned)
        return abandoned

    def destroy(self, *, timeout: float | None = None) -> Abandoned:
        """End the connection, as ``logout()``, and forget the user and all receivers. (Guide: destroy.)

        Also waits, within ``timeout``, for a request to history that is under way.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.logout)
        abandoned = self.logout(timeout=deadline.remaining())
        self._driver.history_reader.join(deadline)
        for signal in self._signals():
            signal.disconnect_all()
        self._user = None
        if self.state is ChatState.CLOSED:
            self._driver.reset()
        return abandoned

    def relogin(self) -> None:
        """Attempt to reconnect now instead of later; returns at once. (Guide: relogin.)

        For an application's own reconnection manager: from CLOSED it starts anew as the last user,
        from FORCE_CLOSED it does not wait for its turn, in other states it does nothing. Legal
        from every thread, also inside a ``state_changed`` receiver. Raises NotConnectedError if
        nobody has logged in yet; DurableStoreError from CLOSED in durable mode, as :meth:`login` does.
        """
        self._driver.relogin()

    def wait(self, *, signals: Iterable[int] = ()) -> None:
        """Block the script until ``logout()`` or a final failure, which is raised.

        With ``signals``, such as ``(signal.SIGTERM, signal.SIGINT)``, it also ends with any of these: then it
        logs out, within ``Config.timeouts.logout`` seconds or until the next of these signals, says in the
        log what was left undone, and returns. As long as it runs, it handles these signals instead of who
        did before. Only the main thread can.

        The one call without a time-out. Raises CallbackContextError inside a receiver, NotConnectedError
        before login; ArgumentTypeError or ArgumentValueError for what is no signal, for one that nobody
        can handle, and in another thread than the main one.
        """
        numbers = check_signals(signals)
        if self._driver.dispatcher.is_worker():
            raise CallbackContextError("chat.wait() would wait for the callback it was called in")
        self._driver.check_usable()
        if self.state is ChatState.IDLE:
            raise NotConnectedError("nobody has logged in to the chat yet")
        reason = wait_until_closed(self._driver, numbers)
        if reason is not None:
            raise reason

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Wait until messages flow; ``timeout`` in seconds (None: ``Config.timeouts.login``).

        Raises ChatTimeoutError, or the reason if the connection is closed for good.
        """
        self._driver.wait_until_ready(Deadline.of(timeout, self._config.timeouts.login))

    def ping(self, timeout: float | None = None) -> float:
        """Ask the server for an answer and return how long it took, in seconds. (XEP-0199.)

        ``timeout`` is in seconds (None: ``Config.timeouts.iq``), the wait for a reconnection
        included. Raises ChatTimeoutError, StanzaError, NotConnectedError.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        asked = Deadline(0.0)
        self._driver.request("get", self._addresses.host, f'<ping xmlns="{ns.PING}"/>', deadline)
        answered = Deadline(0.0)
        assert asked.at is not None and answered.at is not None
        return answered.at - asked.at

    def events(self, signal: Signal, timeout: float) -> EventStream:
        """Return the signal's events from now on, for code that prefers a loop to callbacks.

        Iterating yields each event and ends when ``timeout`` seconds pass without one, or with
        ``logout()``. Close it, or use it in a ``with`` statement. Legal in every thread, also inside a
        receiver: an event is there as soon as it is queued for the receivers. Raises
        ArgumentTypeError or ArgumentValueError if ``signal`` is none of this connection.
        """
        if signal not in self._signals():
            name = type(signal).__name__
            raise ArgumentTypeError(f"signal must be a signal of this connection, not {name}")
        self._driver.check_usable()
        return self._driver.stream(signal.name, checks.check_number("timeout", timeout, least=0.0))

    def wait_for(
        self,
        signal: Signal,
        timeout: float,
        where: Callable[[Any], object] | None = None,
    ) -> Any:
        """Wait for the signal's next event for which ``where(event)`` is true, and return it.

        ``timeout`` is seconds; ``where`` is called in this thread. For what may come before this call,
        use :meth:`events`. Raises ChatTimeoutError; NotConnectedError when the connection is logged
        out meanwhile, or the reason when it fails for good.
        """
        if where is not None:
            check_callback("where", where)
        with self.events(signal, timeout) as events:
            return events.next(where=where)

    def __enter__(self: Self) -> Self:
        """Log in with the REST session unless that has been done; ``with cube.chat:`` logs out."""
        if self._driver.is_closed:
            self.login()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.logout()

    # --- inside ---

    def after_fork_in_child(self) -> None:
        """Take a resource of one's own: with the parent's, the server would end the parent's session."""
        self._resource = _new_resource()

    def _signals(self) -> list[Signal]:
        return [value for value in vars(self).values() if isinstance(value, Signal)]

    def _deliver(self, delivery: Delivery) -> bool:
        """Call the receivers of one event, on a dispatcher worker; whether that is done with.

        Not so where one raised while the connection was being closed, which may well be the cause, or where
        there was none by then.
        """
        if isinstance(delivery.event, StateChange):
            self._log(delivery.event)
        signal: Signal = getattr(self, delivery.signal)
        succeeded = call_receivers(
            self,
            signal,
            delivery.event,
            self.callback_failed,
            self._driver.dispatcher,
            self._config.timeouts.slow_callback,
        )
        return succeeded or self._driver.core.is_open

    def _log(self, change: StateChange) -> None:
        # Here and not where the state changes: a log handler may call the chat, and no lock is held.
        reason = f": {change.reason}" if change.reason else ""
        logger.info("%s: %s -> %s%s", self, change.previous.value, change.state.value, reason)

    def __repr__(self) -> str:
        who = f" as user {self._user.id}" if self._user is not None else ""
        where = f"{self._config.chat_host}:{self._config.chat_port}"
        return f"<{type(self).__name__} {self.state.value}{who} at {where}>"
