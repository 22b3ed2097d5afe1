"""Users: sign up, look up, change and delete. (Guide: Users.)"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen

from .._checks import check_int, check_one_of, check_str
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import Page, User
from .arguments import check_time, check_user_id
from .paging import by_id
from .transport import Transport

__all__ = ["USERS", "Users"]

_PATH = ("users",)
_V2 = ("users", "v2")
_PAGE = 100


@frozen(kw_only=True)
class _Field:
    """A field to look users up by: the service's name, the words it knows, how a value is checked."""

    wire: str
    words: tuple[str, ...]
    check: Callable[[str, object, str], str | int]


def _a_text(name: str, value: object, word: str) -> str:
    return check_str(name, value)


def _an_id(name: str, value: object, word: str) -> int:
    return check_user_id(name, value)


def _a_moment(name: str, value: object, word: str) -> int:
    # Towards the wider answer: no user is lost between two whole seconds.
    wider = {"lt": math.ceil, "lte": math.ceil, "gt": math.floor, "gte": math.floor}
    return check_time(name, value, wider.get(word))


_WORDS = {"in": "in", "nin": "nin", "startswith": "start_with"} | {
    word: word for word in ("gt", "gte", "lt", "lte")
}
_LISTS = ("in", "nin")
_IDS = _Field(wire="id", words=_LISTS, check=_an_id)
_COMPARE = ("gt", "gte", "lt", "lte")

USERS: Mapping[str, _Field] = {
    "id": _IDS,
    **{
        name: _Field(wire=name, words=(*_LISTS, "startswith"), check=_a_text)
        for name in (
            *("login", "email", "full_name", "phone", "external_id"),
            *("facebook_id", "twitter_id"),
        )
    },
    "tags": _Field(wire="user_tags", words=(*_LISTS, "startswith"), check=_a_text),
    **{
        name: _Field(wire=name, words=_COMPARE, check=_a_moment)
        for name in ("created_at", "updated_at", "last_request_at")
    },
}
"""What users can be looked up by, with Django's words."""


class Users:
    """The application's users; every method may be called from any thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

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
        answer = self._transport.call(
            "POST",
            _PATH,
            body={"user": fields},
            headers={"CB-AuthKey": self._transport.config.auth_key},
            timeout=timeout,
            with_session=False,
        )
        return User.from_json(answer.object())

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
        answer = self._transport.call("PUT", path, body={"user": fields}, timeout=timeout)
        return User.from_json(answer.object())

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
        self._transport.call("DELETE", path, timeout=timeout)

    def reset_password(self, email: str, *, timeout: float | None = None) -> None:
        """Have the service send an e-mail with a link to set a new password.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Reset User password by email".
        """
        query = [("email", check_str("email", email))]
        self._transport.call("GET", (*_PATH, "password", "reset"), query=query, timeout=timeout)

    def get(self, user: int | User, *, timeout: float | None = None) -> User:
        """Look a user up by id.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Show User by identifier".
        """
        user_id = check_user_id("user", user)
        answer = self._transport.call("GET", (*_PATH, str(user_id)), timeout=timeout)
        return User.from_json(answer.object())

    def get_by(self, *, timeout: float | None = None, **field: str) -> User | None:
        """Return the user with this login, email, phone, external_id, facebook_id or twitter_id, or None.

        One of them is given. ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, ApiError. Source: server API, "Retrieve Users V2".
        """
        known = ("login", "email", "phone", "external_id", "facebook_id", "twitter_id")
        if len(field) != 1 or not set(field) <= set(known):
            raise ArgumentTypeError(f"give one of {', '.join(known)}")
        query = [*_query(field), ("limit", 1)]
        page = self._transport.call("GET", _V2, query=query, timeout=timeout).page(User.from_json)
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
        query = _query(lookups)
        if limit is not None:
            query.append(("limit", check_int("limit", limit, least=1, most=_PAGE)))
        if skip is not None:
            query.append(("offset", check_int("skip", skip, least=0)))
        if sort is not None:
            query.append(_order(sort))
        return self._transport.call("GET", _V2, query=query, timeout=timeout).page(User.from_json)

    def iter(self, *, timeout: float | None = None, **lookups: Any) -> Iterator[User]:
        """Yield all users that match, by id, a page at a time, none of them twice.

        Who signs up meanwhile comes at the end. Where users are deleted meanwhile, as many may be left
        out: the service counts from the beginning. ``timeout`` is seconds for each page.

        Raises as :meth:`list`.
        """
        _query(lookups)  # wrong arguments are told now, and not at the first step

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
    if isinstance(tags, (str, bytes)) or not isinstance(tags, Iterable):
        raise ArgumentTypeError(f"tags must be a list of strings, not {type(tags).__name__}")
    texts = [check_str("tags", tag) for tag in tags]
    for text in texts:
        if "," in text:
            raise ArgumentValueError(f"tags must not hold a comma: {text!r}")
    return ",".join(texts)


def _query(lookups: Mapping[str, object]) -> builtins.list[tuple[str, str | int]]:
    pairs: builtins.list[tuple[str, str | int]] = []
    for argument, value in lookups.items():
        name, _, word = argument.partition("__")
        field = USERS.get(name)
        if field is None:
            known = ", ".join(USERS)
            raise ArgumentTypeError(f"{argument} is no argument; fields to look up are: {known}")
        if word and word not in field.words:
            known = ", ".join(field.words)
            raise ArgumentTypeError(f"{argument} has no such look-up; {name} has: {known}")
        if word in _LISTS:
            key = f"{field.wire}[{word}][]"
            pairs += [
                (key, field.check(argument, entry, word)) for entry in _several(argument, value)
            ]
        else:
            key = f"{field.wire}[{_WORDS[word]}]" if word else field.wire
            pairs.append((key, field.check(argument, value, word)))
    return pairs


def _several(name: str, values: object) -> builtins.list[Any]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name} must be a list of values, not {type(values).__name__}")
    found = [*values]
    if not found:
        raise ArgumentValueError(f"{name} must not be empty")
    return found


def _order(sort: object) -> tuple[str, str]:
    text = check_str("sort", sort)
    name = text.removeprefix("-")
    check_one_of("sort (without its minus)", name, USERS)
    return ("sort_desc" if text.startswith("-") else "sort_asc", USERS[name].wire)
