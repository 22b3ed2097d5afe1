"""Config: credentials, endpoints, TLS, and every time-out and bound in one place."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlsplit

from attrs import Attribute, evolve, field, frozen

from ._checks import check_bool, check_callable, check_int, check_number, check_str
from .errors import ApiError, ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = [
    "Config",
    "ConfigFields",
    "Limits",
    "ReconnectPolicy",
    "RequestRecord",
    "RetryPolicy",
    "Timeouts",
]


def _seconds(instance: object, attribute: Attribute[float], value: object) -> None:
    check_number(attribute.name, value, least=0.001)


def _count(instance: object, attribute: Attribute[int], value: object) -> None:
    check_int(attribute.name, value, least=1)


def _bool(instance: object, attribute: Attribute[bool], value: object) -> None:
    check_bool(attribute.name, value)


def _string(instance: object, attribute: Attribute[str], value: object) -> None:
    check_str(attribute.name, value)


def _optional_string(instance: object, attribute: Attribute[str | None], value: object) -> None:
    if value is not None:
        check_str(attribute.name, value)


def _path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


@frozen(kw_only=True)
class Timeouts:
    """Every default time-out, in seconds; each call that waits takes its own ``timeout=`` as well."""

    connect: float = field(default=10.0, validator=_seconds)
    """To resolve, connect and finish the TLS handshake with the chat server."""
    login: float = field(default=30.0, validator=_seconds)
    """For ``chat.login()`` as a whole, and for each later attempt of a reconnection."""
    iq: float = field(default=10.0, validator=_seconds)
    """For the answer to an IQ request (ping, last activity, lists)."""
    join: float = field(default=10.0, validator=_seconds)
    """To join a room."""
    acknowledgement: float = field(default=30.0, validator=_seconds)
    """For the server's acknowledgement of a message: the default of a send handle's ``result()``."""
    send: float = field(default=10.0, validator=_seconds)
    """For room in the outbound buffer."""
    rest_connect: float = field(default=5.0, validator=_seconds)
    """To connect to the REST API."""
    rest_read: float = field(default=30.0, validator=_seconds)
    """For the REST API to answer, and between two pieces of its answer."""
    rest_transfer: float = field(default=600.0, validator=_seconds)
    """To upload or download one file as a whole."""
    liveness_interval: float = field(default=30.0, validator=_seconds)
    """Without a sign of life for this long, the chat server is asked for one."""
    liveness_answer: float = field(default=15.0, validator=_seconds)
    """How long the chat server may take to answer before the link counts as dead."""
    logout: float = field(default=5.0, validator=_seconds)
    """For ``chat.logout()`` and ``chat.destroy()``."""
    exit: float = field(default=2.0, validator=_seconds)
    """For all chat connections together when the interpreter exits."""
    slow_callback: float = field(default=5.0, validator=_seconds)
    """A receiver that runs for longer is named in a warning."""


@frozen(kw_only=True)
class ReconnectPolicy:
    """When a lost link is made again: attempt n waits ``U[0.5, 1.5] x min(max_delay, delay x 2^(n-1))``.

    ``max_attempts``: 0 disables reconnection, None never gives up. ``delay`` and ``max_delay`` are
    seconds. The count of attempts starts anew once the connection has been ready for
    ``reset_after`` seconds. (Guide: ``totalReconnections`` and ``reconnectionTimeout``.)
    """

    max_attempts: int | None = field(default=5)
    delay: float = field(default=5.0, validator=_seconds)
    max_delay: float = field(default=60.0, validator=_seconds)
    reset_after: float = field(default=10.0, validator=_seconds)

    @max_attempts.validator
    def _check_max_attempts(self, attribute: Attribute[int | None], value: object) -> None:
        if value is not None:
            check_int("max_attempts", value, least=0)


@frozen(kw_only=True)
class RetryPolicy:
    """When a REST request is sent again: try n waits ``U[0.5, 1.5] x min(max_delay, delay x 2^(n-1))``.

    Only what cannot do harm is repeated: any request whose connection was never made or that was
    answered 429, and GET and DELETE whose connection broke or that were answered 502, 503 or 504.
    ``Retry-After`` takes the place of the wait. Nothing is repeated that would have to wait beyond the
    call's deadline, and no answer that is late is asked for twice.
    ``max_retries`` 0 disables it; ``delay`` and ``max_delay`` are seconds.
    """

    max_retries: int = field(default=2)
    delay: float = field(default=0.5, validator=_seconds)
    max_delay: float = field(default=8.0, validator=_seconds)

    @max_retries.validator
    def _check_max_retries(self, attribute: Attribute[int], value: object) -> None:
        check_int("max_retries", value, least=0)


@frozen(kw_only=True)
class RequestRecord:
    """One request and its answer, as ``on_request`` sees it; no secrets are in it.

    ``status`` is None where no answer came, and ``error`` says why; ``seconds`` is how long it took,
    ``bytes_received`` the size of the answer's body, ``attempt`` 1 or more after a retry.
    """

    method: str
    url: str
    status: int | None = None
    seconds: float
    bytes_received: int = 0
    attempt: int = 1
    error: ApiError | None = None


@frozen(kw_only=True)
class Limits:
    """Every bound on memory: what is beyond it waits, is refused or ends the stream, by name."""

    stanza_bytes: int = field(default=1_048_576, validator=_count)
    """The largest stanza accepted from the server; a larger one ends the stream."""
    stanza_depth: int = field(default=64, validator=_count)
    """The deepest nesting of elements accepted in a stanza."""
    queued_events: int = field(default=10_000, validator=_count)
    """Events that wait for receivers."""
    queued_bytes: int = field(default=33_554_432, validator=_count)
    """Bytes of stanzas that wait for receivers."""
    outbound_stanzas: int = field(default=1_000, validator=_count)
    """Stanzas that wait for the link or for the server's acknowledgement."""
    outbound_bytes: int = field(default=16_777_216, validator=_count)
    """Bytes of stanzas that wait for the link or for the server's acknowledgement."""


