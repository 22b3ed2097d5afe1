"""Page: the control API for browsers, with the page that uses it, on a port of its own.

The page has the same origin as the API below it, so no answer needs headers of CORS. What a page of another
origin could send is refused thrice: by Origin and Host, for want of the token, and for want of a header that
no page may send to another origin without permission. (Fetch standard, section 4.8.)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from aiohttp import web

from .server import ControlServer

__all__ = ["CHANGE_HEADER", "PageServer"]

CHANGE_HEADER = "X-ConnectyCube-Emulator"
"""The header that each request but GET must have."""

_FOLDER = Path(__file__).parent.parent / "page"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"
_READS = ("GET", "HEAD")
# Scripts and styles are files of this origin. No text can become markup: with trusted types, and no policy
# that makes them, a browser refuses each use of innerHTML. (Content Security Policy; Trusted Types.)
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


class PageServer(ControlServer):
    """Serves the page to everybody on this machine, and the control API to those who know its token."""

    headers: ClassVar[Mapping[str, str]] = _HEADERS

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        name = request.rel_url.raw_path.removeprefix("/") or _INDEX
        if request.method in _READS and name in _file_names():
            return self._file(name)
        if request.method not in _READS and not request.headers.get(CHANGE_HEADER):
            return self.refuse(
                403, f"A request that changes something needs the header {CHANGE_HEADER}"
            )
        return await super().handle(request)

    def _file(self, name: str) -> web.Response:
        path = _FOLDER / name
        return web.Response(
            body=path.read_bytes(),
            headers={"Cache-Control": "no-cache", **self.answer_headers},
            content_type=_TYPES[path.suffix],
            charset="utf-8",
        )


def _file_names() -> frozenset[str]:
    return frozenset(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES)
