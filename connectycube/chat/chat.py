"""The chat as a user sees it: its life, messages and their fate, rooms, system messages, activity."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from .._checks import check_number
from .._deadline import Deadline
from .._forks import check_fork, register_for_fork
from .._not_copied import NotCopied
from .._secrets import hides
from ..config import Config
from ..errors import ChatError
from ..models import Abandoned, ChatState, DialogRef, Message, Statistics, SystemMessage, User
from ..models.users import check_user_id
from ..models.values import CustomValue
from . import iq_requests, outgoing
from .activity import Activity
from .beginning import check_since
from .chat_signals import ChatSignals
from .contacts import Contacts
from .content import check_markable, content_of, dialog_of
from .credentials import SessionCredentials, check_resource, resolve_credentials
from .destinations import Destination, Destinations, room_of
from .dialog_stream import DialogStream
from .driver import Driver
from .event_stream import EventStream
from .follow import follow
from .fork_warning import ForkWarning
from .history_reader import History
from .ids import new_resource
from .known_dialogs import LookUp
from .lease.exclusive import login_deadlines
from .lease.lease import Lease, check_lease
from .privacy import Privacy
from .protocol.addresses import Addresses
from .protocol.events import Credentials
from .receivers import Receivers
from .send_handle import SendHandle
from .shared import Shared
from .shutdown import check_signals, check_stop, report, wait_until_closed
from .signals import Event_co, Signal, check_callback

if TYPE_CHECKING:
    from .durable.dead_letters import DeadLetters

__all__ = ["Chat"]

Self = TypeVar("Self", bound="Chat")


class Chat(NotCopied, ChatSignals):
    """One user's real-time connection; ``cube.chat``.

    **Threads.** Every method may be called from any thread. A connection thread of its own never runs your
    code. Dispatcher workers call the receivers: all connections of a process share them, and at most
    ``Config.workers`` (default one) work for this one. All are daemons and end with the last ``logout()``.

    **Callbacks.** Receivers are connected to signals (:class:`ChatSignals`), before or after login, and are
    called as ``receiver(chat, event)``: one at a time and in order within a conversation. Every blocking
    method is legal inside a receiver, except ``wait()`` and ``wait_until_idle()``, which raise at once.
    A receiver that raises is logged and reported to ``callback_failed``; the others still run. After a
    transient error it runs again (:class:`Handling`), or the event goes to ``receiver_gave_up``.

    **When receivers are slow** events wait in a bounded queue (``Config.limits``). When it is full, typing,
    presence and activity events are merged; then the link is closed until the queue has fallen to half (or a
    blocking call needs it), and the server sends the events that were not queued again.

    Example:
        >>> @chat.message_received.connect
        ... def answer(chat, message):
        ...     chat.reply(message, f"you said {message.body}")
        >>> handle = chat.send_private(bob_id, "Hello")
    """

    def __init__(
        self,
        config: Config,
        *,
        session_credentials: SessionCredentials | None = None,
        history: History | None = None,
        look_up_dialog: LookUp | None = None,
        check_open: Callable[[], None] | None = None,
        shared: Shared | None = None,
    ) -> None:
        super().__init__(check_open, None if shared is None else shared.signals)
        self._config = config
        self._session_credentials = session_credentials
        self._history = history
        self._addresses = Addresses(config.app_id, config.chat_host)
        self._resource = new_resource()
        self._user: User | None = None
        self._destinations = Destinations(self._addresses, look_up_dialog)
        name = f"connectycube-{self._resource[-8:]}"
        self._driver = Driver(config, name, Receivers(self, config), history, check_open, shared)
        self._fork_warning = (shared and shared.fork_warning) or ForkWarning(
            name, lambda: not self._driver.is_closed, self
        )
        register_for_fork(self)
        self._contacts = Contacts(config, self._driver, self._addresses)
        self._privacy = Privacy(config, self._driver, self._addresses)
        self._activity = Activity(self._driver, self._addresses)

    # --- the connection ---

    @property
    def state(self) -> ChatState:
        """The connection's state. (Guide: Connect to chat.)"""
        return self._driver.state

    @property
    def is_ready(self) -> bool:
        """Whether messages flow: READY or RESUMED."""
        return self._driver.is_ready

    @property
    def user(self) -> User | None:
        """The user who logged in. ``logout()`` keeps it, ``destroy()`` forgets it. (Guide: currentUser.)"""
        return self._user

    @property
    def fencing(self) -> int | None:
        """The number of the lease of ``login(exclusive=…)``, for writes of receivers; None without a lease.

        It grows with each acquisition, so a database can refuse the writes of an earlier holder. Inside a
        receiver it is that of the connection which brought the event."""
        check_fork()
        return self._driver.fencing

    def statistics(self) -> Statistics:
        """Return the state of the connection and its counts, for metrics and health checks.

        Legal in every state and on every thread. It reads no file and waits for nothing. Each number is
        right; two of them may be a moment apart.

        Returns:
            The numbers of this moment.
        """
        return self._driver.statistics()

    @hides("password")
    def login(
        self,
        user_id: int | User | None = None,
        password: str | None = None,
        *,
        resource: str | None = None,
        since: datetime | None = None,
        exclusive: Lease | None = None,
        timeout: float | None = None,
    ) -> User:
        """Connect, log in, and return once the connection is READY. (Guide: Connect to chat.)

        While READY the same user returns at once, and concurrent calls share one attempt. After a failure
        nothing goes on in the background. May be called from any thread, also inside a receiver.

        Args:
            user_id: The user, or their id. None: the user of the REST session, whose token is the password.
            password: The user's password; only with ``user_id``.
            resource: Tells apart the connections of one user. None: a random one, which is kept over
                reconnections, and in durable mode also by later processes.
            since: An aware datetime, for the first login: messages since then are read from history, as
                after a lost session. A later login, and one with a file that knows where it was, ignores it.
            exclusive: A lease (``FileLease``, ``SqlLease``): first wait until it is free, so that one of
                several processes is connected. If it is lost, the connection is closed for LeaseLostError.
            timeout: Seconds until the connection is READY; None is ``Config.timeouts.login``. With
                ``exclusive``, ``math.inf`` stands by until the lease is free, or ``logout()`` ends the wait.

        Returns:
            The logged-in user.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong, or there is no REST session.
            ChatAuthenticationError: The server refused the user id and password, or the token.
            ConnectionLostError: No connection could be made, or it was lost; the class tells the cause.
            LoginTimeoutError: The connection was not READY in time.
            LeaseHeldError: Another process held the lease until the deadline; ``holder`` names it.
            LeaseStoreError: The file or the database of the lease cannot be used.
            ChatError: Another user is logged in on this connection, or it has another lease.
            DurableStoreError: The file of durable mode cannot be used.
        """
        check_fork()  # a child has a resource of its own
        lease = None if exclusive is None else check_lease("exclusive", exclusive)
        deadline, login_deadline = login_deadlines(timeout, self._config.timeouts.login, lease)
        check_resource(resource)
        begin_at = check_since(since, has_history=self._driver.has_history)
        name = f"{self._driver.name}-renewal"
        resolve = partial(resolve_credentials, user_id, password, self._session_credentials, name)
        if lease is not None:
            # A wrong argument is an error before the wait; a token that has expired is renewed after it.
            resolve(deadline.within(self._config.timeouts.login))
        with self._driver.holding(lease, deadline) as hold:
            deadline = login_deadline()
            user, secret, by_token = resolve(deadline)
            assert user.id is not None
            self._driver.login(
                Credentials(user.id, secret, resource or self._resource, by_token),
                self._session_credentials if by_token else None,
                deadline,
                any_resource=resource is None,
                since=begin_at,
                hold=hold,
            )
        self._fork_warning.renew()
        self._user = user
        return user

    def logout(self, *, timeout: float | None = None) -> Abandoned:
        """End the connection; keep the user and the receivers. (Guide: Disconnect from chat.)

        Until the time-out the server may acknowledge the messages already written, and receivers may handle
        the events already queued. The counts of all that remains are also logged at WARNING. Legal in every
        state, from every thread; never raises for a dead link. Inside a receiver it does not wait for
        receivers and does not count their events.

        Args:
            timeout: Seconds; None is ``Config.timeouts.logout``.

        Returns:
            The numbers of events and messages that were abandoned; false if there are none.
        """
        abandoned = self._driver.logout(Deadline.of(timeout, self._config.timeouts.logout))
        report(self._driver, abandoned)
        return abandoned

    def destroy(self, *, timeout: float | None = None) -> Abandoned:
        """End the connection as ``logout()`` does, and forget the user and all receivers. (Guide: destroy.)

        Args:
            timeout: Seconds, also for a request to history under way; None is ``Config.timeouts.logout``.

        Returns:
            The numbers of events and messages that were abandoned; false if there are none.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.logout)
        abandoned = self.logout(timeout=deadline.remaining())
        if not self._driver.aborted:
            self._driver.history_reader.join(deadline)
        self._forget_receivers()
        self._user = None
        if self.state is ChatState.CLOSED:
            self._driver.reset()
        return abandoned

    def relogin(self) -> None:
        """Attempt to reconnect now instead of later, and return at once. (Guide: relogin.)

        From CLOSED it logs the last user in again, from FORCE_CLOSED it skips the rest of the delay, else it
        does nothing. Legal from every thread, also inside a ``state_changed`` receiver.

        Raises:
            NotConnectedError: There was no login yet.
            DurableStoreError: The state is CLOSED, and the file of durable mode cannot be used.
        """
        self._driver.relogin()

    def wait(self, *, signals: Iterable[int] = (), stop: threading.Event | None = None) -> None:
        """Block the thread until ``logout()``, a final failure, a signal or ``stop``; without a time-out.

        A signal, or ``stop``, logs out, within ``Config.timeouts.logout`` seconds or until the next of these
        signals, and the call returns. The handlers of the signals are replaced while the call runs, and
        restored afterwards. Only the main thread can handle signals.

        Args:
            signals: Numbers such as ``(signal.SIGTERM, signal.SIGINT)``.
            stop: An event that another thread sets to end the wait; noticed within 0.1 seconds.

        Raises:
            CallbackContextError: The call was made inside a receiver, and would wait for it.
            NotConnectedError: There was no login yet.
            ArgumentTypeError, ArgumentValueError: ``signals`` holds something that is no signal, or one that
                no program can handle, or this is not the main thread; ``stop`` is no event.
            ChatError: The connection failed for good; the error is the reason.
        """
        wait_until_closed(self._driver, check_signals(signals), check_stop(stop))

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Wait until messages flow.

        Args:
            timeout: Seconds; None is ``Config.timeouts.login``.

        Raises:
            ChatTimeoutError: The connection was not ready in time.
            ChatError: The connection is closed for good; the error is the reason.
        """
        self._driver.wait_until_ready(Deadline.of(timeout, self._config.timeouts.login))

    def ping(self, timeout: float | None = None) -> float:
        """Ask the server for an answer. (XEP-0199.)

        Args:
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Returns:
            The seconds until it arrived.

        Raises:
            ChatTimeoutError: There was no answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer.
            StanzaError: The server does not answer pings.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        return iq_requests.ping(self._driver, self._addresses.host, deadline)

    def wait_until_idle(self, timeout: float | None = None) -> bool:
        """Wait until receivers have handled all queued events; after ``ping()``, all that were sent before.

        Args:
            timeout: Seconds; None is ``Config.timeouts.event``.

        Returns:
            Whether nothing is queued any more and no receiver runs. Legal in every state.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``timeout`` is no number of seconds.
            CallbackContextError: The call was made inside a receiver, and would wait for it.
        """
        return self._driver.wait_until_idle(Deadline.of(timeout, self._config.timeouts.event))

    def dead_letters(self) -> DeadLetters:
        """Return the events that receivers of durable mode have given up, to list, retry and drop them.

        May be called from any thread, also without a login.

        Returns:
            The dead letters; empty if no receiver gave up.

        Raises:
            ChatError: There is no durable mode: ``Config.durable`` is not set.
        """
        if self._config.durable is None:
            raise ChatError("there are dead letters in durable mode alone: set Config.durable")
        # Imported here, so that applications without durable mode do not load SQLite.
        from .durable.dead_letters import DeadLetters

        return DeadLetters(f"{self._config.durable}.dead")

    def events(
        self, signal: Signal[Event_co], timeout: float | None = None
    ) -> EventStream[Event_co]:
        """Return a stream of the signal's events from now on, for code that prefers a loop to callbacks.

        Iterating ends when the time-out passes without an event, or with ``logout()``. Close the stream, or
        use it in a ``with`` statement. Legal in every thread, also inside a receiver: an event is there as
        soon as it is queued for the receivers. A stream may be made before ``login()``, to miss nothing.

        Args:
            signal: A signal of this connection.
            timeout: Seconds to wait for each event; None is ``Config.timeouts.event``.

        Returns:
            The stream. Waiting for its events without a login raises NotConnectedError.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``signal`` belongs to another connection, or ``timeout`` is
                no number of seconds.
        """
        self._check_own(signal)
        seconds = self._config.timeouts.event if timeout is None else timeout
        seconds = check_number("timeout", seconds, least=0.0)
        return self._driver.stream(EventStream[Event_co], signal.name, seconds)

    def follow(
        self, dialog: str | DialogRef, *, history: int = 20, timeout: float | None = None
    ) -> DialogStream:
        """Return a stream of a dialog's messages: the newest of history, then those that come, each once.

        Also those of this user (``message.own``). Nothing is marked as read. Close the stream, or use it
        in a ``with`` statement. Iterating ends when the time-out passes without a message, or with
        ``logout()``. Legal in every thread, also inside a receiver.

        Args:
            dialog: A Dialog or any DialogRef; or a dialog's id: then REST is asked for the dialog, once.
            history: The number of messages of history, at most 1,000.
            timeout: Seconds to wait for each message; None is ``Config.timeouts.event``.

        Returns:
            The stream.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong, or there is no REST session.
            NotFoundError, ApiError: REST knows no such dialog, or history cannot be read.
        """
        seconds = self._config.timeouts.event if timeout is None else timeout
        to = self._find(dialog, Deadline(self._config.timeouts.send))
        return follow(self._driver, self._history, to, history, seconds)

    def wait_for(
        self,
        signal: Signal[Event_co],
        timeout: float | None = None,
        where: Callable[[Event_co], object] | None = None,
    ) -> Event_co:
        """Wait for the signal's next event for which ``where(event)`` is true.

        An event that arrives before this call is not seen; use :meth:`events` for that.

        Args:
            signal: A signal of this connection.
            timeout: Seconds; None is ``Config.timeouts.event``.
            where: Called in this thread with each event; None takes the first one.

        Returns:
            The event.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            ChatTimeoutError: There was no such event in time.
            NotConnectedError: There was no login yet, or the connection was logged out.
            ChatError: The connection failed for good; the error is the reason.
        """
        if where is not None:
            check_callback("where", where, "event")
        with self.events(signal, timeout) as events:
            return events.next(where=where)

    def __enter__(self: Self) -> Self:
        """Log in with the REST session unless that has been done; ``with cube.chat:`` logs out."""
        if self.state in (ChatState.IDLE, ChatState.CLOSED):
            self.login()
        return self

    def __exit__(self, *_: object) -> None:
        self.logout()

    # --- contacts and privacy ---

    @property
    def contacts(self) -> Contacts:
        """The roster: contacts and presence subscriptions. (RFC 6121.)"""
        return self._contacts

    @property
    def privacy(self) -> Privacy:
        """The privacy lists, and the users that this user blocks. (XEP-0016; guide: Block user.)"""
        return self._privacy

    # --- messages ---

    def send_message(
        self,
        dialog: str | DialogRef,
        message: str | Message,
        *,
        custom: Mapping[str, CustomValue] | None = None,
        clean: bool = False,
        timeout: float | None = None,
        **more: CustomValue,
    ) -> SendHandle[Message]:
        """Send a message to a dialog and return the handle of its outcome. (Guide: Send messages.)

        The call does not wait for the server. While the link is down the message waits for it. The room of
        a group, public or broadcast dialog is joined first, unless ``Config.join_rooms`` is False. In
        durable mode the message is in the file when the call returns; a message with an id that was sent
        before is not sent again, and the handle is that of the first one.

        A message that was received, sent or read from history is forwarded: its body, attachments, custom
        parameters and settings are sent as a new message of this user, with a new id and the date of now.

        Args:
            dialog: A Dialog or any DialogRef, such as ``message.dialog`` or ``DialogRef.private(user_id)``;
                or a dialog's id: then REST is asked for the dialog, once.
            message: The body, or a :class:`Message` with attachments, custom parameters and so on.
            custom: The application's own parameters, beside those of ``message``: strings, numbers, bools, or
                mappings of them, under XML names.
            clean: Whether U+FFFD replaces characters that XML forbids; without it they are an error.
            timeout: Seconds to wait for the dialog, and for room in the outbound buffer; None is
                ``Config.timeouts.send``.
            more: More custom parameters, where no argument has the same name or a similar one.

        Returns:
            The handle of the outcome: ``handle.result()`` waits for the server's acknowledgement.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it. Nothing was sent.
            NotFoundError, ApiError: The dialog was given as its id, and REST knows none or cannot be asked.
            NotConnectedError: The state is IDLE, CLOSED or CLOSING.
            SendQueueFullError: The outbound buffer had no room in time.
            DurableStoreError: The message could not be written to the file, and was not sent.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.send)
        me = self._user.id if self._user is not None else None
        to = self._destinations.find(dialog, me, deadline)
        content = content_of(message, custom, more, clean)
        sender = self._driver.sender
        own_id = content.id or sender.message_id(to.jid)
        submission, sent, data = outgoing.message(to, dialog, content, own_id, me)
        return sender.submit(submission, sent, data, deadline)

    def send_private(
        self,
        user_id: int | User,
        message: str | Message,
        *,
        custom: Mapping[str, CustomValue] | None = None,
        clean: bool = False,
        timeout: float | None = None,
        **more: CustomValue,
    ) -> SendHandle[Message]:
        """Send a message to a user and return the handle of its outcome.

        The service makes the private dialog if there is none.

        Args:
            user_id: The recipient, or their id.
            message: The body, or a :class:`Message`; one that was received is forwarded.
            custom: The application's own parameters, beside those of the message.
            clean: Whether U+FFFD replaces characters that XML forbids; without it they are an error.
            timeout: Seconds to wait for room in the outbound buffer; None is ``Config.timeouts.send``.
            more: More custom parameters, where no argument has the same name or a similar one.

        Returns:
            The handle of the outcome: ``handle.result()`` waits for the server's acknowledgement.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it. Nothing was sent.
            NotConnectedError: The state is IDLE, CLOSED or CLOSING.
            SendQueueFullError: The outbound buffer had no room in time.
            DurableStoreError: The message could not be written to the file, and was not sent.
        """
        to = DialogRef.private(check_user_id("user_id", user_id))
        return self.send_message(to, message, custom=custom, clean=clean, timeout=timeout, **more)

    def reply(
        self,
        message: Message,
        reply: str | Message,
        *,
        custom: Mapping[str, CustomValue] | None = None,
        clean: bool = False,
        timeout: float | None = None,
        **more: CustomValue,
    ) -> SendHandle[Message]:
        """Send a message to the dialog of ``message`` and return the handle of its outcome.

        Args:
            message: The message to reply to.
            reply: The body, or a :class:`Message`; one that was received is forwarded.
            custom: The application's own parameters, beside those of the message.
            clean: Whether U+FFFD replaces characters that XML forbids; without it they are an error.
            timeout: Seconds to wait for room in the outbound buffer; None is ``Config.timeouts.send``.
            more: More custom parameters, where no argument has the same name or a similar one.

        Returns:
            The handle of the outcome: ``handle.result()`` waits for the server's acknowledgement.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it. Nothing was sent.
            NotConnectedError: The state is IDLE, CLOSED or CLOSING.
            SendQueueFullError: The outbound buffer had no room in time.
            DurableStoreError: The reply could not be written to the file, and was not sent.
        """
        dialog = dialog_of(message)
        return self.send_message(dialog, reply, custom=custom, clean=clean, timeout=timeout, **more)

    def edit_message(
        self,
        dialog: str | DialogRef,
        message: str | Message,
        body: str,
        *,
        is_last: bool = True,
        clean: bool = False,
        timeout: float | None = None,
    ) -> SendHandle[Message]:
        """Replace the body of a message of this user. (Guide: Edit messages; XEP-0308.)

        Connected users see the edit at once, and the service changes history. Without a chat connection
        ``cube.messages.update`` does the same.

        Args:
            dialog: The dialog of the message, or its id.
            message: The message, or its id.
            body: The new body.
            is_last: Whether it is the last message of the dialog.
            clean: Whether U+FFFD replaces characters that XML forbids; without it they are an error.
            timeout: Seconds to wait for room in the outbound buffer; None is ``Config.timeouts.send``.

        Returns:
            The handle of the outcome: ``handle.result()`` waits for the server's acknowledgement.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong, or none has the dialog's id.
            NotFoundError, ApiError: The dialog was given as its id, and REST knows none or cannot be asked.
            NotConnectedError: The state is IDLE, CLOSED or CLOSING.
            SendQueueFullError: The outbound buffer had no room in time.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.send)
        to = self._find(dialog, deadline)
        return self._driver.sender.submit(
            *outgoing.edit(to, message, body, is_last, clean), deadline
        )

    def delete_message(
        self, dialog: str | DialogRef, message: str | Message, *, timeout: float | None = None
    ) -> SendHandle[Message]:
        """Tell the users of a dialog that a message is deleted. (Guide: Delete messages.)

        Connected users see it at once. Whether the service changes history as well is not known for sure;
        ``cube.messages.delete(…, force=True)`` does, and the service then tells the users of the dialog.

        Args:
            dialog: The dialog of the message, or its id.
            message: The message, or its id.
            timeout: Seconds to wait for room in the outbound buffer; None is ``Config.timeouts.send``.

        Returns:
            The handle of the outcome: ``handle.result()`` waits for the server's acknowledgement.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong, or none has the dialog's id.
            NotFoundError, ApiError: The dialog was given as its id, and REST knows none or cannot be asked.
            NotConnectedError: The state is IDLE, CLOSED or CLOSING.
            SendQueueFullError: The outbound buffer had no room in time.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.send)
        to = self._find(dialog, deadline)
        return self._driver.sender.submit(*outgoing.deletion(to, message), deadline)

    def mark_delivered(self, message: Message) -> None:
        """Tell the sender of a message that it was delivered. (Guide: 'Delivered' status; XEP-0333.)

        The package does this by itself for markable messages, unless ``Config.auto_delivered`` is False.
        While the link is down the marker waits in the outbound buffer.

        Args:
            message: A message with an id and a sender.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``message`` is no Message, or has no id or no sender.
            NotConnectedError, SendQueueFullError: Not logged in; no room within ``Config.timeouts.send``.
        """
        self._mark("received", message)

    def mark_read(self, message: Message) -> None:
        """Tell the sender of a message that it was read. (Guide: 'Read' status; XEP-0333.)

        While the link is down the marker waits in the outbound buffer.

        Args:
            message: A message with an id and a sender.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``message`` is no Message, or has no id or no sender.
            NotConnectedError, SendQueueFullError: Not logged in; no room within ``Config.timeouts.send``.
        """
        self._mark("displayed", message)

    def send_typing(self, dialog: str | DialogRef, *, stop_after: float | None = None) -> None:
        """Tell the users of a dialog that this user is typing. (Guide: 'Is typing' status; XEP-0085.)

        Call it at each keystroke: it is sent at most once in 5 seconds for a dialog, until
        :meth:`send_stop_typing` or a message. It is dropped while the link is down, as it would mean nothing
        later.

        Args:
            dialog: A Dialog or any DialogRef; or a dialog's id: then REST is asked for the dialog, once.
            stop_after: Seconds until :meth:`send_stop_typing` follows by itself, counted from the newest
                call, unless a message was sent since; None: it does not.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
            NotFoundError, ApiError: The dialog was given as its id, and REST knows none or cannot be asked.
            NotConnectedError: The state is IDLE, CLOSED or CLOSING.
        """
        if stop_after is not None:
            check_number("stop_after", stop_after, least=0.001)
        to = self._find(dialog, Deadline(self._config.timeouts.send))
        self._activity.send_typing(to, stop_after)

    def send_stop_typing(self, dialog: str | DialogRef) -> None:
        """Tell the users of a dialog that this user has stopped typing. (XEP-0085.)

        It is dropped while the link is down, as it would mean nothing later.

        Args:
            dialog: A Dialog or any DialogRef; or a dialog's id: then REST is asked for the dialog, once.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``dialog`` is no dialog.
            NotFoundError, ApiError: The dialog was given as its id, and REST knows none or cannot be asked.
            NotConnectedError: The state is IDLE, CLOSED or CLOSING.
        """
        self._activity.send_stop_typing(self._find(dialog, Deadline(self._config.timeouts.send)))

    def send_system_message(
        self,
        user_id: int | User,
        custom: Mapping[str, CustomValue],
        body: str | None = None,
        *,
        timeout: float | None = None,
    ) -> SendHandle[SystemMessage]:
        """Send a user's programs a system message, which no history keeps. (Guide: System messages.)

        If the recipient's server refuses the message after it was acknowledged, ``system_message_failed``
        tells. Over REST: ``cube.messages.create_system``.

        Args:
            user_id: The recipient, or their id.
            custom: The application's own parameters: texts, numbers, bools or mappings of them.
            body: A text.
            timeout: Seconds to wait for room in the outbound buffer; None is ``Config.timeouts.send``.

        Returns:
            The handle of the outcome: ``handle.result()`` waits for the server's acknowledgement.

        Raises:
            ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it. Nothing was sent.
            NotConnectedError: The state is IDLE, CLOSED or CLOSING.
            SendQueueFullError: The outbound buffer had no room in time.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.send)
        peer_id = check_user_id("user_id", user_id)
        whole = outgoing.system_message(self._addresses, peer_id, self._user_id, custom, body)
        return self._driver.sender.submit(*whole, deadline)

    # --- rooms ---

    def join(self, dialog: str | DialogRef, *, timeout: float | None = None) -> None:
        """Enter the room of a group, public or broadcast dialog. (XEP-0045, 7.2.)

        The room is entered again after every reconnection, until :meth:`leave`. The hosted service delivers
        group messages without it; other XMPP servers do not.

        Args:
            dialog: The dialog, or its id.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.join``.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``dialog`` is no dialog, or a private one.
            StanzaError: The room refused this user; ``condition`` is "registration-required" (not in the
                dialog), "forbidden" (banned) or "item-not-found" (there is no such room).
            ChatTimeoutError: There was no answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.join)
        room = room_of(dialog)
        self._driver.ask(lambda session, waiter: session.join(room, waiter), deadline)

    def leave(self, dialog: str | DialogRef, *, timeout: float | None = None) -> None:
        """Leave the room of a dialog, and do not enter it again. (XEP-0045, 7.14.)

        The user stays in the dialog; ``cube.dialogs`` changes that.

        Args:
            dialog: The dialog, or its id.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.join``.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``dialog`` is no dialog, or a private one.
            ChatTimeoutError: There was no answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.join)
        dialog_id = room_of(dialog).id or ""
        self._driver.ask(lambda session, waiter: session.leave(dialog_id, waiter), deadline)

    def online_occupants(
        self, dialog: str | DialogRef, *, timeout: float | None = None
    ) -> tuple[int, ...]:
        """Return the ids of the users who are in the room of a dialog now. (XEP-0045, 6.5.)

        Args:
            dialog: The dialog, or its id.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Returns:
            The ids.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``dialog`` is no dialog, or a private one.
            StanzaError: The server refused; its ``condition`` says why.
            UnexpectedAnswerError: The server's answer has no list of occupants.
            ChatTimeoutError: There was no answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        room_id = room_of(dialog).id or ""
        return iq_requests.online_occupants(self._driver, self._addresses, room_id, deadline)

    # --- who is active ---

    def last_activity(self, user_id: int | User, *, timeout: float | None = None) -> int:
        """Ask how long ago a user was last active. (Guide: Last activity; XEP-0012.)

        Args:
            user_id: The user, or their id.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Returns:
            The seconds since then; 0 is now.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``user_id`` is no user.
            StanzaError: The service does not know it, for example because the user never logged in.
            UnexpectedAnswerError: The server's answer has no number of seconds.
            ChatTimeoutError: There was no answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        return self._activity.last_of(check_user_id("user_id", user_id), deadline)

    def subscribe_last_activity(self, user_id: int | User, *, timeout: float | None = None) -> None:
        """Get ``last_activity_changed`` when a user comes or goes, also after reconnections.

        (Guide: Last activity subscription.)

        Args:
            user_id: The user, or their id.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``user_id`` is no user.
            StanzaError: The service refused.
            ChatTimeoutError: There was no answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        self._activity.subscribe(check_user_id("user_id", user_id), deadline)

    def unsubscribe_last_activity(
        self, user_id: int | User, *, timeout: float | None = None
    ) -> None:
        """Get ``last_activity_changed`` for a user no longer. (Guide: Last activity subscription.)

        Args:
            user_id: The user, or their id.
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``user_id`` is no user.
            StanzaError: The service refused.
            ChatTimeoutError: There was no answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer.
        """
        deadline = Deadline.of(timeout, self._config.timeouts.iq)
        self._activity.unsubscribe(check_user_id("user_id", user_id), deadline)

    def mark_inactive(self, *, timeout: float | None = None) -> None:
        """Tell the service that the application is in the background. (Guide: Active, inactive.)

        The service then makes push notifications for messages. Messages still arrive. The state is kept
        over reconnections, until :meth:`mark_active`. A server that does not know this request, which is
        ConnectyCube's own, is told in the way of XEP-0352, if it offers that.

        Args:
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            StanzaError: The service refused.
            ChatTimeoutError: There was no answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer.
        """
        self._activity.mark_inactive(Deadline.of(timeout, self._config.timeouts.iq))

    def mark_active(self, *, timeout: float | None = None) -> None:
        """Tell the service that the application is in the foreground again. (Guide: Active, inactive.)

        Args:
            timeout: Seconds for the call, a reconnection included; None is ``Config.timeouts.iq``.

        Raises:
            StanzaError: The service refused.
            ChatTimeoutError: There was no answer in time, a reconnection included.
            NotConnectedError: The connection is closed, or was lost before the answer.
        """
        self._activity.mark_active(Deadline.of(timeout, self._config.timeouts.iq))

    # --- inside ---

    def _after_fork_in_child(self) -> None:
        """Leave the connection and the calls of receivers to the parent."""
        # With the parent's resource the server would end the parent's session.
        self._resource = new_resource()
        was_open = not self._driver.is_closed
        self._driver._after_fork_in_child()
        if was_open:
            self._fork_warning.give()

    def __repr__(self) -> str:
        who = f" as user {self._user.id}" if self._user is not None else ""
        where = f"{self._config.chat_host}:{self._config.chat_port}"
        return f"<{type(self).__name__} {self.state.value}{who} at {where}>"

    def _find(self, dialog: object, deadline: Deadline) -> Destination:
        return self._destinations.find(dialog, self._user_id, deadline)

    @property
    def _user_id(self) -> int | None:
        return None if self._user is None else self._user.id

    def _mark(self, name: str, message: Message) -> None:
        check_markable(message)
        self._driver.sender.send_later(lambda session, now: session.send_marker(name, message, now))
