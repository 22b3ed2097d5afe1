"""Calls: what a client without media can do about them. (Server API: Video chat.)"""

from __future__ import annotations

from collections.abc import Mapping

from .._checks import check_json_object, check_str
from .._not_copied import NotCopied
from ..models import User
from ..models.values import JsonValue
from ._api import Api
from ._arguments import check_user_id

__all__ = ["Calls"]


class Calls(NotCopied):
    """Calls of one user to another; every method may be called from any thread.

    To call and to answer needs media, which this SDK has not. (Server API: Video chat.)

    Example:
        >>> cube.calls.reject(bob_id, "56eddd33-b3dd-42ee-bf33-11ca1c03218a", user_info={"busy": True})
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def reject(
        self,
        user: int | User,
        session_id: str,
        *,
        platform: str = "Web",
        user_info: Mapping[str, JsonValue] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Reject a call, for example one that a push notification has announced.

        The chat need not be connected. (Server API: Reject incoming call by HTTP.)

        Args:
            user: The user who calls, as an id or a User.
            session_id: The id of the call, as its announcement says it.
            platform: The platform that the caller is told: "iOS", "Android" or "Web".
            user_info: More for the caller's application, such as ``{"busy": True}``.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such user.
            ApiError: The call failed; a subclass says how.
        """
        body: dict[str, object] = {
            "recipientId": check_user_id("user", user),
            "sessionID": check_str("session_id", session_id),
            "platform": check_str("platform", platform),
        }
        if user_info is not None:
            body["userInfo"] = check_json_object("user_info", user_info)
        self._api.call("POST", ("calls", "reject"), body=body, timeout=timeout)
