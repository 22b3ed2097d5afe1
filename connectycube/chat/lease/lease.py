"""Lease: the protocol of the two leases of this package, and of any lease of an application."""

from __future__ import annotations

import os
import secrets
import socket
from typing import Protocol, runtime_checkable

from ..._checks import check_callable, check_number
from ...errors import ArgumentTypeError

__all__ = ["LEAST_SECONDS", "MOST_SECONDS", "Lease", "check_lease", "holder_name"]

LEAST_SECONDS = 0.5
MOST_SECONDS = 3_600.0
_LONGEST_HOST = 180  # characters


@runtime_checkable
class Lease(Protocol):
    """Something that at most one holder has at a time: ``FileLease``, ``SqlLease``, or a class of your own.

    A holder is a text that no other login of any process has. The methods are called on a thread that may
    block. One thread at a time calls them for one holder, several threads for several holders. ``acquire`` is
    called again later if it raises ``OperationalError``, ``InterfaceError`` or an error of the network; any
    other error ends the login. ``renew`` is called again until the time is over, after every error.

    Example:
        >>> lease = FileLease("bot.lease")
        >>> isinstance(lease, Lease)
        True
    """

    @property
    def name(self) -> str:
        """The name of the lease in errors and logs."""
        ...

    @property
    def seconds(self) -> float | None:
        """The seconds for which ``acquire`` and each ``renew`` give it to a holder.

        None: a holder has it as long as its process lives.
        """
        ...

    @property
    def held_by(self) -> str | None:
        """The holder that the last refused ``acquire`` has found; None if that is not known."""
        ...

    def acquire(self, holder: str) -> int | None:
        """Take the lease if it is free.

        A holder that has the lease already may take it again.

        Args:
            holder: The text that tells this login apart from all others.

        Returns:
            The fencing number, which is greater than that of every holder before; None if another holder has
            the lease. Any other result, also False, ends the login.
        """
        ...

    def renew(self, holder: str) -> bool:
        """Extend the lease to ``seconds`` from now.

        Args:
            holder: The text that tells this login apart from all others.

        Returns:
            Whether the holder still has the lease; False if another holder has taken it.
        """
        ...

    def release(self, holder: str) -> None:
        """Free the lease at once, unless another holder has taken it.

        Args:
            holder: The text that tells this login apart from all others.
        """
        ...


def check_lease(name: str, value: object) -> Lease:
    """Return a lease, or raise an error that names the argument."""
    if isinstance(value, type) or not isinstance(value, Lease):
        raise ArgumentTypeError(
            f"{name} must be a Lease, such as FileLease(path) or SqlLease(connect, name), not"
            f" {value.__name__ if isinstance(value, type) else type(value).__name__}"
        )
    for method in ("acquire", "renew", "release"):
        check_callable(f"{name}.{method}", getattr(value, method), "holder")
    if value.seconds is not None:
        check_number(f"{name}.seconds", value.seconds, least=LEAST_SECONDS, most=MOST_SECONDS)
    return value


def holder_name() -> str:
    """Return the text by which one login is told apart from all others, and which a person can read."""
    host = socket.gethostname()[:_LONGEST_HOST]
    return f"process {os.getpid()} on {host} ({secrets.token_hex(6)})"
