"""Users and sessions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from .._checks import check_int
from .._containers import AnyDict
from ..errors import ArgumentTypeError, ArgumentValueError
from ._dicts import Serializable
from ._json import as_bool, as_int, as_mapping, as_string, as_strings, as_time, read, wire
from .dialogs import DialogRef

__all__ = ["Session", "User", "check_user_id"]


def _tags(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return tuple(tag for tag in (part.strip() for part in value.split(",")) if tag)
    return as_strings(value)


@frozen(kw_only=True, slots=True)
class User(Serializable):
    """A user of the application; attributes that the service left out are None. (Guide: Users.)

    Times are aware datetimes.

    Args:
        id: The id of the user.
        login: The login.
        email: The e-mail address.
        full_name: The name for people to read.
        phone: The phone number.
        website: The URL of a web page.
        avatar: The uid of a file.
        custom_data: The application's own text.
        external_id: The id of the user in another system of the application.
        facebook_id: The id of the user at Facebook.
        twitter_id: The id of the user at Twitter.
        tags: The tags by which users are found.
        timezone: Minutes from UTC.
        is_guest: Whether the user is a guest: an account without login and password.
        created_at: When the user signed up.
        updated_at: When the record last changed.
        last_request_at: When the user last made a REST call.
        extra: Other keys of the service, and values that could not be read.

    Example:
        >>> user = cube.users.get(bob_id)
        >>> user.id == bob_id
        True
    """

    id: int | None = wire("id", as_int)
    login: str | None = wire("login", as_string)
    email: str | None = wire("email", as_string)
    full_name: str | None = wire("full_name", as_string)
    phone: str | None = wire("phone", as_string)
    website: str | None = wire("website", as_string)
    avatar: str | None = wire("avatar", as_string)
    custom_data: str | None = wire("custom_data", as_string)
    external_id: str | None = wire("external_id", as_string)
    facebook_id: str | None = wire("facebook_id", as_string)
    twitter_id: str | None = wire("twitter_id", as_string)
    tags: tuple[str, ...] = wire("user_tags", _tags, default=())
    timezone: int | None = wire("timezone", as_int)
    is_guest: bool | None = wire("is_guest", as_bool)
    created_at: datetime | None = wire("created_at", as_time)
    updated_at: datetime | None = wire("updated_at", as_time)
    last_request_at: datetime | None = wire("last_request_at", as_time)
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> User:
        """Decode the service's user object, bare or wrapped in ``{"user": …}``.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The user; an attribute that cannot be read is None or empty.
        """
        inner = data.get("user")
        return read(cls, inner if isinstance(inner, AnyDict) else data)


def _user(value: Any) -> User | None:
    return User.from_json(value) if isinstance(value, AnyDict) else None


@frozen(kw_only=True, slots=True)
class Session:
    """A session of the REST API; its ``token`` is also a password for the chat. (Guide: Authentication.)

    Times are aware datetimes.

    Args:
        id: The id of the session.
        token: The secret that each request carries.
        application_id: The id of the application.
        user_id: The id of the user; None for a session of the application alone.
        user: The user, if the service sent it with the session.
        created_at: When the session was made.
        updated_at: When the session last changed.
        expires_at: The end that the service last reported in ``CB-Token-ExpirationDate``; None means unknown,
            which counts as valid.
        extra: Other keys of the service, and values that could not be read.

    Example:
        >>> cube.session.user_id == cube.user.id
        True
        >>> cube.session  # the token is a secret, so it is not shown
        Session(id=...)
    """

    id: str | None = wire("id", as_string)
    token: str | None = wire("token", as_string, repr=False)
    application_id: int | None = wire("application_id", as_int)
    user_id: int | None = wire("user_id", as_int)
    user: User | None = wire("user", _user)
    created_at: datetime | None = wire("created_at", as_time)
    updated_at: datetime | None = wire("updated_at", as_time)
    expires_at: datetime | None = field(default=None)
    extra: Mapping[str, Any] = field(factory=AnyDict, repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], expires_at: datetime | None = None) -> Session:
        """Decode the service's session object, bare or wrapped in ``{"session": …}``.

        Args:
            data: The service's object, as JSON decodes it.
            expires_at: The end of the session, if the response told it in its headers.

        Returns:
            The session; an attribute that cannot be read is None.
        """
        inner = data.get("session")
        return read(cls, as_mapping(inner) or data, expires_at=expires_at)


def check_user_id(name: str, value: object) -> int:
    """Return the id of a user given by id or as a User; errors call it ``name``."""
    if isinstance(value, User):
        value = value.id
        if value is None:
            raise ArgumentValueError(f"{name} is a user without an id")
    elif isinstance(value, bool) or not isinstance(value, int):
        hint = ""
        if isinstance(value, str) and value.isascii() and value.isdigit():
            hint = f": use int({value!r})"
        elif isinstance(value, str):
            hint = ": users.get_by(login=…) returns the user of a login"
        elif value is None:
            hint = ": users.get_by(…) returns None if there is no such user"
        elif isinstance(value, DialogRef):
            hint = ": chat.send_message(dialog, …) writes to a dialog"
        raise ArgumentTypeError(
            f"{name} must be an int, a user's id, or a User, not {type(value).__name__}{hint}"
        )
    return check_int(name, value, least=1)
