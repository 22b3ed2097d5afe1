"""Transport: one REST call from arguments to decoded answer, with the session's token and its renewal."""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import json
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

from attrs import evolve, frozen

from .._checks import check_callable, check_number
from .._forks import register_for_fork
from ..config import Config, RequestRecord
from ..errors import ApiError, ApiTimeoutError, ArgumentTypeError, ArgumentValueError
from ..models import Session
from ..models.fields import as_time
from .answers import Answer, answer_of
from .http import Body, BodyWriter, CallDeadline, Reply
from .origins import ConnectionPools
from .redact import redact_url, secrets_in
from .retry import pause_after_failure, pause_after_reply
from .service_clock import ServiceClock
from .state import Renewal, SessionState

__all__ = ["ApplicationRenewal", "Query", "Transport", "expiry_of"]

Query = Iterable[tuple[str, str | int]]
"""Pairs of a query string, in the service's names."""

ApplicationRenewal = Callable[[Session], "Session | str | None"]
"""The application's way to renew: takes the session that ended, returns a token or a session."""

_AS_IT_IS = {"Accept": "*/*", "Accept-Encoding": "identity"}  # lengths are those of the file
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5

_log = logging.getLogger("connectycube.rest")


@frozen(kw_only=True, repr=False)  # it holds secrets
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | Body | None = None
    writer: BodyWriter | None = None


