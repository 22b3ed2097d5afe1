"""The doctor of all integrations: what stands between a program and the service, one step after the other.

``examine_service`` looks at names, connections, certificates, clock, REST, login, chat and storage, and names
the first cause where the later ones follow from it. ``examine_durable`` looks at the file of durable mode.
"""

from __future__ import annotations

import email.utils
import os
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from attrs import field, frozen

from connectycube import Config, ConnectyCube, File
from connectycube._containers import AnySet
from connectycube.errors import (
    ApiAuthenticationError,
    ApiNetworkError,
    ApiProxyError,
    ApiTimeoutError,
    ChatAuthenticationError,
    ConnectyCubeError,
    ProxyError,
    StreamError,
    ValidationError,
)

__all__ = ["Finding", "examine_durable", "examine_service"]

_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_CLOCK_WARNING, _CLOCK_FAILURE = 5.0, 60.0
_DAYS_LEFT = 14
_DIRECT_TLS = 5223

LogIn = Callable[[ConnectyCube, float], object]
"""Logs a client in to REST within so many seconds. The credentials stay on its side: the frames of an error
must not show them."""


@frozen
class Finding:
    """One thing that was looked at."""

    what: str
    state: str
    """"ok", "warning" or "failed"."""
    why: str = ""
    hint: str = ""


def examine_durable(what: str, path: str | None) -> Iterator[Finding]:
    """Look at the place of the file of durable mode, which need not be there yet.

    Args:
        what: What the finding is about.
        path: ``Config.durable``.
    """
    if path is None:
        return
    folder = os.path.dirname(path) or "."
    if not os.access(folder, os.W_OK | os.X_OK):
        why = f"the folder of {path} is missing, or cannot be written to"
        yield Finding(what, "failed", why, "Make the folder, or correct DURABLE.")
    elif not os.path.isabs(path):
        why = f"{path} is a relative path"
        hint = "A listener that starts in another folder finds another file."
        yield Finding(what, "warning", why, hint)
    else:
        yield Finding(what, "ok", path)


def examine_service(
    config: Config, log_in: LogIn | None, *, of: str = "", storage: bool = False
) -> Iterator[Finding]:
    """Look at the way to the service, and log in to REST and chat, beside a listener of the same user.

    Nothing is taken from that listener. Each finding is yielded as soon as it is known.

    Args:
        config: The configuration.
        log_in: Logs the user in to REST; None: nobody is logged in.
        of: Whose service it is, in front of what each finding is about: ``bot default``.
        storage: Whether a small file is uploaded, downloaded and deleted again.
    """
    examination = _Examination(
        config=config.replace(
            durable=None, cursor_store=None, auto_delivered=False, fill_gaps=False, join_rooms=False
        ),
        log_in=log_in,
        storage=storage,
    )
    for finding in examination.run():
        yield Finding(f"{of}: {finding.what}" if of else finding.what, *_rest_of(finding))


def _rest_of(finding: Finding) -> tuple[str, str, str]:
    return finding.state, finding.why, finding.hint


@frozen(kw_only=True)
class _Place:
    """Where a connection goes, and which field of Config says so."""

    what: str
    host: str
    port: int
    is_tls: bool
    field: str


