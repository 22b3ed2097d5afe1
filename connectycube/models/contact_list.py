"""A user's contact list and privacy lists, which the chat server keeps."""

from __future__ import annotations

from attrs import field, frozen

__all__ = ["ContactListItem", "PrivacyItem", "PrivacyListNames"]


@frozen(kw_only=True, slots=True)
class ContactListItem:
    """Somebody in the contact list. (RFC 6121, section 2.1; a :class:`Contact` is in an address book.)

    ``subscription`` says who is told when the other comes and goes: "to" (this user is), "from" (the
    contact is), "both" or "none"; in ``contact_list_changed`` also "remove": it is no contact any more.
    ``pending``: this user has asked, and the contact has not answered. ``name`` and ``groups`` are this
    user's own.
    """

    user_id: int
    subscription: str = field(default="none")
    pending: bool = field(default=False)
    name: str | None = field(default=None)
    groups: tuple[str, ...] = field(default=())


@frozen(slots=True)
class PrivacyItem:
    """What a privacy list says of user ``user_id``: ``action`` is "deny" or "allow". (Guide: Block user.)

    ``mutual``: it holds both ways, so whom this user denies, this user cannot write to either.
    """

    user_id: int
    action: str = field(default="deny")
    mutual: bool = field(default=True)


@frozen(kw_only=True, slots=True)
class PrivacyListNames:
    """The names of all privacy lists of a user. (XEP-0016, 2.3.)

    ``default`` is the list in force, ``active`` the one that this connection has chosen instead; None
    is none.
    """

    default: str | None = field(default=None)
    active: str | None = field(default=None)
    names: tuple[str, ...] = field(default=())
