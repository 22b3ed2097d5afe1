"""All errors that this package raises, as one tree.

::

    ConnectyCubeError
    ├── ArgumentTypeError              also TypeError: an argument of the wrong type; nothing was sent
    ├── ArgumentValueError             also ValueError: an argument with a wrong value; nothing was sent
    ├── ClientClosedError              also RuntimeError: the client was closed; make a new one
    ├── SerializedError                an error of another package, read from a dictionary
    ├── AuthenticationError            the credentials were refused: the base of two errors below
    ├── ApiError                       a REST call did not succeed
    │   ├── ApiNetworkError            no answer: name, connection or TLS
    │   │   └── ApiConnectError        no connection could be made: nothing was sent
    │   │       ├── ApiProxyError      the proxy could not be reached, or refused
    │   │       └── ApiConnectTimeoutError  also ApiTimeoutError: no connection in time
    │   ├── ApiTimeoutError            also TimeoutError: no answer in time
    │   └── ApiResponseError           the service answered: `status`, `messages`, `retry_after`
    │       ├── ApiAuthenticationError  also AuthenticationError: 401, log in (again)
    │       ├── PermissionDeniedError  403: this user may not do that
    │       ├── NotFoundError          404: no such thing
    │       ├── ValidationError        400, 422: the request has to change
    │       ├── RateLimitError         429: wait `retry_after` seconds
    │       ├── ServerError            5xx: try later
    │       └── UnexpectedResponseError  the answer is not JSON, cut off, or of another shape
    │           └── ResponseTooLargeError  the answer is beyond 32 MB: ask for less
    └── ChatError                      the real-time connection
        ├── NotConnectedError          the call needs a connection that is logged in
        │   ├── ForkedError            this process is a fork: log in again
        │   └── NotHandledError        raised by a receiver: it could not begin before the end
        ├── ConnectionLostError        the link could not be made, or ended
        │   ├── HostUnknownError       the host name has no address
        │   ├── HostUnreachableError   no server listens there, or the host is out of reach
        │   ├── ProxyError             the proxy could not be reached, or refused
        │   ├── TlsError               the peer does not speak TLS, or speaks it badly
        │   │   └── CertificateError   its certificate is expired, unknown or of another host
        │   ├── ConnectTimeoutError    also TimeoutError: no link in time
        │   ├── LivenessError          also TimeoutError: the peer stopped answering
        │   ├── StreamError            the server ended the stream with a condition
        │   ├── StreamProtocolError    the server sent XML that no XMPP stream may hold
        │   └── QueueOverflowError     receivers were too slow; the server sends the rest again
        ├── ChatAuthenticationError    also AuthenticationError: the credentials were refused
        ├── StanzaError                one request or message was refused: `condition`, `text`
        ├── UnexpectedAnswerError      the answer to a request lacks the expected element
        ├── EventStreamOverflowError   an event stream is full: it was not read fast enough
        ├── SendQueueFullError         also TimeoutError: no room in the outbound buffer in time
        ├── OutcomeUnknownError        it is not known whether the message arrived
        ├── SendDeferredError          durable mode: the message is kept, and sent at the next login
        ├── DurableStoreError          durable mode: the file cannot be used, and why
        ├── LeaseLostError             the lease of this listener is over: log in again to stand by
        ├── LeaseStoreError            the file or the database of a lease cannot be used, and why
        ├── ChatTimeoutError           also TimeoutError: a wait ended before its event
        │   ├── LoginTimeoutError      login did not finish in time
        │   └── LeaseHeldError         another listener held the lease until the deadline of login
        └── CallbackContextError       also RuntimeError: the call is not allowed inside a callback
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "ApiAuthenticationError",
    "ApiConnectError",
    "ApiConnectTimeoutError",
    "ApiError",
    "ApiNetworkError",
    "ApiProxyError",
    "ApiResponseError",
    "ApiTimeoutError",
    "ArgumentTypeError",
    "ArgumentValueError",
    "AuthenticationError",
    "CallbackContextError",
    "CertificateError",
    "ChatAuthenticationError",
    "ChatError",
    "ChatTimeoutError",
    "ClientClosedError",
    "ConnectTimeoutError",
    "ConnectionLostError",
    "ConnectyCubeError",
    "DurableStoreError",
    "EventStreamOverflowError",
    "ForkedError",
    "HostUnknownError",
    "HostUnreachableError",
    "LeaseHeldError",
    "LeaseLostError",
    "LeaseStoreError",
    "LivenessError",
    "LoginTimeoutError",
    "NotConnectedError",
    "NotFoundError",
    "NotHandledError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "ProxyError",
    "QueueOverflowError",
    "RateLimitError",
    "ResponseTooLargeError",
    "SendDeferredError",
    "SendQueueFullError",
    "SerializedError",
    "ServerError",
    "StanzaError",
    "StreamError",
    "StreamProtocolError",
    "TlsError",
    "UnexpectedAnswerError",
    "UnexpectedResponseError",
    "ValidationError",
]


class ConnectyCubeError(Exception):
    """The root of all errors that this package raises; every error can be pickled and copied.

    Example:
        >>> try:
        ...     cube.users.get(999_999)
        ... except ConnectyCubeError as error:
        ...     print(type(error).__name__)
        NotFoundError
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own method would call the class with `args` alone, without the keywords that it needs.
        return rebuilt, (type(self), self.args, self.__dict__)