@frozen(kw_only=True)
class _Examination:
    config: Config
    log_in: LogIn | None
    storage: bool
    _failed: set[str] = field(factory=AnySet, init=False)

    def run(self) -> Iterator[Finding]:
        api = _api_place(self.config)
        chat = _Place(
            what="chat server",
            host=self.config.chat_host,
            port=self.config.chat_port,
            is_tls=True,
            field="chat_port",
        )
        for place in (api, chat):
            yield from self._noted(place.what, _connection(self.config, place))
        if api.what not in self._failed:
            yield from _clock(self.config)
        with ConnectyCube(config=self.config) as client:
            if api.what not in self._failed:
                yield from self._noted("login", self._rest(client))
            if (
                self.log_in is None
                or {"login", chat.what} & self._failed
                or api.what in self._failed
            ):
                return
            yield from _chat(client)
            if self.storage:
                yield _storage(client)
            with suppress(ConnectyCubeError):
                client.logout()

    def _noted(self, name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
        for finding in findings:
            if finding.state == "failed":
                self._failed.add(name)
            yield finding

    def _rest(self, client: ConnectyCube) -> Iterator[Finding]:
        """Make a session of the application, then one of the user."""
        began = time.monotonic()
        try:
            client.sessions.create(timeout=_SECONDS)
        except ConnectyCubeError as error:
            hint = "Correct app_id and auth_key: the admin panel shows them."
            if not isinstance(error, (ApiAuthenticationError, ValidationError)):
                hint = _hint_of(error)
            yield Finding("REST", "failed", _words(error), hint)
            return
        yield Finding("REST", "ok", f"{(time.monotonic() - began) * 1000:.0f} ms for a session")
        if self.log_in is None:
            yield Finding("login", "warning", "nobody is logged in", "Log in, and run this again.")
            return
        try:
            self.log_in(client, _SECONDS)
        except ConnectyCubeError as error:
            hint = "Login and password do not match: correct them, or log in again."
            if not isinstance(error, ApiAuthenticationError):
                hint = _hint_of(error)
            yield Finding("login", "failed", _words(error), hint)
            return
        user = client.user
        yield Finding("login", "ok", f"user {user.id}" if user is not None else "")


def _api_place(config: Config) -> _Place:
    parts = urlsplit(config.api_url)
    is_tls = parts.scheme == "https"
    return _Place(
        what="REST server",
        host=parts.hostname or "",
        port=parts.port or (443 if is_tls else 80),
        is_tls=is_tls,
        field="api_url",
    )


# --- names, connections and certificates ----------------------------------------------------------------


def _connection(config: Config, place: _Place) -> Iterator[Finding]:
    """Look the name up, connect, look at the certificate; through a proxy this is the proxy's business."""
    proxy = _proxy_of(config, place.host)
    if proxy is not None:
        where = urlsplit(proxy)
        shown = f"{where.hostname}:{where.port}" if where.port else where.hostname
        yield Finding(place.what, "ok", f"{place.host}:{place.port} through the proxy {shown}")
        return
    try:
        addresses = _addresses(place.host, place.port)
    except OSError as error:
        why = f"{place.host} has no address: {error.strerror or error}"
        yield Finding(place.what, "failed", why, f"Correct the name, or DNS. {_proxy_hint()}")
        return
    sock = None
    try:
        sock = _connected(addresses)
        if place.is_tls:
            yield _certificate(config, place, sock)
        else:
            yield Finding(place.what, "ok", f"{place.host}:{place.port}")
    except (OSError, TimeoutError) as error:
        yield _unreachable(place, error)
    finally:
        if sock is not None:
            sock.close()


def _addresses(host: str, port: int) -> list[Any]:
    """Return the addresses of a name, or raise an OSError, also when DNS does not answer."""
    found: list[Any] = []
    failures: list[OSError] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=ask, name="doctor-resolver", daemon=True)
    thread.start()
    thread.join(_CONNECT_SECONDS)
    if found:
        return found
    raise (
        failures[0] if failures else TimeoutError(f"DNS has not answered in {_CONNECT_SECONDS:g} s")
    )


def _connected(addresses: list[Any]) -> socket.socket:
    """Return a connection to the first address that takes one."""
    failure: OSError = OSError("no address")
    for family, kind, protocol, _, address in addresses[:4]:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(_CONNECT_SECONDS)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _unreachable(place: _Place, error: OSError) -> Finding:
    where = f"{place.host}:{place.port}"
    if isinstance(error, ConnectionRefusedError):
        usual = _DIRECT_TLS if place.field == "chat_port" else 443
        hint = f"Correct {place.field} (the service uses port {usual}), or start the server."
        return Finding(place.what, "failed", f"nothing listens on {where}", hint)
    why = f"{where} does not answer"
    if not isinstance(error, TimeoutError):
        why = f"{where} is out of reach: {error.strerror or error}"
    hint = f"A firewall stands in between, or {place.field} is wrong. {_proxy_hint()}"
    return Finding(place.what, "failed", why, hint)


def _certificate(config: Config, place: _Place, sock: socket.socket) -> Finding:
    context = ssl.create_default_context(cafile=config.ca_file)
    if config.client_cert is not None:
        password = config.client_key_password
        context.load_cert_chain(config.client_cert, config.client_key, password or "")
    where = f"{place.host}:{place.port}"
    try:
        with context.wrap_socket(sock, server_hostname=place.host) as tls:
            certificate = tls.getpeercert() or {}
            version = tls.version()
    except ssl.SSLCertVerificationError as error:
        return Finding(
            place.what,
            "failed",
            f"the certificate of {where}: {error.verify_message}",
            _of_code(error),
        )
    except ssl.SSLError as error:
        hint = f"Correct {place.field}: the chat's port speaks TLS from the first byte ({_DIRECT_TLS})."
        if place.field == "api_url":
            hint = "Correct api_url, or look at what answers there."
        why = f"{where} does not speak TLS ({error.reason or error})"
        return Finding(place.what, "failed", why.replace("_", " ").lower(), hint)
    except (ConnectionError, TimeoutError) as error:
        why = f"{where} ended or stalled the TLS handshake: {error}"
        return Finding(place.what, "failed", why, f"Correct {place.field}, or look for a firewall.")
    left = _days_left(certificate)
    if left is not None and left < _DAYS_LEFT:
        why = f"the certificate of {where} ends in {left:.0f} days"
        return Finding(place.what, "warning", why, "The operator of the server must renew it.")
    return Finding(place.what, "ok", f"{where}, {version}, certificate valid")


def _of_code(error: ssl.SSLCertVerificationError) -> str:
    """Return what to do, by the code of OpenSSL."""
    text = error.verify_message
    if "expired" in text:
        return "The operator of the server must renew it. If the clock of this machine is ahead, set it."
    if "not yet valid" in text:
        return "Set the clock of this machine: it is behind, or the certificate is too new."
    if "ostname mismatch" in text or "IP address mismatch" in text:
        return "The certificate is of another host: correct the name in api_url or chat_host."
    return (
        "Its authority is unknown: give ca_file the authority's certificate, or find out who reads along "
        "(a proxy of your network may)."
    )


