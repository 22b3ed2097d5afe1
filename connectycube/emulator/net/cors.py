"""CORS: which pages may read what the HTTP ports answer. (Fetch standard, section 3.3.)

A page has an origin of its own, so its browser asks the server, for requests with headers of ours beforehand
(a preflight), and lets the page read nothing if the server does not agree. The service agrees, as its
JavaScript SDK runs in browsers; how it words that is not documented.
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
    """Whether a browser asks what a page may send."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def preflight(request: web.BaseRequest, host: str) -> web.Response:
    """Answer a preflight; without permission for pages that are from elsewhere."""
    headers = allowed(request, host)
    if headers:
        headers["Access-Control-Allow-Methods"] = _METHODS
        headers["Access-Control-Max-Age"] = _SECONDS
        wanted = request.headers.get("Access-Control-Request-Headers")
        if wanted is not None:
            headers["Access-Control-Allow-Headers"] = wanted
    return web.Response(status=204, headers=headers)


def allowed(request: web.BaseRequest, host: str) -> dict[str, str]:
    """Return the headers that let a page read an answer; none if it may not.

    Pages of this machine may, and those of ``host``, where the emulator listens; all may if that is ``ANY``.
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