def rebuilt(
    kind: type[ConnectyCubeError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> ConnectyCubeError:
    """Return an error of this class as it was, without a call of its ``__init__``."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ArgumentTypeError(ConnectyCubeError, TypeError):
    """An argument has the wrong type; the message names it and nothing was sent."""


class ArgumentValueError(ConnectyCubeError, ValueError):
    """An argument has a wrong value; the message names it and nothing was sent."""


class ClientClosedError(ConnectyCubeError, RuntimeError):
    """The client was closed, and nothing was sent: make a new ConnectyCube."""


class SerializedError(ConnectyCubeError):
    """An error of another package, as it was read from a dictionary.

    No call raises it; an event that :meth:`from_dict` made may hold it. Two of them are equal if class name
    and text are.

    Args:
        message: The text of the error.
        class_name: The name of its class.

    Example:
        >>> failure = CallbackFailure(receiver="greet", signal="", event=None, error=KeyError("name"))
        >>> CallbackFailure.from_dict(failure.to_dict()).error.class_name
        'builtins.KeyError'
    """

    def __init__(self, message: str, *, class_name: str) -> None:
        super().__init__(message)
        self.class_name = class_name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SerializedError):
            return NotImplemented
        return (self.class_name, str(self)) == (other.class_name, str(other))

    def __hash__(self) -> int:
        return hash((self.class_name, str(self)))


class AuthenticationError(ConnectyCubeError):
    """The service or the chat server refused the credentials, or the session has ended.

    The error that is raised is an :class:`ApiAuthenticationError` or a :class:`ChatAuthenticationError`.

    Example:
        >>> try:
        ...     ConnectyCube.from_env().login(login=cube.user.login, password="wrong")
        ... except AuthenticationError as error:
        ...     print(type(error).__name__)
        ApiAuthenticationError
    """


# --- REST ---------------------------------------------------------------------------------------


class ApiError(ConnectyCubeError):
    """A REST call did not succeed; the subclass says how.

    Args:
        message: The text of the error.
        method: The HTTP method of the request.
        url: The URL of the request, without secrets.

    Example:
        >>> try:
        ...     cube.dialogs.get("5f" * 12)
        ... except ApiError as error:
        ...     print(error.method, type(error).__name__)
        GET NotFoundError
    """

    def __init__(self, message: str, *, method: str, url: str) -> None:
        super().__init__(message)
        self.method = method
        self.url = url


class ApiNetworkError(ApiError):
    """No answer arrived: the host name has no address, or the connection or TLS failed.

    Example:
        >>> once = RetryPolicy(max_retries=0)
        >>> nowhere = ConnectyCube(app_id=1, auth_key="key", api_url="http://127.0.0.1:1", retry=once)
        >>> try:
        ...     nowhere.login(login="alice", password="secret")
        ... except ApiNetworkError as error:
        ...     print("nothing was sent:", isinstance(error, ApiConnectError))
        nothing was sent: True
        >>> nowhere.close()
    """


class ApiConnectError(ApiNetworkError):
    """No connection could be made, so it is certain that nothing was sent.

    Example:
        >>> def is_safe_to_repeat(error):
        ...     return isinstance(error, ApiConnectError)
    """


class ApiProxyError(ApiConnectError):
    """The proxy could not be reached, or did not make the connection: it is certain that nothing was sent.

    Args:
        message: The text of the error.
        method: The HTTP method of the request.
        url: The URL of the request, without secrets.
        is_temporary: Whether trying again may help: not where the proxy refused the user and password, or the
            server.

    Example:
        >>> config = Config(app_id=1, auth_key="key", proxy="http://127.0.0.1:1")
        >>> once = config.replace(retry=RetryPolicy(max_retries=0))
        >>> with ConnectyCube(config=once) as behind_proxy:
        ...     try:
        ...         behind_proxy.login(login="alice", password="secret")
        ...     except ApiProxyError as error:
        ...         print("may help to try again:", error.is_temporary)
        may help to try again: True
    """

    def __init__(self, message: str, *, method: str, url: str, is_temporary: bool = False) -> None:
        super().__init__(message, method=method, url=url)
        self.is_temporary = is_temporary


class ApiTimeoutError(ApiError, TimeoutError):
    """No answer arrived in time.

    Example:
        >>> issubclass(ApiTimeoutError, TimeoutError)  # so an except clause for TimeoutError catches it
        True
    """


class ApiConnectTimeoutError(ApiConnectError, ApiTimeoutError):
    """No connection could be made in time, so it is certain that nothing was sent."""


class ApiResponseError(ApiError):
    """The service answered with an error.

    Args:
        message: The text of the error.
        method: The HTTP method of the request.
        url: The URL of the request, without secrets.
        status: The HTTP status.
        messages: The service's texts.
        retry_after: The number of seconds that the service asks the client to wait; None if it does not.

    Example:
        >>> try:
        ...     cube.users.get(999_999)
        ... except ApiResponseError as error:
        ...     print(error.status, error.retry_after)
        404 None
    """

    def __init__(
        self,
        message: str,
        *,
        method: str,
        url: str,
        status: int,
        messages: Sequence[str] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, method=method, url=url)
        self.status = status
        self.messages: tuple[str, ...] = tuple(messages)
        self.retry_after = retry_after


class ApiAuthenticationError(ApiResponseError, AuthenticationError):
    """401: there is no session, it has ended, or login and password do not match.

    A call that needs a session raises it without asking the service if there is none.
    """


class PermissionDeniedError(ApiResponseError):
    """403: the user of this session is not allowed to do that."""


class NotFoundError(ApiResponseError):
    """404: there is no such thing."""


class ValidationError(ApiResponseError):
    """400, 422, or a success that holds an error alone: the service refuses the request as it is."""


class RateLimitError(ApiResponseError):
    """429: too many requests; wait ``retry_after`` seconds."""


class ServerError(ApiResponseError):
    """5xx: the service failed; trying later may help."""


class UnexpectedResponseError(ApiResponseError):
    """The answer is not JSON, is cut off, or has another shape than the documentation says.

    Example:
        >>> transport = MockTransport()
        >>> transport.add("GET", "*", Response(200, body=b"<html>"))
        >>> with ConnectyCube(app_id=1, auth_key="key", transport=transport) as client:
        ...     client.login(login="alice", password="secret")
        ...     try:
        ...         client.users.get(1)
        ...     except UnexpectedResponseError as error:
        ...         print("no JSON:", error.status)
        User(id=1, ...)
        no JSON: 200
    """


class ResponseTooLargeError(UnexpectedResponseError):
    """The answer is larger than the 32 MB that the client reads; a smaller ``limit`` asks for less.

    ``iter`` needs no help: it asks for smaller pages by itself.
    """


# --- chat ---------------------------------------------------------------------------------------


class ChatError(ConnectyCubeError):
    """The root of all errors of the real-time connection.

    Example:
        >>> try:
        ...     chat.last_activity(999_999)
        ... except ChatError as error:
        ...     print(type(error).__name__)
        StanzaError
    """


class NotConnectedError(ChatError):
    """The call needs a chat connection that is logged in; call ``chat.login()`` first.

    Example:
        >>> try:
        ...     cube.with_token("token").chat.send_private(7, "Hello")
        ... except NotConnectedError:
        ...     print("log in first")
        log in first
    """


class ForkedError(NotConnectedError):
    """This process is a fork of the one that logged in; call ``chat.login()`` here."""


class NotHandledError(NotConnectedError):
    """A receiver raises it if the chat ended before the receiver could begin: the event is not handled.

    For a receiver that has its events handled elsewhere, such as on the thread of a window. Once the
    connection is closed, or being closed, nothing is reported: in durable mode the event stays for the next
    login, and in memory it is one of ``Abandoned.queued``. While the connection is open this is an error like
    any other ``NotConnectedError``: the receiver runs again.
    """


class ConnectionLostError(ChatError):
    """The link to the chat server could not be made, or it ended.

    Example:
        >>> @chat.state_changed.connect
        ... def note(chat, change):
        ...     if isinstance(change.reason, ConnectionLostError):
        ...         print("the link ended:", change.reason)
        >>> lost = LivenessError("no answer for 15 s")
        >>> note(chat, StateChange(state=ChatState.FORCE_CLOSED, previous=ChatState.READY, reason=lost))
        the link ended: no answer for 15 s
    """


class HostUnknownError(ConnectionLostError):
    """The chat host's name has no address."""


class HostUnreachableError(ConnectionLostError):
    """No server listens on the chat port, or the host is out of reach."""


class ProxyError(ConnectionLostError):
    """The proxy could not be reached, or did not make the connection; no credential of the chat was sent."""


class TlsError(ConnectionLostError):
    """The peer does not speak TLS, or the handshake failed; no credential was sent.

    Example:
        >>> issubclass(CertificateError, TlsError)  # a wrong certificate is the usual cause
        True
    """


class CertificateError(TlsError):
    """The server's certificate is expired, not trusted or of another host; no credential was sent."""


class ConnectTimeoutError(ConnectionLostError, TimeoutError):
    """The link was not ready in time."""


class LivenessError(ConnectionLostError, TimeoutError):
    """The server did not answer a liveness request in time: the link counts as dead."""


class StreamError(ConnectionLostError):
    """The server ended the stream. (RFC 6120, 4.9.)

    Args:
        message: The text of the error.
        condition: The reason, as defined in RFC 6120 (4.9.3), such as "conflict".

    Example:
        >>> def was_replaced(change):
        ...     return isinstance(change.reason, StreamError) and change.reason.condition == "conflict"
        >>> error = StreamError("another session took over", condition="conflict")
        >>> was_replaced(StateChange(state=ChatState.CLOSED, previous=ChatState.READY, reason=error))
        True
    """

    def __init__(self, message: str, *, condition: str) -> None:
        super().__init__(message)
        self.condition = condition


class StreamProtocolError(ConnectionLostError):
    """The server sent XML that no XMPP stream may hold: malformed, with a DTD, or beyond the limits."""


class QueueOverflowError(ConnectionLostError):
    """Receivers were slower than the messages that arrived; the link was closed to slow the server.

    The server sends the messages that did not fit again after the reconnection.

    Args:
        message: The text of the error.
        receiver: The name of the receiver that had run for the longest time, or else of the one that took the
            most time since the queue was last empty; None if no receiver ran.

    Example:
        >>> @chat.state_changed.connect
        ... def note(chat, change):
        ...     if isinstance(change.reason, QueueOverflowError):
        ...         print("too slow:", change.reason.receiver)
    """

    def __init__(self, message: str, *, receiver: str | None) -> None:
        super().__init__(message)
        self.receiver = receiver


class ChatAuthenticationError(ChatError, AuthenticationError):
    """The chat server refused the credentials. (RFC 6120, 6.5.)

    Args:
        message: The text of the error.
        condition: The reason, as defined by SASL, such as "not-authorized".

    Example:
        >>> try:
        ...     ConnectyCube.from_env().chat.login(bob_id, "wrong")
        ... except ChatAuthenticationError as error:
        ...     print(error.condition)
        not-authorized
    """

    def __init__(self, message: str, *, condition: str) -> None:
        super().__init__(message)
        self.condition = condition


class StanzaError(ChatError):
    """The server or the peer refused one request or message. (RFC 6120, 8.3.)

    Args:
        message: The text of the error.
        condition: The reason, as defined in RFC 6120 (8.3.3), such as "forbidden".
        type: The error type, such as "auth" or "wait"; None if the peer sent none.
        text: The peer's text; None if there is none.
        code: The legacy number (XEP-0086); None if there is none.

    Example:
        >>> try:
        ...     chat.last_activity(999_999)
        ... except StanzaError as error:
        ...     print(error.condition)
        item-not-found
    """

    def __init__(
        self,
        message: str,
        *,
        condition: str,
        type: str | None = None,
        text: str | None = None,
        code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.condition = condition
        self.type = type
        self.text = text
        self.code = code


class UnexpectedAnswerError(ChatError):
    """The server's answer to a request lacks the expected element; the link stays open."""


class EventStreamOverflowError(ChatError):
    """An event stream was full, because it was not read fast enough; the link stays open."""


class SendQueueFullError(ChatError, TimeoutError):
    """The outbound buffer had no room before the deadline; the message was not accepted."""


class OutcomeUnknownError(ChatError):
    """The link ended, and it is not known whether the message had arrived."""


class SendDeferredError(ChatError):
    """The connection ended before the message had an outcome; the durable store keeps the message.

    The next login sends it, unless history shows that it had arrived. So the caller must not send it again.
    """


class DurableStoreError(ChatError):
    """The file of durable mode cannot be opened, read or written; the message says why.

    The causes: in use by another connection, another user's, damaged, full, read-only, gone. Also: the value
    of a cursor store cannot be loaded or is another user's.

    Args:
        message: The text of the error.
        path: The path of the file; empty for a cursor store.

    Example:
        >>> config = ConnectyCube.from_env().config.replace(durable="no such folder/bot.db")
        >>> try:
        ...     ConnectyCube(config=config).chat.login(bob_id, "secret")
        ... except DurableStoreError as error:
        ...     print(error.path.endswith("bot.db"))
        True
    """

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class LeaseLostError(ChatError):
    """The lease of this listener could not be renewed in time, or another listener has taken it.

    The connection is closed; ``chat.login(exclusive=…)`` stands by for the lease again.
    """


class LeaseStoreError(ChatError):
    """The file or the database of a lease cannot be used; the message, and ``__cause__``, say why."""


class ChatTimeoutError(ChatError, TimeoutError):
    """A wait ended before its event; the wait changed nothing.

    Example:
        >>> try:
        ...     chat.wait_for(chat.typing_started, timeout=0.01)
        ... except ChatTimeoutError:
        ...     print("nobody types")
        nobody types
    """


class LoginTimeoutError(ChatTimeoutError):
    """The login did not finish in time; no attempt goes on in the background."""


class LeaseHeldError(ChatTimeoutError):
    """The lease was not free until the deadline of ``chat.login(exclusive=…)``.

    Args:
        message: The text of the error.
        holder: The listener that has it, such as "process 4242 on web-1 (9f3a1c22b07e)"; None if it is not
            known, as when the database has not answered.

    Example:
        >>> lease = FileLease("bot.lease")
        >>> other = FileLease("bot.lease")
        >>> number = other.acquire("another process")
        >>> try:
        ...     ConnectyCube.from_env().chat.login(bob_id, "secret", exclusive=lease, timeout=0.1)
        ... except LeaseHeldError as error:
        ...     print("held by", error.holder)
        held by another process
        >>> other.release("another process")
    """

    def __init__(self, message: str, *, holder: str | None) -> None:
        super().__init__(message)
        self.holder = holder


class CallbackContextError(ChatError, RuntimeError):
    """The call would wait for the end of the callback from which it is made."""
