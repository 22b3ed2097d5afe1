"""Users: sign up, look up, change and delete. (Guide: Users.)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._checks import check_int, check_list, check_str
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import Page, User
from ._api import Api
from ._arguments import check_user_id
from ._paging import by_id
from ._query import (
    OPERATORS,
    QueryField,
    QuerySchema,
    check_text_filter,
    check_time_filter,
    check_user_filter,
    comma_separated,
)
from ._response import read_object, read_page

__all__ = ["USERS", "Users"]

_PATH = ("users",)
_V2 = ("users", "v2")
_PAGE = 100


_TEXT = ("in", "nin", "startswith")
_TIME = ("gt", "gte", "lt", "lte")

_FIELDS = {
    "id": QueryField("id", check_user_filter, ("in", "nin")),
    "login": QueryField("login", check_text_filter, _TEXT),
    "email": QueryField("email", check_text_filter, _TEXT),
    "full_name": QueryField("full_name", check_text_filter, _TEXT),
    "phone": QueryField("phone", check_text_filter, _TEXT),
    "external_id": QueryField("external_id", check_text_filter, _TEXT),
    "facebook_id": QueryField("facebook_id", check_text_filter, _TEXT),
    "twitter_id": QueryField("twitter_id", check_text_filter, _TEXT),
    "tags": QueryField("user_tags", check_text_filter, _TEXT),
    "created_at": QueryField("created_at", check_time_filter, _TIME),
    "updated_at": QueryField("updated_at", check_time_filter, _TIME),
    "last_request_at": QueryField("last_request_at", check_time_filter, _TIME),
}

USERS = QuerySchema(
    fields=_FIELDS,
    sortable=_FIELDS,
    operators={**OPERATORS, "startswith": "start_with"},
    is_list_repeated=True,
    skip_name="offset",
    most=_PAGE,
)


class Users:
    """The application's users; every method may be called from any thread."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(
        self,
        *,
        password: str,
        login: str | None = None,
        email: str | None = None,
        full_name: str | None = None,
        phone: str | None = None,
        website: str | None = None,
        avatar: str | None = None,
        custom_data: str | None = None,
        external_id: str | None = None,
        facebook_id: str | None = None,
        twitter_id: str | None = None,
        tags: Iterable[str] | None = None,
        timezone: int | None = None,
        timeout: float | None = None,
    ) -> User:
        """Sign a user up; no session is needed, and none is made.

        ``login`` or ``email`` (or both) and ``password`` are required. ``timezone`` is minutes from UTC,
        ``avatar`` the uid of a file, ``timeout`` seconds.

        Raises ArgumentTypeError, ArgumentValueError, ValidationError (the login is taken …), ApiError.
        Source: server API, "User Sign Up".
        """
        texts = {
            "login": login,
            "email": email,
            "full_name": full_name,
            "phone": phone,
            "website": website,
            "avatar": avatar,
            "custom_data": custom_data,
            "external_id": external_id,
            "facebook_id": facebook_id,
            "twitter_id": twitter_id,
        }
        if login is None and email is None:
            raise ArgumentValueError("a user needs a login or an email")
        fields = _fields(texts, tags, timezone, empty=False)
        fields["password"] = check_str("password", password)
        response = self._api.call(
            "POST",
            _PATH,
            body={"user": fields},
            headers={"CB-AuthKey": self._api.config.auth_key},
            timeout=timeout,
            with_session=False,
        )
        return User.from_json(read_object(response))

    def update(
        self,
        user: int | User,
        *,
        login: str | None = None,
        email: str | None = None,
        full_name: str | None = None,
        phone: str | None = None,
        website: str | None = None,
        avatar: str | None = None,
        custom_data: str | None = None,
        external_id: str | None = None,
        facebook_id: str | None = None,
        twitter_id: str | None = None,
        tags: Iterable[str] | None = None,
        timezone: int | None = None,
        password: str | None = None,
        old_password: str | None = None,
        timeout: float | None = None,
    ) -> User:
        """Change fields of a user, and return the user; users may change themselves only.

        An empty text empties a field; ``login``, ``email`` and ``password`` may not be empty. A new
        ``password`` needs the ``old_password``; the session's renewal goes on with the old one, so log in
        again. ``timezone`` is minutes from UTC, ``timeout`` seconds.

        Raises ArgumentTypeError, ArgumentValueError, PermissionDeniedError, ValidationError, ApiError.
        Source: server API, "Update User by identifier".
        """
        user_id = check_user_id("user", user)
        texts = {
            "login": login,
            "email": email,
            "full_name": full_name,
            "phone": phone,
            "website": website,
            "avatar": avatar,
            "custom_data": custom_data,
            "external_id": external_id,
            "facebook_id": facebook_id,
            "twitter_id": twitter_id,
        }
        fields = _fields(texts, tags, timezone, empty=True)
        if (password is None) != (old_password is None):
            raise ArgumentValueError("password and old_password go together")
        if password is not None:
            fields["password"] = check_str("password", password)
            fields["old_password"] = check_str("old_password", old_password)
        if not fields:
            raise ArgumentValueError("nothing to update: give at least one field")
        path = (*_PATH, str(user_id))
        response = self._api.call("PUT", path, body={"user": fields}, timeout=timeout)
        return User.from_json(read_object(response))

    def delete(
        self,
        user: int | User | None = None,
        *,
        external_id: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Delete a user, by id or by ``external_id``; users may delete themselves only.

        ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, PermissionDeniedError, NotFoundError, ApiError.
        Source: server API, "Delete User by identifier", "Delete User by external user ID".
        """
        if (user is None) == (external_id is None):
            raise ArgumentValueError("give user or external_id, and not both")
        if user is not None:
            path: tuple[str, ...] = (*_PATH, str(check_user_id("user", user)))
        else:
            path = (*_PATH, "external", check_str("external_id", external_id))
        self._api.call("DELETE", path, timeout=timeout)

    def reset_password(self, email: str, *, timeout: float | None = None) -> None:
        """Have the service send an e-mail with a link to set a new password.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Reset User password by email".
        """
        query = [("email", check_str("email", email))]
        self._api.call("GET", (*_PATH, "password", "reset"), query=query, timeout=timeout)

    def get(self, user: int | User, *, timeout: float | None = None) -> User:
        """Look a user up by id.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Show User by identifier".
        """
        user_id = check_user_id("user", user)
        response = self._api.call("GET", (*_PATH, str(user_id)), timeout=timeout)
        return User.from_json(read_object(response))

    def get_by(self, *, timeout: float | None = None, **field: str) -> User | None:
        """Return the user with this login, email, phone, external_id, facebook_id or twitter_id, or None.

        One of them is given. ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, ApiError. Source: server API, "Retrieve Users V2".
        """
        known = ("login", "email", "phone", "external_id", "facebook_id", "twitter_id")
        if len(field) != 1 or not set(field) <= set(known):
            raise ArgumentTypeError(f"give one of {', '.join(known)}")
        query = USERS.query(field, limit=1)
        page = read_page(self._api.call("GET", _V2, query=query, timeout=timeout), User.from_json)
        return page[0] if page else None

    def list(
        self,
        *,
        limit: int | None = None,
        skip: int | None = None,
        sort: str | None = None,
        timeout: float | None = None,
        **lookups: Any,
    ) -> Page[User]:
        """Return one page of the users that match.

        ``limit`` (at most 100, the default) and ``skip`` are numbers of users; ``sort`` is a field, with a
        minus for the other direction. Look-ups: id, login, email, full_name, phone, external_id,
        facebook_id, twitter_id and tags, each also with __in, __nin, and, but for id, __startswith;
        created_at, updated_at and last_request_at, also with __lt, __lte, __gt, __gte. The service wants one
        of the first group that is not __nin, and four characters or more for __startswith, of which it
        finds at most five users. Times are aware datetimes or unix seconds, ``timeout`` seconds.

        Raises ArgumentTypeError, ArgumentValueError, ValidationError, ApiError.
        Source: server API, "Retrieve Users V2".
        """
        query = USERS.query(lookups, limit=limit, skip=skip, sort=sort)
        return read_page(self._api.call("GET", _V2, query=query, timeout=timeout), User.from_json)

    def iter(self, *, timeout: float | None = None, **lookups: Any) -> Iterator[User]:
        """Yield all users that match, by id, a page at a time, none of them twice.

        Who signs up meanwhile comes at the end. Where users are deleted meanwhile, as many may be left
        out: the service counts from the beginning. ``timeout`` is seconds for each page.

        Raises as :meth:`list`.
        """
        USERS.query(lookups)  # wrong arguments are told now, and not at the first step

        def fetch(position: int) -> Page[User]:
            place: dict[str, Any] = {"skip": position, "limit": _PAGE, "sort": "id"}
            return self.list(timeout=timeout, **place, **lookups)

        return by_id(fetch, lambda user: user.id)


def _fields(
    texts: Mapping[str, object], tags: object, timezone: object, *, empty: bool
) -> dict[str, Any]:
    """Return the service's fields for what was given, checked; ``empty`` texts are for updates."""
    fields: dict[str, Any] = {}
    for name, text in texts.items():
        if text is not None:
            may_be_empty = empty and name not in ("login", "email")
            fields[name] = check_str(name, text, empty=may_be_empty)
    if tags is not None:
        fields["tag_list"] = _tag_list(tags)
    if timezone is not None:
        fields["timezone"] = check_int("timezone", timezone)
    return fields


def _tag_list(tags: object) -> str:
    texts = [check_str("tags", tag) for tag in check_list("tags", tags, "strings")]
    return comma_separated("tags", texts)
