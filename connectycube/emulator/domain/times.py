"""Times: the clock of the emulator, and unix seconds as the service writes and reads them."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import formatdate
from typing import Any, Protocol

from .values import LARGEST_INTEGER

__all__ = ["Clock", "date_sent_of", "expiration_date", "http_date", "iso_milliseconds", "iso_time"]

# A time beyond this (the year 5138 in seconds) can only be in milliseconds, as some clients send them.
_MILLISECONDS_ABOVE = 10**11


class Clock(Protocol):
    """An object from which the emulator reads the time."""

    def time(self) -> float:
        """Return unix seconds."""
        ...


def iso_time(seconds: float | None) -> str | None:
    """Write unix seconds as the service's JSON does: ``2018-12-05T11:58:02Z``."""
    if seconds is None:
        return None
    return f"{datetime.fromtimestamp(int(seconds), timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def expiration_date(seconds: float) -> str:
    """Write unix seconds as the header CB-Token-ExpirationDate does: ``2021-10-09 16:56:41 UTC``."""
    return f"{datetime.fromtimestamp(int(seconds), timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def http_date(seconds: float) -> str:
    """Write unix seconds as the header Date does: ``Sat, 09 Oct 2021 16:56:41 GMT``. (RFC 9110, 5.6.7.)"""
    return formatdate(int(seconds), usegmt=True)


def iso_milliseconds(seconds: float) -> str:
    """Write unix seconds as XEP-0082 does, with milliseconds: ``2018-12-05T11:58:02.250Z``."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def date_sent_of(value: Any) -> int | None:
    """Read a ``date_sent``: unix seconds, or milliseconds as some clients send; None for anything else."""
    try:
        number = int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    if number > _MILLISECONDS_ABOVE:
        number //= 1000
    return number if 0 <= number <= LARGEST_INTEGER else None
