"""What is sent, and to whom: the arguments of ``send()``, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from attrs import evolve

from connectycube import DialogRef, Message, User
from connectycube._checks import check_id, check_int, check_str, misspelt
from connectycube.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["address_of", "checked_message"]


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
