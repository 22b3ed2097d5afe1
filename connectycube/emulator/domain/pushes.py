"""Pushes: the devices that users have subscribed, and the push notifications that the service would send.

The emulator sends no push; ``Pushes.sent`` keeps them. (Server documentation: Push notifications API.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from ..db.database import Database, Row
from .times import Clock

__all__ = ["Push", "Pushes"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS subscriptions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL,
    channel TEXT NOT NULL, environment TEXT NOT NULL, platform TEXT NOT NULL, udid TEXT NOT NULL,
    token TEXT NOT NULL, bundle_identifier TEXT,
    UNIQUE (user_id, udid, channel, environment)
);
"""
_MOST_KEPT = 10_000


@frozen(kw_only=True)
class Push:
    """One notification for one device. ``cause`` is "message" or "event", ``sent_at`` unix seconds.

    ``token`` is the device's client_identification_sequence, or its web_endpoint; ``payload`` is what
    the application gave, decoded.
    """

    user_id: int
    channel: str
    environment: str
    platform: str
    udid: str
    token: str
    payload: Any
    cause: str
    sent_at: float


class Pushes:
    """Subscriptions, and the newest pushes sent to them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock
        self._sent: deque[Push] = deque(maxlen=_MOST_KEPT)
        database.create(_SCHEMA)

    @property
    def sent(self) -> list[Push]:
        """The pushes sent, oldest first."""
        return list(self._sent)

    def record(
        self,
        user_id: int,
        payload: Any,
        *,
        cause: str,
        environment: str | None = None,
        channel: str | None = None,
    ) -> int:
        """Record a push to every device that a user has subscribed; return the number of devices.

        ``environment`` and ``channel`` limit the devices.
        """
        devices = [
            row
            for row in self.subscriptions(user_id)
            if environment in (None, row["environment"]) and channel in (None, row["channel"])
        ]
        for row in devices:
            self._sent.append(
                Push(
                    user_id=user_id,
                    channel=row["channel"],
                    environment=row["environment"],
                    platform=row["platform"],
                    udid=row["udid"],
                    token=row["token"],
                    payload=payload,
                    cause=cause,
                    sent_at=self._clock.time(),
                )
            )
        return len(devices)

    def subscribe(self, user_id: int, device: Mapping[str, Any]) -> Row:
        """Add a device of a user, or replace its token; return the subscription.

        A token belongs to one user at a time. The subscription of another user with the same token ends.
        """
        with self._db.transaction():
            self._db.run(
                "DELETE FROM subscriptions WHERE channel = ? AND token = ? AND user_id != ?",
                device["channel"],
                device["token"],
                user_id,
            )
            self._db.run(
                "INSERT INTO subscriptions"
                " (user_id, channel, environment, platform, udid, token, bundle_identifier)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (user_id, udid, channel, environment) DO UPDATE SET"
                " platform = excluded.platform, token = excluded.token,"
                " bundle_identifier = excluded.bundle_identifier",
                user_id,
                device["channel"],
                device["environment"],
                device["platform"],
                device["udid"],
                device["token"],
                device.get("bundle_identifier"),
            )
        row = self._db.one(
            "SELECT * FROM subscriptions"
            " WHERE user_id = ? AND udid = ? AND channel = ? AND environment = ?",
            user_id,
            device["udid"],
            device["channel"],
            device["environment"],
        )
        assert row is not None
        return row

    def subscriptions(self, user_id: int) -> list[Row]:
        """Return the subscriptions of a user."""
        return self._db.all("SELECT * FROM subscriptions WHERE user_id = ? ORDER BY id", (user_id,))

    def unsubscribe(self, user_id: int, subscription_id: int) -> bool:
        """Remove a user's subscription; return False when the user has none with this id."""
        return bool(
            self._db.run(
                "DELETE FROM subscriptions WHERE id = ? AND user_id = ?", subscription_id, user_id
            )
        )

    def forget_user(self, user_id: int) -> None:
        """Remove all subscriptions of a user."""
        self._db.run("DELETE FROM subscriptions WHERE user_id = ?", user_id)
