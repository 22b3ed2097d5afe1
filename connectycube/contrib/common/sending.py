"""What is sent, and to whom: the arguments of ``send()``, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from attrs import evolve

from connectycube import ConnectyCube, DialogRef, Message, User
from connectycube._checks import check_id, check_int, check_str, misspelt
from connectycube.errors import ArgumentTypeError, ArgumentValueError, NotFoundError

__all__ = ["address_of", "checked_message", "named_address", "named_user"]


def address_of(to: Any) -> int | str:
    """Return the id of a user of the service (an int), or of a dialog (a string).

    Args:
        to: A dialog (an id as a string, a Dialog, one of its messages), or a user (an id as an int, a User).

    Raises:
        ArgumentTypeError, ArgumentValueError: ``to`` is something else, or has no id.
    """
    if isinstance(to, int):
        return check_int("to", to, least=1)
    if isinstance(to, str):
        return check_id("to", to)
    if isinstance(to, Message):
        to = to.dialog or DialogRef(id=to.dialog_id)
    if isinstance(to, DialogRef):
        found: int | str | None = to.id or to.peer_id
    elif isinstance(to, User):
        found = to.id
    else:
        raise ArgumentTypeError(
            f"to must be a dialog or a user, as an id or an object, not {type(to).__name__}"
        )
    if found is None:
        raise ArgumentValueError(f"to has no id: {to!r}")
    return found


def named_address(client: ConnectyCube, to: str) -> int | str:
    """Return the id of a user (``5``, ``@LOGIN``) or of a dialog, as people write them on a command line.

    Raises:
        ArgumentValueError: It is empty.
        NotFoundError: There is no user of that login.
    """
    if to.startswith("@"):
        return named_user(client, to)
    return int(to) if to.isascii() and to.isdigit() and len(to) < 20 else check_id("to", to)


def named_user(client: ConnectyCube, name: str) -> int:
    """Return the id of a user: ``5``, or ``@LOGIN``.

    Raises:
        ArgumentValueError: It is neither.
        NotFoundError: There is no user of that login.
    """
    if name.isascii() and name.isdigit() and len(name) < 20:
        return int(name)
    if not name.startswith("@") or len(name) == 1:
        raise ArgumentValueError(f"a user is written as an id or as @LOGIN, not as {name!r}")
    found = client.users.get_by(login=name[1:])
    if found is None or found.id is None:
        url = f"{client.config.api_url}/v2/users"
        raise NotFoundError(f"there is no user {name}", method="GET", url=url, status=404)
    return found.id


def checked_message(
    body: object, custom: Mapping[str, Any], arguments: Collection[str] = ()
) -> Message:
    """Return the message to send: with a text or attachments, and the custom parameters.

    Args:
        body: The text, or a Message.
        custom: Custom parameters, by their names.
        arguments: The arguments of ``send()``, of which a custom parameter may be a misspelling.
    """
    for name in custom:
        meant = misspelt(name, arguments)
        if meant is not None:
            raise ArgumentTypeError(f"{name} is no argument of send: did you mean {meant}?")
    message = body if isinstance(body, Message) else Message(body=check_str("body", body))
    if not message.body and not message.attachments:
        raise ArgumentValueError("body must not be empty in a message without attachments")
    return evolve(message, custom={**message.custom, **custom}) if custom else message
