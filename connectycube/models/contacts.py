"""Contacts of the address book and of the roster, and privacy lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, field, frozen

from ._dicts import Serializable
from ._json import as_int, as_mapping, as_string, as_strings, read, wire

__all__ = [
    "AddressBookResult",
    "Contact",
    "ContactListItem",
    "PrivacyItem",
    "PrivacyListNames",
]


@frozen(kw_only=True, slots=True)
class Contact:
    """A contact in an address book: a phone number, and the name that the user gave it."""

    phone: str | None = wire("phone", as_string)
    name: str | None = wire("name", as_string)
    extra: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Contact:
        """Decode the service's contact."""
        return read(cls, data)


def _rejected(value: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
    """Read the reasons by the contact's place in the upload."""
    reasons = {as_int(key): as_strings(texts) or () for key, texts in value.items()}
    return {place: texts for place, texts in reasons.items() if place is not None}


@frozen(kw_only=True, slots=True)
class AddressBookResult:
    """What an upload of contacts changed.

    ``created``, ``updated`` and ``deleted`` are numbers of contacts. ``rejected`` holds the service's
    reasons by the contact's place, counted from 0, in the upload.
    """

    created: int = wire("created", as_int, default=0)
    updated: int = wire("updated", as_int, default=0)
    deleted: int = wire("deleted", as_int, default=0)
    rejected: Mapping[int, tuple[str, ...]] = wire("rejected", _rejected, default=Factory(dict))
    extra: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AddressBookResult:
        """Decode the service's answer to an upload."""
        rejected = as_mapping(data.get("rejected")) or {}
        return read(cls, {**data, "rejected": rejected})


@frozen(kw_only=True, slots=True)
class ContactListItem(Serializable):
    """A contact in the roster. (RFC 6121, section 2.1; a :class:`Contact` is in an address book.)

    ``subscription`` says who gets whose presence: "to" (this user gets the contact's), "from" (the contact
    gets this user's), "both" or "none"; in ``contact_list_changed`` also "remove": it is no contact any
    more. ``pending`` means that this user has asked and the contact has not answered. ``name`` and
    ``groups`` are this user's own words.
    """

    user_id: int
    subscription: str = field(default="none")
    pending: bool = field(default=False)
    name: str | None = field(default=None)
    groups: tuple[str, ...] = field(default=())


@frozen(slots=True)
class PrivacyItem:
    """One rule of a privacy list, about the user ``user_id``: ``action`` is "deny" or "allow".

    A ``mutual`` rule holds both ways: this user cannot write to a user who is denied either.

    (Guide: Block user.)
    """

    user_id: int
    action: str = field(default="deny")
    mutual: bool = field(default=True)


@frozen(kw_only=True, slots=True)
class PrivacyListNames:
    """The names of all privacy lists of a user. (XEP-0016, 2.3.)

    ``default`` is the list in force, ``active`` the list that this connection has chosen instead; either may
    be None.
    """

    default: str | None = field(default=None)
    active: str | None = field(default=None)
    names: tuple[str, ...] = field(default=())
