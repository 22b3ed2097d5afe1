"""Accounts: users and their passwords. (Server documentation: Users API, Auth API.)"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..db.store import Row, Store
from ..settings import Settings
from .api_error import ApiError
from .application import same_text
from .identities import (
    IDENTIFYING_FIELD,
    accept_every_token,
    custom_identity,
    identity_keys,
    social_fields,
)
from .identity_endpoint import Answer
from .times import Clock, iso_time
from .values import column_number, words

__all__ = ["USER_COLUMNS", "Accounts", "is_password_hash"]

_TEXTS = (
    "full_name",
    "phone",
    "website",
    "external_id",
    "facebook_id",
    "twitter_id",
    "custom_data",
    "avatar",
)
_NUMBERS = ("external_user_id", "blob_id", "timezone")
_FIELDS = (*_TEXTS, *_NUMBERS, "user_tags")
# Ids of other systems. Some clients write them as numbers.
_FOREIGN_IDS = ("external_id", "facebook_id", "twitter_id")
_MOST_TAGS = 5
_MOST_EMAILS = 10_000
_GUEST_LOGIN = "guest_login_"
# A few hundred microseconds: the passwords of an emulator are no secret, but its speed matters.
_PBKDF2_ROUNDS = 500
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

USER_COLUMNS: dict[str, str] = {
    **{name: name for name in ("id", "login", "email", "created_at", "updated_at")},
    "last_request_at": "last_request_at",
    **{name: f"json_extract(fields, '$.{name}')" for name in _FIELDS},
}
"""The SQL expression of each field of a user."""


class Accounts:
    """The rules for users."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._db = store.database
        self._settings = settings
        self._clock = clock
        self._on_user_deleted: list[Callable[[int], None]] = []
        self.reset_emails: deque[str] = deque(maxlen=_MOST_EMAILS)

    # --- users ----------------------------------------------------------------------------------

    @property
    def list_users_v1(self) -> bool:
        """Whether GET /users is answered."""
        return self._settings.list_users_v1

    def sign_up(self, fields: Mapping[str, Any]) -> Row:
        """Create a user from a login or an email, a password and optional fields; return it."""
        if _text(fields, "login") is None and _text(fields, "email") is None:
            raise ApiError(422, "login or email is required")
        if _text(fields, "password") is None:
            raise ApiError.invalid("password", "is required")
        return self._add(fields)

    def add_saved(self, fields: Mapping[str, Any], password_hash: str | None) -> Row:
        """Create a user whose password is known by its hash alone; None: a user without a password."""
        if _text(fields, "login") is None and _text(fields, "email") is None:
            raise ApiError(422, "login or email is required")
        user = self._add(fields)
        self._db.update("users", user["id"], {"password": password_hash})
        return self.user(user["id"])

    def _add(self, fields: Mapping[str, Any], **more: Any) -> Row:
        login, email, password = self._check_credentials(fields)
        kept = {name: value for name, value in self._kept(fields).items() if value is not None}
        try:
            user_id = self._store.add_user(
                login=login,
                email=email,
                password=_hash(password) if password is not None else None,
                now=int(self._clock.time()),
                fields={**kept, **more},
            )
        except sqlite3.IntegrityError as error:
            raise _taken(error) from None
        return self.user(user_id)

    def _check_credentials(
        self, fields: Mapping[str, Any]
    ) -> tuple[str | None, str | None, str | None]:
        login, email, password = (_text(fields, name) for name in ("login", "email", "password"))
        errors: dict[str, list[str]] = {}
        if login is not None and not 3 <= len(login) <= 70:
            errors["login"] = ["must have 3 to 70 characters"]
        if email is not None and not _EMAIL.fullmatch(email):
            errors["email"] = ["is not an email address"]
        if errors:
            raise ApiError(422, errors=errors)
        return login, email, password

    def _kept(self, fields: Mapping[str, Any], user_id: int | None = None) -> dict[str, Any]:
        """Return the values for the column of optional fields; None empties a field."""
        kept: dict[str, Any] = {}
        for name in _FIELDS:
            if name in fields and name != "user_tags":
                kept[name] = _optional(fields, name)
        website = kept.get("website")
        if website is not None and not _SCHEME.match(website):
            kept["website"] = f"http://{website}"
        if "tag_list" in fields or "user_tags" in fields:
            kept["user_tags"] = _tags(fields.get("tag_list", fields.get("user_tags")))
        for name in _FOREIGN_IDS:
            if kept.get(name) is not None and any(
                row["id"] != user_id for row in self.users_with(name, [kept[name]])
            ):
                raise ApiError.invalid(name, "has already been taken")
        return kept

    def user(self, user_id: int) -> Row:
        """Return the user with this id."""
        row = self._store.user(user_id)
        if row is None:
            raise ApiError(404, f"User {user_id} does not exist")
        return row

    def user_by(self, field: str, value: Any) -> Row:
        """Return the one user with this value of a field."""
        rows = self.users_with(field, [value])
        if not rows:
            raise ApiError(404, f"No user has the {field} {value!r}")
        return rows[0]

    def users_with(self, field: str, values: Sequence[Any]) -> list[Row]:
        """Return the users whose field has one of these values, by id."""
        # As one variable, however many values there are: SQLite bounds the number of variables.
        wanted = "(SELECT value FROM json_each(?))"
        return self.find(f"{USER_COLUMNS[field]} IN {wanted}", [json.dumps(list(values))])

    def all_users(self) -> list[Row]:
        """Return every user, by id."""
        return self.find("1")

    def find(
        self,
        where: str,
        values: Sequence[Any] = (),
        *,
        order: str = "id",
        limit: int = -1,
        skip: int = 0,
    ) -> list[Row]:
        """Return the users that fulfil a condition; ``where`` and ``order`` are SQL, never user input."""
        rows = self._db.all(
            f"SELECT * FROM users WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",
            (*values, limit, skip),
        )
        return [{**row, "fields": json.loads(row["fields"])} for row in rows]

    def count(self, where: str, values: Sequence[Any] = ()) -> int:
        """Return how many users fulfil a condition."""
        return self._db.count("users", where, values)

    def update(self, user_id: int, fields: Mapping[str, Any]) -> Row:
        """Change a user's fields; a new password needs the old one."""
        user = self.user(user_id)
        changes: dict[str, Any] = {}
        login, email, password = self._check_credentials(fields)
        for name, value in (("login", login), ("email", email)):
            if name in fields:
                changes[name] = value
        if {"login", "email"} & changes.keys() and not any(
            {**user, **changes}[name] for name in ("login", "email")
        ):
            raise ApiError(422, "login or email is required")
        if password is not None:
            self._check_old_password(user, _text(fields, "old_password"))
            changes["password"] = _hash(password)
        kept = {**user["fields"], **self._kept(fields, user_id)}
        fields_left = {name: value for name, value in kept.items() if value is not None}
        changes["fields"] = json.dumps(fields_left)
        changes["updated_at"] = int(self._clock.time())
        try:
            self._db.update("users", user_id, changes)
        except sqlite3.IntegrityError as error:
            raise _taken(error) from None
        return self.user(user_id)

    def _check_old_password(self, user: Row, old: str | None) -> None:
        # A user of a social network has no password, and sets the first one.
        if user["password"] is None:
            return
        if old is None:
            raise ApiError.invalid("old_password", "is required for a new password")
        if not _verify(old, user["password"]):
            raise ApiError.invalid("old_password", "is not the user's password")

    def on_delete(self, forget: Callable[[int], None]) -> None:
        """Call ``forget(user_id)`` for each user that is deleted."""
        self._on_user_deleted.append(forget)

    def delete_user(self, user_id: int) -> None:
        """Delete a user, the user's sessions, and the data of other parts of the service about the user."""
        # The row of the user last: if an earlier step fails, the user can be deleted again.
        for forget in self._on_user_deleted:
            forget(user_id)
        self._db.run("DELETE FROM sessions WHERE user_id = ?", user_id)
        self._db.run("DELETE FROM users WHERE id = ?", user_id)

    def reset_password(self, email: str) -> None:
        """Note in ``reset_emails`` that the service would send an email with a reset link."""
        self.user_by("email", email)
        self.reset_emails.append(email)

    # --- authentication ---------------------------------------------------------------------------

    def authenticate(
        self, request: Mapping[str, Any], *, create: bool, answer: Answer | None = None
    ) -> Row:
        """Return the user with this login or email and password; create an unknown one if ``create``.

        With a custom identity provider, a login may be a token of that provider, whose ``answer`` is given if
        it was needed before.
        """
        login, email, password = (_text(request, name) for name in ("login", "email", "password"))
        field, name = ("email", email) if login is None else ("login", login)
        provider = None if login is None else self._settings.identity_provider
        if name is None or (password is None and provider is None):
            raise ApiError(422, "login or email, and password are required")
        user = self._store.user_by(field, name)
        if user is not None and password is not None and _verify(password, user["password"]):
            return user
        # After the password: an application with a provider may have users with passwords, too.
        if provider is not None:
            return self._custom_user(custom_identity(provider, name, password, answer))
        if user is None and create:
            return self.sign_up(request)
        raise ApiError(401, "Unauthorized: login, email or password are wrong")

    def _custom_user(self, identity: Mapping[str, Any]) -> Row:
        """Return the user with an identity of the custom provider, created or brought up to date."""
        external_id = str(identity["uid"])
        fields = {name: value for name, value in identity.items() if name != "uid"}
        known = self.users_with("external_id", [external_id])
        if not known:
            return self._add({**fields, "external_id": external_id})
        user = known[0]
        now = {**user["fields"], **user}
        changes = {
            name: value
            for name, value in fields.items()
            if name not in ("password", "external_id") and value != now.get(name)
        }
        return self.update(user["id"], changes) if changes else user

    def social_user(self, request: Mapping[str, Any]) -> Row:
        """Return the user of a social network or of Firebase; create an unknown one if settings say so."""
        provider, keys = identity_keys(request)
        field = IDENTIFYING_FIELD[provider]
        identity = social_fields(
            self._settings.social_identity or accept_every_token, provider, keys
        )
        known = self.users_with(field, [str(identity[field])])
        if known:
            return known[0]
        if not self._settings.create_users_on_login:
            raise ApiError(401, f"Unauthorized: no user belongs to these keys of {provider}")
        return self._add(identity)

    def add_guest(self, request: Mapping[str, Any]) -> Row:
        """Create a guest."""
        login = f"{_GUEST_LOGIN}{secrets.token_hex(18).upper()}"
        return self._add({"login": login, "full_name": request.get("full_name")}, is_guest=True)

    def delete_expired_guests(self) -> None:
        """Delete the guests that have expired."""
        # With a range of logins SQLite finds the guests in the index.
        for guest in self.find(
            "login BETWEEN ? AND ? AND json_extract(fields, '$.is_guest') AND created_at <= ?",
            [_GUEST_LOGIN, f"{_GUEST_LOGIN}~", self._clock.time() - self._settings.guest_seconds],
        ):
            self.delete_user(guest["id"])

    def check_chat_password(self, user_id: int, secret: str) -> bool:
        """Whether ``secret`` lets this user into the chat: the password, or a live session token."""
        user = self._store.user(user_id)
        if user is None:
            return False
        if _verify(secret, user["password"]):
            return True
        session = self._store.session(secret)
        return (
            session is not None
            and session["user_id"] == user_id
            and session["expires_at"] > self._clock.time()
        )

    # --- JSON -----------------------------------------------------------------------------------

    def user_json(self, user: Row) -> dict[str, Any]:
        """Write a user as the service does."""
        guest = {"is_guest": True} if user["fields"].get("is_guest") else {}
        return {
            "id": user["id"],
            "login": user["login"],
            "email": user["email"],
            "created_at": iso_time(user["created_at"]),
            "updated_at": iso_time(user["updated_at"]),
            "last_request_at": iso_time(user["last_request_at"]),
            **{name: user["fields"].get(name) for name in _FIELDS},
            **guest,
        }


