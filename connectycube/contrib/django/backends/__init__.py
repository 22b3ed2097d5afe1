"""Backends: what ``send()`` and ``get_client()`` do. The setting's BACKEND is the path of a module here.

A backend of your own is a module with a class ``Backend`` that has the methods of :class:`BaseBackend`.
"""

from __future__ import annotations

import os
import threading
from importlib import import_module

from django.core.exceptions import ImproperlyConfigured

from ..conf import Settings, read_settings
from .base import BaseBackend, Outgoing

__all__ = ["BaseBackend", "Outgoing", "get_backend", "load", "reset"]


class _Current:
    """The backend of this process, and the lock under which it is made."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.backend: BaseBackend | None = None

    def after_fork(self) -> None:
        """Replace the lock in a child: a thread that is gone may hold the old one."""
        self.lock = threading.RLock()


_current = _Current()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_current.after_fork)


def get_backend() -> BaseBackend:
    """Return the backend of this process; it is made at the first call, which opens nothing.

    Returns:
        The backend.

    Raises:
        ImproperlyConfigured: The setting is wrong, or BACKEND is no backend.
    """
    backend = _current.backend
    if backend is None:
        with _current.lock:
            if _current.backend is None:
                _current.backend = load(read_settings())
            backend = _current.backend
    return backend


def reset() -> None:
    """Forget the backend, and close its clients: the setting has changed."""
    with _current.lock:
        backend, _current.backend = _current.backend, None
    if backend is not None:
        backend.close()


def load(settings: Settings) -> BaseBackend:
    """Return a new backend, as BACKEND of the setting says; nothing is opened.

    Args:
        settings: The setting, read and checked.

    Returns:
        The backend.

    Raises:
        ImproperlyConfigured: BACKEND is no backend.
    """
    try:
        cls = import_module(settings.backend).Backend
    except (ImportError, AttributeError) as error:
        raise ImproperlyConfigured(
            f"CONNECTYCUBE['BACKEND'] is no module with a class Backend: {settings.backend!r} ({error}); "
            f"those of this package are live, locmem and console in {__name__}"
        ) from error
    backend: BaseBackend = cls(settings)
    return backend
