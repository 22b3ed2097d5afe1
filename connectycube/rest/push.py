"""Push notifications: devices subscribe, events notify users. (Guide: Chat alerts.)"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping

from .._checks import check_int, check_json_object, check_list, check_one_of, check_str
from .._containers import AnyMapping
from .._not_copied import NotCopied
from .._secrets import check_secret, hides
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import PushEvent, PushSubscription, User
from ..models.values import JsonValue
from ._api import Api
from ._arguments import check_user_id
from ._query import comma_separated
from ._response import read_list

__all__ = ["Push"]

_SUBSCRIPTIONS = ("subscriptions",)
_EVENTS = ("events",)
_CHANNELS = ("apns", "apns_voip", "gcm", "web")
_PLATFORMS = ("ios", "android", "web")
_ENVIRONMENTS = ("development", "production")
_PUSH_TYPES = ("apns", "apns_voip", "gcm")


class Push(NotCopied):
    """Push notifications of the session's user; every method may be called from any thread.

    Example:
        >>> (event,) = cube.push.send_event(
        ...     "Your order is ready", environment="production", users=[bob_id]
        ... )
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    @hides("token", "web_endpoint", "web_auth", "web_p256dh")
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
        """Subscribe a device of the user to push notifications. (Server API: Create subscription.)

        Args:
            channel: "apns", "apns_voip", "gcm" or "web".
            platform: "ios", "android" or "web".
            udid: The unique id of the device.
            environment: "development" or "production".
            token: The token that Apple or Google gave the device; not for the channel "web".
            bundle_id: The bundle identifier of the application on the device.
            web_endpoint: The endpoint of a browser's subscription; for the channel "web" only, like the
                next two.
            web_auth: The key "auth" of a browser's subscription.
            web_p256dh: The key "p256dh" of a browser's subscription.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The subscriptions that the service created.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        check_one_of("channel", check_str("channel", channel), _CHANNELS)
        check_one_of("platform", check_str("platform", platform), _PLATFORMS)
        _check_environment(environment)
        web = {"web_endpoint": web_endpoint, "web_auth": web_auth, "web_p256dh": web_p256dh}
        needed, foreign = {"token": token}, web
        if channel == "web":
            needed, foreign = web, {"token": token}
        for name, value in foreign.items():
            if value is not None:
                raise ArgumentValueError(f"{name} is not for channel {channel}")
        keys: dict[str, object] = {
            name: check_secret(name, value) for name, value in needed.items()
        }
        if "token" in keys:
            keys = {"client_identification_sequence": keys["token"]}
        if bundle_id is not None:
            keys["bundle_identifier"] = check_str("bundle_id", bundle_id)
        body = {
            "notification_channel": channel,
            "push_token": {"environment": environment, **keys},
            "device": {"platform": platform, "udid": check_str("udid", udid)},
        }
        response = self._api.call("POST", _SUBSCRIPTIONS, body=body, timeout=timeout)
        return read_list(response, PushSubscription.from_json)

    def subscriptions(self, *, timeout: float | None = None) -> tuple[PushSubscription, ...]:
        """Return the subscriptions of the user's devices. (Server API: Retrieve subscriptions.)

        Args:
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The subscriptions; empty without any.

        Raises:
            ApiError: The call failed; a subclass says how.
        """
        response = self._api.call("GET", _SUBSCRIPTIONS, timeout=timeout)
        return read_list(response, PushSubscription.from_json)

    def unsubscribe(
        self, subscription: int | PushSubscription, *, timeout: float | None = None
    ) -> None:
        """Remove a subscription. (Server API: Remove subscription.)

        Args:
            subscription: The subscription, as its id or a PushSubscription.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such subscription.
            ApiError: The call failed; a subclass says how.
        """
        known = subscription.id if isinstance(subscription, PushSubscription) else subscription
        number = check_int("subscription", known, least=1)
        self._api.call("DELETE", (*_SUBSCRIPTIONS, str(number)), timeout=timeout)

    def send_event(
        self,
        payload: str | Mapping[str, JsonValue],
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
        """Send a push notification. (Server API: Create event.)

        The recipients are given in one of three ways: ``users``, ``external_ids``, or tags.

        Args:
            payload: A text, or the parameters of a universal notification ("message", "ios_badge" …).
                With a ``push_type`` the payload is in the format of that platform.
            environment: "development" or "production".
            users: The recipients, as ids or Users.
            external_ids: The recipients, as their ids in another system.
            tags_any: The recipients are users with one of these tags.
            tags_all: The recipients are users with all of these tags.
            tags_exclude: Users with one of these tags are no recipients.
            push_type: "apns", "apns_voip" or "gcm", to notify that platform only.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The events that the service created.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        event: dict[str, object] = {
            "notification_type": "push",
            "environment": _check_environment(environment),
            "message": _encoded(payload),
            **_recipients(users, external_ids, tags_any, tags_all, tags_exclude),
        }
        if push_type is not None:
            check_one_of("push_type", check_str("push_type", push_type), _PUSH_TYPES)
            event["push_type"] = push_type
            event["message"] = f"payload={event['message']}"
        response = self._api.call("POST", _EVENTS, body={"event": event}, timeout=timeout)
        return read_list(response, PushEvent.from_json)


def _check_environment(value: object) -> str:
    text = check_str("environment", value)
    check_one_of("environment", text, _ENVIRONMENTS)
    return text


def _encoded(payload: object) -> str:
    """Return the payload as the service takes it: JSON in base64."""
    if isinstance(payload, str):
        payload = {"message": check_str("payload", payload)}
    if not isinstance(payload, AnyMapping):
        kind = type(payload).__name__
        raise ArgumentTypeError(f"payload must be a string or a mapping, not {kind}")
    parameters = check_json_object("payload", payload, empty=False)
    text = json.dumps(parameters, separators=(",", ":"))
    return base64.b64encode(text.encode()).decode()


def _recipients(
    users: Iterable[int | User] | None,
    external_ids: Iterable[str] | None,
    tags_any: Iterable[str] | None,
    tags_all: Iterable[str] | None,
    tags_exclude: Iterable[str] | None,
) -> dict[str, object]:
    """Return the service's fields for the recipients, who are given in one way."""
    ways: list[dict[str, object]] = []
    if users is not None:
        given = check_list("users", users, "users", empty=False)
        ids = [check_user_id("users", user) for user in given]
        ways.append({"user": {"ids": comma_separated("users", ids)}})
    if external_ids is not None:
        ways.append({"external_user": {"ids": _joined("external_ids", external_ids)}})
    named = {"any": tags_any, "all": tags_all, "exclude": tags_exclude}
    tags = {
        word: _joined(f"tags_{word}", names) for word, names in named.items() if names is not None
    }
    if tags:
        ways.append({"user": {"tags": tags}})
    if len(ways) != 1:
        raise ArgumentValueError("give the recipients one way: users, external_ids or tags_…")
    return ways[0]


def _joined(name: str, values: object) -> str:
    texts = [check_str(name, value) for value in check_list(name, values, "strings", empty=False)]
    return comma_separated(name, texts)
