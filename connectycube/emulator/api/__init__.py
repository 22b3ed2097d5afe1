"""The REST API of the emulator: ``Api`` answers a ``Request`` with a ``Response``."""

from . import (  # noqa: F401  (the modules fill the table of routes)
    address_book,  # pyright: ignore[reportUnusedImport]
    admin,  # pyright: ignore[reportUnusedImport]
    calls,  # pyright: ignore[reportUnusedImport]
    custom_objects,  # pyright: ignore[reportUnusedImport]
    dialogs,  # pyright: ignore[reportUnusedImport]
    files,  # pyright: ignore[reportUnusedImport]
    meetings,  # pyright: ignore[reportUnusedImport]
    messages,  # pyright: ignore[reportUnusedImport]
    push,  # pyright: ignore[reportUnusedImport]
    search,  # pyright: ignore[reportUnusedImport]
    sessions,  # pyright: ignore[reportUnusedImport]
    users,  # pyright: ignore[reportUnusedImport]
)
from .request import Request, Response
from .routing import ROUTES, Api

__all__ = ["ROUTES", "Api", "Request", "Response"]
