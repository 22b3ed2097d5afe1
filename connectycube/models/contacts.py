"""Contacts of the address book and of the roster, and privacy lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, field, frozen

from .._containers import AnyDict
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
    """A contact in an address book. (Guide: Address book.)

    Args:
        phone: The phone number, as the user's device has it.
        name: The name that the user gave the contact.
        extra: Other keys of the service, and values that could not be read.

    Example:
        >>> result = cube.address_book.upload([Contact(phone="+49151000001", name="Bob")])
        >>> [contact.name for contact in cube.address_book.get()]
        ['Bob']
    """

    phone: str | None = wire("phone", as_string)
    name: str | None = wire("name", as_string)
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Contact:
        """Decode the service's contact.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The contact; an attribute that cannot be read is None.
        """
        return read(cls, data)


def _rejected(value: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
    """Read the reasons by the contact's place in the upload."""
    reasons = {as_int(key): as_strings(texts) or () for key, texts in value.items()}
    return {place: texts for place, texts in reasons.items() if place is not None}


@frozen(kw_only=True, slots=True)
class AddressBookResult:
    """The changes that an upload of contacts made. (Guide: Address book.)

    Args:
        created: The number of new contacts.
        updated: The number of contacts with a new name.
        deleted: The number of contacts that were deleted.
        rejected: The service's reasons for the contacts that it refused, by the place of the contact in the
            upload, counted from 0.
        extra: Other keys of the service, and values that could not be read.

    Example:
        >>> result = cube.address_book.upload([Contact(phone="+49151000002", name="Carol")])
        >>> result.created, dict(result.rejected)
        (1, {})
    """

    created: int = wire("created", as_int, default=0)
    updated: int = wire("updated", as_int, default=0)
    deleted: int = wire("deleted", as_int, default=0)
    rejected: Mapping[int, tuple[str, ...]] = wire("rejected", _rejected, default=Factory(dict))
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AddressBookResult:
        """Decode the service's answer to an upload.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The result; counts that the service left out are 0.
        """
        rejected = as_mapping(data.get("rejected")) or {}
        return read(cls, {**data, "rejected": rejected})


@frozen(kw_only=True, slots=True)
class ContactListItem(Serializable):
    """A contact in the roster. (RFC 6121, section 2.1; a :class:`Contact` is in an address book.)

    Args:
        user_id: The id of the contact.
        subscription: The users who get presence: "to" (this user gets that of the contact), "from" (the
            contact gets that of this user), "both" or "none"; in ``contact_list_changed`` also "remove": the
            contact was removed.
        pending: Whether this user has asked and the contact has not answered yet.
        name: The name that this user gave the contact.
        groups: The groups in which this user keeps the contact.

    Example:
        >>> chat.contacts.add(bob_id, name="Bob")
        >>> [(item.name, item.pending) for item in chat.contacts.list()]
        [('Bob', True)]
    """

    user_id: int
    subscription: str = field(default="none")
    pending: bool = field(default=False)
    name: str | None = field(default=None)
    groups: tuple[str, ...] = field(default=())


@frozen(slots=True)
class PrivacyItem:
    """One rule of a privacy list, about one user. (XEP-0016; guide: Block user.)

    Args:
        user_id: The id of the user.
        action: "deny" or "allow".
        mutual: Whether the rule holds both ways: this user cannot write to the denied user either.

    Example:
        >>> chat.privacy.create("work", [PrivacyItem(bob_id, action="deny")])
        >>> [item.action for item in chat.privacy.get("work")]
        ['deny']
    """

    user_id: int
    action: str = field(default="deny")
    mutual: bool = field(default=True)


@frozen(kw_only=True, slots=True)
class PrivacyListNames:
    """The names of all privacy lists of a user. (XEP-0016, 2.3.)

    Args:
        default: The list in force for all connections; None if there is none.
        active: The list that this connection has chosen instead; None if it has chosen none.
        names: The names of all lists.

    Example:
        >>> chat.privacy.create("home", [PrivacyItem(bob_id)])
        >>> "home" in chat.privacy.names().names
        True
    """

    default: str | None = field(default=None)
    active: str | None = field(default=None)
    names: tuple[str, ...] = field(default=())
