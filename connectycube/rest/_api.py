"""One REST call from its arguments to a checked response: session, retries, redirects, the observer.

A call passes through four steps: ``call`` (or ``download``, ``post_form``) builds the request and checks the
response, ``_send_authorized`` adds the session's token and renews the session, ``_send_with_retries`` sends
again, and ``_send_once`` uses the transport.
"""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import itertools
import json
import logging
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode, urljoin, urlsplit

from attrs import evolve

from .._checks import check_callable, check_number
from .._hosts import is_loopback, may_be_loopback
from .._network import Network
from .._redact import MASK, peer_text, redact_url, secrets_in
from .._secrets import Secret, confined
from ..config import Config, RetryPolicy
from ..errors import (
    ApiAuthenticationError,
    ApiError,
    ApiTimeoutError,
    ArgumentTypeError,
    ArgumentValueError,
    ClientClosedError,
)
from ..observer import Observer, RequestRecord, call_observer
from ._http import Body, BodyWriter, CallDeadline, HttpClient, HttpTransport, Request, Response
from ._response import check_response, http_date, unexpected
from ._retry import pause_after_failure, pause_after_response
from ._service_clock import ServiceClock
from ._session import ApplicationRenewal, Renewal, SessionState, expiry_of
from ._template import template_of

if TYPE_CHECKING:
    from ..models import Session
    from ._shared_session import SharedSession

__all__ = ["Api", "Query"]

Query = Iterable[tuple[str, str | int]]
"""Pairs of a query string, in the service's names."""

Need = Literal["needed", "if any", "none"]
"""Whether a call needs a session, uses one if there is any, or sends no token."""

_UNCHANGED = {"Accept": "*/*", "Accept-Encoding": "identity"}  # lengths are those of the file
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_HEADER = re.compile(r"([!-~]([ -~]*[!-~])?)?")  # printable ASCII, no space at its ends
_NO_HEADER = "holds characters that no HTTP header may hold"
_CLOSED = "this client is closed: make a new ConnectyCube"

_log = logging.getLogger("connectycube.rest")


