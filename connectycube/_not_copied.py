"""Objects of one process: they cannot be pickled or copied, and the error says what to do."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

from .errors import ArgumentTypeError

__all__ = ["NotCopied"]


class NotCopied:
    """Raises in ``pickle``, ``copy.copy`` and ``copy.deepcopy``, which all call ``__reduce_ex__``."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raise ArgumentTypeError, which is a TypeError, as the error of ``pickle`` is."""
        raise ArgumentTypeError(
            f"{type(self).__name__} cannot be pickled or copied, because it uses connections and locks of"
            " this process: make a ConnectyCube in the other process from the same Config, and log in there,"
            " or call with_token(token) for the same session"
        )
