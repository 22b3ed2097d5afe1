"""The origins that are spoken to: the API's, and the storage's, which the API names."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from ..config import Config, is_loopback
from ..errors import UnexpectedResponseError
from .http import Http
from .redact import MASK, redact_url

__all__ = ["ConnectionPools"]


class ConnectionPools:
    """The pools of connections of a client and of those that share them; for any number of threads.

    Raises ArgumentValueError if the configuration's ``ca_file`` cannot be read.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._pools: dict[bool, Http] = {}
        self.of(config.api_url)

    def of(self, url: str) -> Http:
        """Return the pool for a URL, made on first use."""
        tls = url.lower().startswith("https:")
        pool = self._pools.get(tls)
        if pool is None:
            made = Http(tls=tls, ca_file=self._config.ca_file, proxy=self._config.proxy)
            # Of two threads that get here at once one wins; a lock might be held across a fork.
            pool = self._pools.setdefault(tls, made)
        return pool

    def safe(self, url: str, base: str = "") -> str:
        """Return a URL that the service named, if it may be spoken to: https, or this machine.

        It may be relative to ``base``. Raises UnexpectedResponseError.
        """
        try:
            whole = urljoin(base, url)
            parts = urlsplit(whole)
            host, _, shown = parts.hostname, parts.port, redact_url(whole)
        except ValueError:
            host, shown = None, MASK
        if host and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
            return whole
        raise UnexpectedResponseError(
            f"the service names a URL that is not safe: {shown!r}",
            method="GET",
            url=shown,
            status=0,
        )

    def close(self) -> None:
        """Close the idle connections; a later call opens new ones."""
        for pool in list(self._pools.values()):
            pool.close()
