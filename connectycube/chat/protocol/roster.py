"""The roster on the wire: decodes contacts, encodes changes and subscriptions. (RFC 6121, 2 and 3.)"""

from __future__ import annotations

from collections.abc import Iterable

from ..._checks import check_list, check_str
from ...errors import ArgumentValueError
from ...models import ContactListItem
from . import namespaces as ns
from .addresses import Addresses
from .markup import attribute, check_text, text
from .nodes import Node, children

__all__ = [
    "ROSTER_QUERY",
    "decode_roster",
    "decode_roster_item",
    "encode_contact",
    "encode_contact_removal",
    "encode_subscription",
]

ROSTER_QUERY = f'<query xmlns="{ns.ROSTER}"/>'
"""The request for the whole contact list."""

_LONGEST = 1023  # bytes, as for a part of a JID (RFC 7622); servers refuse longer names
_SUBSCRIPTIONS = frozenset({"none", "to", "from", "both"})


def decode_roster(query: Node, addresses: Addresses) -> tuple[ContactListItem, ...]:
    """Read the contacts in the server's answer; items that name no user of this application are left out."""
    found = (decode_roster_item(item, addresses) for item in children(query))
    return tuple(item for item in found if item is not None and item.subscription != "remove")


def decode_roster_item(item: Node, addresses: Addresses) -> ContactListItem | None:
    """Read one contact; None if it is no user of this application."""
    jid = item.attrs.get("jid", "")
    user_id = addresses.user_id(jid)
    if item.name != "item" or user_id is None or jid.lower() != addresses.user(user_id).lower():
        return None
    subscription = item.attrs.get("subscription")
    name = item.attrs.get("name")
    texts = (kid.getData() for kid in children(item) if kid.name == "group")
    return ContactListItem(
        user_id=user_id,
        subscription=subscription if subscription in {*_SUBSCRIPTIONS, "remove"} else "none",
        pending=item.attrs.get("ask") == "subscribe",
        # The service gives a contact without a name the first part of the JID as its name.
        name=name if name and name != jid.partition("@")[0] else None,
        groups=tuple(dict.fromkeys(group for group in texts if group)),
    )


def encode_contact(
    user_id: int, name: str | None, groups: Iterable[str], addresses: Addresses
) -> str:
    """Write the request that makes a user a contact, or gives a contact this name and these groups.

    Raises ArgumentTypeError or ArgumentValueError that names the argument.
    """
    jid = attribute(addresses.user(user_id))
    named = f' name="{attribute(_label("name", name))}"' if name is not None else ""
    inner = "".join(f"<group>{text(group)}</group>" for group in _groups(groups))
    return f'<query xmlns="{ns.ROSTER}"><item jid="{jid}"{named}>{inner}</item></query>'


def _groups(groups: Iterable[str]) -> list[str]:
    several = check_list("groups", groups, "strings")
    named = [_label(f"groups[{place}]", group) for place, group in enumerate(several)]
    for place, group in enumerate(named):
        if group in named[:place]:
            raise ArgumentValueError(f"groups[{place}] is there already: {group!r}")
    return named


def _label(name: str, value: object) -> str:
    label = check_text(name, check_str(name, value))
    if len(label.encode()) > _LONGEST:
        raise ArgumentValueError(
            f"{name} has {len(label.encode())} bytes; at most {_LONGEST} are allowed"
        )
    return label


def encode_contact_removal(user_id: int, addresses: Addresses) -> str:
    """Write the request that removes a contact and ends both subscriptions. (RFC 6121, 2.5.)"""
    jid = attribute(addresses.user(user_id))
    return f'<query xmlns="{ns.ROSTER}"><item jid="{jid}" subscription="remove"/></query>'


def encode_subscription(kind: str, user_id: int, addresses: Addresses) -> bytes:
    """Write a presence that requests, grants, refuses or ends a subscription. (RFC 6121, section 3.)"""
    return f'<presence to="{attribute(addresses.user(user_id))}" type="{kind}"/>'.encode()
