"""REST: users. (Server documentation: Users API.)"""

from __future__ import annotations

from typing import Any

from ..domain.api_error import ApiError
from ..domain.values import flag, natural, words
from .fields import identifier, object_of, page
from .query import ListQuery
from .request import Response
from .routing import Auth, Call, route
from .user_search import order_v1, search_v1, search_v2


@route("POST", "users", Auth.KEY, inferred="words and status of refused fields")
def sign_up(call: Call) -> Response:
    """Create a user."""
    accounts = call.api.accounts
    user = accounts.sign_up(object_of(call.request.json(), "user"))
    return Response(status=201, content={"user": accounts.user_json(user)})


# --- find -----------------------------------------------------------------------------------------


@route("GET", "users/v2", Auth.SESSION, inferred="start_with sees no difference of case")
def list_users(call: Call) -> Response:
    """Search users."""
    search = search_v2(call.request.parameters())
    accounts = call.api.accounts
    rows = accounts.find(
        search.where, search.values, order=search.order, limit=search.limit, skip=search.skip
    )
    return Response(
        content={
            "limit": search.limit,
            "skip": search.skip,
            "total_entries": accounts.count(search.where, search.values),
            "items": [accounts.user_json(row) for row in rows],
        }
    )


@route("GET", "users", Auth.SESSION, inferred="403 where the application forbids it")
def list_users_v1(call: Call) -> Response:
    """Search users with the filters of version 1."""
    if not call.api.accounts.list_users_v1:
        raise ApiError(403, "Users retrieving forbidden in admin panel, application settings.")
    parameters = call.request.parameters()
    filters = [value for name, value in parameters if name.startswith("filter[")]
    where, values = search_v1(filters)
    return _page(call, where, values, order=order_v1(dict(parameters).get("order")))


@route("GET", "users/by_full_name", Auth.SESSION, inferred="the whole name, in any case")
def by_full_name(call: Call) -> Response:
    """Find users by full name."""
    where = "lower(json_extract(fields, '$.full_name')) = lower(?)"
    return _page(call, where, [_required(call, "full_name")])


@route("GET", "users/by_tags", Auth.SESSION)
def by_tags(call: Call) -> Response:
    """Find the users who have one of several tags."""
    tags = words(_required(call, "tags"))
    search = search_v2([("user_tags[in][]", tag) for tag in tags or [""]])
    return _page(call, search.where, search.values)


def _page(call: Call, where: str, values: list[Any], *, order: str = "id") -> Response:
    number, per_page = page(dict(call.request.parameters()))
    accounts = call.api.accounts
    rows = accounts.find(where, values, order=order, limit=per_page, skip=(number - 1) * per_page)
    return Response(
        content={
            "current_page": number,
            "per_page": per_page,
            "total_entries": accounts.count(where, values),
            "items": [{"user": accounts.user_json(row)} for row in rows],
        }
    )


@route("GET", "users/by_login", Auth.SESSION)
def by_login(call: Call) -> Response:
    """Find a user by login."""
    return _by(call, "login")


@route("GET", "users/by_email", Auth.SESSION)
def by_email(call: Call) -> Response:
    """Find a user by email address."""
    return _by(call, "email")


@route("GET", "users/by_facebook_id", Auth.SESSION)
def by_facebook_id(call: Call) -> Response:
    """Find a user by Facebook id."""
    return _by(call, "facebook_id")


@route("GET", "users/by_twitter_id", Auth.SESSION)
def by_twitter_id(call: Call) -> Response:
    """Find a user by Twitter id."""
    return _by(call, "twitter_id")


@route("GET", "users/by_phone", Auth.SESSION, inferred="not documented; the Flutter SDK's path")
def by_phone(call: Call) -> Response:
    """Find a user by phone number."""
    return _by(call, "phone")


@route("GET", "users/phone", Auth.SESSION, inferred="not documented; the JavaScript SDK's path")
def phone(call: Call) -> Response:
    """Find a user by phone number."""
    return _by(call, "phone")


