"""The libraries of integrations: an import of one that is missing says which extra brings it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from connectycube._checks import to_install

__all__ = ["extra"]


@contextmanager
def extra(name: str, library: str) -> Generator[None]:
    """Import a library in the ``with`` statement, which an extra of this package installs.

    Args:
        name: The extra.
        library: The top-level module of the library.

    Raises:
        ModuleNotFoundError: The library, or a part of it, is missing; the error says what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != library:
            raise  # the library is there, and lacks something itself
        raise ModuleNotFoundError(to_install(error.name, name), name=error.name) from None
