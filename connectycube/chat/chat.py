"""The chat as a user sees it: its life, messages and their fate, rooms, system messages, activity."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import datetime, timezone
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from attrs import asdict, evolve

from .._checks import check_id, check_int, check_number, check_str
from .._deadline import Deadline
from .._forks import register_for_fork
from ..config import Config
from ..errors import (
    ArgumentTypeError,
    ArgumentValueError,
    CallbackContextError,
    NotConnectedError,
    StanzaError,
    UnexpectedAnswerError,
)
from ..models import (
    Abandoned,
    ChatState,
    DialogRef,
    DialogType,
    Message,
    StateChange,
    SystemMessage,
    User,
)
from ..models._json import as_int
from ..models.users import check_user_id
from .contacts import Contacts
from .credentials import SessionCredentials, first_credentials
from .driver import Driver
from .event_stream import EventStream
from .history_reader import History
from .ids import new_id
from .privacy import Privacy
from .protocol import markup
from .protocol import namespaces as ns
from .protocol.addresses import Addresses
from .protocol.core import Core
from .protocol.decoding import Delivery
from .protocol.encoding import (
    encode_chat_state,
    encode_deletion,
    encode_edit,
    encode_message,
    encode_system_message,
)
from .protocol.events import Credentials
from .protocol.iq import query_of
from .protocol.nodes import children
from .protocol.outbox import Submission
from .protocol.session import Session
from .send_handle import SendHandle
from .shutdown import check_signals, report, wait_until_closed
from .signals import Signal, call_receivers, check_callback

__all__ = ["Chat"]

logger = logging.getLogger("connectycube.chat")

Self = TypeVar("Self", bound="Chat")
Sent = TypeVar("Sent")


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
    typing, presence and activity events are merged; then the link is closed until the queue has fallen
    to half (or a blocking call needs it), and the server sends again what was not queued.

    Signals and their events: ``message_received`` (:class:`Message`), ``message_sent``
    (:class:`MessageSent`), ``message_failed`` and ``system_message_failed`` (:class:`MessageFailure`),
    ``message_delivered`` and ``message_read`` (:class:`MessageStatus`), ``message_edited``
    (:class:`MessageEdit`), ``message_deleted`` (:class:`MessageDeletion`), ``reaction_changed``
    (:class:`ReactionChange`), ``typing_started`` and ``typing_stopped`` (:class:`Typing`),
    ``system_message_received`` (:class:`SystemMessage`), ``occupant_joined`` and ``occupant_left``
    (:class:`Occupant`), ``room_left`` (:class:`RoomLeft`), ``last_activity_changed``
    (:class:`LastActivity`), ``recovery_failed`` (:class:`RecoveryFailure`),
    ``contact_requested``, ``contact_confirmed``, ``contact_rejected`` and
    ``contact_cancelled`` (:class:`ContactEvent`), ``contact_list_changed`` (:class:`ContactListItem`),
    ``presence_changed`` (:class:`Presence`),
    ``state_changed`` (:class:`StateChange`), ``callback_failed`` (:class:`CallbackFailure`).
    """

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
        self.message_received = Signal("message_received", "A message arrived.")
        self.message_sent = Signal("message_sent", "The server acknowledged a message of ours.")
        self.message_failed = Signal("message_failed", "A message of ours failed, or may have.")
        self.message_delivered = Signal("message_delivered", "A message of ours was delivered.")
        self.message_read = Signal("message_read", "A message of ours was read.")
        self.message_edited = Signal("message_edited", "A message has a new body.")
        self.message_deleted = Signal("message_deleted", "A message was deleted for everybody.")
        self.reaction_changed = Signal("reaction_changed", "A user reacted to a message.")
        self.recovery_failed = Signal("recovery_failed", "History could not be read after a gap.")
        self.typing_started = Signal("typing_started", "A user started typing.")
        self.typing_stopped = Signal("typing_stopped", "A user stopped typing.")
        self.system_message_received = Signal("system_message_received", "A signal to programs.")
        self.system_message_failed = Signal("system_message_failed", "One of ours failed.")
        self.occupant_joined = Signal("occupant_joined", "A user entered a room we are in.")
        self.occupant_left = Signal("occupant_left", "A user left a room we are in.")
        self.room_left = Signal("room_left", "We are in a room no longer, without our doing.")
        self.last_activity_changed = Signal("last_activity_changed", "A user came or went.")
        self.contact_requested = Signal("contact_requested", "A user asks to be a contact.")
        self.contact_confirmed = Signal("contact_confirmed", "A user agreed to be a contact.")
        self.contact_rejected = Signal("contact_rejected", "A user is no contact, or no longer.")
        self.contact_cancelled = Signal("contact_cancelled", "A user follows us no longer.")
        self.contact_list_changed = Signal("contact_list_changed", "A contact is new or changed.")
        self.presence_changed = Signal("presence_changed", "A contact came or went.")
        self._contacts = Contacts(config, self._driver, self._addresses)
        self._privacy = Privacy(config, self._driver, self._addresses)

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
        """The numbers of stanzas that made no event, for diagnosis: a copy of the counts so far.

        ``calls`` (signals of audio and video calls), ``forged`` (stanzas with a false sender), ``own_echoes``
        (a room's echoes, presences, typing and markers of this user), ``repeated`` (messages that were
        delivered before), ``not_understood`` (stanzas that this package cannot decode),
        ``unclaimed_answers`` (IQ answers without a request), ``refused`` (requests of a new session, markers
        and typing that the server refused) and ``ephemeral_dropped`` (typing that was not sent because the
        link was down). Logger ``connectycube.chat`` writes a line for each of these stanzas at level DEBUG.
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
            markup.check_text("resource", check_str("resource", resource, longest=1023))
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
        check_int("user_id", user.id, least=1)
        if password is None:
            raise ArgumentValueError("password must be given with user_id")
        secret = check_str("password", password)
        if "\0" in secret or any("\ud800" <= character <= "\udfff" for character in secret):
            raise ArgumentValueError("password holds a character that cannot be sent")
        return user, secret, False

    def logout(self, *, timeout: float | None = None) -> Abandoned:
        """End the connection; the user and the receivers are kept. (Guide: Disconnect from chat.)

        Until the time-out (seconds; None: ``Config.timeouts.logout``) the server may acknowledge the
        messages already written, and receivers may handle the events already queued. Returns the counts
        of the messages and events that remain, and logs them at WARNING. Legal in every state, from every
        thread. Inside a receiver it does not wait for receivers and does not count their events. Never
        raises for a dead link.
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

        For an application's own reconnection manager. From CLOSED it logs the last user in again. From
        FORCE_CLOSED it skips the rest of the delay. In other states it does nothing. Legal from every
        thread, also inside a ``state_changed`` receiver. Raises NotConnectedError before the first login;
        from CLOSED in durable mode DurableStoreError if the file cannot be used.
        """
        self._driver.relogin()

    def wait(self, *, signals: Iterable[int] = ()) -> None:
        """Block the script until ``logout()`` or a final failure, which is raised.

        With ``signals``, such as ``(signal.SIGTERM, signal.SIGINT)``, any of these signals ends it as well.
        It then logs out, within ``Config.timeouts.logout`` seconds or until the next of these signals, logs
        the messages and events that remain, and returns. It replaces the handlers of these signals while it
        runs, and restores them afterwards. Only the main thread can handle signals.

        This is the one call without a time-out. Raises CallbackContextError inside a receiver;
        NotConnectedError before login; ArgumentTypeError or ArgumentValueError if ``signals`` holds
        something that is no signal, or a signal that no program can handle, or if this is not the main
        thread.
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
        return self._driver.stream(signal.name, check_number("timeout", timeout, least=0.0))

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

    # --- contacts and privacy ---

    @property
    def contacts(self) -> Contacts:
        """The contact list. (RFC 6121.)"""
        return self._contacts

    @property
    def privacy(self) -> Privacy:
        """The privacy lists, and who is blocked. (XEP-0016; guide: Block user.)"""
        return self._privacy

    # --- messages ---

    def send_message(
        self,
        dialog: DialogRef,
        message: str | Message,
        *,
        clean: bool = False,
        timeout: float | None = None,
    ) -> SendHandle[Message]:
        """Send a message to a dialog and return the handle of its outcome. (Guide: Send messages.)

        ``dialog`` is a Dialog or any DialogRef (for example ``message.dialog``); ``message`` is the
        body or a :class:`Message` with attachments, custom parameters and so on. The call does not
        wait for the server: ``handle.result()`` does. While the link is down the message waits;
        when the outbound buffer is full the call waits for room, ``timeout`` seconds (None:
        ``Config.timeouts.send``), then raises SendQueueFullError. The room of a group, public or
        broadcast dialog is entered first (see :meth:`join`), unless ``Config.join_rooms`` is False.

        Raises ArgumentTypeError or ArgumentValueError, naming the argument, before anything is
        sent; characters that XML forbids are refused, in the body unless ``clean=True`` replaces them
        by U+FFFD. NotConnectedError in IDLE and CLOSED. In durable mode the message is in the file when
        the call returns, or DurableStoreError is raised and nothing is sent; a message with an id that
        was sent before is not sent again: the handle is that of the first one.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.send)
        reference, to, kind = self._target(dialog)
        ready = self._prepare(message, dialog, to, clean)
        data = encode_message(ready, to, kind)
        assert ready.id is not None
        submission = Submission(ready.id, to, reference, ready)
        return self._submit(submission, ready, data, deadline)

    def send_private(
        self,
        user_id: int | User,
        message: str | Message,
        *,
        clean: bool = False,
        timeout: float | None = None,
    ) -> SendHandle[Message]:
        """Send a message to a user; the service makes the private dialog. As :meth:`send_message`."""
        dialog = DialogRef.private(check_user_id("user_id", user_id))
        return self.send_message(dialog, message, clean=clean, timeout=timeout)

    def reply(
        self,
        message: Message,
        reply: str | Message,
        *,
        clean: bool = False,
        timeout: float | None = None,
    ) -> SendHandle[Message]:
        """Send ``reply`` to the dialog that ``message`` came from. As :meth:`send_message`."""
        if not isinstance(message, Message):
            raise ArgumentTypeError(f"message must be a Message, not {type(message).__name__}")
        if message.dialog is None:
            raise ArgumentValueError("message does not say which dialog it came from")
        return self.send_message(message.dialog, reply, clean=clean, timeout=timeout)

    def edit_message(
        self,
        dialog: DialogRef,
        message: str | Message,
        body: str,
        *,
        is_last: bool = True,
        clean: bool = False,
        timeout: float | None = None,
    ) -> SendHandle[Message]:
        """Give a message (or its id) that this user sent a new body. (Guide: Edit messages; XEP-0308.)

        ``is_last`` says whether it is the dialog's last message. Those who are connected see the edit
        at once; history is changed with ``cube.messages.update``. ``timeout``, the handle and what is
        raised are those of :meth:`send_message`; also ArgumentValueError if neither ``dialog`` nor
        ``message`` says the dialog's id.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.send)
        reference, to, kind = self._target(dialog)
        message_id, dialog_id = _a_message_id(message), _id_of(dialog, message)
        if clean and isinstance(body, str):
            body = markup.clean(body)
        own_id = new_id()
        data = encode_edit(message_id, body, is_last, dialog_id, to, kind, own_id)
        edited = Message(id=message_id, body=body, dialog_id=dialog_id, dialog=reference)
        return self._submit(Submission(own_id, to, reference), edited, data, deadline)

    def delete_message(
        self, dialog: DialogRef, message: str | Message, *, timeout: float | None = None
    ) -> SendHandle[Message]:
        """Tell everybody in a dialog that a message (or its id) is deleted. (Guide: Delete messages.)

        Those who are connected see it at once; history is changed with
        ``cube.messages.delete(…, force=True)``, after which the service tells the others itself.
        ``timeout``, the handle and what is raised are those of :meth:`edit_message`.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.send)
        reference, to, kind = self._target(dialog)
        message_id, dialog_id = _a_message_id(message), _id_of(dialog, message)
        own_id = new_id()
        data = encode_deletion(message_id, dialog_id, to, kind, own_id)
        deleted = Message(id=message_id, dialog_id=dialog_id, dialog=reference)
        return self._submit(Submission(own_id, to, reference), deleted, data, deadline)

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

    def send_typing(self, dialog: DialogRef, *, stop_after: float | None = None) -> None:
        """Tell the dialog that this user is typing. (Guide: 'Is typing' status; XEP-0085.)

        With ``stop_after`` (seconds) :meth:`send_stop_typing` follows by itself, unless either is called
        before. Dropped while the link is down: it would mean nothing later.
        """
        reference, to, kind = self._target(dialog)
        typing = encode_chat_state("composing", to, kind)
        stop = encode_chat_state("paused", to, kind)
        if stop_after is not None:
            check_number("stop_after", stop_after, least=0.001)

        def send(core: Core, now: float) -> None:
            session = core.open_session
            if reference.peer_id is None:
                session.enter_room(reference)
            session.send_ephemeral(typing)
            stops_at = now + stop_after if stop_after else None
            session.send_ephemeral_at(("typing", to), stops_at, stop)

        self._driver.command(send)

    def send_stop_typing(self, dialog: DialogRef) -> None:
        """Tell the dialog that this user has stopped typing. As :meth:`send_typing`."""
        _, to, kind = self._target(dialog)
        stop = encode_chat_state("paused", to, kind)

        def send(core: Core, _: float) -> None:
            core.open_session.send_ephemeral(stop)
            core.open_session.send_ephemeral_at(("typing", to), None, stop)

        self._driver.command(send)

    def send_system_message(
        self,
        user_id: int | User,
        custom: Mapping[str, Any],
        *,
        timeout: float | None = None,
    ) -> SendHandle[SystemMessage]:
        """Send a user's programs a system message, which no history keeps. (Guide: System messages.)

        ``custom`` are the application's own parameters: texts, numbers, bools or mappings of them under
        XML names. ``timeout`` and the handle are those of :meth:`send_message`; a refusal that comes
        later is told by ``system_message_failed``. Raises ArgumentTypeError, ArgumentValueError,
        NotConnectedError, SendQueueFullError. Over REST: ``cube.messages.create_system``.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.send)
        peer_id = check_user_id("user_id", user_id)
        to, own_id = self._addresses.user(peer_id), new_id()
        data = encode_system_message(custom, to, own_id)
        sender_id = self._user.id if self._user is not None else None
        sent = SystemMessage(id=own_id, recipient_id=peer_id, sender_id=sender_id, custom=custom)
        reference = DialogRef.private(peer_id)
        submission = Submission(own_id, to, reference, failed="system_message_failed")
        return self._submit(submission, sent, data, deadline)

    # --- rooms ---

    def join(self, dialog: str | DialogRef, *, timeout: float | None = None) -> None:
        """Enter the room of a group, public or broadcast dialog (or its id). (XEP-0045, 7.2.)

        It is entered again after every reconnection, until :meth:`leave`. The hosted service delivers
        group messages without it; other XMPP servers do not. ``timeout`` is seconds (None:
        ``Config.timeouts.join``), the wait for a reconnection included.

        Raises ArgumentTypeError, ArgumentValueError, ChatTimeoutError, NotConnectedError, StanzaError:
        its ``condition`` is "registration-required" for who is not in the dialog, "forbidden" for who
        is banned, "item-not-found" where there is no such room.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.join)
        room = _a_room(dialog)

        def start(session: Session, waiter: Future[Any]) -> Callable[[], None]:
            session.join(room, waiter)
            return partial(session.cancel_join, waiter)

        self._driver.ask(start, deadline)

    def leave(self, dialog: str | DialogRef, *, timeout: float | None = None) -> None:
        """Leave the room of a dialog (or its id), and do not enter it again. (XEP-0045, 7.14.)

        Being in the dialog is not touched: that is ``cube.dialogs``' business. ``timeout`` and what is
        raised are those of :meth:`join`.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.join)
        dialog_id = _a_room(dialog).id
        assert dialog_id is not None

        def start(session: Session, waiter: Future[Any]) -> Callable[[], None]:
            session.leave(dialog_id, waiter)
            return partial(session.cancel_join, waiter)

        self._driver.ask(start, deadline)

    def online_occupants(
        self, dialog: str | DialogRef, *, timeout: float | None = None
    ) -> tuple[int, ...]:
        """Return the ids of the users who are in the room of a dialog (or its id) now. (XEP-0045, 6.5.)

        ``timeout`` is seconds (None: ``Config.timeouts.iq``). Raises ArgumentTypeError,
        ArgumentValueError, ChatTimeoutError, NotConnectedError, StanzaError.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        room = self._addresses.room(_a_room(dialog).id or "")
        payload = f'<query xmlns="{ns.DISCO_ITEMS}"/>'
        query = query_of(self._driver.request("get", room, payload, deadline), ns.DISCO_ITEMS)
        nicks = [self._addresses.occupant(item.attrs.get("jid", "")) for item in children(query)]
        return tuple(dict.fromkeys(nick for nick in nicks if nick is not None))

    # --- who is active ---

    def last_activity(self, user_id: int | User, *, timeout: float | None = None) -> int:
        """Return how many seconds ago a user was last active; 0 is now. (Guide: Last activity; XEP-0012.)

        ``timeout`` is seconds (None: ``Config.timeouts.iq``). Raises StanzaError if the service does not
        say, which it does not of a user who never logged in; ChatTimeoutError, NotConnectedError.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        user = check_user_id("user_id", user_id)
        payload = f'<query xmlns="{ns.LAST_ACTIVITY}"/>'
        to = self._addresses.user(user)
        try:
            query = query_of(self._driver.request("get", to, payload, deadline), ns.LAST_ACTIVITY)
        except StanzaError as error:
            raise StanzaError(
                f"the last activity of user {user} is not known: {error.text or error.condition}",
                condition=error.condition,
                type=error.type,
                text=error.text,
                code=error.code,
            ) from None
        seconds = as_int(query.attrs.get("seconds"))
        if seconds is None:
            raise UnexpectedAnswerError("the server's answer does not say the last activity")
        return seconds

    def subscribe_last_activity(self, user_id: int | User, *, timeout: float | None = None) -> None:
        """Be told by ``last_activity_changed`` when a user comes or goes, also after reconnections.

        ``timeout`` is seconds (None: ``Config.timeouts.iq``). Raises StanzaError, ChatTimeoutError,
        NotConnectedError. (Guide: Last activity subscription.)
        """
        user = check_user_id("user_id", user_id)
        self._remember(("activity", str(user)), self._watching(user, "true"), timeout)

    def unsubscribe_last_activity(
        self, user_id: int | User, *, timeout: float | None = None
    ) -> None:
        """Be told no longer. As :meth:`subscribe_last_activity`."""
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        user = check_user_id("user_id", user_id)
        self._driver.command(lambda core, _: core.session.forget(("activity", str(user))))
        self._driver.request("set", None, self._watching(user, "false"), deadline)

    def mark_inactive(self, *, timeout: float | None = None) -> None:
        """Tell the service that nobody looks: it makes push notifications. (Guide: Active, inactive.)

        Messages still arrive; the state is kept over reconnections. ``timeout`` is seconds (None:
        ``Config.timeouts.iq``). Raises StanzaError, ChatTimeoutError, NotConnectedError.
        """
        self._remember("inactive", f'<mobile xmlns="{ns.MOBILE}" enable="true"/>', timeout)

    def mark_active(self, *, timeout: float | None = None) -> None:
        """Take :meth:`mark_inactive` back."""
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        self._driver.command(lambda core, _: core.session.forget("inactive"))
        self._driver.request("set", None, f'<mobile xmlns="{ns.MOBILE}" enable="false"/>', deadline)

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

    def _target(self, dialog: object) -> tuple[DialogRef, str, str]:
        """Return what to remember of a dialog, the bare JID it is reached at and the messages' type."""
        if not isinstance(dialog, DialogRef):
            kind = type(dialog).__name__
            raise ArgumentTypeError(f"dialog must be a Dialog or DialogRef, not {kind}")
        if dialog.type is None:
            raise ArgumentValueError(
                "dialog does not say its type: use DialogRef.private(user_id) or DialogRef.room(id)"
            )
        if dialog.type is not DialogType.PRIVATE:
            room = _a_room(dialog)
            assert room.id is not None
            return room, self._addresses.room(room.id), "groupchat"
        peer_id = dialog.peer_id
        if peer_id is None:
            raise ArgumentValueError("dialog does not say who the other user is (peer_id)")
        if self._user is not None and peer_id == self._user.id:
            raise ArgumentValueError("dialog is with the user who is logged in")
        check_int("dialog.peer_id", peer_id, least=1)
        reference = dialog if type(dialog) is DialogRef else DialogRef.private(peer_id, dialog.id)
        return reference, self._addresses.user(peer_id), "chat"

    def _prepare(self, message: str | Message, dialog: DialogRef, to: str, clean: bool) -> Message:
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
            id=self._driver.message_id(to) if message.id is None else message.id,
            body=body,
            date_sent=message.date_sent or datetime.now(timezone.utc).replace(microsecond=0),
            dialog_id=dialog.id,
            sender_id=user_id,
            recipient_id=dialog.peer_id,
            dialog=dialog,
        )

    def _submit(
        self, submission: Submission, content: Sent, data: bytes, deadline: Deadline
    ) -> SendHandle[Sent]:
        submission.waiter = self._driver.new_handle(submission.id, content)
        accepted: SendHandle[Sent] = self._driver.submit(submission, data, deadline)
        return accepted

    def _mark(self, name: str, message: Message) -> None:
        if not isinstance(message, Message):
            raise ArgumentTypeError(f"message must be a Message, not {type(message).__name__}")
        if not message.id or not message.sender_id:
            raise ArgumentValueError("message must have an id and a sender_id")
        self._driver.command(lambda core, now: core.open_session.send_marker(name, message, now))

    def _remember(self, key: Any, payload: str, timeout: float | None) -> None:
        """Make a request now and in every later session; one that is refused is forgotten."""
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        self._driver.command(lambda core, _: core.open_session.remember(key, "set", None, payload))
        try:
            self._driver.request("set", None, payload, deadline)
        except StanzaError:
            self._driver.command(lambda core, _: core.session.forget(key))
            raise

    def _watching(self, user: int, enable: str) -> str:
        jid = markup.attribute(self._addresses.user(user))
        return f'<subscribe xmlns="{ns.STATUS_STREAMING}" user_jid="{jid}" enable="{enable}"/>'


def _a_message_id(message: object) -> str:
    if isinstance(message, Message):
        if not message.id:
            raise ArgumentValueError("message must have an id")
        return message.id
    if not isinstance(message, str):
        kind = type(message).__name__
        raise ArgumentTypeError(f"message must be a Message or its id, not {kind}")
    return check_str("message", message)


def _id_of(dialog: DialogRef, message: str | Message) -> str:
    found = dialog.id or (message.dialog_id if isinstance(message, Message) else None)
    if not found:
        raise ArgumentValueError("dialog does not say its id, and neither does message")
    return found


def _a_room(dialog: object) -> DialogRef:
    if isinstance(dialog, str):
        return DialogRef.room(check_id("dialog", dialog))
    if not isinstance(dialog, DialogRef):
        kind = type(dialog).__name__
        raise ArgumentTypeError(f"dialog must be a dialog's id, a Dialog or DialogRef, not {kind}")
    if dialog.type is DialogType.PRIVATE:
        raise ArgumentValueError("dialog is private, and has no room")
    if dialog.id is None:
        raise ArgumentValueError("dialog does not say its id")
    return DialogRef.room(check_id("dialog", dialog.id), dialog.type or DialogType.GROUP)