class Api:
    """The REST API for one user; every method may be called from any thread.

    Threads share the transport and the session, which is behind a lock. Redirects are followed for downloads
    only; the token goes to the API's origin and to no other. After a fork the child has locks of its own, and
    the same session.

    Logger ``connectycube.rest`` writes one line for each request, at level DEBUG, without secrets.

    Args:
        config: The configuration.
        renew_session: The application's way to renew a session that has ended, or None.
        transport: What sends the requests; None for a new HttpClient, which :meth:`close` closes.

    Raises:
        ArgumentTypeError: ``renew_session`` cannot be called, or ``transport`` has no method ``send``.
        ArgumentValueError: A file of certificates that the configuration names cannot be read, or a
            proxy variable is wrong.
    """

    def __init__(
        self,
        config: Config,
        *,
        renew_session: ApplicationRenewal | None = None,
        transport: HttpTransport | None = None,
    ) -> None:
        self._config = config
        self._retry = config.retry
        self._base = config.api_url.rstrip("/")
        self._state = SessionState(renew_session)
        self._clock = ServiceClock()
        self._is_closed = False
        self._own_client: HttpClient | None = None
        if transport is None:
            transport = self._own_client = HttpClient(Network.of(config))
            self._own_client.check_proxy(config.api_url)
        elif not hasattr(transport, "send"):
            kind = type(transport).__name__
            raise ArgumentTypeError(
                f"transport must have a method send(request), and {kind} has none"
            )
        else:
            check_callable("transport.send", transport.send, "request")
        self._transport = transport

    def __repr__(self) -> str:
        return f"<Api {self._base}>"

    def without_retries(self) -> Api:
        """Return the same API, with the same session and transport, that sends each request once."""
        other = copy.copy(self)
        other._retry = RetryPolicy(max_retries=0)
        return other

    @property
    def config(self) -> Config:
        """The configuration it was made with."""
        return self._config

    @property
    def transport(self) -> HttpTransport:
        """What sends the requests."""
        return self._transport

    @property
    def session(self) -> Session | None:
        """The current session, or None."""
        return self._state.session

    @property
    def user_id(self) -> int | None:
        """The id of the current session's user, or None."""
        session = self._state.session
        return None if session is None else session.user_id

    def service_time(self) -> float | None:
        """Return the time by the service's clock, in unix seconds; None before the API's first response."""
        return self._clock.time()

    @property
    def shared_session(self) -> SharedSession | None:
        """The place of the current session in the token store, or None."""
        return self._state.shared

    def adopt(
        self,
        session: Session,
        renewal: Renewal | None = None,
        shared: SharedSession | None = None,
    ) -> None:
        """Use ``session`` from now on; ``renewal`` makes another like it when the service ends it.

        If the application renews sessions itself, its function is called instead of ``renewal``. ``shared``
        is the place in the token store where another process may have renewed the session already.
        """
        self._state.adopt(session, renewal, shared)

    def identify(self, session: Session) -> None:
        """Know more of the current session, if it still is this one (by its token)."""
        self._state.identify(session)

    def forget(self, session: Session) -> None:
        """Use no session any more, if the current one still is this one."""
        self._state.forget(session)

    def live_session(
        self, *, refused: Secret | None = None, timeout: float | CallDeadline | None = None
    ) -> Session | None:
        """Return the current session, or None; renewed if it has expired or its token was ``refused``.

        Args:
            refused: A token that a server did not accept, or None.
            timeout: Seconds, as for :meth:`call`.

        Raises:
            ApiTimeoutError: The session was not renewed in time.
            ClientClosedError: The client was closed.
            Exception: The renewal raised it.
        """
        self.check_open()
        session = self._state.session
        if session is None or (Secret(session.token) != refused and not self._state.has_expired()):
            return session
        deadline = self.deadline(timeout)
        request = self._request("POST", self.url(("session",)), deadline)
        fresh = self._renewed(session, request)
        if fresh is None or self._state.shared is None:
            return fresh or session
        # Another process may have made it, and it may have ended as well: then the call renews it. The chat
        # asks for one renewal in each attempt.
        self.call("GET", ("session",), timeout=deadline)
        return self._state.session

    # --- calls ----------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: Sequence[str],
        *,
        query: Query = (),
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        timeout: float | CallDeadline | None = None,
        session: Need = "needed",
        renew: bool = True,
        secrets: Collection[Secret] = (),
    ) -> Response:
        """Make one call and return its response, a success that is JSON or empty.

        A session that has ended, by its expiry or with a 401, means one renewal, if the session can be
        renewed, and one repetition.

        Args:
            method: The HTTP method.
            path: The segments of the path; they are quoted here.
            query: The pairs of the query.
            body: What to send as JSON, or None; Secrets in it are opened as it is written.
            headers: Headers of this call alone.
            timeout: Seconds for the whole call, a renewal of the session included; by default what Config
                allows to connect and to read.
            session: Whether the call needs a session, uses one if there is any, or sends no token.
            renew: False takes the service's 401 as it is.
            secrets: What to mask in errors, beyond what has a secret name and the Secrets in the body.

        Raises:
            ApiAuthenticationError: The call needs a session and there is none; nothing was sent.
            ClientClosedError: The client was closed; nothing was sent.
            ApiError: The call failed; a subclass says how.
        """
        url, deadline = self.url(path, query), self.deadline(timeout)
        content = None if body is None else Secret(_encoded(body))
        response, used = self._send_authorized(
            self._request(method, url, deadline, headers=headers, body=content), session, renew
        )
        known = () if response.status < 300 else (*self._secrets(used, body), *secrets)
        return check_response(response, known)

    def download(self, path: Sequence[str], writer: BodyWriter, deadline: CallDeadline) -> None:
        """Stream a file into ``writer``; redirects are followed, to other origins without the token.

        Raises:
            ApiError: The call failed; a subclass says how.
            Exception: The writer raised it.
        """
        request = self._request("GET", self.url(path), deadline, headers=_UNCHANGED, writer=writer)
        response, session = self._send_authorized(request, "if any", True)
        for _ in range(_MOST_REDIRECTS):
            if response.status not in _REDIRECTS or "Location" not in response.headers:
                break
            # The address is in no local: it may be signed.
            request = self._request(
                "GET",
                self.safe_url(response.headers["Location"], response, base=request.url),
                deadline,
                headers=_UNCHANGED,
                writer=writer,
            )
            response = self._send_with_retries(request)
        check_response(response, self._secrets(session, None))

    def post_form(
        self,
        url: str,
        content_type: str,
        body: Body,
        deadline: CallDeadline,
        fields: Secret,
    ) -> None:
        """Send a form to the storage, without the token.

        Args:
            url: Where to send it, as :meth:`safe_url` returns it.
            content_type: Its content type, with the boundary.
            body: The form.
            deadline: The deadline of the whole upload.
            fields: The fields of the form, of which errors repeat no secret.

        Raises:
            ApiError: The call failed; a subclass says how.
        """
        headers = {"Content-Type": content_type}
        request = self._request("POST", url, deadline, headers=headers, body=body)
        response = self._send_once(request, 1)
        if response.is_success:
            response = evolve(response, body=b"")  # the storage's XML is of no use to us
        check_response(response, list(secrets_in(fields.open())))

    def deadline(self, timeout: float | CallDeadline | None) -> CallDeadline:
        """Return the deadline for a call that was given ``timeout`` (seconds, or None for the default)."""
        if isinstance(timeout, CallDeadline):
            return timeout
        if timeout is not None:
            return CallDeadline(check_number("timeout", timeout, least=0.001))
        times = self._config.timeouts
        return CallDeadline(times.rest_connect + times.rest_read, silence=times.rest_read)

    def url(self, path: Sequence[str], query: Query = ()) -> str:
        """Return the URL of a resource of the API."""
        url = "/".join((self._base, *(quote(segment, safe=",") for segment in path)))
        pairs = urlencode(list(query), quote_via=quote)
        return f"{url}?{pairs}" if pairs else url

    def check_open(self) -> None:
        """Raise ClientClosedError after :meth:`close`."""
        if self._is_closed:
            raise ClientClosedError(_CLOSED)

    @confined
    def safe_url(self, url: str, response: Response, *, base: str = "") -> str:
        """Return a URL that the service named, if the client may speak to it.

        It must be https. A service on another machine may not name this machine, where other programs listen;
        a service on this machine may, also without TLS.

        Args:
            url: The URL, which may be relative.
            response: The response that names it.
            base: What it is relative to.

        Raises:
            UnexpectedResponseError: The client may not speak to it.
        """
        try:
            whole = urljoin(base, url)
            parts = urlsplit(whole)
            host, _, shown = parts.hostname, parts.port, redact_url(whole)
        except ValueError:
            whole, parts, host, shown = url, urlsplit(""), None, MASK
        if host and self._may_speak_to(parts.scheme, host):
            return whole
        raise unexpected(response, f"it names a URL that is not safe: {peer_text(shown)}")

    def _may_speak_to(self, scheme: str, host: str) -> bool:
        if is_loopback(urlsplit(self._base).hostname or ""):
            return scheme == "https" or (scheme == "http" and is_loopback(host))
        return scheme == "https" and not may_be_loopback(host)

    def close(self) -> None:
        """Close the idle connections and refuse later calls; the session lives on at the service.

        A transport that was passed in stays as it is.
        """
        self._is_closed = True
        if self._own_client is not None:
            self._own_client.close()

    # --- the steps of a call --------------------------------------------------------------------

    def _request(
        self,
        method: str,
        url: str,
        deadline: CallDeadline,
        *,
        headers: Mapping[str, str | Secret] | None = None,
        body: Secret | Body | None = None,
        writer: BodyWriter | None = None,
    ) -> Request:
        """Build a request with all its headers but the token."""
        whole = {"User-Agent": f"connectycube-python/{_version()}"}
        if self._is_api(url):  # other origins need not know
            whole["Accept"] = "application/json"
            whole["Accept-Encoding"] = "gzip"
            whole["CB-SDK"] = f"Python {_version()}"
            if body is not None:
                whole["Content-Type"] = "application/json"
        for name, value in (headers or {}).items():
            _check_header(name, value)
            whole[name] = value.open() if isinstance(value, Secret) else value
        return Request(
            method=method,
            url=url,
            headers=whole,
            body=body.open() if isinstance(body, Secret) else body,
            writer=writer,
            deadline=deadline,
            connect_timeout=self._config.timeouts.rest_connect,
        )

    def _send_authorized(
        self, request: Request, need: Need, renew: bool
    ) -> tuple[Response, Session | None]:
        """Send a request with the session's token; renew the session where it has ended."""
        session = None if need == "none" else self._state.session
        if session is None:
            if need == "needed":
                self.check_open()  # a closed client has no use for a session
                raise _no_session(request)
            return self._send_with_retries(request), None
        if renew and self._state.has_expired():
            session = self._renewed(session, request) or session
        response = self._send_with_retries(_authorized(request, session))
        renewals = 0
        while response.status == 401 and renew and renewals < self._most_renewals():
            fresh = self._renewed(session, request)
            if fresh is None:
                break
            renewals += 1
            session = fresh
            response = self._send_with_retries(_authorized(request, session))
        self._note_expiry(session, response)
        return response, session

    def _most_renewals(self) -> int:
        """Return how often a call renews: a session of the token store may have ended as well."""
        return 1 if self._state.shared is None else 2

    def _send_with_retries(self, request: Request) -> Response:
        """Send a request, and again where that can do no harm and the deadline leaves time for it."""
        policy, method, deadline = self._retry, request.method, request.deadline
        for attempt in itertools.count(1):
            try:
                response = self._send_once(request, attempt)
            except ApiError as error:
                pause = pause_after_failure(policy, method, error, attempt)
                if pause is None or not _leaves(deadline, pause):
                    raise
            else:
                pause = pause_after_response(policy, method, response, attempt)
                if pause is None or not _leaves(deadline, pause):
                    return response
            time.sleep(pause)
        raise AssertionError("the count has no end")

    def _send_once(self, request: Request, attempt: int) -> Response:
        """Send a request through the transport; log it and tell the observer."""
        self.check_open()
        observer = self._config.observer
        started = time.monotonic()
        try:
            response = self._transport.send(request)
            if getattr(response, "request", None) is not request:
                response = _of_request(response, request)
        except (
            BaseException
        ) as error:  # also of the application: its transport, or the file it writes to
            seconds = time.monotonic() - started
            if isinstance(error, ApiError):
                _log.debug("%s, after %.3f s", error, seconds)
            if observer is not None:
                self._tell(observer, request, attempt, seconds, error=type(error))
            raise
        seconds = time.monotonic() - started
        if self._is_api(request.url):
            self._clock.note(http_date(response.headers.get("Date", "")))
        if _log.isEnabledFor(logging.DEBUG):
            text = "%s %s answered %d in %.3f s, %d bytes"
            url, received = redact_url(request.url), response.received
            _log.debug(text, request.method, url, response.status, seconds, received)
        if observer is not None:
            status, received = response.status, response.received
            self._tell(observer, request, attempt, seconds, status=status, bytes_received=received)
        return response

    def _is_api(self, url: str) -> bool:
        return url.startswith(self._base + "/")

    def _tell(
        self,
        observer: Observer,
        request: Request,
        attempt: int,
        seconds: float,
        **outcome: Any,
    ) -> None:
        record = RequestRecord(
            method=request.method,
            path=template_of(request.url, self._base),
            url=redact_url(request.url),
            seconds=seconds,
            attempt=attempt,
            **outcome,
        )
        call_observer(observer, "request_finished", record)

    def _renewed(self, stale: Session, request: Request) -> Session | None:
        try:
            return self._state.renew(stale, request.deadline)
        except ApiError:
            raise
        except TimeoutError as error:
            method, url = request.method, redact_url(request.url)
            raise ApiTimeoutError(f"{method} {url}: {error}", method=method, url=url) from None

    def _note_expiry(self, session: Session, response: Response) -> None:
        text = response.headers.get("CB-Token-ExpirationDate")
        if text is not None:
            now = http_date(response.headers.get("Date", ""))
            self._state.expires(session, expiry_of(text), now)

    def _secrets(self, session: Session | None, body: object) -> list[Secret]:
        known = {
            "auth_key": self._config.auth_key,
            "auth_secret": self._config.auth_secret,
            "admin_key": self._config.admin_key,
            "token": session and session.token,
        }
        return [*secrets_in(known), *secrets_in(body)]


