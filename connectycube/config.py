"""Config: credentials, endpoints, TLS, and every time-out and bound in one place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

from attrs import Attribute, evolve, field, fields, frozen
from attrs.validators import optional

from ._checks import (
    check_bool,
    check_callable,
    check_http_url,
    check_int,
    check_number,
    check_str,
    misspelt,
    name_of,
    nearest,
    repr_of,
)
from ._containers import AnyPath, AnyTuple
from ._hosts import is_loopback
from ._proxy import Proxy
from ._secrets import confined
from ._transient import is_transient
from .errors import ArgumentTypeError, ArgumentValueError
from .observer import Observer, check_observer

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = [
    "Config",
    "ConfigFields",
    "CursorStore",
    "Handling",
    "Limits",
    "ReconnectPolicy",
    "RetryPolicy",
    "Timeouts",
    "TokenStore",
    "check_field_names",
]


def _seconds(instance: object, attribute: Attribute[float], value: object) -> None:
    check_number(attribute.name, value, least=0.001)


def _seconds_or_zero(instance: object, attribute: Attribute[float], value: object) -> None:
    check_number(attribute.name, value, least=0.0)


def _count(instance: object, attribute: Attribute[int], value: object) -> None:
    check_int(attribute.name, value, least=1)


def _count_or_zero(instance: object, attribute: Attribute[int], value: object) -> None:
    check_int(attribute.name, value, least=0)


def _count_or_none(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None:
        check_int(attribute.name, value, least=0)


def _bool(instance: object, attribute: Attribute[bool], value: object) -> None:
    check_bool(attribute.name, value)


def _bool_or_all(instance: object, attribute: Attribute[bool], value: object) -> None:
    if isinstance(value, str) and value != "all":
        raise ArgumentValueError(f"{attribute.name} must be True, False or 'all', not {value!r}")
    if value != "all":
        check_bool(attribute.name, value)


def _string(instance: object, attribute: Attribute[str], value: object) -> None:
    check_str(attribute.name, value)


def _file(instance: object, attribute: Attribute[str], value: object) -> None:
    path = check_str(attribute.name, value)
    if not os.path.isfile(path):
        is_old = "connectycube-emulator-" in path
        hint = ": its emulator has ended, so read the variables of one that runs" if is_old else ""
        raise ArgumentValueError(f"{attribute.name} is not the path of a file: {value!r}{hint}")


def _database(instance: object, attribute: Attribute[str], value: object) -> None:
    if check_str(attribute.name, value).startswith((":memory:", "file:")):
        raise ArgumentValueError(
            f"{attribute.name} must be the path of a file on disk, not one of SQLite's special names"
            " (:memory:, file:…): without a file leave it out"
        )


def _path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, AnyPath) else value


def _check_methods(argument: str, value: object, **methods: Sequence[str]) -> None:
    """Raise ArgumentTypeError unless ``value`` is None or has the methods, with these parameters."""
    if value is None:
        return
    for name, parameters in methods.items():
        method = getattr(value, name, None)
        if not callable(method):
            *first, last = methods
            raise ArgumentTypeError(
                f"{argument} must have the methods {', '.join(first)} and {last}: {name}"
            )
        check_callable(f"{argument}.{name}", method, *parameters)


@frozen(kw_only=True)
class Timeouts:
    """Every default time-out, in seconds; each blocking call also takes a ``timeout=`` of its own.

    Example:
        >>> config = Config(app_id=1, auth_key="key", timeouts=Timeouts(login=10.0, rest_read=5.0))
        >>> config.timeouts.logout
        5.0
    """

    connect: float = field(default=10.0, validator=_seconds)
    """To resolve the host name, connect, also through a proxy, and finish the chat server's TLS handshake."""
    login: float = field(default=30.0, validator=_seconds)
    """For ``chat.login()`` as a whole, and for each later attempt of a reconnection."""
    iq: float = field(default=10.0, validator=_seconds)
    """To receive the answer to an IQ request (ping, last activity, lists)."""
    join: float = field(default=10.0, validator=_seconds)
    """To join a room."""
    event: float = field(default=30.0, validator=_seconds)
    """For the next event, in ``chat.events()`` and ``chat.wait_for()``."""
    acknowledgement: float = field(default=30.0, validator=_seconds)
    """For the server's acknowledgement of a message: the default of a send handle's ``result()``."""
    send: float = field(default=10.0, validator=_seconds)
    """For room in the outbound buffer."""
    rest_connect: float = field(default=5.0, validator=_seconds)
    """To connect to the REST API: TCP, the proxy if there is one, and the TLS handshake."""
    rest_read: float = field(default=30.0, validator=_seconds)
    """To receive a response of the REST API, and the longest silence within one."""
    rest_transfer: float = field(default=600.0, validator=_seconds)
    """To upload or download one file as a whole."""
    liveness_interval: float = field(default=30.0, validator=_seconds)
    """From an answer of the chat server to the client's next request for one."""
    liveness_answer: float = field(default=15.0, validator=_seconds)
    """To receive that answer; after this time the link counts as lost."""
    logout: float = field(default=5.0, validator=_seconds)
    """For ``chat.logout()`` and ``chat.destroy()``."""
    exit: float = field(default=2.0, validator=_seconds)
    """For all chat connections together when the interpreter exits."""
    token_store: float = field(default=5.0, validator=_seconds)
    """To wait for ``Config.token_store``, and for another process that renews the same session."""
    slow_callback: float = field(default=5.0, validator=_seconds)
    """A receiver that runs for longer is named in a warning."""


