"""CORS: which web pages may read the answers of the HTTP ports. (Fetch standard, section 3.3.)

A page has another origin than the emulator. Its browser therefore asks the server for permission: before
a request with ConnectyCube's headers (a preflight), and in each answer. Without permission the page can
read nothing. The service gives permission, as its JavaScript SDK runs in browsers; the headers that it
sends are not documented.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

__all__ = ["ANY", "allowed", "is_preflight", "preflight"]

ANY = "*"
_METHODS = "GET, POST, PUT, DELETE"
_READABLE = "CB-Token-ExpirationDate, Retry-After"
_SECONDS = "600"


def is_preflight(request: web.BaseRequest) -> bool:
    """Whether this request is a preflight of a browser."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def preflight(request: web.BaseRequest, host: str) -> web.Response:
    """Answer a preflight; the answer gives no permission to pages from other machines."""
    headers = allowed(request, host)
    if headers:
        headers["Access-Control-Allow-Methods"] = _METHODS
        headers["Access-Control-Max-Age"] = _SECONDS
        wanted = request.headers.get("Access-Control-Request-Headers")
        if wanted is not None:
            headers["Access-Control-Allow-Headers"] = wanted
    return web.Response(status=204, headers=headers)


def allowed(request: web.BaseRequest, host: str) -> dict[str, str]:
    """Return the headers that let the page of a request read the answer; none if it may not.

    Pages of this machine may read, and pages of ``host``, the address that the emulator listens on. If
    ``host`` is ``ANY``, all pages may.
    """
    origin = request.headers.get("Origin")
    if origin is None or not (host == ANY or _is_near(origin, host)):
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": _READABLE,
        "Vary": "Origin",
    }


def _is_near(origin: str, host: str) -> bool:
    try:
        name = urlsplit(origin).hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or (name and name == host):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
