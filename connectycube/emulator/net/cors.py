"""CORS: the headers with which a page may read the answers of the HTTP ports. (Fetch standard, section 3.3.)

A page has another origin than the emulator. Its browser therefore asks the server for permission: before
a request with ConnectyCube's headers (a preflight), and in each answer. Without permission the page can
read nothing. Every page whose requests are accepted gets it. (``access``.)
"""

from __future__ import annotations

from aiohttp import web

__all__ = ["allowed", "is_preflight", "preflight"]

_METHODS = "GET, POST, PUT, DELETE"
_READABLE = "CB-Token-ExpirationDate, Retry-After"
_SECONDS = "600"


def is_preflight(request: web.BaseRequest) -> bool:
    """Whether this request is a preflight of a browser."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def preflight(request: web.BaseRequest) -> web.Response:
    """Answer a preflight of a page that may send requests."""
    headers = allowed(request)
    if headers:
        headers["Access-Control-Allow-Methods"] = _METHODS
        headers["Access-Control-Max-Age"] = _SECONDS
        wanted = request.headers.get("Access-Control-Request-Headers")
        if wanted is not None:
            headers["Access-Control-Allow-Headers"] = wanted
        if request.headers.get("Access-Control-Request-Private-Network") == "true":
            headers["Access-Control-Allow-Private-Network"] = "true"
    return web.Response(status=204, headers=headers)


def allowed(request: web.BaseRequest) -> dict[str, str]:
    """Return the headers that let the page of a request read the answer; none if no page has sent it.

    No page may send cookies or other credentials of the browser: the emulator uses none.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": _READABLE,
        "Vary": "Origin",
    }