@frozen(kw_only=True)
class ReconnectPolicy:
    """When a lost chat connection is established again.

    Attempt n waits ``U[0.5, 1.5] x min(max_delay, delay x 2^(n-1))`` seconds. (Guide: ``totalReconnections``
    and ``reconnectionTimeout``.)

    Args:
        max_attempts: The number of attempts; 0 disables reconnection, None never gives up.
        delay: Seconds before the first attempt, on average.
        max_delay: The longest delay in seconds, on average.
        reset_after: The count of attempts starts again after so many seconds of being ready.

    Example:
        >>> forever = ReconnectPolicy(max_attempts=None, delay=1.0)
        >>> config = Config(app_id=1, auth_key="key", reconnect=forever)
    """

    max_attempts: int | None = field(default=5, validator=_count_or_none)
    delay: float = field(default=5.0, validator=_seconds)
    max_delay: float = field(default=60.0, validator=_seconds)
    reset_after: float = field(default=10.0, validator=_seconds)


@frozen(kw_only=True)
class RetryPolicy:
    """When a REST request is sent again.

    Attempt n waits ``U[0.5, 1.5] x min(max_delay, delay x 2^(n-1))`` seconds; ``Retry-After`` takes the
    place of that. A request is sent again only if that can do no harm: any request whose connection could
    not be made or that was answered 429, and GET and DELETE whose connection broke or that were answered
    502, 503 or 504. Nothing is sent again after a proxy refused the user and password, or the server. A
    request is not sent again if the wait would end after the call's deadline, nor if
    its response is late.

    Args:
        max_retries: The number of repetitions; 0 disables them.
        delay: Seconds before the first repetition, on average.
        max_delay: The longest delay in seconds, on average.

    Example:
        >>> config = Config(app_id=1, auth_key="key", retry=RetryPolicy(max_retries=0))
    """

    max_retries: int = field(default=2, validator=_count_or_zero)
    delay: float = field(default=0.5, validator=_seconds)
    max_delay: float = field(default=8.0, validator=_seconds)


def _is_exception_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def _transient(instance: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, (type, AnyTuple)):
        check_callable("transient", value, "error")
        return
    for each in (value,) if isinstance(value, type) else value:
        if not _is_exception_class(each):
            raise ArgumentTypeError(
                "transient must be a function, a class of exceptions or a tuple of such classes; it"
                f" holds {name_of(each) if callable(each) else repr_of(each)}"
            )