def _taken(error: sqlite3.IntegrityError) -> ApiError:
    field = "email" if "users.email" in str(error) else "login"
    return ApiError.invalid(field, "has already been taken")


def _hash(password: str) -> str:
    salt = secrets.token_bytes(8)
    return f"{salt.hex()}:{_derive(password, salt)}"


def is_password_hash(text: str) -> bool:
    """Whether a text has the form of the hashes that the database has in place of passwords."""
    return re.fullmatch(r"[0-9a-f]{16}:[0-9a-f]{64}", text) is not None


def _verify(password: str, stored: str | None) -> bool:
    if stored is None:
        return False
    salt, _, derived = stored.partition(":")
    return same_text(_derive(password, bytes.fromhex(salt)), derived)


def _derive(password: str, salt: bytes) -> str:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.pbkdf2_hmac("sha256", secret, salt, _PBKDF2_ROUNDS).hex()


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ApiError.invalid(name, "must be a string")
    return value


def _optional(fields: Mapping[str, Any], name: str) -> str | int | None:
    value = fields[name]
    if value is None or value == "":
        return None
    if name in _FOREIGN_IDS and type(value) is int:
        return str(value)
    if name in _NUMBERS:
        number = column_number(value)
        if number is None:
            raise ApiError.invalid(name, "must be a whole number")
        return number
    return _text(fields, name)


def _tags(value: Any) -> str | None:
    tags = list(dict.fromkeys(words(value)))
    if len(tags) > _MOST_TAGS:
        raise ApiError.invalid("tag_list", f"must have at most {_MOST_TAGS} tags")
    return ",".join(tags) or None
