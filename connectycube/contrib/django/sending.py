"""``send()``: a message from a view, a task or a handler, after the transaction's commit."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from attrs import evolve
from django.db import connection, transaction

from connectycube import ConnectyCubeError, Message
from connectycube._checks import check_bool, check_str, misspelt
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from .addresses import address_of, check_user
from .backends import BaseBackend, Outgoing, get_backend

__all__ = ["checked_message", "send"]

logger = logging.getLogger("connectycube.django")

_ARGUMENTS = ("bot", "as_user", "on_commit")


def send(
    to: Any,
    body: str | Message,
    *,
    bot: str = "default",
    as_user: Any = None,
    on_commit: bool = True,
    **custom: str | int | float | bool | Mapping[str, Any],
) -> Message | None:
    """Send a message, after the commit if a transaction is open, so that a rollback sends nothing.

    In the listener it goes over the bot's chat, with the same id in each attempt of a handler; elsewhere over
    REST. A message that fails after the commit is logged at ERROR, as the work is done and the caller
    gone; for those that must not be lost there is ``OutgoingMessage``. May be called from any thread.

    Args:
        to: A dialog (an id as a string, a Dialog, one of its messages), or a user: an id as an int, a User of
            the service, or a user of Django, who needs a ``ChatAccount``.
        body: The text; or a Message, with attachments and more.
        bot: The name of the bot that sends it.
        as_user: A user of Django who sends it, instead of a bot.
        on_commit: False sends at once, also within a transaction of the default database.
        custom: Custom parameters, by their names.

    Returns:
        The message as it was sent; None if it waits for the commit.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is wrong; nothing is sent.
        ImproperlyConfigured: The setting is wrong, or has no such bot.
        ConnectyCubeError: The message could not be sent at once.
    """
    check_bool("on_commit", on_commit)
    backend = get_backend()
    if as_user is not None:
        check_user("as_user", as_user)
    elif backend.settings.bots or backend.needs_address:
        backend.settings.bot(check_str("bot", bot))
    waits = on_commit and connection.in_atomic_block
    outgoing = Outgoing(
        to=to,
        address=address_of(to, known_only=backend.needs_address),
        message=checked_message(body, custom),
        bot=bot,
        as_user=as_user,
        after_commit=waits,
    )
    if not waits or not backend.waits_for_commit:
        return backend.send(outgoing)
    transaction.on_commit(lambda: _send_late(backend, outgoing))
    return None


def checked_message(body: object, custom: Mapping[str, Any]) -> Message:
    """Return the message to send: with a text or attachments, and the custom parameters."""
    for name in custom:
        meant = misspelt(name, _ARGUMENTS)
        if meant is not None:
            raise ArgumentTypeError(f"{name} is no argument of send: did you mean {meant}?")
    message = body if isinstance(body, Message) else Message(body=check_str("body", body))
    if not message.body and not message.attachments:
        raise ArgumentValueError("body must not be empty in a message without attachments")
    return evolve(message, custom={**message.custom, **custom}) if custom else message


def _send_late(backend: BaseBackend, outgoing: Outgoing) -> None:
    try:
        backend.send(outgoing)
    except ConnectyCubeError as error:
        # Raised here it would end the request whose work is done, and the callbacks of others with it.
        logger.error(
            "a message to %s was not sent after the commit (OutgoingMessage would be): %s",
            *(outgoing.address, error),
        )
