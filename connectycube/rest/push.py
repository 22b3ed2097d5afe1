"""Push notifications: devices subscribe, events notify users. (Guide: Chat alerts.)"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from .._checks import check_int, check_one_of, check_str
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import PushEvent, PushSubscription, User
from .arguments import check_user_id
from .transport import Transport

__all__ = ["Push"]

_SUBSCRIPTIONS = ("subscriptions",)
_EVENTS = ("events",)
_CHANNELS = ("apns", "apns_voip", "gcm", "web")
_PLATFORMS = ("ios", "android", "web")
_ENVIRONMENTS = ("development", "production")
_PUSH_TYPES = ("apns", "apns_voip", "gcm")


class Push:
    """Push notifications of the session's user; every method may be called from any thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def subscribe(
        self,
        *,
        channel: str,
        platform: str,
        udid: str,
        environment: str,
        token: str | None = None,
        bundle_id: str | None = None,
        web_endpoint: str | None = None,
        web_auth: str | None = None,
        web_p256dh: str | None = None,
        timeout: float | None = None,
    ) -> tuple[PushSubscription, ...]:
        """Subscribe a device of the user, and return what the service made.

        ``channel`` is "apns", "apns_voip", "gcm" or "web"; ``platform`` "ios", "android" or "web";
        ``environment`` "development" or "production"; ``udid`` names the device. ``token`` is what Apple
        or Google gave the device; channel "web" takes web_endpoint, web_auth and web_p256dh in its place.
        ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, ApiError.
        Source: server API, "Create subscription".
        """
        check_one_of("channel", check_str("channel", channel), _CHANNELS)
        check_one_of("platform", check_str("platform", platform), _PLATFORMS)
        _an_environment(environment)
        web = {"web_endpoint": web_endpoint, "web_auth": web_auth, "web_p256dh": web_p256dh}
        needed, foreign = {"token": token}, web
        if channel == "web":
            needed, foreign = web, {"token": token}
        for name, value in foreign.items():
            if value is not None:
                raise ArgumentValueError(f"{name} is not for channel {channel}")
        keys = {name: check_str(name, value) for name, value in needed.items()}
        if "token" in keys:
            keys = {"client_identification_sequence": keys["token"]}
        if bundle_id is not None:
            keys["bundle_identifier"] = check_str("bundle_id", bundle_id)
        body = {
            "notification_channel": channel,
            "push_token": {"environment": environment, **keys},
            "device": {"platform": platform, "udid": check_str("udid", udid)},
        }
        answer = self._transport.call(
            "POST", _SUBSCRIPTIONS, body=body, timeout=timeout, secrets=list(keys.values())
        )
        return answer.list(PushSubscription.from_json)

    def subscriptions(self, *, timeout: float | None = None) -> tuple[PushSubscription, ...]:
        """Return the subscriptions of the user's devices.

        ``timeout`` is seconds. Raises ApiError. Source: server API, "Retrieve subscriptions".
        """
        answer = self._transport.call("GET", _SUBSCRIPTIONS, timeout=timeout)
        return answer.list(PushSubscription.from_json)

    def unsubscribe(
        self, subscription: int | PushSubscription, *, timeout: float | None = None
    ) -> None:
        """Remove a subscription, given as its id or itself.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Remove subscription".
        """
        known = subscription.id if isinstance(subscription, PushSubscription) else subscription
        number = check_int("subscription", known, least=1)
        self._transport.call("DELETE", (*_SUBSCRIPTIONS, str(number)), timeout=timeout)

    def send_event(
        self,
        payload: str | Mapping[str, Any],
        *,
        environment: str,
        users: Iterable[int | User] | None = None,
        external_ids: Iterable[str] | None = None,
        tags_any: Iterable[str] | None = None,
        tags_all: Iterable[str] | None = None,
        tags_exclude: Iterable[str] | None = None,
        push_type: str | None = None,
        timeout: float | None = None,
    ) -> tuple[PushEvent, ...]:
        """Send a push notification, and return the events the service made.

        ``payload`` is a text, or the parameters of a universal notification ("message", "ios_badge" …).
        With ``push_type`` ("apns", "apns_voip", "gcm") only that platform is notified, and the payload is
        in its own format. Recipients are ``users`` (ids or Users), or ``external_ids``, or users by their
        tags. ``environment`` is "development" or "production", ``timeout`` seconds.

        Raises ArgumentTypeError, ArgumentValueError, ApiError.
        Source: server API, "Create event".
        """
        event: dict[str, Any] = {
            "notification_type": "push",
            "environment": _an_environment(environment),
            "message": _encoded(payload),
            **_recipients(users, external_ids, tags_any, tags_all, tags_exclude),
        }
        if push_type is not None:
            check_one_of("push_type", check_str("push_type", push_type), _PUSH_TYPES)
            event["push_type"] = push_type
            event["message"] = f"payload={event['message']}"
        answer = self._transport.call("POST", _EVENTS, body={"event": event}, timeout=timeout)
        return answer.list(PushEvent.from_json)


def _an_environment(value: object) -> str:
    text = check_str("environment", value)
    check_one_of("environment", text, _ENVIRONMENTS)
    return text


def _encoded(payload: object) -> str:
    """Return the payload as the service takes it: JSON in base64."""
    if isinstance(payload, str):
        payload = {"message": check_str("payload", payload)}
    if not isinstance(payload, Mapping):
        kind = type(payload).__name__
        raise ArgumentTypeError(f"payload must be a string or a mapping, not {kind}")
    if not payload:
        raise ArgumentValueError("payload must not be empty")
    try:
        text = json.dumps(dict(payload), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentValueError(f"payload is not JSON: {error}") from None
    return base64.b64encode(text.encode()).decode()


def _recipients(
    users: Iterable[int | User] | None,
    external_ids: Iterable[str] | None,
    tags_any: Iterable[str] | None,
    tags_all: Iterable[str] | None,
    tags_exclude: Iterable[str] | None,
) -> dict[str, Any]:
    """Return the service's fields for one way to name recipients."""
    ways: list[dict[str, Any]] = []
    if users is not None:
        ids = [str(check_user_id("users", user)) for user in _several("users", users)]
        ways.append({"user": {"ids": ",".join(ids)}})
    if external_ids is not None:
        ways.append({"external_user": {"ids": _joined("external_ids", external_ids)}})
    given = {"any": tags_any, "all": tags_all, "exclude": tags_exclude}
    tags = {
        word: _joined(f"tags_{word}", names) for word, names in given.items() if names is not None
    }
    if tags:
        ways.append({"user": {"tags": tags}})
    if len(ways) != 1:
        raise ArgumentValueError("give the recipients one way: users, external_ids or tags_…")
    return ways[0]


def _several(name: str, values: object) -> list[Any]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name} must be a list, not {type(values).__name__}")
    found = list(values)
    if not found:
        raise ArgumentValueError(f"{name} must not be empty")
    return found


def _joined(name: str, values: object) -> str:
    texts = [check_str(name, value) for value in _several(name, values)]
    for text in texts:
        if "," in text:
            raise ArgumentValueError(f"{name} must not hold a comma: {text!r}")
    return ",".join(texts)
