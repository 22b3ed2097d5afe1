"""Transport: one REST call from arguments to decoded answer, with the session's token and its renewal."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from attrs import frozen

from .. import checks
from ..config import Config
from ..errors import ApiError, ApiTimeoutError, ArgumentValueError
from ..forks import replaced_in_child
from ..models import Session
from ..models.fields import as_time
from .answers import Answer, answer_of
from .http import CallDeadline, Http, Reply
from .redact import redact_url, secrets_in
from .state import Renewal, SessionState

__all__ = ["Query", "Transport", "expiry_of"]

Query = Iterable[tuple[str, str | int]]
"""Pairs of a query string, in the service's names."""

_log = logging.getLogger("connectycube.rest")


@frozen(kw_only=True, repr=False)  # it holds secrets
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None


class Transport:
    """The way to the REST API for one user; every method may be called from any thread.

    Threads share a pool of connections, of which each call has one to itself, and the session, which
    stands behind a lock. Nothing else is kept between calls: no cookies. No .netrc and no environment
    variable is read, and redirects are not followed, so the token goes to the API's host only. After a
    fork the child has a pool and locks of its own, and the same session.

    Logger ``connectycube.rest`` writes one line for each exchange, at level DEBUG, without secrets.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._base = config.api_url.rstrip("/")
        self._state = SessionState()
        self._http = Http(tls=self._base.lower().startswith("https:"), ca_file=config.ca_file)
        replaced_in_child(self)

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

    def adopt(self, session: Session, renewal: Renewal | None = None) -> None:
        """Use ``session`` from now on; ``renewal`` makes another like it when the service ends it."""
        self._state.adopt(session, renewal)

    def forget(self, session: Session) -> None:
        """Use no session any more, if the current one still is this one."""
        self._state.forget(session)

    def live_session(self, *, refused: str | None = None) -> Session | None:
        """Return the current session, or None; renewed if it has expired or its token was ``refused``.

        Raises what the renewal raises.
        """
        session = self._state.session
        if session is None or (session.token != refused and not self._state.has_expired()):
            return session
        request = _Request(method="POST", url=self._url(("session",), ()), headers={}, content=None)
        return self._renewed(session, request, self.deadline(None)) or session

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
    ) -> Answer:
        """Make one call and return its answer.

        ``path`` is segments, quoted here. ``timeout`` is seconds for the whole call, a renewal of the
        session included; by default what Config allows to connect and to read. ``with_session=False``
        sends no token; ``renew=False`` takes the service's 401 as it is. Otherwise a 401 means one
        renewal, where the session can be renewed, and one repetition.

        Raises ApiError and what is below it.
        """
        deadline = self.deadline(timeout)
        request = _Request(
            method=method,
            url=self._url(path, query),
            headers=headers or {},
            content=None if body is None else _encoded(body),
        )
        session = self._state.session if with_session else None
        reply = self._exchange(request, session, deadline)
        if reply.status == 401 and session is not None and renew:
            fresh = self._renewed(session, request, deadline)
            if fresh is not None:
                session = fresh
                reply = self._exchange(request, session, deadline)
        if session is not None:
            self._note_expiry(session, reply)
        secrets = () if reply.status < 300 else self._secrets(session, body)
        return answer_of(reply, method, redact_url(request.url), secrets)

    def deadline(self, timeout: float | CallDeadline | None) -> CallDeadline:
        """Return the deadline for a call that was given ``timeout`` (seconds, or None for the default)."""
        if isinstance(timeout, CallDeadline):
            return timeout
        if timeout is not None:
            return CallDeadline(checks.a_number("timeout", timeout, least=0.001))
        times = self._config.timeouts
        return CallDeadline(times.rest_connect + times.rest_read, silence=times.rest_read)

    def close(self) -> None:
        """Close the idle connections; the session lives on, and a later call opens new connections."""
        self._http.close()

    def _url(self, path: Sequence[str], query: Query) -> str:
        url = "/".join((self._base, *(quote(segment, safe="") for segment in path)))
        pairs = urlencode(list(query), quote_via=quote)
        return f"{url}?{pairs}" if pairs else url

    def _exchange(
        self, request: _Request, session: Session | None, deadline: CallDeadline
    ) -> Reply:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "CB-SDK": f"Python {_version()}",
            "User-Agent": f"connectycube-python/{_version()}",
        }
        if request.content is not None:
            headers["Content-Type"] = "application/json"
        if session is not None and session.token is not None:
            headers["CB-Token"] = _header("token", session.token)
        for name, value in request.headers.items():
            headers[name] = _header(name, value)
        started = time.monotonic()
        try:
            reply = self._http.exchange(
                request.method,
                request.url,
                headers=headers,
                body=request.content,
                deadline=deadline,
                connect=self._config.timeouts.rest_connect,
            )
        except ApiError as error:
            _log.debug("%s, after %.3f s", error, time.monotonic() - started)
            raise
        if _log.isEnabledFor(logging.DEBUG):
            took = time.monotonic() - started
            url = redact_url(request.url)
            size = len(reply.body)
            _log.debug(
                "%s %s answered %d in %.3f s, %d bytes",
                request.method,
                url,
                reply.status,
                took,
                size,
            )
        return reply

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
            self._state.expires(session, expiry_of(text))

    def _secrets(self, session: Session | None, body: object) -> Collection[str]:
        known = [self._config.auth_key, self._config.auth_secret, session and session.token]
        return [secret for secret in (*known, *secrets_in(body)) if secret]

    def after_fork_in_child(self) -> None:
        """Replace the locks: threads that are gone may hold them."""
        self._state.unlock_after_fork()


def expiry_of(text: str) -> datetime | None:
    """Read CB-Token-ExpirationDate, such as "2021-10-09 16:56:41 UTC"."""
    return as_time(text.removesuffix("UTC").rstrip())


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
