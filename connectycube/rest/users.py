"""Users: sign up and look up. (Guide: Users.)"""

from __future__ import annotations

from collections.abc import Iterable

from .. import checks
from ..errors import ArgumentTypeError, ArgumentValueError
from ..models import User
from .arguments import a_user_id
from .transport import Transport

__all__ = ["Users"]

_PATH = ("users",)


class Users:
    """The application's users; every method may be called from any thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

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
        tags: Iterable[str] | None = None,
        timezone: int | None = None,
        timeout: float | None = None,
    ) -> User:
        """Sign a user up; no session is needed, and none is made.

        ``login`` or ``email`` (or both) and ``password`` are required. ``timezone`` is minutes from UTC,
        ``avatar`` the uid of a file, ``timeout`` seconds.

        Raises ArgumentTypeError, ArgumentValueError, ValidationError (the login is taken …), ApiError.
        Source: server API, "User Sign Up".
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
        }
        if login is None and email is None:
            raise ArgumentValueError("a user needs a login or an email")
        fields: dict[str, object] = {
            name: checks.a_string(name, text) for name, text in texts.items() if text is not None
        }
        fields["password"] = checks.a_string("password", password)
        if tags is not None:
            fields["tag_list"] = _tag_list(tags)
        if timezone is not None:
            fields["timezone"] = checks.an_integer("timezone", timezone)
        answer = self._transport.call(
            "POST",
            _PATH,
            body={"user": fields},
            headers={"CB-AuthKey": self._transport.config.auth_key},
            timeout=timeout,
            with_session=False,
        )
        return User.from_json(answer.object())

    def get(self, user: int | User, *, timeout: float | None = None) -> User:
        """Look a user up by id.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Show User by identifier".
        """
        user_id = a_user_id("user", user)
        answer = self._transport.call("GET", (*_PATH, str(user_id)), timeout=timeout)
        return User.from_json(answer.object())


def _tag_list(tags: object) -> str:
    if isinstance(tags, (str, bytes)) or not isinstance(tags, Iterable):
        raise ArgumentTypeError(f"tags must be a list of strings, not {type(tags).__name__}")
    texts = [checks.a_string("tags", tag) for tag in tags]
    for text in texts:
        if "," in text:
            raise ArgumentValueError(f"tags must not hold a comma: {text!r}")
    return ",".join(texts)
