"""REST: users. (Server documentation: Users API.)"""

from __future__ import annotations

from ..refusal import Refusal
from .query import integer
from .request import Reply
from .routing import Auth, Call, route


@route("POST", "users", Auth.KEY, inferred="words and status of refused fields")
def sign_up(call: Call) -> Reply:
    """Make a user."""
    fields = call.request.json().get("user")
    if not isinstance(fields, dict):
        raise Refusal.invalid("user", "is required and must be an object")
    accounts = call.api.accounts
    return Reply(status=201, content={"user": accounts.user_json(accounts.sign_up(fields))})


@route("GET", "users/by_login", Auth.SESSION)
def by_login(call: Call) -> Reply:
    """Find a user by login."""
    return _by(call, "login")


@route("GET", "users/by_email", Auth.SESSION)
def by_email(call: Call) -> Reply:
    """Find a user by email address."""
    return _by(call, "email")


def _by(call: Call, field: str) -> Reply:
    value = dict(call.request.parameters()).get(field)
    if not value:
        raise Refusal.invalid(field, "is required")
    accounts = call.api.accounts
    return Reply(content={"user": accounts.user_json(accounts.user_by(field, value))})


@route("GET", "users/{id}", Auth.SESSION)
def get_user(call: Call) -> Reply:
    """Find a user by id."""
    text = call.arguments["id"]
    if not text.isascii() or not text.isdigit():
        raise Refusal(501, f"The emulator does not implement GET /users/{text}")
    try:
        user_id = integer(text)
    except ValueError:
        raise Refusal(404, f"User {text} does not exist") from None
    accounts = call.api.accounts
    return Reply(content={"user": accounts.user_json(accounts.user(user_id))})