class Transport:
    """The way to the REST API for one user; every method may be called from any thread.

    Threads share a pool of connections, of which each call has one to itself, and the session, which
    stands behind a lock. Nothing else is kept between calls: no cookies. No .netrc and no environment
    variable is read. Redirects are followed for downloads only, and by us: the token goes to the API's
    origin and to no other. ``share`` is a transport whose connections are used as well. After a
    fork the child has a pool and locks of its own, and the same session.

    Logger ``connectycube.rest`` writes one line for each request, at level DEBUG, without secrets.
    """

    def __init__(
        self,
        config: Config,
        *,
        renew_session: ApplicationRenewal | None = None,
        share: Transport | None = None,
    ) -> None:
        if renew_session is not None:
            check_callable("renew_session", renew_session)
        self._config = config
        self._base = config.api_url.rstrip("/")
        self._state = SessionState()
        self._clock = ServiceClock()
        self._renew_session = renew_session
        self._owns_connections = share is None
        self._pools: ConnectionPools = ConnectionPools(config) if share is None else share._pools
        register_for_fork(self)

    def __repr__(self) -> str:
        return f"<Transport {self._base}>"

    @property
    def config(self) -> Config:
        """The configuration it was made with."""
        return self._config

    @property
    def session(self) -> Session | None:
        """The current session, or None."""
        return self._state.session

    def service_time(self) -> float | None:
        """Return the time by the service's clock, in unix seconds; None before the API's first answer."""
        return self._clock.time()

    def adopt(self, session: Session, renewal: Renewal | None = None) -> None:
        """Use ``session`` from now on; ``renewal`` makes another like it when the service ends it.

        Where the application renews sessions itself, its way is taken.
        """
        self._state.adopt(session, self._by_application if self._renew_session else renewal)

    def identify(self, session: Session) -> None:
        """Know more of the current session, if it still is this one (by its token)."""
        self._state.identify(session)

    def forget(self, session: Session) -> None:
        """Use no session any more, if the current one still is this one."""
        self._state.forget(session)

    def live_session(
        self, *, refused: str | None = None, timeout: float | CallDeadline | None = None
    ) -> Session | None:
        """Return the current session, or None; renewed if it has expired or its token was ``refused``.

        ``timeout`` is that of :meth:`call`. Raises what the renewal raises.
        """
        session = self._state.session
        if session is None or (session.token != refused and not self._state.has_expired()):
            return session
        request = _Request(method="POST", url=self._url(("session",), ()), headers={}, content=None)
        return self._renewed(session, request, self.deadline(timeout)) or session

    def call(
        self,
        method: str,
        path: Sequence[str],
        *,
        query: Query = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | CallDeadline | None = None,
        with_session: bool = True,
        renew: bool = True,
        secrets: Collection[str] = (),
    ) -> Answer:
        """Make one call and return its answer.

        ``path`` is segments, quoted here. ``timeout`` is seconds for the whole call, a renewal of the
        session included; by default what Config allows to connect and to read. ``with_session=False``
        sends no token; ``renew=False`` takes the service's 401 as it is. Otherwise a session that has
        ended, by its expiry or with a 401, means one renewal, where the session can be renewed, and one
        repetition. ``secrets`` are texts to mask in errors beyond what has a secret name.

        Raises ApiError and what is below it.
        """
        deadline = self.deadline(timeout)
        request = _Request(
            method=method,
            url=self._url(path, query),
            headers=headers or {},
            content=None if body is None else _encoded(body),
        )
        reply, session = self._send_authorized(request, deadline, with_session, renew)
        masked = () if reply.status < 300 else (*self._secrets(session, body), *secrets)
        return answer_of(reply, method, redact_url(request.url), masked)

    def download(self, path: Sequence[str], writer: BodyWriter, deadline: CallDeadline) -> None:
        """Stream a file into ``writer``; redirects are followed, to other origins without the token.

        Raises ApiError and what is below it, and what the writer raises.
        """
        request = _Request(method="GET", url=self._url(path, ()), headers=_AS_IT_IS, writer=writer)
        reply, session = self._send_authorized(request, deadline, True, True)
        for _ in range(_MOST_REDIRECTS):
            target = reply.headers.get("Location")
            if reply.status not in _REDIRECTS or target is None:
                break
            url = self._pools.safe(target, request.url)
            request = _Request(method="GET", url=url, headers=_AS_IT_IS, writer=writer)
            reply = self._send_with_retries(request, None, deadline)
        answer_of(reply, "GET", redact_url(request.url), self._secrets(session, None))

    def post_form(self, url: str, content_type: str, body: Body, deadline: CallDeadline) -> None:
        """Send a form to the storage, without the token.

        Raises UnexpectedResponseError for a URL that is not safe, ApiError and what is below it.
        """
        request = _Request(
            method="POST",
            url=self._pools.safe(url),
            headers={"Content-Type": content_type},
            content=body,
        )
        reply = self._send_once(request, None, deadline, 1)
        answer = reply if reply.status >= 300 else evolve(reply, body=b"")  # XML, of no use to us
        answer_of(answer, "POST", redact_url(url), ())

    def _send_authorized(
        self, request: _Request, deadline: CallDeadline, with_session: bool, renew: bool
    ) -> tuple[Reply, Session | None]:
        """Make a request with the session's token, renewed where it has ended."""
        session = self._state.session if with_session else None
        if session is not None and renew and self._state.has_expired():
            session = self._renewed(session, request, deadline) or session
        reply = self._send_with_retries(request, session, deadline)
        if reply.status == 401 and session is not None and renew:
            fresh = self._renewed(session, request, deadline)
            if fresh is not None:
                session = fresh
                reply = self._send_with_retries(request, session, deadline)
        if session is not None:
            self._note_expiry(session, reply)
        return reply, session

    def _send_with_retries(
        self, request: _Request, session: Session | None, deadline: CallDeadline
    ) -> Reply:
        """Send a request, and again where that can do no harm and the deadline leaves time for it."""
        policy, method = self._config.retry, request.method
        for attempt in itertools.count(1):
            try:
                reply = self._send_once(request, session, deadline, attempt)
            except ApiError as error:
                pause = pause_after_failure(policy, method, error, attempt)
                if pause is None or not _leaves(deadline, pause):
                    raise
            else:
                pause = pause_after_reply(policy, method, reply, attempt)
                if pause is None or not _leaves(deadline, pause):
                    return reply
            time.sleep(pause)
        raise AssertionError("the count has no end")

    def deadline(self, timeout: float | CallDeadline | None) -> CallDeadline:
        """Return the deadline for a call that was given ``timeout`` (seconds, or None for the default)."""
        if isinstance(timeout, CallDeadline):
            return timeout
        if timeout is not None:
            return CallDeadline(check_number("timeout", timeout, least=0.001))
        times = self._config.timeouts
        return CallDeadline(times.rest_connect + times.rest_read, silence=times.rest_read)

    def close(self) -> None:
        """Close the idle connections; the session lives on, and a later call opens new connections.

        Connections that belong to another transport stay.
        """
        if self._owns_connections:
            self._pools.close()

    def url(self, path: Sequence[str], query: Query = ()) -> str:
        """Return the URL of a resource of the API."""
        return self._url(path, query)

    def _url(self, path: Sequence[str], query: Query) -> str:
        url = "/".join((self._base, *(quote(segment, safe=",") for segment in path)))
        pairs = urlencode(list(query), quote_via=quote)
        return f"{url}?{pairs}" if pairs else url

    def _send_once(
        self, request: _Request, session: Session | None, deadline: CallDeadline, attempt: int
    ) -> Reply:
        started = time.monotonic()
        try:
            reply = self._pools.of(request.url).exchange(
                request.method,
                request.url,
                headers=self._headers(request, session),
                body=request.content,
                deadline=deadline,
                connect=self._config.timeouts.rest_connect,
                writer=request.writer,
            )
        except ApiError as error:
            took = time.monotonic() - started
            _log.debug("%s, after %.3f s", error, took)
            self._call_hook(request, attempt, took, error=error)
            raise
        took = time.monotonic() - started
        if self._is_api(request.url):
            self._clock.note(_date_of(reply.headers.get("Date", "")))
        if _log.isEnabledFor(logging.DEBUG):
            words = "%s %s answered %d in %.3f s, %d bytes"
            url = redact_url(request.url)
            _log.debug(words, request.method, url, reply.status, took, reply.received)
        self._call_hook(request, attempt, took, status=reply.status, bytes_received=reply.received)
        return reply

    def _is_api(self, url: str) -> bool:
        return url.startswith(self._base + "/")

    def _headers(self, request: _Request, session: Session | None) -> dict[str, str]:
        headers = {"User-Agent": f"connectycube-python/{_version()}"}
        if self._is_api(request.url):  # nobody else needs to know
            headers["Accept"] = "application/json"
            headers["Accept-Encoding"] = "gzip"
            headers["CB-SDK"] = f"Python {_version()}"
            if request.content is not None:
                headers["Content-Type"] = "application/json"
            if session is not None and session.token is not None:
                headers["CB-Token"] = _header("token", session.token)
        for name, value in request.headers.items():
            headers[name] = _header(name, value)
        return headers

    def _call_hook(self, request: _Request, attempt: int, seconds: float, **what: Any) -> None:
        """Call the application's hook, which may not break the call."""
        hook = self._config.on_request
        if hook is None:
            return
        try:
            hook(
                RequestRecord(
                    method=request.method,
                    url=redact_url(request.url),
                    seconds=seconds,
                    attempt=attempt,
                    **what,
                )
            )
        except Exception:  # noqa: BLE001
            _log.exception("on_request failed")

    def _by_application(self, deadline: CallDeadline) -> Session | None:
        """Let the application renew the session."""
        stale = self._state.session
        if stale is None or self._renew_session is None:
            return None
        fresh = self._renew_session(stale)
        if fresh is None:  # it may have logged in
            return self._state.session
        if isinstance(fresh, str) and fresh:
            return Session(token=fresh, user_id=stale.user_id, user=stale.user)
        if isinstance(fresh, Session) and fresh.token:
            return fresh
        kind = type(fresh).__name__
        raise ArgumentTypeError(f"renew_session must return a token or a Session, not {kind}")

    def _renewed(self, stale: Session, request: _Request, deadline: CallDeadline) -> Session | None:
        try:
            return self._state.renew(stale, deadline)
        except ApiError:
            raise
        except TimeoutError as error:
            method, url = request.method, redact_url(request.url)
            raise ApiTimeoutError(f"{method} {url}: {error}", method=method, url=url) from None

    def _note_expiry(self, session: Session, reply: Reply) -> None:
        text = reply.headers.get("CB-Token-ExpirationDate")
        if text is not None:
            now = _date_of(reply.headers.get("Date", ""))
            self._state.expires(session, expiry_of(text), now)

    def _secrets(self, session: Session | None, body: object) -> Collection[str]:
        known = [self._config.auth_key, self._config.auth_secret, session and session.token]
        return [secret for secret in (*known, *secrets_in(body)) if secret]

    def after_fork_in_child(self) -> None:
        """Replace the locks: threads that are gone may hold them."""
        self._state.unlock_after_fork()


def expiry_of(text: str) -> datetime | None:
    """Read CB-Token-ExpirationDate, such as "2021-10-09 16:56:41 UTC"."""
    return as_time(text.removesuffix("UTC").rstrip())


def _date_of(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo is not None else None


def _leaves(deadline: CallDeadline, pause: float) -> bool:
    left = deadline.remaining()
    return left is None or pause < left


@functools.cache
def _version() -> str:
    try:
        return importlib.metadata.version("connectycube")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _header(name: str, value: str) -> str:
    """Return the value if a header can hold it (RFC 9110, 5.5); the error does not repeat it."""
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ArgumentValueError(f"{name} holds characters that no HTTP header may hold")
    return value


def _encoded(body: Mapping[str, Any]) -> bytes:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()
