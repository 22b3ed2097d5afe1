"""Privacy lists on the wire. (XEP-0016; ConnectyCube's guide: Block user.)

ConnectyCube writes two items for each user: one for the user's JID, and one for the user in rooms.
Items of other kinds, which other programs may have written, are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve, frozen

from ..._checks import check_bool, check_int, check_list, check_one_of, check_str
from ...errors import ArgumentTypeError, ArgumentValueError
from ...models import PrivacyItem, PrivacyListNames
from ...models._json import as_int
from . import namespaces as ns
from .addresses import Addresses
from .markup import attribute, check_text
from .nodes import Node, child, children

__all__ = [
    "NAMES_QUERY",
    "Rule",
    "check_list_name",
    "decode_names",
    "decode_rules",
    "encode_default",
    "encode_list_query",
    "encode_rules",
    "read_items",
    "rules_of",
    "with_user",
    "without_user",
]

NAMES_QUERY = f'<query xmlns="{ns.PRIVACY}"/>'
"""The request for the names of all lists."""

_ACTIONS = ("allow", "deny")
_ONE_WAY = ("message", "presence-in", "presence-out", "iq")


@frozen
class Rule:
    """One item of a list; ``only`` names the kinds of stanzas for which it holds, () means all kinds."""

    action: str
    type: str | None = None
    value: str | None = None
    only: tuple[str, ...] = ()


# --- names ------------------------------------------------------------------------------------------


def check_list_name(name: str, value: object) -> str:
    """Return ``value`` if it can be the name of a list; errors call it ``name``."""
    return check_text(name, check_str(name, value, longest=1023))


def decode_names(query: Node) -> PrivacyListNames:
    """Read the names of all lists, and of the lists in force."""
    default, active = (child(query, kind, ns.PRIVACY) for kind in ("default", "active"))
    names = (kid.attrs.get("name") for kid in children(query) if kid.name == "list")
    return PrivacyListNames(
        default=(default.attrs.get("name") or None) if default is not None else None,
        active=(active.attrs.get("name") or None) if active is not None else None,
        names=tuple(name for name in names if name),
    )


def encode_default(name: str | None) -> str:
    """Write the request that makes a list the default one; with None there is no default."""
    named = f' name="{attribute(name)}"' if name is not None else ""
    return f'<query xmlns="{ns.PRIVACY}"><default{named}/></query>'


# --- a list and its rules -----------------------------------------------------------------------------


def encode_list_query(name: str) -> str:
    """Write the query for a list: in a "get" it requests the list, in a "set" it removes the list."""
    return f'<query xmlns="{ns.PRIVACY}"><list name="{attribute(name)}"/></query>'


def encode_rules(name: str, rules: Sequence[Rule]) -> str:
    """Write the request that gives a list these rules, in their order."""
    items = "".join(_item(order, rule) for order, rule in enumerate(rules, 1))
    return f'<query xmlns="{ns.PRIVACY}"><list name="{attribute(name)}">{items}</list></query>'


def _item(order: int, rule: Rule) -> str:
    whom = ""
    if rule.type is not None:
        whom = f' type="{attribute(rule.type)}" value="{attribute(rule.value or "")}"'
    only = "".join(f"<{kind}/>" for kind in rule.only)
    return f'<item{whom} action="{rule.action}" order="{order}">{only}</item>'


def decode_rules(query: Node) -> list[Rule]:
    """Read the rules of the list in an answer, in the order in which the server applies them."""
    wanted = child(query, "list", ns.PRIVACY)
    if wanted is None:
        return []
    found: list[tuple[int, int, Rule]] = []
    for place, item in enumerate(children(wanted)):
        action, order = item.attrs.get("action"), as_int(item.attrs.get("order"))
        if item.name != "item" or action not in _ACTIONS:
            continue
        rule = Rule(
            action,
            item.attrs.get("type"),
            item.attrs.get("value"),
            tuple(kid.name for kid in children(item) if kid.name in _ONE_WAY),
        )
        found.append((place if order is None else order, place, rule))
    return [rule for _, _, rule in sorted(found, key=lambda entry: entry[:2])]


# --- the rules for a user ------------------------------------------------------------------------------


def rules_of(items: Iterable[PrivacyItem], me: int | None, addresses: Addresses) -> list[Rule]:
    """Return the rules for these users, in the order of their ids.

    Raises ArgumentTypeError or ArgumentValueError that names the argument ``items``.
    """
    checked: dict[int, PrivacyItem] = {}
    for place, item in enumerate(check_list("items", items, "PrivacyItem objects")):
        _check_item(f"items[{place}]", item, me)
        if item.user_id in checked:
            raise ArgumentValueError(f"items[{place}] is about user {item.user_id}, again")
        checked[item.user_id] = item
    if not checked:
        raise ArgumentValueError("items must not be empty: a list without any is no list")
    return [rule for _, item in sorted(checked.items()) for rule in _pair(item, addresses)]


def _check_item(name: str, item: object, me: int | None) -> None:
    if not isinstance(item, PrivacyItem):
        raise ArgumentTypeError(f"{name} must be a PrivacyItem, not {type(item).__name__}")
    check_int(f"{name}.user_id", item.user_id, least=1)
    if item.user_id == me:
        raise ArgumentValueError(f"{name}.user_id is the logged-in user")
    check_one_of(f"{name}.action", item.action, _ACTIONS)
    check_bool(f"{name}.mutual", item.mutual)


def _pair(item: PrivacyItem, addresses: Addresses) -> tuple[Rule, Rule]:
    only = () if item.mutual else _ONE_WAY
    user = Rule(item.action, "jid", addresses.user(item.user_id), only)
    return user, evolve(user, value=f"{addresses.rooms_host}/{item.user_id}")


def read_items(rules: Iterable[Rule], addresses: Addresses) -> tuple[PrivacyItem, ...]:
    """Return one item for each user in the rules; of several rules for a user the first counts."""
    items: dict[int, PrivacyItem] = {}
    for rule in rules:
        user_id = _user_of(rule, addresses)
        if user_id is not None:
            items.setdefault(user_id, PrivacyItem(user_id, rule.action, not rule.only))
    return tuple(items.values())


def with_user(rules: Iterable[Rule], item: PrivacyItem, addresses: Addresses) -> list[Rule]:
    """Return the rules with new ones for one user, which come first: so no other rule overrules them."""
    return [*_pair(item, addresses), *_others(rules, item.user_id, addresses)]


def without_user(rules: Iterable[Rule], user_id: int, addresses: Addresses) -> list[Rule]:
    """Return the rules without those of one user; no list may be empty, so the last two become "allow"."""
    allowed = _pair(PrivacyItem(user_id, "allow"), addresses)
    return _others(rules, user_id, addresses) or list(allowed)


def _others(rules: Iterable[Rule], user_id: int, addresses: Addresses) -> list[Rule]:
    return [rule for rule in rules if _user_of(rule, addresses) != user_id]


def _user_of(rule: Rule, addresses: Addresses) -> int | None:
    """Return the user whose messages a rule is about, by JID or in rooms; None for other rules."""
    value = rule.value or ""
    if rule.type != "jid" or (rule.only and "message" not in rule.only):
        return None
    domain, slash, _ = value.partition("/")
    if slash and domain.lower() == addresses.rooms_host.lower():
        return addresses.occupant(value)
    user_id = addresses.user_id(value)
    if user_id is None or value.lower() != addresses.user(user_id).lower():
        return None
    return user_id