def _days_left(certificate: Any) -> float | None:
    until = certificate.get("notAfter")
    if not isinstance(until, str):
        return None
    return (ssl.cert_time_to_seconds(until) - time.time()) / 86_400


# --- proxies ----------------------------------------------------------------------------------------


def _proxy_of(config: Config, host: str) -> str | None:
    """Return the URL of the proxy for a host; None for a direct connection, as to this machine."""
    url = config.proxy
    if url is None and config.trust_env and not urllib.request.proxy_bypass_environment(host):  # type: ignore[attr-defined]
        known = urllib.request.getproxies_environment()
        url = known.get("https") or known.get("all")
    if url is None or host == "localhost" or host.startswith("127.") or host == "::1":
        return None
    return url if "://" in url else f"http://{url}"


def _proxy_hint() -> str:
    known = urllib.request.getproxies_environment()
    if "http" in known and "https" not in known and "all" not in known:
        return "HTTP_PROXY is set and HTTPS_PROXY is not: this network needs a proxy, so set HTTPS_PROXY."
    if "https" in known or "all" in known:
        return (
            "NO_PROXY keeps this host from the proxy: take it out if the network needs the proxy."
        )
    return "If this network lets connections out through a proxy only, set HTTPS_PROXY."


# --- the clock --------------------------------------------------------------------------------------


def _clock(config: Config) -> Iterator[Finding]:
    """Compare the clock of this machine with the Date of a response (RFC 9110, 6.6.1)."""
    proxy = _proxy_of(config, urlsplit(config.api_url).hostname or "")
    cert: Any = config.client_cert
    if config.client_key is not None:
        cert = (config.client_cert, config.client_key)
    try:
        with requests.Session() as session:
            session.trust_env = False  # no .netrc, and no other proxy than that of the client
            response = session.head(
                config.api_url,
                timeout=_CONNECT_SECONDS,
                verify=config.ca_file or True,
                proxies={"http": proxy, "https": proxy} if proxy else {},
                cert=cert,
                allow_redirects=False,
            )
        date = email.utils.parsedate_to_datetime(response.headers["Date"])
    except (requests.RequestException, KeyError, ValueError, TypeError, OSError):
        return  # the next step says what is wrong
    ahead = time.time() - date.timestamp()
    if abs(ahead) <= _CLOCK_WARNING:
        yield Finding("clock", "ok", f"within {_CLOCK_WARNING:.0f} s of the service's")
        return
    state = "failed" if abs(ahead) > _CLOCK_FAILURE else "warning"
    why = f"the clock of this machine is {_span(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
    hint = "Set it (on Linux: timedatectl set-ntp true): messages carry its time."
    yield Finding("clock", state, why, hint)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


# --- chat and storage ---------------------------------------------------------------------------------


def _chat(client: ConnectyCube) -> Iterator[Finding]:
    try:
        client.chat.login(timeout=_SECONDS)
        yield Finding("chat", "ok", "logged in")
        seconds = client.chat.ping(_SECONDS)
        yield Finding("ping", "ok", f"{seconds * 1000:.0f} ms to the chat server")
        client.chat.logout()
    except ConnectyCubeError as error:
        hint = _hint_of(error)
        if isinstance(error, ChatAuthenticationError):
            hint = "REST takes the user and the chat does not: chat_host may be of another application."
        yield Finding("chat", "failed", _words(error), hint)


def _storage(client: ConnectyCube) -> Finding:
    """Upload a small file, download it, and delete it again."""
    content, file, step = b"doctor", None, "uploading"
    try:
        file = client.files.upload(
            content, name="doctor.txt", content_type="text/plain", timeout=_SECONDS
        )
        step = "downloading"
        found = client.files.download(file, timeout=_SECONDS)
    except ConnectyCubeError as error:
        why = f"{step}: {_words(error)}"
        hint = (
            "The storage of files has a host of its own, which is named above: it is out of reach, or a "
            "firewall or proxy does not let it through."
        )
        return Finding("storage", "failed", why, hint)
    finally:
        _delete(client, file)
    if found != content:
        return Finding("storage", "failed", "the file that came back is another one")
    return Finding("storage", "ok", "a file went there and back")


def _delete(client: ConnectyCube, file: File | None) -> None:
    if file is not None:
        with suppress(ConnectyCubeError):
            client.files.delete(file, timeout=_SECONDS)


def _words(error: ConnectyCubeError) -> str:
    return f"{type(error).__name__}: {error}"


def _hint_of(error: ConnectyCubeError) -> str:
    if isinstance(error, (ApiProxyError, ProxyError)):
        return "Check the proxy in Config(proxy=…), HTTPS_PROXY or ALL_PROXY."
    if isinstance(error, (ApiNetworkError, ApiTimeoutError)):
        return f"Check api_url and the network. {_proxy_hint()}"
    if isinstance(error, StreamError):
        return "The server says why: docs/chat/login.md has a table of the errors."
    return "docs/rest.md and docs/chat/login.md have tables of the errors."
