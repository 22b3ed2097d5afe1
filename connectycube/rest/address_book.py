"""The address book: a user's contacts, and which of them use the application. (Guide: Address book.)"""

from __future__ import annotations

from collections.abc import Iterable

from .._checks import check_bool, check_list, check_str
from .._containers import AnyTuple
from .._not_copied import NotCopied
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import AddressBookResult, Contact, Page, User
from ._api import Api
from ._query import Pairs
from ._response import read_list, read_object, read_page, unexpected

__all__ = ["AddressBook"]

_PATH = ("address_book",)
_LONGEST_UDID = 64
_RESULTS = {"created", "updated", "deleted", "rejected"}


class AddressBook(NotCopied):
    """The address book of the session's user; every method may be called from any thread.

    Example:
        >>> result = cube.address_book.upload([("+49151000001", "Bob")])
        >>> result.created
        1
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def upload(
        self,
        contacts: Iterable[Contact | tuple[str, str]] = (),
        *,
        remove: Iterable[str | Contact] = (),
        force: bool = False,
        udid: str | None = None,
        timeout: float | None = None,
    ) -> AddressBookResult:
        """Create or update contacts, and remove others. (Server API: Upload address book.)

        Args:
            contacts: Contacts, or pairs of phone and name. The service takes phones of 10 to 15
                characters and names of at most 255.
            remove: Contacts to remove, as phones or Contacts.
            force: True replaces the whole address book.
            udid: The id of the device whose address book it is, at most 64 characters; None for the
                global one.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            How many contacts were changed, and which were rejected, by their place in ``contacts`` and
            then in ``remove``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or there is nothing to upload.
            ApiError: The call failed; a subclass says how.
        """
        entries: list[dict[str, object]] = [
            _entry(contact) for contact in check_list("contacts", contacts, "contacts")
        ]
        for contact in check_list("remove", remove, "phones"):
            phone = contact.phone if isinstance(contact, Contact) else contact
            entries.append({"phone": check_str("remove", phone), "destroy": 1})
        if not entries and not check_bool("force", force):
            raise ArgumentValueError("contacts and remove are empty")
        body: dict[str, object] = {"contacts": entries}
        if check_bool("force", force):
            body["force"] = 1
        body.update(_device(udid))
        response = self._api.call("POST", _PATH, body=body, timeout=timeout)
        if _RESULTS.isdisjoint(read_object(response)):
            raise unexpected(response, "numbers of contacts were expected")
        return AddressBookResult.from_json(read_object(response))

    def get(self, *, udid: str | None = None, timeout: float | None = None) -> tuple[Contact, ...]:
        """Return the contacts of an address book. (Server API: Retrieve address book.)

        Args:
            udid: The id of the device whose address book it is; None for the global one.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The contacts; empty if nothing was uploaded.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        query = _device(udid).items()
        response = self._api.call("GET", _PATH, query=query, timeout=timeout)
        return read_list(response, Contact.from_json)

    def registered_users(
        self, *, compact: bool = False, udid: str | None = None, timeout: float | None = None
    ) -> Page[User]:
        """Return the contacts who are users of the application.

        (Server API: Retrieve already registered contacts/users.)

        Args:
            compact: True asks for id and phone only, and for the name in the address book, which is in
                ``extra`` as "address_book_name".
            udid: The id of the device whose address book it is; None for the global one.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The users, as one page.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        query: Pairs = [*_device(udid).items()]
        query.append(("compact", int(check_bool("compact", compact))))
        path = (*_PATH, "registered_users")
        return read_page(self._api.call("GET", path, query=query, timeout=timeout), User.from_json)


def _device(udid: object) -> dict[str, str]:
    return {} if udid is None else {"udid": check_str("udid", udid, longest=_LONGEST_UDID)}


def _entry(contact: object) -> dict[str, object]:
    if isinstance(contact, Contact):
        phone, name = contact.phone, contact.name
    elif isinstance(contact, AnyTuple) and len(contact) == 2:
        phone, name = contact
    else:
        kind = type(contact).__name__
        raise ArgumentTypeError(f"contacts must hold Contacts or (phone, name), not {kind}")
    return {"name": check_str("name", name), "phone": check_str("phone", phone)}
