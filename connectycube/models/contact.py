"""Contacts of a user's address book."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, field, frozen

from .fields import as_int, as_mapping, as_string, as_strings, read, wire

__all__ = ["AddressBookResult", "Contact"]


@frozen(kw_only=True, slots=True)
class Contact:
    """Somebody in an address book: a phone number and the name the user gave it."""

    phone: str | None = wire("phone", as_string)
    name: str | None = wire("name", as_string)
    extra: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Contact:
        """Decode the service's contact."""
        return read(cls, data)


def _rejected(value: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
    """Read the reasons by the contact's place in what was uploaded."""
    reasons = {as_int(key): as_strings(texts) or () for key, texts in value.items()}
    return {place: texts for place, texts in reasons.items() if place is not None}


@frozen(kw_only=True, slots=True)
class AddressBookResult:
    """What an upload changed: how many contacts were ``created``, ``updated`` and ``deleted``.

    ``rejected`` holds the service's reasons by the contact's place, counted from 0, in the upload.
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
