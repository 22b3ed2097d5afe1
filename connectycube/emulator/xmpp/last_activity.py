"""Last activity: when the last resource of each user became unavailable. (XEP-0012.)"""

from __future__ import annotations

from ..db.database import Database
from ..domain.times import Clock

__all__ = ["LastActivity"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS last_activity (user_id INTEGER PRIMARY KEY, ended_at REAL NOT NULL);
"""


class LastActivity:
    """The times at which users went offline."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock
        self._started_at = clock.time()
        database.create(_SCHEMA)

    @property
    def uptime(self) -> int:
        """The seconds since the service started."""
        return max(0, int(self._clock.time() - self._started_at))

    def ended(self, user_id: int) -> None:
        """Note that a user's last resource became unavailable."""
        values = {"user_id": user_id, "ended_at": self._clock.time()}
        self._db.insert("last_activity", values, verb="INSERT OR REPLACE")

    def seconds_since(self, user_id: int) -> int | None:
        """Return the seconds since a user went offline; None for a user that was never online.

        The result is at least 1, because 0 means that a user is online. (Inferred.)
        """
        row = self._db.one("SELECT ended_at FROM last_activity WHERE user_id = ?", user_id)
        return None if row is None else max(1, int(self._clock.time() - row["ended_at"]))

    def forget_user(self, user_id: int) -> None:
        """Delete the time at which a user went offline."""
        self._db.run("DELETE FROM last_activity WHERE user_id = ?", user_id)