def _no_session(request: Request) -> ApiAuthenticationError:
    """Return the error of a call that needs a session."""
    method, url = request.method, redact_url(request.url)
    text = "there is no session: call cube.login(login=…, password=…) first"
    return ApiAuthenticationError(f"{method} {url}: {text}", method=method, url=url, status=401)


def _authorized(request: Request, session: Session) -> Request:
    """Return a request with the token of a session."""
    if session.token is None:
        return request
    if not _HEADER.fullmatch(session.token):
        raise ArgumentValueError(f"token {_NO_HEADER}")
    return evolve(request, headers={**request.headers, "CB-Token": session.token})


def _of_request(response: object, request: Request) -> Response:
    """Return what a transport returned, as the response to this request."""
    if not isinstance(response, Response):
        kind = type(response).__name__
        raise ArgumentTypeError(f"transport.send must return a connectycube.Response, not {kind}")
    return evolve(response, request=request)  # a transport may return one object many times


def _leaves(deadline: CallDeadline, pause: float) -> bool:
    left = deadline.remaining()
    return left is None or pause < left


@functools.cache
def _version() -> str:
    try:
        return importlib.metadata.version("connectycube")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _check_header(name: str, value: str | Secret) -> None:
    """Refuse a value that no header can hold (RFC 9110, 5.5); the error does not repeat it."""
    if not _HEADER.fullmatch(value.open() if isinstance(value, Secret) else value):
        raise ArgumentValueError(f"{name} {_NO_HEADER}")


def _encoded(body: Mapping[str, object]) -> bytes:
    return json.dumps(
        body, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=Secret.open
    ).encode()