@frozen(kw_only=True)
class Handling:
    """When a receiver that raised runs again for its event, and when the event is given up.

    An error that is not transient is given up at the first attempt. Repetition n waits
    ``U[0.5, 1.5] x min(max_delay, delay x 2^(n-1))`` seconds, or longer if the error says so in
    ``retry_after``. Only the receiver that raised runs again; the later events of its conversation wait
    for it, and other conversations do not.

    Args:
        delay: Seconds before the first repetition, on average.
        max_delay: The longest delay in seconds, on average.
        give_up_after: Seconds from the first attempt to the last. None: 60 in memory, never in durable mode.
        transient: ``transient(error)`` says whether an error passes; or the class of the errors that pass,
            or a tuple of such classes, as ``except`` takes them. The default is
            :func:`connectycube.is_transient`. SystemExit and KeyboardInterrupt never pass.

    Raises:
        ArgumentTypeError, ArgumentValueError: A field is wrong; the error names it.

    Example:
        >>> @chat.message_received.connect(handling=Handling(transient=OSError, give_up_after=3600.0))
        ... def store(chat, message):
        ...     open("messages.txt", "a").close()
    """

    delay: float = field(default=0.1, validator=_seconds)
    max_delay: float = field(default=30.0, validator=_seconds)
    give_up_after: float | None = field(default=None, validator=optional(_seconds_or_zero))
    transient: Callable[[Exception], object] | type[Exception] | tuple[type[Exception], ...] = (
        field(default=is_transient, validator=_transient)
    )

    def passes(self, error: Exception) -> bool:
        """Return whether an error passes, as ``transient`` says; a function of the application may raise.

        Args:
            error: The error that a receiver raised.

        Returns:
            Whether the receiver should run again.

        Example:
            >>> Handling(transient=OSError).passes(ValueError())
            False
        """
        transient = self.transient
        if isinstance(transient, (type, tuple)):
            return isinstance(error, transient)
        return bool(transient(error))


@frozen(kw_only=True)
class Limits:
    """Every bound on memory; at a bound a call waits, an event is rejected, or the stream ends.

    Example:
        >>> small = Limits(queued_events=100, queued_bytes=1_000_000)
        >>> config = Config(app_id=1, auth_key="key", limits=small)
    """

    stanza_bytes: int = field(default=1_048_576, validator=_count)
    """The largest stanza read from the server, in bytes; a larger one is skipped (``stanza_refused``)."""
    stanza_depth: int = field(default=64, validator=_count)
    """The deepest nesting of elements read in a stanza; a deeper one is skipped."""
    stanza_elements: int = field(default=50_000, validator=_count)
    """The elements read in a stanza; one with more is skipped: each needs memory beyond its bytes."""
    message_bytes: int = field(default=256_000, validator=_count)
    """The largest stanza sent, in bytes, unless the server names its own limit (XEP-0478)."""
    queued_events: int = field(default=10_000, validator=_count)
    """Events in the queue for receivers."""
    queued_bytes: int = field(default=33_554_432, validator=_count)
    """Bytes of stanzas in the queue for receivers."""
    fleet_queued_bytes: int = field(default=134_217_728, validator=_count)
    """Bytes of stanzas in the queues of all members of a Fleet, beside the bounds of each queue: one half
    for the members that need it, the other half in equal parts for each."""
    outbound_stanzas: int = field(default=1_000, validator=_count)
    """Stanzas that wait for the link or for the server's acknowledgement."""
    outbound_bytes: int = field(default=16_777_216, validator=_count)
    """Bytes of stanzas that wait for the link or for the server's acknowledgement."""
    background_stanzas: int = field(default=10_000, validator=_count)
    """Automatic 'delivered' markers, answers to requests of others, and typing, that wait likewise; further
    ones are dropped (``Statistics.background_dropped``). They take no room from what calls send."""
    background_bytes: int = field(default=4_194_304, validator=_count)
    """Bytes of these stanzas."""


class CursorStore(Protocol):
    """An object of the application that keeps one small value, for containers without a disk.

    Both methods are plain functions, called on threads of the package, never two at a time for one
    connection. A login waits for ``load`` within its time-out, a logout for ``save`` within its own. An error
    of ``load`` ends the login; one of ``save`` is logged, and the value is saved again a second later.

    Example:
        >>> class Variable:
        ...     value = None
        ...     def load(self):
        ...         return self.value
        ...     def save(self, value):
        ...         self.value = value
        >>> config = Config(app_id=1, auth_key="key", cursor_store=Variable())
    """

    def load(self) -> Any:
        """Return the value that was saved last.

        Returns:
            The value, equal to the one that was saved; None if there is none.
        """

    def save(self, value: Any) -> None:
        """Keep the value, which JSON can carry, in place of the one before.

        Args:
            value: Mappings, lists, strings and numbers; below 200 kB as JSON.
        """


