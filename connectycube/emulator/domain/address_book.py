"""Address book: the contacts that users upload, by device. (Server documentation: Address Book API.)

The global address book of a user is that of all devices together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field

from connectycube._containers import AnyDict

from ..db.database import Database, Row

__all__ = ["AddressBook", "UploadResult", "phone_digits"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS contacts (
    user_id INTEGER NOT NULL, udid TEXT NOT NULL, -- udid "": uploaded without a device
    phone TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (user_id, udid, phone)
) WITHOUT ROWID;
"""
_PHONE = re.compile(r"\+?[0-9]+", re.ASCII)


@define
class UploadResult:
    """The outcome of an upload; ``rejected`` has the reasons by the index of the contact in the request."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    rejected: dict[str, list[str]] = field(factory=AnyDict)


class AddressBook:
    """The contacts and the rules for them. Phone numbers are stored as digits."""

    def __init__(self, database: Database) -> None:
        self._db = database
        database.create(_SCHEMA)

    def upload(
        self, user_id: int, contacts: Sequence[Any], *, udid: str | None, force: bool
    ) -> UploadResult:
        """Create, update and remove contacts; with ``force`` all contacts that are not named are removed."""
        result = UploadResult()
        kept: set[str] = set()
        with self._db.transaction():
            for index, contact in enumerate(contacts):
                reasons = _reasons_to_reject(contact)
                if reasons:
                    result.rejected[str(index)] = reasons
                elif _is_removal(contact):
                    phone = phone_digits(contact["phone"])
                    result.deleted += bool(self._remove(user_id, udid, phone))
                else:
                    kept.add(self._put(user_id, udid, contact, result))
            if force:
                phones = {row["phone"] for row in self.contacts(user_id, udid=udid)}
                for phone in phones - kept:
                    self._remove(user_id, udid, phone)
                    result.deleted += 1
        return result

    def _put(
        self, user_id: int, udid: str | None, contact: Mapping[str, Any], result: UploadResult
    ) -> str:
        phone, name = phone_digits(contact["phone"]), contact["name"]
        where, values = _devices(user_id, udid)
        if self._db.run(
            f"UPDATE contacts SET name = ? WHERE {where} AND phone = ?", name, *values, phone
        ):
            result.updated += 1
        else:
            row = {"user_id": user_id, "udid": udid or "", "phone": phone, "name": name}
            self._db.insert("contacts", row)
            result.created += 1
        return phone

    def _remove(self, user_id: int, udid: str | None, phone: str) -> int:
        where, values = _devices(user_id, udid)
        return self._db.run(f"DELETE FROM contacts WHERE {where} AND phone = ?", *values, phone)

    def contacts(self, user_id: int, *, udid: str | None) -> list[Row]:
        """Return phone and name of a user's contacts: of a device, or of all devices."""
        where, values = _devices(user_id, udid)
        return self._db.all(
            f"SELECT phone, min(name) AS name FROM contacts WHERE {where}"
            " GROUP BY phone ORDER BY phone",
            values,
        )

    def forget_user(self, user_id: int) -> None:
        """Remove a user's contacts."""
        self._db.run("DELETE FROM contacts WHERE user_id = ?", user_id)


def phone_digits(phone: str) -> str:
    """Return the digits of a phone number; two numbers are equal if their digits are."""
    return re.sub(r"[^0-9]", "", phone)


def _devices(user_id: int, udid: str | None) -> tuple[str, list[Any]]:
    if udid is None:
        return "user_id = ?", [user_id]
    return "user_id = ? AND udid = ?", [user_id, udid]


def _is_removal(contact: Mapping[str, Any]) -> bool:
    return contact.get("destroy") in (1, "1", True)


def _reasons_to_reject(contact: Any) -> list[str]:
    """Return the reasons to reject a contact, in the words of the service."""
    if not isinstance(contact, AnyDict) or not isinstance(contact.get("phone"), str):
        return ["Invalid fields set"]
    name, phone = contact.get("name"), contact["phone"]
    reasons: list[str] = []
    if not 10 <= len(phone) <= 15:
        reasons.append("Length of 'phone' field should be min: 10 and max: 15.")
    elif not _PHONE.fullmatch(phone):
        reasons.append("Invalid fields set")
    if not _is_removal(contact) and (not isinstance(name, str) or not 1 <= len(name) <= 255):
        reasons.append("Length of 'name' field should be min: 1 and max: 255.")
    return reasons
