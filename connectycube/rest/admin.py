"""The Administration API: users, and the parts for dialogs, messages, statistics and meetings."""

from __future__ import annotations

from .._not_copied import NotCopied
from ..models import User
from ..models._json import as_bool
from ._admin_api import AdminApi
from ._api import Api
from ._arguments import check_user_id
from ._response import read_object, unexpected
from .admin_dialogs import AdminDialogs
from .admin_messages import AdminMessages
from .admin_statistics import AdminStatistics
from .meetings import AdminMeetings

__all__ = ["Admin", "AdminUsers"]


class Admin(NotCopied):
    """The Administration API of the application; every method may be called from any thread.

    Its calls are made with ``Config.admin_key``, and need no session, so no user has to log in. Without a key
    each of them raises ArgumentValueError, and nothing is sent.

    Example:
        >>> cube.admin.dialogs.count(id__gte=group, id__lte=group)
        1
        >>> cube.admin.messages.count(dialog=group)
        0
    """

    def __init__(self, api: Api) -> None:
        admin_api = AdminApi(api)
        self._dialogs = AdminDialogs(admin_api)
        self._messages = AdminMessages(admin_api)
        self._users = AdminUsers(admin_api)
        self._statistics = AdminStatistics(admin_api)
        self._meetings = AdminMeetings(admin_api)

    @property
    def dialogs(self) -> AdminDialogs:
        """The dialogs of all users: get, list, iter, count, update, mute, unmute."""
        return self._dialogs

    @property
    def messages(self) -> AdminMessages:
        """The messages of all dialogs: list, iter, count."""
        return self._messages

    @property
    def users(self) -> AdminUsers:
        """Any user: delete."""
        return self._users

    @property
    def statistics(self) -> AdminStatistics:
        """How many messages were sent and dialogs created, in all or by day."""
        return self._statistics

    @property
    def meetings(self) -> AdminMeetings:
        """Meetings of any host: create, recordings, delete_recordings."""
        return self._meetings


class AdminUsers(NotCopied):
    """Any user of the application; every method may be called from any thread. (Administration API: User.)

    Example:
        >>> spammer = emulator.add_user("spammer", "a password")
        >>> cube.admin.users.delete(spammer)
    """

    def __init__(self, api: AdminApi) -> None:
        self._api = api

    def delete(self, user: int | User, *, timeout: float | None = None) -> None:
        """Delete a user. (Administration API: Delete User.)

        Args:
            user: The user, as an id or a User.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            NotFoundError: There is no such user.
            UnexpectedResponseError: The service does not say that it has deleted the user.
            ApiError: The call failed; a subclass says how.
        """
        path = ("user", str(check_user_id("user", user)))
        response = self._api.call("DELETE", path, timeout=timeout)
        if not as_bool(read_object(response).get("success")):
            raise unexpected(response, "it does not say that the user is deleted")
