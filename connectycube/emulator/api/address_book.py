"""REST: the address book. (Server documentation: Address Book API.)"""

from __future__ import annotations

from typing import Any

from connectycube._containers import AnyList

from ..domain.address_book import phone_digits
from ..domain.api_error import ApiError
from ..domain.values import flag
from .fields import text_of
from .request import Response
from .routing import Auth, Call, route

_MOST_UDID = 64


@route(
    "POST",
    "address_book",
    Auth.USER,
    inferred="a contact that is known counts as updated; phone numbers are kept as digits",
)
def upload_address_book(call: Call) -> Response:
    """Change the user's address book."""
    body = call.request.json()
    contacts = body.get("contacts")
    if not isinstance(contacts, AnyList):
        raise ApiError.invalid("contacts", "is required and must be a list")
    result = call.api.address_book.upload(
        call.user_id,
        contacts,
        udid=text_of(body, "udid", most=_MOST_UDID) if body.get("udid") else None,
        force=flag(body.get("force")),
    )
    return Response(
        content={
            "deleted": result.deleted,
            "rejected": result.rejected,
            "created": result.created,
            "updated": result.updated,
        }
    )


@route("GET", "address_book", Auth.USER)
def get_address_book(call: Call) -> Response:
    """List the user's contacts."""
    return Response(content=call.api.address_book.contacts(call.user_id, udid=_udid(call)))


@route("GET", "address_book/registered_users", Auth.USER, inferred="the user is left out")
def list_registered_users(call: Call) -> Response:
    """List the users whose phone numbers are in the user's address book."""
    contacts = call.api.address_book.contacts(call.user_id, udid=_udid(call))
    names = {contact["phone"]: contact["name"] for contact in contacts}
    compact = flag(dict(call.request.parameters()).get("compact"))
    accounts = call.api.accounts
    items: list[dict[str, Any]] = []
    for user in accounts.all_users():
        phone = user["fields"].get("phone")
        name = names.get(phone_digits(phone)) if phone else None
        if name is None or user["id"] == call.user_id:
            continue
        shown = {"id": user["id"], "phone": phone} if compact else accounts.user_json(user)
        items.append({"user": {**shown, "address_book_name": name}})
    return Response(content={"items": items})


def _udid(call: Call) -> str | None:
    value = dict(call.request.parameters()).get("udid") or None
    if value is not None and len(value) > _MOST_UDID:
        raise ApiError.invalid("udid", f"must have at most {_MOST_UDID} characters")
    return value
