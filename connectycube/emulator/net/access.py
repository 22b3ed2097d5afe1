"""Access: which requests the HTTP ports accept from browsers, by the headers Host and Origin.

The emulator listens on the developer's machine, where every web page in the developer's browser can send
requests, too. Two headers tell such requests apart, and no page can forge them:

- Host is the name in the address. A page whose own name was made to point to this machine (DNS rebinding)
  has its name there.
- Origin is the page that sends the request. Browsers write it for every WebSocket, for every request but
  GET and HEAD, and for every request whose answer a page of another origin wants to read. (Fetch standard,
  section 3.1.)
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from aiohttp import HttpVersion11, web
from attrs import field, frozen

from connectycube._checks import check_list, check_str
from connectycube.errors import ArgumentValueError

__all__ = ["Access", "host_name", "is_loopback", "read_origins"]

_NAME = r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)"
_HOST = re.compile(rf"{_NAME}(?::[0-9]{{0,5}})?", re.IGNORECASE)
_ORIGIN = re.compile(
    rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{_NAME}(?::(?P<port>[0-9]{{1,5}}))?", re.IGNORECASE
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_NULL = "null"
_READS = ("GET", "HEAD")


def host_name(authority: str) -> str | None:
    """Return the name or address in a Host header, in lower case; None if it is malformed."""
    found = _HOST.fullmatch(authority)
    return _normalized(found["name"]) if found else None


def is_loopback(name: str) -> bool:
    """Whether a name, or an address, always stands for this machine."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def read_origins(origins: Iterable[str]) -> frozenset[str]:
    """Return origins as browsers write them; raise ArgumentValueError for a text that is no origin."""
    return frozenset(
        _read_origin(origin) for origin in check_list("allow_origins", origins, "origins")
    )


def _read_origin(origin: object) -> str:
    text = check_str("allow_origins", origin)
    if text == _NULL:
        return text
    found = _ORIGIN.fullmatch(text)
    if found is None:
        raise ArgumentValueError(
            "allow_origins must have origins such as http://app.test:3000, a scheme and a host without a "
            f"path, or null, not {text!r}"
        )
    scheme, name, port = found["scheme"].lower(), found["name"].lower(), found["port"]
    shown = port is not None and port != _DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{name}:{port}" if shown else f"{scheme}://{name}"


@frozen
class Access:
    """Accepts a request if its Host is this machine, and its Origin, if any, is a page of this machine.

    The Host may also be one of ``hosts``. If ``any_address`` is True, the emulator listens on every address,
    so each address may be the Host. The Origin may also be one of ``origins``, which the developer has
    allowed, or a page of ``own``, the host that the emulator listens on. If ``null_reads`` is True, GET and
    HEAD of a page without an origin are accepted.
    """

    own: str
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    any_address: bool = False
    null_reads: bool = field(default=False, kw_only=True)

    @classmethod
    def of(cls, host: str, domain: str, origins: frozenset[str]) -> Access:
        """Return the access to an emulator that listens on ``host`` and has this XMPP domain."""
        pages = (_ORIGIN.fullmatch(origin) for origin in origins)
        given = {page["name"] for page in pages if page is not None}
        hosts = frozenset(_normalized(name) for name in (host, domain, *given))
        return cls(_normalized(host), hosts, origins, any_address=host in ("0.0.0.0", "::"))

    def refusal(self, request: web.BaseRequest) -> tuple[int, str] | None:
        """Return the status and the reason with which a request is refused, None if it is accepted."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) > 1 or (not hosts and request.version >= HttpVersion11):
            return 400, "A request needs one header Host (RFC 9112, section 3.2)"
        # request.host is that of the request's target, if the target has one. (RFC 9112, 3.2.2.)
        for host in dict.fromkeys((*hosts, request.host)):
            if not self._is_ours(host):
                return 403, (
                    f"The Host {host[:100]!r} is not this emulator. Use a loopback address, or name the "
                    "host with --host or --allow-origin"
                )
        for origin in request.headers.getall("Origin", []):
            if not self._may_send(origin, request):
                return 403, (
                    f"Pages of {origin[:100]!r} may not use this emulator, unless --allow-origin names them"
                )
        return None

    def _is_ours(self, host: str) -> bool:
        name = _normalized(host) if _address(host) else host_name(host)
        if name is None:
            return False
        if is_loopback(name) or name in self.hosts:
            return True
        return self.any_address and _address(name) is not None

    def _may_send(self, origin: str, request: web.BaseRequest) -> bool:
        if origin.lower() in self.origins:
            return True
        if origin == _NULL:
            return self.null_reads and _method(request) in _READS
        found = _ORIGIN.fullmatch(origin)
        if found is None:
            return False
        name = _normalized(found["name"])
        return is_loopback(name) or name in (self.own, host_name(request.host))


def _method(request: web.BaseRequest) -> str:
    """Return the method of a request, or the one that a preflight asks for."""
    if request.method == "OPTIONS":
        return request.headers.get("Access-Control-Request-Method", request.method)
    return request.method


def _normalized(name: str) -> str:
    """Return a name in lower case without the dot of the root, an address without its brackets."""
    address = _address(name.strip("[]"))
    return str(address) if address is not None else name.lower().removesuffix(".")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
