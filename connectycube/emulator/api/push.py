"""REST: push subscriptions and events. (Server documentation: Push notifications API.)"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from connectycube._containers import AnyDict

from ..db.store import Row
from ..domain.accounts import Accounts
from ..domain.api_error import ApiError
from ..domain.events import CHANNELS, ENVIRONMENTS
from ..domain.values import integer, words
from .fields import identifier, object_of, one_of, text_of
from .request import Response
from .routing import Auth, Call, route

_PLATFORMS = ("ios", "android", "web")


@route(
    "POST", "subscriptions", Auth.USER, inferred="201; a device that is known gets its new token"
)
def subscribe(call: Call) -> Response:
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
    return Response(status=201, content=[_subscription_json(row)])


def _token(channel: str, push_token: dict[str, Any]) -> str:
    if push_token.get("bundle_identifier") is not None:
        text_of(push_token, "bundle_identifier")
    if channel != "web":
        return text_of(push_token, "client_identification_sequence")
    for name in ("web_auth", "web_p256dh"):
        text_of(push_token, name)
    return text_of(push_token, "web_endpoint")


@route("GET", "subscriptions", Auth.USER)
def list_subscriptions(call: Call) -> Response:
    """List the user's subscriptions."""
    rows = call.api.pushes.subscriptions(call.user_id)
    return Response(content=[_subscription_json(row) for row in rows])


@route("DELETE", "subscriptions/{id}", Auth.USER)
def unsubscribe(call: Call) -> Response:
    """Remove one of the user's subscriptions."""
    subscription_id = identifier(call.arguments["id"], "Subscription")
    if not call.api.pushes.unsubscribe(call.user_id, subscription_id):
        raise ApiError(404, f"Subscription {subscription_id} does not exist")
    return Response()


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
    inferred="201; recipients that do not exist are skipped; both forms of message",
)
def create_event(call: Call) -> Response:
    """Send a push notification to users."""
    event = object_of(call.request.json(), "event")
    one_of(event, "notification_type", ("push",))
    push_type = event.get("push_type")
    fields = {
        "environment": one_of(event, "environment", ENVIRONMENTS),
        "push_type": None if push_type is None else one_of(event, "push_type", CHANNELS),
        "event_type": one_of({"event_type": "one_shot", **event}, "event_type", ("one_shot",)),
        "message": text_of(event, "message"),
        "name": event.get("name"),
    }
    recipients = _Recipients.parse(event)
    fields["tag_query"] = recipients.tag_query
    user_ids = recipients.find(call.api.accounts)
    created = call.api.events.create(call.user_id, fields, user_ids)
    return Response(status=201, content=[{"event": call.api.events.json(created)}])


@route("GET", "events", Auth.USER, inferred="not documented: the user's own events")
def list_events(call: Call) -> Response:
    """List the events the user has created."""
    events = call.api.events
    return Response(content=[{"event": events.json(row)} for row in events.of_user(call.user_id)])


@frozen(kw_only=True)
class _Recipients:
    """The receivers of an event: by id, by external id or by tags; the first of these counts."""

    ids: Sequence[int]
    external_ids: Sequence[str]
    tags: Mapping[str, set[str]]
    """Tags by the rule for them: "any", "all" or "exclude"."""

    @classmethod
    def parse(cls, event: Mapping[str, Any]) -> _Recipients:
        user: Any = event.get("user") or {}
        external: Any = event.get("external_user") or {}
        if not isinstance(user, AnyDict) or not isinstance(external, AnyDict):
            raise ApiError.invalid("user", "and external_user must be objects")
        try:
            ids = [integer(word) for word in words(user.get("ids") or None)]
        except ValueError:
            raise ApiError.invalid("user", "ids must be user ids") from None
        tagged = user.get("tags")
        given: dict[str, Any] = tagged if isinstance(tagged, AnyDict) else {}
        tags = {rule: set(words(given.get(rule) or None)) for rule in ("any", "all", "exclude")}
        external_ids = words(external.get("ids") or None)
        return cls(ids=ids, external_ids=external_ids, tags=tags)

    def find(self, accounts: Accounts) -> list[int]:
        if self.ids:
            found = accounts.users_with("id", self.ids)
        elif self.external_ids:
            found = accounts.users_with("external_id", self.external_ids)
        elif any(self.tags.values()):
            found = [user for user in accounts.all_users() if self._fit(user)]
        else:
            raise ApiError(422, "user[ids], external_user[ids] or user[tags] is required")
        return [user["id"] for user in found]

    def _fit(self, user: Row) -> bool:
        own = set(words(user["fields"].get("user_tags")))
        if self.tags["any"] and not own & self.tags["any"]:
            return False
        return self.tags["all"] <= own and not own & self.tags["exclude"]

    @property
    def tag_query(self) -> str | None:
        """The tags as JSON text. (Inferred: the documentation shows this field with null only.)"""
        given = {rule: sorted(tags) for rule, tags in self.tags.items() if tags}
        return json.dumps(given, ensure_ascii=False) if given else None
