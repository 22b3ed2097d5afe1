"""The lease of a listener: a row that one process holds at a time, by the database's clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from django.conf import settings as django_settings
from django.db.models import F, Q
from django.db.models.functions import Now

from .databases import closed_afterwards, primary
from .models import Lease

__all__ = ["DatabaseLease"]


class DatabaseLease:
    """A lease in the table ``Lease``, for ``chat.login(exclusive=…)``; expiry is the database's business.

    Args:
        name: What it is for.
        seconds: It ends so long after it was acquired or renewed last.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self.name = name
        self.seconds: float | None = seconds
        self.held_by: str | None = None
        """The holder that the last refused ``acquire`` has found."""

    def acquire(self, holder: str) -> int | None:
        """Take the lease if nobody has it, or return None.

        Returns:
            The fencing number, which grows with each holder.
        """
        with closed_afterwards():
            primary(Lease).get_or_create(name=self.name, defaults={"until": _long_ago()})
            free = Q(until__lt=Now()) | Q(holder=holder)
            taken = (
                self._rows()
                .filter(free)
                .update(holder=holder, until=self._end(), fencing=F("fencing") + 1)
            )
            row = self._rows().get()
        self.held_by = None if taken else row.holder
        return int(row.fencing) if taken else None

    def renew(self, holder: str) -> bool:
        """Hold the lease longer; False if another holder has taken it."""
        with closed_afterwards():
            return bool(self._rows().filter(holder=holder).update(until=self._end()))

    def release(self, holder: str) -> None:
        """Give the lease back, so that another process has it at once."""
        with closed_afterwards():
            self._rows().filter(holder=holder).update(holder="", until=_long_ago())

    def _rows(self) -> Any:
        return primary(Lease).filter(name=self.name)

    def _end(self) -> Any:
        return Now() + timedelta(seconds=self.seconds or 0)


def _long_ago() -> datetime:
    return datetime(1970, 1, 2, tzinfo=timezone.utc if django_settings.USE_TZ else None)
