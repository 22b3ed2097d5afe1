"""REST: push subscriptions and events. (Server documentation: Push notifications API.)"""

from __future__ import annotations

from typing import Any

from ..db.store import Row
from ..domain.api_error import ApiError
from ..domain.events import CHANNELS, ENVIRONMENTS
from ..domain.values import integer, words
from .fields import identifier, object_of, one_of, text_of
from .request import Reply
from .routing import Auth, Call, route

_PLATFORMS = ("ios", "android", "web")


@route(
    "POST", "subscriptions", Auth.USER, inferred="201; a device that is known gets its new token"
)
def subscribe(call: Call) -> Reply:
    """Subscribe a device of the user."""
    body = call.request.json()
    channel = one_of(body, "notification_channel", CHANNELS)
    device, push_token = object_of(body, "device"), object_of(body, "push_token")
    row = call.api.pushes.subscribe(
        call.user_id,
        {
            "channel": channel,
            "environment": one_of(push_token, "environment", ENVIRONMENTS),
            "platform": one_of(device, "platform", _PLATFORMS),
            "udid": text_of(device, "udid"),
            "token": _token(channel, push_token),
            "bundle_identifier": push_token.get("bundle_identifier"),
        },
    )
    return Reply(status=201, content=[_subscription_json(row)])


def _token(channel: str, push_token: dict[str, Any]) -> str:
    if push_token.get("bundle_identifier") is not None:
        text_of(push_token, "bundle_identifier")
    if channel != "web":
        return text_of(push_token, "client_identification_sequence")
    for name in ("web_auth", "web_p256dh"):
        text_of(push_token, name)
    return text_of(push_token, "web_endpoint")


@route("GET", "subscriptions", Auth.USER)
def list_subscriptions(call: Call) -> Reply:
    """List the user's subscriptions."""
    rows = call.api.pushes.subscriptions(call.user_id)
    return Reply(content=[_subscription_json(row) for row in rows])


@route("DELETE", "subscriptions/{id}", Auth.USER)
def unsubscribe(call: Call) -> Reply:
    """Remove one of the user's subscriptions."""
    subscription_id = identifier(call.arguments["id"], "Subscription")
    if not call.api.pushes.unsubscribe(call.user_id, subscription_id):
        raise ApiError(404, f"Subscription {subscription_id} does not exist")
    return Reply()


def _subscription_json(row: Row) -> dict[str, Any]:
    return {
        "subscription": {
            "id": row["id"],
            "notification_channel": {"name": row["channel"]},
            "device": {"udid": row["udid"], "platform": {"name": row["platform"]}},
        }
    }


@route(
    "POST",
    "events",
    Auth.USER,
    inferred="201; recipients that do not exist are passed over; both forms of message",
)
def create_event(call: Call) -> Reply:
    """Push a notification to users."""
    event = object_of(call.request.json(), "event")
    one_of(event, "notification_type", ("push",))
    push_type = event.get("push_type")
    fields = {
        "environment": one_of(event, "environment", ENVIRONMENTS),
        "push_type": None if push_type is None else one_of(event, "push_type", CHANNELS),
        "event_type": one_of({"event_type": "one_shot", **event}, "event_type", ("one_shot",)),
        "message": text_of(event, "message"),
        "name": event.get("name"),
        "tag_query": _tag_query(event),
    }
    created = call.api.events.create(call.user_id, fields, _recipients(call, event))
    return Reply(status=201, content=[{"event": call.api.events.json(created)}])


@route("GET", "events", Auth.USER, inferred="not documented: the user's own events")
def list_events(call: Call) -> Reply:
    """List the events the user has created."""
    events = call.api.events
    return Reply(content=[{"event": events.json(row)} for row in events.of_user(call.user_id)])


def _recipients(call: Call, event: dict[str, Any]) -> list[int]:
    user, external = event.get("user") or {}, event.get("external_user") or {}
    if not isinstance(user, dict) or not isinstance(external, dict):
        raise ApiError.invalid("user", "and external_user must be objects")
    accounts = call.api.accounts
    if user.get("ids"):
        try:
            ids = [integer(part) for part in words(user["ids"])]
        except ValueError:
            raise ApiError.invalid("user", "ids must be user ids") from None
        return [row["id"] for row in accounts.users_with("id", ids)]
    if external.get("ids"):
        return [row["id"] for row in accounts.users_with("external_id", words(external["ids"]))]
    tags = _tags(event)
    if not any(tags.values()):
        raise ApiError(422, "user[ids], external_user[ids] or user[tags] is required")
    return [
        row["id"]
        for row in accounts.all_users()
        if _matches(set(words(row["fields"].get("user_tags") or "")), tags)
    ]


def _tags(event: dict[str, Any]) -> dict[str, set[str]]:
    user = event.get("user")
    tags = user.get("tags") if isinstance(user, dict) else None
    tags = tags if isinstance(tags, dict) else {}
    return {name: set(words(tags.get(name) or "")) for name in ("any", "all", "exclude")}


def _matches(own: set[str], tags: dict[str, set[str]]) -> bool:
    return (
        (not tags["any"] or bool(own & tags["any"]))
        and tags["all"] <= own
        and not own & tags["exclude"]
    )


def _tag_query(event: dict[str, Any]) -> str | None:
    # Inferred: the documentation shows the field with null only.
    parts = [f"{name}:{','.join(sorted(tags))}" for name, tags in _tags(event).items() if tags]
    return ";".join(parts) or None
