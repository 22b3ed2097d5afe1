"""What one Config says about the network, for REST and chat alike: certificates and proxies."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from ._proxy import Proxies, Proxy
from ._secrets import confined
from ._tls import client_context, load_client_certificate, shared_context
from .config import Config

__all__ = ["Network"]


class Network:
    """The TLS contexts and the proxies of one client; made on first use and then kept.

    Without a client certificate the context is that of the process for the same authorities.

    Args:
        ca_file: A file with certificate authorities, in place of the system's.
        client_cert: A file with the client's certificate, or None.
        client_key: A file with its private key; None if it is in ``client_cert``.
        client_key_password: The password of the private key, or None.
        proxy: The URL of a proxy, or None.
        trust_env: Whether the proxy variables of the environment are read.
        environ: The variables; by default ``os.environ``.

    Raises:
        ArgumentValueError: ``proxy`` is not the URL of a proxy.
    """

    def __init__(
        self,
        *,
        ca_file: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        client_key_password: str | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._ca_file = ca_file
        self._client_cert = client_cert
        self._client_key = client_key
        self._client_key_password = client_key_password
        self._proxies = Proxies(proxy, trust_env=trust_env, environ=environ)
        # By the class of the contexts. gevent replaces ssl.SSLContext, and a context of the class before
        # calls itself forever.
        self._contexts: dict[type[ssl.SSLContext], ssl.SSLContext] = {}

    @classmethod
    def of(cls, config: Config) -> Network:
        """Return the network of a Config."""
        return cls(
            ca_file=config.ca_file,
            client_cert=config.client_cert,
            client_key=config.client_key,
            client_key_password=config.client_key_password,
            proxy=config.proxy,
            trust_env=config.trust_env,
        )

    @property
    @confined
    def context(self) -> ssl.SSLContext:
        """The TLS context for servers.

        Raises:
            ArgumentValueError: A file cannot be read; the error names the field of Config.
        """
        # If two threads get here at once, each makes one; a lock might be held across a fork.
        context = self._contexts.get(ssl.SSLContext)
        if context is None:
            if self._client_cert is None:
                context = shared_context(self._ca_file)
            else:
                context = client_context(self._ca_file)
                load_client_certificate(
                    context, self._client_cert, self._client_key, self._client_key_password
                )
            self._contexts[ssl.SSLContext] = context
        return context

    @property
    def proxy_context(self) -> ssl.SSLContext:
        """The TLS context for proxies, which do not get the client's certificate."""
        return shared_context(self._ca_file)

    def proxy_for(self, host: str, port: int) -> Proxy | None:
        """Return the proxy of a TLS connection to a host, or None for a direct connection.

        Raises:
            ArgumentValueError: The variable that applies holds no URL of a proxy.
        """
        return self._proxies.proxy_for(host, port)

    def check_proxy(self, host: str, port: int) -> None:
        """Read the proxy for a host, and no file of certificates: that waits for the first connection.

        Raises:
            ArgumentValueError: The variable that applies holds no URL of a proxy.
        """
        self.proxy_for(host, port)

    def check(self, host: str, port: int) -> None:
        """Make the TLS contexts and read the proxy for a host, without a connection.

        Raises:
            ArgumentValueError: A field of Config or a variable is wrong; the error names it.
        """
        proxy = self.proxy_for(host, port)
        if proxy is not None and proxy.scheme == "https":
            _ = self.proxy_context
        _ = self.context