def _by(call: Call, field: str) -> Response:
    accounts = call.api.accounts
    return Response(
        content={"user": accounts.user_json(accounts.user_by(field, _required(call, field)))}
    )


def _required(call: Call, name: str) -> str:
    value = dict(call.request.parameters()).get(name)
    if not value:
        raise ApiError.invalid(name, "is required")
    return value


@route("GET", "users/external/{id}", Auth.SESSION, inferred="external_id or external_user_id")
def by_external_id(call: Call) -> Response:
    """Find a user by the id in another system."""
    accounts = call.api.accounts
    return Response(content={"user": accounts.user_json(accounts.user(_external(call)))})


def _external(call: Call) -> int:
    external_id, accounts = call.arguments["id"], call.api.accounts
    found = accounts.users_with("external_id", [external_id])
    number = natural(external_id)
    if not found and number is not None:
        found = accounts.users_with("external_user_id", [number])
    if not found:
        raise ApiError(404, f"No user has the external id {external_id!r}")
    return int(found[0]["id"])


@route("GET", "users/online", Auth.SESSION, inferred="not documented; the JavaScript SDK's call")
def list_online(call: Call) -> Response:
    """List, or count, the users who are connected to the chat."""
    parameters = dict(call.request.parameters())
    ids = call.api.online()
    if flag(parameters.get("count")):
        return Response(content={"count": len(ids)})
    query = ListQuery.parse(
        [("skip" if name == "offset" else name, value) for name, value in parameters.items()],
        columns={},
        sortable={},
        default_order="",
    )
    accounts = call.api.accounts
    rows = accounts.users_with("id", ids[query.skip : query.skip + query.limit])
    return Response(content={"users": [accounts.user_json(row) for row in rows]})


# --- passwords ------------------------------------------------------------------------------------


@route("GET", "users/password/reset", Auth.KEY, inferred="404 for an unknown address")
def reset_password(call: Call) -> Response:
    """Send a user the email with a link to set a new password."""
    call.api.accounts.reset_password(_required(call, "email"))
    return Response()


@route(
    "POST", "users/password/reset", Auth.KEY, inferred="not documented; the JavaScript SDK's call"
)
def reset_password_by_post(call: Call) -> Response:
    """Send a user the email with a link to set a new password."""
    email = call.request.json().get("email")
    if not isinstance(email, str) or not email:
        raise ApiError.invalid("email", "is required and must be a string")
    call.api.accounts.reset_password(email)
    return Response()


# --- one user -------------------------------------------------------------------------------------


@route("GET", "users/{id}", Auth.SESSION)
def get_user(call: Call) -> Response:
    """Find a user by id."""
    name = call.arguments["id"]
    if not name.isascii() or not name.isdigit():
        raise ApiError(501, f"The emulator does not implement GET /users/{name}")
    accounts = call.api.accounts
    return Response(content={"user": accounts.user_json(accounts.user(identifier(name, "User")))})


@route("PUT", "users/{id}", Auth.USER, inferred="403 for another user")
def update_user(call: Call) -> Response:
    """Change the session's user."""
    _check_own(call, identifier(call.arguments["id"], "User"))
    accounts = call.api.accounts
    user = accounts.update(call.user_id, object_of(call.request.json(), "user"))
    return Response(content={"user": accounts.user_json(user)})


@route("DELETE", "users/external/{id}", Auth.USER)
def delete_user_by_external_id(call: Call) -> Response:
    """Delete the session's user."""
    _check_own(call, _external(call))
    call.api.accounts.delete_user(call.user_id)
    return Response()


@route("DELETE", "users/{id}", Auth.USER)
def delete_user(call: Call) -> Response:
    """Delete the session's user."""
    _check_own(call, identifier(call.arguments["id"], "User"))
    call.api.accounts.delete_user(call.user_id)
    return Response()


def _check_own(call: Call, user_id: int) -> None:
    call.api.accounts.user(user_id)
    if user_id != call.user_id:
        raise ApiError(403, "Forbidden. Users can change and delete their own account only.")
