"""Push notifications: subscriptions of devices, and events that notify users."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from .._containers import AnyDict
from ._json import as_bool, as_int, as_mapping, as_string, as_time, read, wire

__all__ = ["PushEvent", "PushSubscription"]


def _name(value: Any) -> str | None:
    """Read ``{"name": "apns"}``, or the bare name."""
    return as_string(value.get("name") if isinstance(value, AnyDict) else value)


@frozen(kw_only=True, slots=True)
class PushSubscription:
    """A device of a user that receives push notifications. (Guide: Chat alerts.)

    Args:
        id: The id of the subscription.
        channel: The way of the notification: "apns", "apns_voip", "gcm" or "web".
        device: The service's description of the device.
        extra: Other keys of the service, and values that could not be read.

    Example:
        >>> device = {"platform": "android", "udid": "a phone", "environment": "production"}
        >>> (subscription,) = cube.push.subscribe(channel="gcm", token="a token", **device)
        >>> subscription.platform, subscription.udid
        ('android', 'a phone')
    """

    id: int | None = wire("id", as_int)
    channel: str | None = wire("notification_channel", _name)
    device: Mapping[str, Any] | None = wire("device", as_mapping, repr=False)
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PushSubscription:
        """Decode the service's subscription, bare or wrapped in ``{"subscription": …}``.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The subscription; an attribute that cannot be read is None.
        """
        return read(cls, as_mapping(data.get("subscription")) or data)

    @property
    def udid(self) -> str | None:
        """The device's unique identifier."""
        return as_string((self.device or {}).get("udid"))

    @property
    def platform(self) -> str | None:
        """The device's platform: "ios", "android" or "web"."""
        return _name((self.device or {}).get("platform"))


@frozen(kw_only=True, slots=True)
class PushEvent:
    """A push notification that was requested. (Guide: Chat alerts.)

    Times are aware datetimes.

    Args:
        id: The id of the event.
        event_type: "one_shot", which the service sends once.
        message: The payload as it was sent.
        name: The name that the caller gave the event.
        environment: "production" or "development".
        channel: The one way of notification that was asked for; None for all.
        user_id: The id of the user who requested it.
        active: Whether the service will still send it.
        created_at: When the event was made.
        updated_at: When the event last changed.
        extra: Other keys of the service, and values that could not be read.

    Example:
        >>> (event,) = cube.push.send_event(
        ...     "Your order is ready", environment="production", users=[bob_id]
        ... )
        >>> event.event_type
        'one_shot'
    """

    id: int | None = wire("id", as_int)
    event_type: str | None = wire("event_type", as_string)
    message: str | None = wire("message", as_string)
    name: str | None = wire("name", as_string)
    environment: str | None = wire("environment", as_string)
    channel: str | None = wire("notification_channel", _name)
    user_id: int | None = wire("user_id", as_int)
    active: bool | None = wire("active", as_bool)
    created_at: datetime | None = wire("created_at", as_time)
    updated_at: datetime | None = wire("updated_at", as_time)
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PushEvent:
        """Decode the service's event, bare or wrapped in ``{"event": …}``.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The event; an attribute that cannot be read is None.
        """
        return read(cls, as_mapping(data.get("event")) or data)
