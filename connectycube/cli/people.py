"""The names of users, for people: asked for once each, and left out where they cannot be known."""

from __future__ import annotations

from connectycube import ConnectyCube
from connectycube.errors import ConnectyCubeError

__all__ = ["People"]


class People:
    """The users whom a command shows."""

    def __init__(self, client: ConnectyCube) -> None:
        self._client = client
        self._names: dict[int, str] = {}

    def name(self, user_id: int | None) -> str:
        """Return the login or the name of a user, or the id if the service does not say more."""
        if user_id is None:
            return "-"
        if user_id not in self._names:
            try:
                user = self._client.users.get(user_id)
                found = user.login or user.full_name or user.email
            except ConnectyCubeError:
                found = None
            self._names[user_id] = found or f"user {user_id}"
        return self._names[user_id]
