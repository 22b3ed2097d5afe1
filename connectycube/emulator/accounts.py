"""Accounts: users, their passwords, and REST sessions. (Server documentation: Users API, Auth API.)"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from .clock import Clock, iso_time
from .refusal import Refusal
from .settings import Settings
from .store import Row, Store

__all__ = ["Accounts"]

_FIELDS = (
    "full_name",
    "phone",
    "website",
    "external_user_id",
    "external_id",
    "facebook_id",
    "twitter_id",
    "blob_id",
    "custom_data",
    "avatar",
    "user_tags",
    "timezone",
)
# A few hundred microseconds: an emulator's users are not worth an attack, but its speed matters.
_PBKDF2_ROUNDS = 500
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_DIGESTS = {40: hashlib.sha1, 64: hashlib.sha256}


class Accounts:
    """The rules for users and sessions."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    # --- users ----------------------------------------------------------------------------------

    def sign_up(self, fields: Mapping[str, Any]) -> Row:
        """Make a user of login and/or email, password and optional fields; return it."""
        login, email, password = (_text(fields, name) for name in ("login", "email", "password"))
        self._check_new(login, email, password)
        kept = {name: fields[name] for name in _FIELDS if fields.get(name) is not None}
        if "tag_list" in fields:
            kept["user_tags"] = _tags(fields["tag_list"])
        try:
            user_id = self._store.add_user(
                login=login,
                email=email,
                password=_hash(password) if password is not None else None,
                now=int(self._clock.time()),
                fields=kept,
            )
        except sqlite3.IntegrityError as error:
            taken = "email" if "users.email" in str(error) else "login"
            raise Refusal.invalid(taken, "has already been taken") from None
        return self.user(user_id)

    def _check_new(self, login: str | None, email: str | None, password: str | None) -> None:
        errors: dict[str, list[str]] = {}
        if login is None and email is None:
            errors["base"] = ["login or email is required"]
        if login is not None and not 3 <= len(login) <= 70:
            errors["login"] = ["must have 3 to 70 characters"]
        if email is not None and not _EMAIL.fullmatch(email):
            errors["email"] = ["is not an email address"]
        if password is None:
            errors["password"] = ["is required"]
        if errors:
            raise Refusal(422, errors=errors)

    def user(self, user_id: int) -> Row:
        """Return the user with this id."""
        row = self._store.user(user_id)
        if row is None:
            raise Refusal(404, f"User {user_id} does not exist")
        return row

    def user_by(self, field: str, value: str) -> Row:
        """Return the user with this login or email."""
        row = self._store.user_by(field, value)
        if row is None:
            raise Refusal(404, f"No user has the {field} {value!r}")
        return row

    def authenticate(self, credentials: Mapping[str, Any], *, create: bool) -> Row:
        """Return the user whose login or email and password these are; make one if ``create``."""
        login, email, password = (
            _text(credentials, name) for name in ("login", "email", "password")
        )
        if (login is None and email is None) or password is None:
            raise Refusal(422, "login or email, and password are required")
        field, value = ("login", login) if login is not None else ("email", email)
        row = self._store.user_by(field, value or "")
        if row is None and create:
            return self.sign_up(credentials)
        if row is None or not _verify(password, row["password"]):
            raise Refusal(401, "Unauthorized: login, email or password are wrong")
        return row

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

    # --- sessions -------------------------------------------------------------------------------

    def create_session(self, request: Mapping[str, Any]) -> Row:
        """Make a session for the application, or for one of its users."""
        self._check_application(request)
        user_id = None
        credentials = request.get("user")
        if "provider" in request:
            raise Refusal(501, f"The emulator does not implement provider {request['provider']!r}")
        if credentials is not None:
            if not isinstance(credentials, dict):
                raise Refusal.invalid("user", "must be an object")
            if "guest" in credentials:
                raise Refusal(501, "The emulator does not implement guest sessions")
            create = self._settings.create_users_on_login
            user_id = self.authenticate(credentials, create=create)["id"]
        return self._add_session(user_id, request)

    def _add_session(self, user_id: int | None, request: Mapping[str, Any]) -> Row:
        now = self._clock.time()
        self._store.delete_expired_sessions(now)
        token = secrets.token_hex(20)
        self._store.add_session(
            token=token,
            user_id=user_id,
            ts=_integer(request.get("timestamp")) or int(now),
            nonce=str(request.get("nonce", "")) or None,
            created_at=int(now),
            updated_at=int(now),
            expires_at=now + self._settings.session_seconds,
        )
        return self.session(token)

    def session(self, token: str) -> Row:
        """Return the live session of this token, its life prolonged: every request does that."""
        now = self._clock.time()
        row = self._store.session(token) if token else None
        if row is None or row["expires_at"] <= now:
            raise Refusal.no_session()
        row["expires_at"] = now + self._settings.session_seconds
        self._store.update_session(token, expires_at=row["expires_at"])
        if row["user_id"] is not None:
            self._store.touch_user(row["user_id"], int(now))
        return row

    def log_in(self, session: Row, credentials: Mapping[str, Any]) -> Row:
        """Make a session the session of a user; return the user."""
        user = self.authenticate(credentials, create=False)
        self._change_user(session, user["id"])
        return user

    def log_out(self, session: Row) -> None:
        """Make a user's session one of the application alone."""
        self._change_user(session, None)

    def _change_user(self, session: Row, user_id: int | None) -> None:
        now = int(self._clock.time())
        self._store.update_session(session["token"], user_id=user_id, updated_at=now)

    def destroy_session(self, session: Row) -> None:
        """End a session."""
        self._store.delete_session(session["token"])

    # --- the application ------------------------------------------------------------------------

    def check_auth_key(self, key: str) -> None:
        """Refuse a key that is not the application's."""
        if not _same(key, self._settings.auth_key):
            raise Refusal(401, "CB-AuthKey is not this application's authorization key")

    def _check_application(self, request: Mapping[str, Any]) -> None:
        missing = [name for name in ("application_id", "auth_key") if not request.get(name)]
        if missing:
            raise Refusal(422, errors={name: ["is required"] for name in missing})
        if str(request["application_id"]) != str(self._settings.app_id):
            raise Refusal.invalid("application_id", "is not that of an application")
        if not _same(str(request["auth_key"]), self._settings.auth_key):
            raise Refusal.invalid("auth_key", "is not this application's authorization key")
        self._check_signature(request)

    def _check_signature(self, request: Mapping[str, Any]) -> None:
        signature, secret = request.get("signature"), self._settings.auth_secret
        if signature is None:
            if self._settings.require_signature:
                raise Refusal.invalid("signature", "is required")
            return
        for name in ("timestamp", "nonce"):
            if _integer(request.get(name)) is None:
                raise Refusal.invalid(name, "must be a whole number in a signed request")
        if secret is None:
            return
        digest = _DIGESTS.get(len(str(signature)))
        if digest is None:
            raise Refusal.invalid("signature", "must be 40 (SHA-1) or 64 (SHA-256) hex digits")
        expected = hmac.new(secret.encode(), _signed_text(request).encode(), digest).hexdigest()
        if not _same(str(signature).lower(), expected):
            raise Refusal.invalid("signature", "is not that of these parameters")

    # --- JSON -----------------------------------------------------------------------------------

    def user_json(self, user: Row) -> dict[str, Any]:
        """Write a user as the service does."""
        return {
            "id": user["id"],
            "login": user["login"],
            "email": user["email"],
            "created_at": iso_time(user["created_at"]),
            "updated_at": iso_time(user["updated_at"]),
            "last_request_at": iso_time(user["last_request_at"]),
            **{name: user["fields"].get(name) for name in _FIELDS},
        }

    def session_json(self, session: Row) -> dict[str, Any]:
        """Write a session as the service does."""
        answer = {
            "id": session["id"],
            "user_id": session["user_id"] or 0,
            "application_id": self._settings.app_id,
            "token": session["token"],
            "ts": session["ts"],
            "nonce": _integer(session["nonce"]),
            "created_at": iso_time(session["created_at"]),
            "updated_at": iso_time(session["updated_at"]),
        }
        if session["user_id"] is not None:
            answer["user"] = self.user_json(self.user(session["user_id"]))
        return answer


def _hash(password: str) -> str:
    salt = secrets.token_bytes(8)
    return f"{salt.hex()}:{_derive(password, salt)}"


def _verify(password: str, stored: str | None) -> bool:
    if stored is None:
        return False
    salt, _, derived = stored.partition(":")
    return _same(_derive(password, bytes.fromhex(salt)), derived)


def _derive(password: str, salt: bytes) -> str:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.pbkdf2_hmac("sha256", secret, salt, _PBKDF2_ROUNDS).hex()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Refusal.invalid(name, "must be a string")
    return value


def _tags(value: Any) -> str | None:
    tags = value if isinstance(value, list) else str(value).split(",")
    return ",".join(str(tag).strip() for tag in tags) or None


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _signed_text(request: Mapping[str, Any]) -> str:
    pairs = sorted(
        pair
        for name, value in request.items()
        if name != "signature"
        for pair in _pairs(name, value)
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _pairs(f"{name}[{key}]", inner)
    else:
        yield name, str(value)