class TokenStore(Protocol):
    """An object of the application through which its processes share the sessions of their users.

    A cache fits (Redis, Django's, a table, a dict). Its methods are called on short-lived threads of the
    package, several at a time. A method that raises, or takes longer than ``Timeouts.token_store``, is named
    in a warning of logger ``connectycube.rest``, and the session is made without the store. The values are
    credentials: keep the store as safe as passwords.

    Example:
        >>> store = MemoryTokenStore()  # in production a class of your own, above a cache
        >>> config = Config(app_id=1, auth_key="key", token_store=store)
    """

    def get(self, key: str) -> str | bytes | None:
        """Return the value of a key.

        Args:
            key: ASCII letters, digits and colons; less than 100 characters.

        Returns:
            The value; None if there is none, or its time is over.
        """

    def set(self, key: str, value: str, seconds: int) -> object:
        """Keep a value in place of the one before.

        Args:
            key: ASCII letters, digits and colons; less than 100 characters.
            value: A small JSON object: the key, the token, the user's id and the end of the session.
            seconds: How long to keep it.

        Returns:
            Anything; the package ignores it.
        """

    def lock(self, key: str) -> AbstractContextManager[object]:
        """Make a lock that one thread of all processes holds at a time.

        It should end by itself if its process does; half a minute is enough for a renewal.

        Args:
            key: ASCII letters, digits and colons; less than 100 characters; never the key of a value.

        Returns:
            A context manager, inside which the lock is held.
        """
        ...


class ConfigFields(TypedDict, total=False):
    """The fields of :class:`Config`, as keyword arguments of functions that make or change one."""

    app_id: int
    auth_key: str
    auth_secret: str | None
    admin_key: str | None
    api_url: str
    chat_host: str
    chat_port: int
    ca_file: str | os.PathLike[str] | None
    client_cert: str | os.PathLike[str] | None
    client_key: str | os.PathLike[str] | None
    client_key_password: str | None
    proxy: str | None
    trust_env: bool
    retry: RetryPolicy
    observer: Observer | None
    workers: int
    auto_delivered: bool | Literal["all"]
    join_rooms: bool
    fill_gaps: bool
    gap_overlap: float
    typing_expires: float | None
    durable: str | os.PathLike[str] | None
    cursor_store: CursorStore | None
    token_store: TokenStore | None
    handling: Handling
    timeouts: Timeouts
    reconnect: ReconnectPolicy
    limits: Limits


_PREFIX = "CONNECTYCUBE_"
_ENVIRONMENT = {
    "app_id": "CONNECTYCUBE_APP_ID",
    "auth_key": "CONNECTYCUBE_AUTH_KEY",
    "auth_secret": "CONNECTYCUBE_AUTH_SECRET",
    "admin_key": "CONNECTYCUBE_ADMIN_KEY",
    "api_url": "CONNECTYCUBE_API_URL",
    "chat_host": "CONNECTYCUBE_CHAT_HOST",
    "chat_port": "CONNECTYCUBE_CHAT_PORT",
    "ca_file": "CONNECTYCUBE_CA_FILE",
}


def _api_url(instance: object, attribute: Attribute[str], value: object) -> None:
    # The value may be a secret that was put into the wrong variable.
    parts = check_http_url("api_url", value)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ArgumentValueError("api_url must hold neither credentials nor a query nor a fragment")
    host = parts.hostname or ""
    if parts.scheme == "http" and not is_loopback(host):
        raise ArgumentValueError(
            f"api_url is plain http to {host}: only loopback addresses may be spoken to without TLS"
        )


def _chat_host(instance: object, attribute: Attribute[str], value: object) -> None:
    text = check_str("chat_host", value)
    if any(character.isspace() or character in "/@:<>&\"'" for character in text):
        raise ArgumentValueError("chat_host must be a bare host name")


def _port(instance: object, attribute: Attribute[int], value: object) -> None:
    check_int(attribute.name, value, least=1, most=65535)


def _beside_certificate(config: Config, attribute: Attribute[str | None], value: object) -> None:
    if value is not None and config.client_cert is None:
        raise ArgumentValueError(f"{attribute.name} needs client_cert, which is None")


def _proxy(instance: object, attribute: Attribute[str], value: object) -> None:
    Proxy.parse(check_str("proxy", value), "proxy")


def _observer(instance: object, attribute: Attribute[Observer], value: object) -> None:
    check_observer(value)


