"""Which proxy a connection goes through: ``Config.proxy``, or the variables of the environment."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from ._hosts import is_loopback
from ._secrets import confined
from .errors import ArgumentValueError

__all__ = ["Proxies", "Proxy"]

_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
# RFC 1929: one byte holds the length of the user, and one that of the password.
_SOCKS_BYTES = 255
_HOST = re.compile(r"[\w.:%-]+")


@frozen
class Proxy:
    """One proxy, and the user and password for it.

    Args:
        scheme: "http", "https" (TLS to the proxy), "socks5", or "socks5h", where the proxy looks names up.
        host: The host name or address of the proxy.
        port: The port of the proxy.
        user: The user, or None.
        password: The password; empty if there is a user without one.
    """

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def looks_up_names(self) -> bool:
        """Whether the proxy looks up the address of the server; otherwise the client does."""
        return self.scheme != "socks5"

    @classmethod
    @confined
    def parse(cls, text: str, name: str) -> Proxy:
        """Read a proxy's URL, ``scheme://[user:password@]host[:port]``.

        Args:
            text: The URL.
            name: The field or variable that holds it, for errors; they do not repeat the URL.

        Raises:
            ArgumentValueError: The URL is not that of a proxy that can be used.
        """
        form = f"{name} must look like http://[user:password@]host:port, with http, https, socks5 or socks5h"
        try:
            parts = urlsplit(text)
            scheme, host, port = parts.scheme, parts.hostname or "", parts.port
            user = None if parts.username is None else unquote(parts.username, errors="strict")
            password = unquote(parts.password or "", errors="strict")
        except ValueError:
            raise ArgumentValueError(form) from None
        if scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host) or port == 0:
            raise ArgumentValueError(form)
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ArgumentValueError(form)
        if user == "" and not password:  # http://@host and http://:@host
            user = None
        _check_credentials(scheme, user, password, name)
        return cls(scheme, host, port or _DEFAULT_PORTS[scheme], user, password)


def _check_credentials(scheme: str, user: str | None, password: str, name: str) -> None:
    if user is None:
        return
    if scheme.startswith("socks5"):
        sizes = (len(user.encode()), len(password.encode()))
        if not all(1 <= size <= _SOCKS_BYTES for size in sizes):
            raise ArgumentValueError(
                f"{name} must have a user and a password of 1 to {_SOCKS_BYTES} bytes each, or neither"
            )
    elif ":" in user:  # RFC 7617, section 2
        raise ArgumentValueError(f"{name} must have a user without a colon")


class Proxies:
    """The proxies of one Config.

    The given proxy is for all connections but those to this machine. Without one, and with ``trust_env``,
    the variables decide: HTTPS_PROXY, else ALL_PROXY, but for the hosts in NO_PROXY. The name in lower case
    takes precedence over the one in upper case, also if its value is empty. They are read once, here.
    HTTP_PROXY is not read: every connection to another machine is TLS, and a web server that runs CGI
    programs sets that variable to the header Proxy of a client.

    Args:
        given: The URL of ``Config.proxy``, or None.
        trust_env: Whether the variables are read.
        environ: The variables; by default ``os.environ``.
    """

    def __init__(
        self, given: str | None, *, trust_env: bool, environ: Mapping[str, str] | None = None
    ) -> None:
        self._given = None if given is None else Proxy.parse(given, "proxy")
        variables: Mapping[str, str] = {}
        if trust_env and given is None:
            variables = os.environ if environ is None else environ
        self._name, self._text = _first(variables, "HTTPS_PROXY", "ALL_PROXY")
        self._exempt = _first(variables, "NO_PROXY")[1]

    def proxy_for(self, host: str, port: int) -> Proxy | None:
        """Return the proxy of a TLS connection to a host, or None for a direct connection.

        Raises:
            ArgumentValueError: The variable that applies holds no URL of a proxy.
        """
        if is_loopback(host):
            return None
        if self._given is not None or not self._text or _is_exempt(host, port, self._exempt):
            return self._given
        text = self._text if "://" in self._text else f"http://{self._text}"
        return Proxy.parse(text, self._name)


def _first(variables: Mapping[str, str], *names: str) -> tuple[str, str]:
    """Return the name and value of the first variable that is not empty."""
    for name in names:
        used = name.lower() if name.lower() in variables else name
        if text := variables.get(used, "").strip():
            return used, text
    return "", ""


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Whether NO_PROXY names a host.

    An entry is ``*``, a name (which also stands for the names below it, with or without a dot in front), an
    address, or a network such as 10.0.0.0/8; names and addresses may have a port.
    """
    name = host.lower().rstrip(".")
    for entry in re.split(r"[\s,]+", no_proxy.lower()):
        if entry == "*":
            return True
        pattern, entry_port = _split_port(entry)
        if entry_port in ("", str(port)) and (
            _is_below(name, pattern) or _is_within(name, pattern)
        ):
            return True
    return False


def _split_port(entry: str) -> tuple[str, str]:
    """Split ``host:port`` and ``[address]:port``; the port is empty if there is none."""
    found = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?|([^:]*):(\d+)", entry)
    if found is None:
        return entry, ""
    return found[1] or found[3] or "", found[2] or found[4] or ""


def _is_below(name: str, pattern: str) -> bool:
    pattern = pattern.removeprefix("*").strip(".")
    return bool(pattern) and f".{name}".endswith(f".{pattern}") and not _is_address(name, pattern)


def _is_address(name: str, pattern: str) -> bool:
    """Whether ``name`` is an address other than ``pattern``: 1.2.3.4 ends with .3.4, and is not below it."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return name != pattern


def _is_within(name: str, pattern: str) -> bool:
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(pattern, strict=False)
    except (ValueError, TypeError):  # a host name, or versions 4 and 6
        return False
