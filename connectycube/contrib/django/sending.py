"""``send()``: a message from a view, a task or a handler, after the transaction's commit.

``asend()`` is the same for asynchronous views.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.utils.asyncio import async_unsafe
from django.utils.functional import Promise

from connectycube import ConnectyCubeError, Message
from connectycube._checks import check_bool, check_str

from ..common.sending import checked_message
from .addresses import address_of, check_user
from .backends import BaseBackend, Outgoing, get_backend

__all__ = ["asend", "message_of", "send"]

logger: logging.Logger = logging.getLogger("connectycube.django")

_ARGUMENTS = ("bot", "as_user", "on_commit")


@async_unsafe("send() waits for the service: in a coroutine await asend(…).")
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
    REST. A message that fails after the commit is logged at ERROR, because the caller is gone by then. For
    messages that must not be lost there is ``OutgoingMessage``. May be called from any thread.

    Args:
        to: A dialog (an id as a string, a Dialog, one of its messages), or a user: an id as an int, a User of
            the service, or a user of Django, who needs a ``ChatAccount``.
        body: The text, which may be a lazy translation; or a Message, with attachments and more.
        bot: The name of the bot that sends it.
        as_user: A user of Django who sends it, instead of a bot.
        on_commit: False sends at once, also within a transaction.
        custom: Custom parameters, by their names.

    Returns:
        The message as it was sent; None if it waits for the commit.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is wrong; nothing is sent.
        ImproperlyConfigured: The setting is wrong, or has no such bot.
        ConnectyCubeError: The message could not be sent at once.
        SynchronousOnlyOperation: It was called in a coroutine.
    """
    check_bool("on_commit", on_commit)
    backend = get_backend()
    if as_user is not None:
        check_user("as_user", as_user)
    elif backend.settings.bots or backend.needs_address:
        backend.settings.bot(check_str("bot", bot))
    transaction_of = _open_transaction() if on_commit else None
    waits = transaction_of is not None
    outgoing = Outgoing(
        to=to,
        address=address_of(to, known_only=backend.needs_address),
        message=message_of(body, custom),
        bot=bot,
        as_user=as_user,
        after_commit=waits,
    )
    if not waits or not backend.waits_for_commit:
        return backend.send(outgoing)
    transaction.on_commit(lambda: _send_late(backend, outgoing), using=transaction_of)
    return None


async def asend(
    to: Any,
    body: str | Message,
    *,
    bot: str = "default",
    as_user: Any = None,
    on_commit: bool = True,
    **custom: str | int | float | bool | Mapping[str, Any],
) -> Message | None:
    """Send a message from a coroutine, such as an asynchronous view, without blocking the event loop.

    A message waits for the commit if a transaction is open, so that a rollback sends nothing.

    Args:
        to: A dialog (an id as a string, a Dialog, one of its messages), or a user (an id as an int, a User, a
            user of Django).
        body: The text, or a Message.
        bot: The name of the bot that sends it.
        as_user: A user of Django who sends it, instead of a bot.
        on_commit: False sends at once, also within a transaction.
        custom: Custom parameters, by their names.

    Returns:
        The message as it was sent; None if it waits for the commit.

    Raises:
        Exception: ``send()`` raised it: a wrong argument or setting, or a ConnectyCubeError.
    """
    return await sync_to_async(send)(
        to, body, bot=bot, as_user=as_user, on_commit=on_commit, **custom
    )


def _open_transaction() -> str | None:
    """Return the alias of the database whose transaction is open on this thread; None if none is.

    If several are, it is the default one.
    """
    found = [each.alias for each in connections.all(initialized_only=True) if each.in_atomic_block]
    if not found or DEFAULT_DB_ALIAS in found:
        return DEFAULT_DB_ALIAS if found else None
    return found[0]


def message_of(body: object, custom: Mapping[str, Any]) -> Message:
    """Return the message to send, checked; a lazy translation becomes text in the language of now."""
    return checked_message(
        _plain(body), {name: _plain(value) for name, value in custom.items()}, _ARGUMENTS
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Promise) else value


def _send_late(backend: BaseBackend, outgoing: Outgoing) -> None:
    try:
        backend.send(outgoing)
    except ConnectyCubeError as error:
        # Raised here it would end the request whose work is done, and the callbacks of others with it.
        logger.error(
            "a message to %s was not sent after the commit (OutgoingMessage would be): %s",
            *(outgoing.address, error),
        )