class ConfigFields(TypedDict, total=False):
    """The fields of :class:`Config`, as keyword arguments of functions that make or change one."""

    app_id: int
    auth_key: str
    auth_secret: str | None
    api_url: str
    chat_host: str
    chat_port: int
    ca_file: str | os.PathLike[str] | None
    proxy: str | None
    retry: RetryPolicy
    on_request: Callable[[RequestRecord], None] | None
    workers: int
    auto_delivered: bool
    join_rooms: bool
    fill_gaps: bool
    gap_overlap: float
    typing_expires: float | None
    durable: str | os.PathLike[str] | None
    timeouts: Timeouts
    reconnect: ReconnectPolicy
    limits: Limits


_ENVIRONMENT = {
    "app_id": "CONNECTYCUBE_APP_ID",
    "auth_key": "CONNECTYCUBE_AUTH_KEY",
    "auth_secret": "CONNECTYCUBE_AUTH_SECRET",
    "api_url": "CONNECTYCUBE_API_URL",
    "chat_host": "CONNECTYCUBE_CHAT_HOST",
    "chat_port": "CONNECTYCUBE_CHAT_PORT",
    "ca_file": "CONNECTYCUBE_CA_FILE",
}


@frozen(kw_only=True)
class Config:
    """One application's credentials, endpoints and policies; immutable, shared freely by threads.

    ``app_id`` (int) and ``auth_key`` come from the admin panel; ``auth_secret`` only where session
    requests must be signed. ``ca_file`` replaces the system's certificate authorities for both REST
    and chat. ``chat_host`` is the XMPP domain, the address and the name in the certificate.
    """

    app_id: int = field()
    auth_key: str = field(validator=_string, repr=False)
    auth_secret: str | None = field(default=None, validator=_optional_string, repr=False)
    api_url: str = field(default="https://api.connectycube.com")
    chat_host: str = field(default="chat.connectycube.com")
    chat_port: int = field(default=5223)
    ca_file: str | None = field(default=None, converter=_path)
    proxy: str | None = field(default=None, repr=False)
    """The HTTP proxy of all REST requests, ``http://[user:password@]host:port``."""
    retry: RetryPolicy = field(factory=RetryPolicy)
    """Which REST requests are sent again, and when."""
    on_request: Callable[[RequestRecord], None] | None = field(default=None, repr=False)
    """Called after each REST request, in the thread that made it; what it raises is logged."""
    workers: int = field(default=1, validator=_count)
    """Dispatcher threads that call receivers; order holds within a conversation whatever the number."""
    auto_delivered: bool = field(default=True, validator=_bool)
    """Whether a markable message is answered with 'delivered' by itself."""
    join_rooms: bool = field(default=True, validator=_bool)
    """Whether sending to a group, public or broadcast dialog enters its room first."""
    fill_gaps: bool = field(default=True, validator=_bool)
    """Whether history is read for what came while the connection was lost, if its session is gone."""
    gap_overlap: float = field(default=60.0, validator=_seconds)
    """How many seconds before the gap history is read from: more than stanzas and clocks may lag behind."""
    typing_expires: float | None = field(default=None)
    """Seconds after which who is typing counts as having stopped, unless they said more (None: never)."""
    durable: str | None = field(default=None, validator=_optional_string, converter=_path)
    """The file of durable mode, made at the first login: one a user (None: memory alone)."""
    timeouts: Timeouts = field(factory=Timeouts)
    reconnect: ReconnectPolicy = field(factory=ReconnectPolicy)
    limits: Limits = field(factory=Limits)

    @app_id.validator
    def _check_app_id(self, attribute: Attribute[int], value: object) -> None:
        check_int("app_id", value, least=1)

    @api_url.validator
    def _check_api_url(self, attribute: Attribute[str], value: object) -> None:
        text = check_str("api_url", value)
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ArgumentValueError(f"api_url is not a URL: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ArgumentValueError(f"api_url must be an http(s) URL with a host, not {text!r}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ArgumentValueError(
                "api_url must hold neither credentials nor a query nor a fragment"
            )
        if parts.scheme == "http" and not is_loopback(host):
            raise ArgumentValueError(
                f"api_url is plain http to {host}: only loopback addresses may be spoken to without TLS"
            )

    @chat_host.validator
    def _check_chat_host(self, attribute: Attribute[str], value: object) -> None:
        text = check_str("chat_host", value)
        if any(character.isspace() or character in "/@:<>&\"'" for character in text):
            raise ArgumentValueError(f"chat_host must be a bare host name, not {text!r}")

    @chat_port.validator
    def _check_chat_port(self, attribute: Attribute[int], value: object) -> None:
        check_int("chat_port", value, least=1, most=65535)

    @typing_expires.validator
    def _check_typing_expires(self, attribute: Attribute[float | None], value: object) -> None:
        if value is not None:
            check_number("typing_expires", value, least=0.001)

    @ca_file.validator
    def _check_ca_file(self, attribute: Attribute[str | None], value: object) -> None:
        if value is not None and not os.path.isfile(check_str("ca_file", value)):
            raise ArgumentValueError(f"ca_file is not a file: {value!r}")

    @proxy.validator
    def _check_proxy(self, attribute: Attribute[str | None], value: object) -> None:
        if value is None:
            return
        text = check_str("proxy", value)  # not repeated in errors: it may hold a password
        try:
            parts = urlsplit(text)
            usable = parts.scheme == "http" and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.path.strip("/") or parts.query or parts.fragment:
            raise ArgumentValueError("proxy must look like http://[user:password@]host:port")

    @on_request.validator
    def _check_on_exchange(self, attribute: Attribute[object], value: object) -> None:
        if value is not None:
            check_callable("on_request", value)

    @timeouts.validator
    @retry.validator
    @reconnect.validator
    @limits.validator
    def _check_table(self, attribute: Attribute[object], value: object) -> None:
        expected = {
            "timeouts": Timeouts,
            "retry": RetryPolicy,
            "reconnect": ReconnectPolicy,
            "limits": Limits,
        }
        if not isinstance(value, expected[attribute.name]):
            raise ArgumentTypeError(
                f"{attribute.name} must be a {expected[attribute.name].__name__}, "
                f"not {type(value).__name__}"
            )

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, **overrides: Unpack[ConfigFields]
    ) -> Config:
        """Read the CONNECTYCUBE_* variables; keyword arguments take precedence.

        Variables: CONNECTYCUBE_APP_ID and _AUTH_KEY (required), _AUTH_SECRET, _API_URL, _CHAT_HOST,
        _CHAT_PORT, _CA_FILE. An empty variable counts as absent.

        Raises ArgumentValueError that names the variable which is missing or wrong.
        """
        source = os.environ if environ is None else environ
        values: dict[str, Any] = dict(overrides)
        for name, variable in _ENVIRONMENT.items():
            text = source.get(variable, "")
            if name in values or not text:
                continue
            if name in ("app_id", "chat_port"):
                if not text.isascii() or not text.isdigit():
                    raise ArgumentValueError(f"{variable} must be a whole number, not {text!r}")
                values[name] = int(text)
            else:
                values[name] = text
        for name in ("app_id", "auth_key"):
            if name not in values:
                raise ArgumentValueError(f"{_ENVIRONMENT[name]} is not set (or pass {name}=…)")
        return cls(**values)

    def replace(self, **changes: Unpack[ConfigFields]) -> Config:
        """Return a copy with some fields changed, checked like a new one."""
        return evolve(self, **changes)


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
