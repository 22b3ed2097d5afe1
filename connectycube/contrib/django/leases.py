"""The lease of a listener: a row that one process holds at a time, by the database's clock."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

from django.conf import settings as django_settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.db.models import F, Q
from django.db.models.functions import Now

from .models import Lease

__all__ = ["DatabaseLease", "LeaseKeeper", "new_holder", "one_line"]

logger = logging.getLogger("connectycube.django")

_PART = 3  # a lease is renewed so many times in its seconds


class DatabaseLease:
    """A lease in the table ``Lease``. No clock of this machine is used: expiry is the database's business.

    Args:
        name: What it is for.
        seconds: It ends so long after it was acquired or renewed last.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self.name = name
        self.seconds = seconds
        self.held_by: str | None = None
        """The holder that the last refused ``acquire`` has found."""

    def acquire(self, holder: str) -> int | None:
        """Take the lease if nobody has it, or return None.

        Returns:
            The fencing number, which grows with each holder.
        """
        Lease.objects.get_or_create(name=self.name, defaults={"until": _long_ago()})
        free = Q(until__lt=Now()) | Q(holder=holder)
        taken = (
            self._rows()
            .filter(free)
            .update(holder=holder, until=self._end(), fencing=F("fencing") + 1)
        )
        row = self._rows().get()
        self.held_by = None if taken else row.holder
        return row.fencing if taken else None

    def renew(self, holder: str) -> bool:
        """Hold the lease longer; False if somebody else has taken it meanwhile."""
        return bool(self._rows().filter(holder=holder).update(until=self._end()))

    def release(self, holder: str) -> None:
        """Give the lease back, so that another process has it at once."""
        self._rows().filter(holder=holder).update(holder="", until=_long_ago())

    def _rows(self) -> Any:
        return Lease.objects.filter(name=self.name)

    def _end(self) -> Any:
        return Now() + timedelta(seconds=self.seconds)


def _long_ago() -> datetime:
    return datetime(1970, 1, 2, tzinfo=timezone.utc if django_settings.USE_TZ else None)


def new_holder() -> str:
    """Return a name for this process: machine, process id and a random part."""
    return f"{socket.gethostname()[:150]}:{os.getpid()}:{secrets.token_hex(4)}"


class LeaseKeeper:
    """Renews a lease on a thread of its own, from ``start()`` to ``close()``.

    Args:
        lease: The lease, which ``holder`` has.
        holder: The name of this process.
        stop: Is set when the lease is lost: somebody else has it, or it could not be renewed for its seconds.
    """

    def __init__(self, lease: DatabaseLease, holder: str, stop: threading.Event) -> None:
        self._lease = lease
        self._holder = holder
        self._stop = stop
        self._end = threading.Event()
        self.is_lost = False
        self._thread = threading.Thread(target=self._run, name=f"lease-{lease.name}", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def close(self) -> None:
        """Renew no longer, and give the lease back."""
        self._end.set()
        self._thread.join()
        if not self.is_lost:
            try:
                close_old_connections()
                self._lease.release(self._holder)
            except (DatabaseError, InterfaceError) as error:
                logger.warning(
                    "the lease %s was not given back: %s", self._lease.name, one_line(error)
                )

    def _run(self) -> None:
        failures = 0
        try:
            while not self._end.wait(self._lease.seconds / _PART):
                close_old_connections()
                try:
                    is_held = self._lease.renew(self._holder)
                    failures = 0
                except (DatabaseError, InterfaceError) as error:
                    failures += 1
                    is_held = failures < _PART
                    logger.warning(
                        "the lease %s was not renewed: %s", self._lease.name, one_line(error)
                    )
                if not is_held:
                    self.is_lost = True
                    self._stop.set()
                    return
        finally:
            connections.close_all()  # this thread's, which nothing else closes at its end


def one_line(error: BaseException) -> str:
    """Return an error's text, which databases write on several lines, for a log."""
    return " ".join(str(error).split())
