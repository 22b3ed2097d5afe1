"""REST sessions: the tokens of the application and of its users. (Server documentation: Auth API.)"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from connectycube._containers import AnyDict

from ..db.store import Row, Store
from ..settings import Settings
from .accounts import Accounts
from .api_error import ApiError
from .application import Application
from .identity_endpoint import Answer
from .times import Clock, iso_time
from .values import column_number, flag, whole_number

__all__ = ["RestSessions"]


class RestSessions:
    """The rules for REST sessions. A session is a row of the store."""

    def __init__(self, store: Store, settings: Settings, clock: Clock, accounts: Accounts) -> None:
        self.application: Application = Application(settings, clock)
        self._store = store
        self._settings = settings
        self._clock = clock
        self._accounts = accounts

    def create(self, request: Mapping[str, Any], answer: Answer | None = None) -> Row:
        """Create a session for the application, or for one of its users.

        ``answer`` is that of the custom identity provider, if it was needed before.
        """
        self.application.check_request(request)
        credentials = request.get("user")
        if credentials is not None and not isinstance(credentials, AnyDict):
            raise ApiError.invalid("user", "must be an object")
        self.end_expired()
        if request.get("provider") is not None:
            return self._add(self._accounts.social_user(request), request)
        if credentials is None:
            return self._add(None, request)
        if flag(credentials.get("guest")):
            return self._add(self._accounts.add_guest(credentials), request)
        create = self._settings.create_users_on_login
        user = self._accounts.authenticate(credentials, create=create, answer=answer)
        return self._add(user, request)

    def _add(self, user: Row | None, request: Mapping[str, Any]) -> Row:
        now = self._clock.time()
        token = secrets.token_hex(20)
        guest = user is not None and bool(user["fields"].get("is_guest"))
        lifetime = self._settings.guest_seconds if guest else self._settings.session_seconds
        self._store.add_session(
            token=token,
            user_id=None if user is None else user["id"],
            guest=guest,
            ts=column_number(request.get("timestamp")) or int(now),
            nonce=str(request.get("nonce", "")) or None,
            created_at=int(now),
            updated_at=int(now),
            # A guest and its session expire together, and the guest is dated in whole seconds.
            expires_at=(int(now) if guest else now) + lifetime,
        )
        return self.find(token)

    def end_expired(self) -> None:
        """Delete the guests and the sessions that have expired."""
        self._accounts.delete_expired_guests()
        self._store.delete_expired_sessions(self._clock.time())

    def find(self, token: str) -> Row:
        """Return the session of this token, and prolong it, as every request does.

        The session of a guest is not prolonged. It ends with the guest.
        """
        now = self._clock.time()
        row = self._store.session(token) if token else None
        if row is None or row["expires_at"] <= now:
            self.end_expired()
            raise ApiError.no_session()
        if not row["guest"]:
            row["expires_at"] = now + self._settings.session_seconds
            self._store.update_session(token, expires_at=row["expires_at"])
        if row["user_id"] is not None:
            self._store.touch_user(row["user_id"], int(now))
        return row

    def log_in(self, session: Row, request: Mapping[str, Any], answer: Answer | None = None) -> Row:
        """Log a user in to a session of the application; return the user.

        ``answer`` is that of the custom identity provider, if it was needed before.
        """
        if request.get("provider") is not None:
            user = self._accounts.social_user(request)
        else:
            if request.get("password") in (None, ""):  # also with a custom identity provider
                raise ApiError.invalid("password", "cannot be blank")
            user = self._accounts.authenticate(request, create=False, answer=answer)
        self._change_user(session, user["id"])
        return user

    def log_out(self, session: Row) -> None:
        """Log the user out; the session remains one of the application."""
        self._change_user(session, None)

    def _change_user(self, session: Row, user_id: int | None) -> None:
        now = int(self._clock.time())
        self._store.update_session(session["token"], user_id=user_id, guest=0, updated_at=now)

    def destroy(self, session: Row) -> None:
        """End a session."""
        self._store.delete_session(session["token"])

    def destroy_by_id(self, user_id: int, session_id: int) -> None:
        """End the session with this id, which must be one of the user's."""
        changed = self._store.database.run(
            "DELETE FROM sessions WHERE id = ? AND user_id = ?", session_id, user_id
        )
        if not changed:
            raise ApiError(404, f"Session {session_id} does not exist")

    def json(self, session: Row) -> dict[str, Any]:
        """Write a session as the service does."""
        answer = {
            "id": session["id"],
            "user_id": session["user_id"] or 0,
            "application_id": self._settings.app_id,
            "token": session["token"],
            "ts": session["ts"],
            "nonce": whole_number(session["nonce"]),
            "created_at": iso_time(session["created_at"]),
            "updated_at": iso_time(session["updated_at"]),
        }
        if session["user_id"] is not None:
            answer["user"] = self._accounts.user_json(self._accounts.user(session["user_id"]))
        return answer
