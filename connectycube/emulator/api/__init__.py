"""The REST API of the emulator: ``Api`` answers a ``Request`` with a ``Response``."""

# These modules fill the table of routes.
# pyright: reportUnusedImport=false
from . import (  # noqa: F401
    address_book,
    admin,
    calls,
    custom_objects,
    dialogs,
    files,
    meetings,
    messages,
    push,
    search,
    sessions,
    users,
)
from .request import Request, Response
from .routing import ROUTES, Api

__all__ = ["ROUTES", "Api", "Request", "Response"]
