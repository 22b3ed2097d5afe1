"""The emulator's clock: the only place that asks what time it is."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol

__all__ = ["Clock", "SystemClock", "expiration_date", "iso_time"]


class Clock(Protocol):
    """What tells the emulator the time."""

    def time(self) -> float:
        """Return unix seconds."""


class SystemClock:
    """The time of this machine."""

    def time(self) -> float:
        """Return unix seconds."""
        return time.time()


def iso_time(seconds: float | None) -> str | None:
    """Write unix seconds as the service's JSON does: ``2018-12-05T11:58:02Z``."""
    if seconds is None:
        return None
    return f"{datetime.fromtimestamp(int(seconds), timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def expiration_date(seconds: float) -> str:
    """Write unix seconds as the header CB-Token-ExpirationDate does: ``2021-10-09 16:56:41 UTC``."""
    return f"{datetime.fromtimestamp(int(seconds), timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