def _cursor_store(config: Config, attribute: Attribute[Any], value: object) -> None:
    _check_methods("cursor_store", value, load=(), save=("value",))
    if value is not None and config.durable is not None:
        raise ArgumentValueError("cursor_store takes the place of durable: give one of them")


def _token_store(instance: object, attribute: Attribute[Any], value: object) -> None:
    _check_methods(
        "token_store", value, get=("key",), set=("key", "value", "seconds"), lock=("key",)
    )


_TABLES = {
    "handling": Handling,
    "timeouts": Timeouts,
    "retry": RetryPolicy,
    "reconnect": ReconnectPolicy,
    "limits": Limits,
}


def _table(instance: object, attribute: Attribute[Any], value: object) -> None:
    expected = _TABLES[attribute.name]
    if not isinstance(value, expected):
        raise ArgumentTypeError(
            f"{attribute.name} must be a {expected.__name__}, not {type(value).__name__}"
        )


@frozen(kw_only=True)
class Config:
    """One application's credentials, endpoints and policies; immutable, so threads may share it.

    Args:
        app_id: The application's id, from the admin panel.
        auth_key: The application's authorization key, from the admin panel.
        auth_secret: The application's secret, if session requests must be signed.
        admin_key: The key of the Administration API, from the admin panel, for ``cube.admin`` alone. With
            it every dialog of the application can be read.
        api_url: The URL of the REST API: https, or http to this machine.
        chat_host: The XMPP domain, which is also the address and the name in the certificate.
        chat_port: The port of the chat server.
        ca_file: A file with certificate authorities, for REST, chat and ``https://`` proxies, in place of the
            system's.

    Raises:
        ArgumentTypeError: An argument has the wrong type; the error names it.
        ArgumentValueError: An argument has a wrong value; the error names it.

    Example:
        >>> config = Config(app_id=1, auth_key="key", timeouts=Timeouts(login=10.0))
        >>> other = config.replace(workers=4)
        >>> other.workers, config.workers
        (4, 1)
    """

    app_id: int = field(validator=_count)
    auth_key: str = field(validator=_string, repr=False)
    auth_secret: str | None = field(default=None, validator=optional(_string), repr=False)
    admin_key: str | None = field(default=None, validator=optional(_string), repr=False)
    api_url: str = field(default="https://api.connectycube.com", validator=_api_url)
    chat_host: str = field(default="chat.connectycube.com", validator=_chat_host)
    chat_port: int = field(default=5223, validator=_port)
    ca_file: str | None = field(default=None, validator=optional(_file), converter=_path)
    client_cert: str | None = field(default=None, validator=optional(_file), converter=_path)
    """A PEM file with the client's certificate, for servers that want one, REST and chat alike."""
    client_key: str | None = field(
        default=None, validator=[optional(_file), _beside_certificate], converter=_path
    )
    """A PEM file with the private key of ``client_cert`` (None: the key is in ``client_cert``)."""
    client_key_password: str | None = field(
        default=None, validator=[optional(_string), _beside_certificate], repr=False
    )
    """The password of an encrypted private key."""
    proxy: str | None = field(default=None, validator=optional(_proxy), repr=False)
    """The proxy of REST and chat, ``scheme://[user:password@]host[:port]``; never used for this machine.

    The scheme is ``http``, ``https``, ``socks5``, or ``socks5h``, where the proxy looks names up.
    """
    trust_env: bool = field(default=True, validator=_bool)
    """Whether HTTPS_PROXY, ALL_PROXY and NO_PROXY of the environment are read if ``proxy`` is None."""
    retry: RetryPolicy = field(factory=RetryPolicy, validator=_table)
    """Which REST requests are sent again, and when."""
    observer: Observer | None = field(default=None, validator=optional(_observer), repr=False)
    """An object that is told of requests, states, events, receivers and messages, for metrics and traces."""
    workers: int = field(default=1, validator=_count)
    """Threads that call receivers; the order within a conversation is kept, whatever their number."""
    auto_delivered: bool | Literal["all"] = field(default=True, validator=_bool_or_all)
    """Whether the client reports 'delivered' for a markable message by itself; "all": for each with an id.

    Some clients, the JavaScript SDK 6 among them, do not say that their messages are markable.
    """
    join_rooms: bool = field(default=True, validator=_bool)
    """Whether sending to a group, public or broadcast dialog joins its room first."""
    fill_gaps: bool = field(default=True, validator=_bool)
    """Whether messages missed during a lost connection are read from history, if its session is gone."""
    gap_overlap: float = field(default=60.0, validator=_seconds)
    """History is read from so many seconds before the gap, as stanzas and clocks may be late."""
    typing_expires: float | None = field(default=None, validator=optional(_seconds))
    """Seconds after which a user counts as having stopped typing (None: never)."""
    durable: str | None = field(default=None, validator=optional(_database), converter=_path)
    """The file of durable mode, created at the first login; one for each user (None: memory only)."""
    cursor_store: CursorStore | None = field(default=None, validator=_cursor_store, repr=False)
    """Where the chat notes how far it was, in place of the file; one value for each user."""
    token_store: TokenStore | None = field(default=None, validator=_token_store, repr=False)
    """The store through which the clients of ``for_user`` share sessions with other processes."""
    handling: Handling = field(factory=Handling, validator=_table)
    """When a receiver that raised runs again; ``connect(…, handling=…)`` replaces it for one receiver."""
    timeouts: Timeouts = field(factory=Timeouts, validator=_table)
    """The default time-out of each kind of call."""
    reconnect: ReconnectPolicy = field(factory=ReconnectPolicy, validator=_table)
    """When a lost chat connection is established again."""
    limits: Limits = field(factory=Limits, validator=_table)
    """The bounds on memory."""

    @classmethod
    @confined
    def from_env(
        cls, environ: Mapping[str, str] | None = None, **overrides: Unpack[ConfigFields]
    ) -> Config:
        """Read the CONNECTYCUBE_* environment variables.

        The variables are CONNECTYCUBE_APP_ID and _AUTH_KEY (required), _AUTH_SECRET, _ADMIN_KEY, _API_URL,
        _CHAT_HOST, _CHAT_PORT and _CA_FILE. An empty variable counts as absent.

        Args:
            environ: The variables; by default ``os.environ``.
            overrides: Fields of Config, which take precedence over the variables.

        Returns:
            The configuration.

        Raises:
            ArgumentTypeError: A field of ``overrides`` has the wrong type; the error names it.
            ArgumentValueError: A variable is missing or wrong; the error names it.
        """
        check_field_names(overrides)
        source = os.environ if environ is None else environ
        values: dict[str, Any] = dict(overrides)
        for name, variable in _ENVIRONMENT.items():
            text = source.get(variable, "")
            if name in values or not text:
                continue
            if name in ("app_id", "chat_port"):
                # Python refuses to read thousands of digits.
                if not text.isascii() or not text.isdigit() or len(text) > 19:
                    raise ArgumentValueError(f"{variable} must be a whole number")
                values[name] = int(text)
            else:
                values[name] = text
        for name in ("app_id", "auth_key"):
            if name not in values:
                raise ArgumentValueError(
                    f"{_ENVIRONMENT[name]} is not set (or pass {name}=…){_likeness(name, source)}"
                )
        return cls(**values)

    @confined
    def replace(self, **changes: Unpack[ConfigFields]) -> Config:
        """Return a copy with some fields changed, checked like a new one.

        Args:
            changes: The fields to change.

        Returns:
            The copy; this object stays as it is.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
        """
        check_field_names(changes)
        return evolve(self, **changes)


def _likeness(name: str, source: Mapping[str, str]) -> str:
    """Return the end of a sentence that names a variable which is misspelt, or the emulator."""
    others = {each for each in source if each.startswith(_PREFIX)} - set(_ENVIRONMENT.values())
    found = misspelt(name, [each.removeprefix(_PREFIX) for each in sorted(others)])
    if found is not None:
        return f": {_PREFIX}{found} is, which nothing reads"
    return ": without an account, run the program with 'connectycube exec -- python program.py'"


# attrs wrote it, so it is not decorated in the class.
Config.__init__ = confined(Config.__init__)  # type: ignore[method-assign]


def check_field_names(names: Iterable[str]) -> None:
    """Refuse a name that no field of Config has; the error names the nearest one."""
    known = [entry.name for entry in fields(Config)]
    for name in names:
        if name not in known:
            raise ArgumentTypeError(f"{name} is no field of Config: {nearest(name, known)}")
