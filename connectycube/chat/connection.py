"""The chat connection as a user sees it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timezone
from types import TracebackType

from attrs import evolve

from .. import checks
from ..config import Config
from ..deadline import Deadline
from ..errors import (
    ArgumentTypeError,
    ArgumentValueError,
    CallbackContextError,
    NotConnectedError,
)
from ..forks import replaced_in_child
from ..models import (
    ChatState,
    DialogRef,
    DialogType,
    Message,
    StateChange,
    User,
)
from .driver import Driver, new_id
from .handle import SendHandle
from .handover import StoredIds
from .protocol import markup
from .protocol import namespaces as ns
from .protocol.addresses import Addresses
from .protocol.messages import Delivery, encode_chat_state, encode_message
from .protocol.outbox import Submission
from .protocol.stream import Credentials
from .receivers import call_receivers
from .signals import Signal

__all__ = ["Chat"]

logger = logging.getLogger("connectycube.chat")

SessionCredentials = Callable[[], "tuple[User, str]"]


def _new_resource() -> str:
    return f"python-{secrets.token_hex(16)}"


class Chat:
    """One user's real-time connection; ``cube.chat``.

    **Threads.** Every method may be called from any thread. ``login()`` starts a connection thread,
    which never runs your code, and dispatcher workers (``Config.workers``, default one), which call
    the receivers. All threads are daemons and end with ``logout()``.

    **Callbacks.** Receivers are connected to signals, before or after login, and are called as
    ``receiver(chat, event)``: one at a time and in order within a conversation. Every blocking
    method is legal inside a receiver, except ``wait()``, which raises at once. One that raises is
    logged and reported to ``callback_failed``; the others still run.

    **When receivers are slow** events wait in a bounded queue (``Config.limits``). When it is full,
    typing events are merged; then the link is closed until the queue has fallen to half (or a blocking
    call needs it), and the server sends again what was not taken over.

    Signals and their events: ``message_received`` (:class:`Message`), ``message_sent``
    (:class:`MessageSent`), ``message_failed`` (:class:`MessageFailure`), ``message_delivered`` and
    ``message_read`` (:class:`MessageStatus`), ``typing_started`` and ``typing_stopped``
    (:class:`Typing`), ``state_changed`` (:class:`StateChange`), ``callback_failed``
    (:class:`CallbackFailure`).
    """

    def __init__(
        self,
        config: Config,
        *,
        session_credentials: SessionCredentials | None = None,
        stored_ids: StoredIds | None = None,
    ) -> None:
        self._config = config
        self._session_credentials = session_credentials
        self._addresses = Addresses(config.app_id, config.chat_host)
        self._resource = _new_resource()
        self._user: User | None = None
        self._driver = Driver(
            config, f"connectycube-{self._resource[-8:]}", self._deliver, stored_ids
        )
        replaced_in_child(self)
        self.message_received = Signal("message_received", "A message of somebody else arrived.")
        self.message_sent = Signal("message_sent", "The server acknowledged a message of ours.")
        self.message_failed = Signal("message_failed", "A message of ours failed, or may have.")
        self.message_delivered = Signal("message_delivered", "A message of ours was delivered.")
        self.message_read = Signal("message_read", "A message of ours was read.")
        self.typing_started = Signal("typing_started", "A user started typing.")
        self.typing_stopped = Signal("typing_stopped", "A user stopped typing.")
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
        connections of one user (default: random, kept over reconnects). ``timeout`` is in seconds
        (None: ``Config.timeouts.login``).

        While READY the same user returns at once; concurrent calls share one attempt. When it
        fails, nothing goes on in the background. Raises AuthenticationError (wrong user id or
        password), a ConnectionLostError that tells the cause, LoginTimeoutError, ChatError if
        another user is logged in.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.login)
        if resource is not None:
            markup.check_text("resource", checks.a_string("resource", resource, longest=1023))
        user, secret, renewable = self._who(user_id, password)
        assert user.id is not None
        credentials = Credentials(user.id, secret, resource or self._resource)
        self._driver.login(credentials, self._token if renewable else None, deadline)
        self._user = user
        return user

    def _who(self, user_id: int | User | None, password: str | None) -> tuple[User, str, bool]:
        if user_id is None:
            if password is not None:
                raise ArgumentValueError("user_id must be given with password")
            if self._session_credentials is None:
                raise ArgumentValueError("user_id and password must be given: there is no session")
            user, token = self._session_credentials()
            return user, token, True
        user = user_id if isinstance(user_id, User) else User(id=user_id)
        checks.an_integer("user_id", user.id, least=1)
        if password is None:
            raise ArgumentValueError("password must be given with user_id")
        secret = checks.a_string("password", password)
        if "\0" in secret or any("\ud800" <= character <= "\udfff" for character in secret):
            raise ArgumentValueError("password holds a character that cannot be sent")
        return user, secret, False

    def _token(self) -> str:
        assert self._session_credentials is not None
        return self._session_credentials()[1]

    def logout(self, *, timeout: float | None = None) -> None:
        """End the connection; the user and the receivers are kept. (Guide: Disconnect from chat.)

        Messages already written get until the time-out (seconds; None: ``Config.timeouts.logout``)
        to be acknowledged, receivers to get what has arrived. Legal in every state, from every thread,
        also inside a receiver (which is then not waited for). Never raises for a dead link.
        """
        self._driver.logout(Deadline.of(timeout, self._config.timeouts.logout))

    def destroy(self, *, timeout: float | None = None) -> None:
        """End the connection and forget the user and all receivers. (Guide: destroy.)"""
        self.logout(timeout=timeout)
        for signal in self._signals():
            signal.disconnect_all()
        self._user = None
        if self.state is ChatState.CLOSED:
            self._driver.reset()

    def relogin(self) -> None:
        """Attempt to reconnect now instead of later; returns at once. (Guide: relogin.)

        For an application's own reconnection manager: from CLOSED it starts anew as the last user,
        from FORCE_CLOSED it does not wait for its turn, in other states it does nothing. Legal
        from every thread, also inside a ``state_changed`` receiver. Raises NotConnectedError if
        nobody has logged in yet.
        """
        self._driver.relogin()

    def wait(self) -> None:
        """Block the script until ``logout()`` or a final failure, which is raised.

        The one call without a time-out. Raises CallbackContextError inside a receiver, and
        NotConnectedError before login.
        """
        if self._driver.dispatcher.is_worker():
            raise CallbackContextError("chat.wait() would wait for the callback it was called in")
        self._driver.check_usable()
        if self.state is ChatState.IDLE:
            raise NotConnectedError("nobody has logged in to the chat yet")
        self._driver.wait_until_closed()
        reason = self._driver.core.closed_reason
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
        self._driver.request("get", self._config.chat_host, f'<ping xmlns="{ns.PING}"/>', deadline)
        answered = Deadline(0.0)
        assert asked.at is not None and answered.at is not None
        return answered.at - asked.at

    def __enter__(self) -> Chat:
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

    # --- messages ---

    def send_message(
        self,
        dialog: DialogRef,
        message: str | Message,
        *,
        clean: bool = False,
        timeout: float | None = None,
    ) -> SendHandle:
        """Send a message to a dialog and return the handle of its outcome. (Guide: Send messages.)

        ``dialog`` is a Dialog or any DialogRef (for example ``message.dialog``); ``message`` is the
        body or a :class:`Message` with attachments, custom parameters and so on. The call does not
        wait for the server: ``handle.result()`` does. While the link is down the message waits;
        when the outbound buffer is full the call waits for room, ``timeout`` seconds (None:
        ``Config.timeouts.send``), then raises SendQueueFullError.

        Raises ArgumentTypeError or ArgumentValueError, naming the argument, before anything is
        sent; characters that XML forbids are refused, in the body unless ``clean=True`` replaces them
        by U+FFFD.
        NotConnectedError in IDLE and CLOSED.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.send)
        peer_id = self._peer(dialog)
        ready = self._prepare(message, dialog, clean)
        to = self._addresses.user(peer_id)
        data = encode_message(ready, to)
        handle = SendHandle(ready, self._config.timeouts.acknowledgement, self._driver.needing_link)
        reference = DialogRef.private(peer_id, dialog.id)
        self._driver.submit(Submission(ready, reference, to, handle), data, deadline)
        return handle

    def send_private(
        self,
        user_id: int,
        message: str | Message,
        *,
        clean: bool = False,
        timeout: float | None = None,
    ) -> SendHandle:
        """Send a message to a user; the service makes the private dialog. As :meth:`send_message`."""
        checks.an_integer("user_id", user_id, least=1)
        return self.send_message(DialogRef.private(user_id), message, clean=clean, timeout=timeout)

    def reply(
        self,
        message: Message,
        reply: str | Message,
        *,
        clean: bool = False,
        timeout: float | None = None,
    ) -> SendHandle:
        """Send ``reply`` to the dialog that ``message`` came from. As :meth:`send_message`."""
        if not isinstance(message, Message):
            raise ArgumentTypeError(f"message must be a Message, not {type(message).__name__}")
        if message.dialog is None:
            raise ArgumentValueError("message does not say which dialog it came from")
        return self.send_message(message.dialog, reply, clean=clean, timeout=timeout)

    def mark_delivered(self, message: Message) -> None:
        """Tell the sender that ``message`` was delivered. (Guide: 'Delivered' status; XEP-0333.)

        Happens by itself for markable messages unless ``Config.auto_delivered`` is False. Waits
        in the outbound buffer while the link is down. Raises ArgumentValueError if the message has
        no id or sender.
        """
        self._mark("received", message)

    def mark_read(self, message: Message) -> None:
        """Tell the sender that ``message`` was read. As :meth:`mark_delivered`. (XEP-0333.)"""
        self._mark("displayed", message)

    def send_typing(self, dialog: DialogRef) -> None:
        """Tell the dialog that this user is typing. (Guide: 'Is typing' status; XEP-0085.)

        Dropped while the link is down: it would mean nothing later.
        """
        self._send_chat_state("composing", dialog)

    def send_stop_typing(self, dialog: DialogRef) -> None:
        """Tell the dialog that this user has stopped typing. As :meth:`send_typing`."""
        self._send_chat_state("paused", dialog)

    # --- inside ---

    def after_fork_in_child(self) -> None:
        """Take a resource of one's own: with the parent's, the server would end the parent's session."""
        self._resource = _new_resource()

    def _peer(self, dialog: DialogRef) -> int:
        if not isinstance(dialog, DialogRef):
            raise ArgumentTypeError(
                f"dialog must be a Dialog or DialogRef, not {type(dialog).__name__}"
            )
        if dialog.type is not DialogType.PRIVATE:
            kind = dialog.type.name.lower() if dialog.type else "unknown"
            raise ArgumentValueError(f"dialog must be a private one, not of type {kind}")
        peer_id = dialog.peer_id
        if peer_id is None:
            raise ArgumentValueError("dialog does not say who the other user is (peer_id)")
        if self._user is not None and peer_id == self._user.id:
            raise ArgumentValueError("dialog is with the user who is logged in")
        return checks.an_integer("dialog.peer_id", peer_id, least=1)

    def _prepare(self, message: str | Message, dialog: DialogRef, clean: bool) -> Message:
        if isinstance(message, str):
            message = Message(body=message)
        elif not isinstance(message, Message):
            raise ArgumentTypeError(
                f"message must be a string or a Message, not {type(message).__name__}"
            )
        if not message.body and not message.attachments and not message.custom:
            raise ArgumentValueError(
                "message must have a body, an attachment or a custom parameter"
            )
        body = message.body
        if clean and isinstance(body, str):
            body = markup.clean(body)
        user_id = self._user.id if self._user is not None else None
        return evolve(
            message,
            id=new_id() if message.id is None else message.id,
            body=body,
            date_sent=message.date_sent or datetime.now(timezone.utc).replace(microsecond=0),
            dialog_id=dialog.id,
            sender_id=user_id,
            recipient_id=dialog.peer_id,
            dialog=dialog,
        )

    def _mark(self, name: str, message: Message) -> None:
        if not isinstance(message, Message):
            raise ArgumentTypeError(f"message must be a Message, not {type(message).__name__}")
        if not message.id or not message.sender_id:
            raise ArgumentValueError("message must have an id and a sender_id")
        self._driver.command(lambda core, now: core.send_marker(name, message, now))

    def _send_chat_state(self, name: str, dialog: DialogRef) -> None:
        data = encode_chat_state(name, self._addresses.user(self._peer(dialog)))
        self._driver.command(lambda core, _: core.send_fleeting(data))

    def _signals(self) -> list[Signal]:
        return [value for value in vars(self).values() if isinstance(value, Signal)]

    def _deliver(self, delivery: Delivery) -> None:
        """Call the receivers of one event; runs on a dispatcher worker."""
        if isinstance(delivery.event, StateChange):
            self._log(delivery.event)
        signal: Signal = getattr(self, delivery.signal)
        call_receivers(
            self,
            signal,
            delivery.event,
            self.callback_failed,
            self._driver.dispatcher,
            self._config.timeouts.slow_callback,
        )

    def _log(self, change: StateChange) -> None:
        # Here and not where the state changes: a log handler may call the chat, and no lock is held.
        reason = f": {change.reason}" if change.reason else ""
        logger.info("%s: %s -> %s%s", self, change.previous.value, change.state.value, reason)

    def __repr__(self) -> str:
        who = f" as user {self._user.id}" if self._user is not None else ""
        return (
            f"<Chat {self.state.value}{who} at {self._config.chat_host}:{self._config.chat_port}>"
        )
