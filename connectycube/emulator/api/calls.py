"""REST: calls, as far as they need no media. (Server documentation: Video Chat.)"""

from __future__ import annotations

from connectycube._containers import AnyDict

from ..domain.api_error import ApiError
from ..domain.values import natural
from .fields import one_of, text_of
from .request import Response
from .routing import Auth, Call, route

_PLATFORMS = ("iOS", "Android", "Web")


@route(
    "POST",
    "calls/reject",
    Auth.USER,
    inferred="404 for an unknown recipient; 422 for other platforms",
)
def reject_call(call: Call) -> Response:
    """Tell the user who calls that the call is rejected."""
    body = call.request.json()
    recipient = natural(str(body.get("recipientId", "")))
    if recipient is None:
        raise ApiError.invalid("recipientId", "is required and must be a user id")
    session_id, platform = text_of(body, "sessionID"), one_of(body, "platform", _PLATFORMS)
    info = body.get("userInfo", {})
    if not isinstance(info, AnyDict):
        raise ApiError.invalid("userInfo", "must be an object")
    conversations = call.api.conversations
    conversations.check_users([recipient])
    params = {
        "signalType": "reject",
        "sessionID": session_id,
        "platform": platform,
        **({"userInfo": info} if info else {}),
    }
    call.api.chat.send_call_signal(call.user_id, recipient, conversations.new_id(), params)
    return Response(content={})
