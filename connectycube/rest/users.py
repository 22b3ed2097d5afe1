"""Users: sign up, look up, change and delete. (Guide: Users.)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypedDict

from .._checks import check_int, check_list, check_str, keywords_only
from .._not_copied import NotCopied
from .._secrets import Secret, check_secret, hides
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import Page, User
from ..models._json import as_int
from ._api import Api
from ._arguments import check_user_id
from ._lookups import UserLookups
from ._paging import PAGE_SIZE, Items, PageReader, Row, Span, rows_of
from ._query import (
    OPERATORS,
    QueryField,
    QuerySchema,
    check_text_filter,
    check_time_filter,
    check_user_filter,
    comma_separated,
)
from ._response import read_object, read_page, read_record, unexpected
from .sessions import OTHER_WORDS

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = ["USERS", "UserKey", "Users"]

_PATH = ("users",)
_V2 = ("users", "v2")
_PATH_ONLINE = ("users", "online")


_PREFIX_CHARACTERS = 4
_TEXT = ("in", "nin", "startswith")
_TIME = ("gt", "gte", "lt", "lte")


def _check_text(name: str, value: object, operator: str) -> str:
    """Return a text; the service looks for the beginning of one from four characters on."""
    text = check_text_filter(name, value, operator)
    if operator == "startswith" and len(text) < _PREFIX_CHARACTERS:
        raise ArgumentValueError(f"{name} needs at least {_PREFIX_CHARACTERS} characters: {text!r}")
    return text


_FIELDS = {
    "id": QueryField("id", check_user_filter, ("in", "nin")),
    "login": QueryField("login", _check_text, _TEXT),
    "email": QueryField("email", _check_text, _TEXT),
    "full_name": QueryField("full_name", _check_text, _TEXT),
    "phone": QueryField("phone", _check_text, _TEXT),
    "external_id": QueryField("external_id", _check_text, _TEXT),
    "facebook_id": QueryField("facebook_id", _check_text, _TEXT),
    "twitter_id": QueryField("twitter_id", _check_text, _TEXT),
    "tags": QueryField("user_tags", _check_text, _TEXT),
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
    most=PAGE_SIZE,
    primary=([name for name in _FIELDS if not name.endswith("_at")], ("", "in", "startswith")),
)
_ONLINE = QuerySchema(skip_name="offset", most=PAGE_SIZE)


class UserKey(TypedDict, total=False):
    """The fields that name one user: exactly one of them is given."""

    login: str
    email: str
    phone: str
    external_id: str
    facebook_id: str
    twitter_id: str


class Users(NotCopied):
    """The application's users; every method may be called from any thread.

    Example:
        >>> user = cube.users.get(bob_id)
        >>> [found.id == bob_id for found in cube.users.list(login=user.login)]
        [True]
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    @hides("password")
    @keywords_only("cube.users.create(login=…, password=…)", **OTHER_WORDS)
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
        """Sign a user up. No session is needed, and none is created. (Server API: User Sign Up.)

        ``password`` is required, and ``login`` or ``email`` or both.

        Args:
            password: The password.
            login: The login, which no other user may have.
            email: The e-mail address, which no other user may have.
            full_name: The name to show.
            phone: The phone number.
            website: The URL of a website.
            avatar: The uid of a file.
            custom_data: Free text of the application.
            external_id: The user's id in another system.
            facebook_id: The user's id at Facebook.
            twitter_id: The user's id at Twitter.
            tags: Texts without commas, to find users by.
            timezone: Minutes from UTC.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The user, as the service created it.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ValidationError: The service refuses a value, for instance because the login is taken.
            ApiError: The call failed; a subclass says how.
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
        fields["password"] = check_secret("password", password)
        response = self._api.call(
            "POST",
            _PATH,
            body={"user": fields},
            headers={"CB-AuthKey": Secret(self._api.config.auth_key)},
            timeout=timeout,
            session="none",
        )
        return read_record(response, User.from_json)

    @hides("password", "old_password")
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
        """Change fields of a user; users may change themselves only.

        Fields that are not given stay as they are. An empty text empties a field; ``login``, ``email`` and
        ``password`` may not be empty.

        (Server API: Update User by identifier.)

        Args:
            user: The user, as an id or a User.
            login: The login, which no other user may have.
            email: The e-mail address, which no other user may have.
            full_name: The name to show.
            phone: The phone number.
            website: The URL of a website.
            avatar: The uid of a file.
            custom_data: Free text of the application.
            external_id: The user's id in another system.
            facebook_id: The user's id at Facebook.
            twitter_id: The user's id at Twitter.
            tags: Texts without commas, to find users by; they replace the old ones.
            timezone: Minutes from UTC.
            password: The new password. The session would be renewed with the old one, so log in again.
            old_password: The old password, needed for a new one.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The user, as it is now.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: It is another user.
            ValidationError: The service refuses a value.
            ApiError: The call failed; a subclass says how.
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
            fields["password"] = check_secret("password", password)
            fields["old_password"] = check_secret("old_password", old_password)
        if not fields:
            raise ArgumentValueError("nothing to update: give at least one field")
        path = (*_PATH, str(user_id))
        response = self._api.call("PUT", path, body={"user": fields}, timeout=timeout)
        return read_record(response, User.from_json)

    def delete(
        self,
        user: int | User | None = None,
        *,
        external_id: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Delete a user; users may delete themselves only. (Server API: Delete User by identifier.)

        Args:
            user: The user, as an id or a User.
            external_id: The user's id in another system, instead of ``user``.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: It is another user.
            NotFoundError: There is no such user.
            ApiError: The call failed; a subclass says how.
        """
        if (user is None) == (external_id is None):
            raise ArgumentValueError("give user or external_id, and not both")
        if user is not None:
            path: tuple[str, ...] = (*_PATH, str(check_user_id("user", user)))
        else:
            path = (*_PATH, "external", check_str("external_id", external_id))
        self._api.call("DELETE", path, timeout=timeout)

    def reset_password(self, email: str, *, timeout: float | None = None) -> None:
        """Let the service send an e-mail with a link to set a new password.

        (Server API: Reset User password by email.)

        Args:
            email: The user's e-mail address.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: No user has this address.
            ApiError: The call failed; a subclass says how.
        """
        query = [("email", check_str("email", email))]
        path = (*_PATH, "password", "reset")
        self._api.call("GET", path, query=query, timeout=timeout, session="if any")

    def get(self, user: int | User, *, timeout: float | None = None) -> User:
        """Return the user with an id. (Server API: Show User by identifier.)

        Args:
            user: The user, as an id or a User.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The user.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such user.
            ApiError: The call failed; a subclass says how.
        """
        user_id = check_user_id("user", user)
        response = self._api.call("GET", (*_PATH, str(user_id)), timeout=timeout)
        return read_record(response, User.from_json)

    def get_by(self, *, timeout: float | None = None, **field: Unpack[UserKey]) -> User | None:
        """Return the user with a login, e-mail address or another unique field.

        (Server API: Retrieve Users V2.)

        Args:
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            field: One of login, email, phone, external_id, facebook_id and twitter_id.

        Returns:
            The user; None if there is none.

        Raises:
            ArgumentTypeError: No field is given, more than one, or another one.
            ArgumentValueError: The value is empty.
            ApiError: The call failed; a subclass says how.
        """
        known = UserKey.__annotations__
        if len(field) != 1 or not field.keys() <= known.keys():
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
        **lookups: Unpack[UserLookups],
    ) -> Page[User]:
        """Return one page of the users that match. (Server API: Retrieve Users V2.)

        The service wants at least one look-up by a field other than a time, without ``__nin``.
        ``__startswith`` needs four characters or more, and finds at most five users.

        Args:
            limit: The number of users on the page, at most 100, which is the default.
            skip: The number of users to leave out in front.
            sort: The field to sort by, with a minus in front for the other direction.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words: id, login, email, full_name, phone, external_id,
                facebook_id, twitter_id and tags, each also with __in, __nin and (but for id)
                __startswith; created_at, updated_at and last_request_at, each also with __lt, __lte,
                __gt, __gte. Times are aware datetimes or unix seconds.

        Returns:
            The page.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; the error
                names it.
            ArgumentValueError: An argument has a wrong value, or there is no look-up by such a field; the
                error names it.
            ValidationError: The service refuses the look-ups.
            ApiError: The call failed; a subclass says how.
        """
        query = USERS.query(lookups, limit=limit, skip=skip, sort=sort)
        return read_page(self._api.call("GET", _V2, query=query, timeout=timeout), User.from_json)

    def online(
        self,
        *,
        limit: int | None = None,
        skip: int | None = None,
        timeout: float | None = None,
    ) -> Page[User]:
        """Return one page of the users who are connected to the chat. (SDKs: users.listOnline.)

        Args:
            limit: The number of users on the page, at most 100.
            skip: The number of users to leave out in front.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The page.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The application does not offer this call.
            ApiError: The call failed; a subclass says how.
        """
        query = _ONLINE.query({}, limit=limit, skip=skip)
        response = self._api.call("GET", _PATH_ONLINE, query=query, timeout=timeout)
        return read_page(response, User.from_json, "users")

    def online_count(self, *, timeout: float | None = None) -> int:
        """Return how many users are connected to the chat. (SDKs: users.getOnlineCount.)

        Args:
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The number of users.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The application does not offer this call.
            ApiError: The call failed; a subclass says how.
        """
        query = [("count", "true")]
        response = self._api.call("GET", _PATH_ONLINE, query=query, timeout=timeout)
        count = as_int(read_object(response).get("count"))
        if count is None:
            raise unexpected(response, "a count was expected")
        return count

    def iter(
        self, *, timeout: float | None = None, **lookups: Unpack[UserLookups]
    ) -> Iterator[User]:
        """Yield all users that match, sorted by id, each once; pages are requested as they are needed.

        Users who sign up while pages are read come at the end. Others may be deleted: pages overlap, so none
        of the rest is left out. After an error, the next step asks for the page again.

        Args:
            timeout: Seconds for each page; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores, such as ``id__in=[…]``.

        Returns:
            An iterator over the users; nothing is sent before its first step.

        Raises:
            ArgumentTypeError: A look-up does not exist or has the wrong type; raised at once.
            ArgumentValueError: A look-up has a wrong value; raised at once.
            ApiError: A call failed; raised while iterating.
        """
        USERS.query(lookups)  # raise for wrong arguments now, not at the first step

        def fetch(span: Span) -> Page[Row[User]]:
            page = self.list(
                skip=span.position, limit=span.limit, sort="id", timeout=timeout, **lookups
            )
            return rows_of(page, lambda user: user.id)

        return Items([PageReader(fetch, PAGE_SIZE, url=self._api.url(_V2))])


def _fields(
    texts: Mapping[str, object], tags: object, timezone: object, *, empty: bool
) -> dict[str, object]:
    """Return the service's fields for the given arguments, checked; updates allow ``empty`` texts."""
    fields: dict[str, object] = {}
    for name, text in texts.items():
        if text is not None:
            may_be_empty = empty and name not in ("login", "email")
            fields[name] = check_str(name, text, empty=may_be_empty)
    if tags is not None:
        names = [check_str("tags", tag) for tag in check_list("tags", tags, "strings")]
        fields["tag_list"] = comma_separated("tags", names)
    if timezone is not None:
        fields["timezone"] = check_int("timezone", timezone)
    return fields
