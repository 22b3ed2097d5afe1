"""Dead letters in the database: kept when a handler gives up, and run again when the admin says so."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import connectycube
from connectycube import Chat, ReceiverGaveUp

from .databases import primary
from .handlers import Handler, around_receiver
from .models import DeadLetter
from .signals import SIGNALS

__all__ = ["keep", "run_marked"]

logger: logging.Logger = logging.getLogger("connectycube.django")

_LONGEST = 10_000


def keep(bot: str, gave_up: ReceiverGaveUp) -> None:
    """Write a row for an event that a handler has given up; the same event and handler have one row."""
    event = gave_up.event.to_dict()
    DeadLetter.objects.update_or_create(
        key=_key(bot, gave_up.signal, gave_up.receiver, event),
        defaults={
            "bot": bot,
            "signal": gave_up.signal,
            "receiver": gave_up.receiver,
            "event": event,
            "error": _text(gave_up.error),
            "attempts": gave_up.attempts,
            "is_marked": False,
        },
    )


def _key(bot: str, signal: str, receiver: str, event: dict[str, Any]) -> str:
    found = event.get("id") or event.get("message_id") or json.dumps(event, sort_keys=True)
    return hashlib.sha256(json.dumps([bot, signal, receiver, found]).encode()).hexdigest()


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST].replace("\0", "\N{REPLACEMENT CHARACTER}")


def run_marked(bot: str, chat: Chat, handlers: list[Handler], *, is_durable: bool) -> None:
    """Have the handlers of marked letters run again; a row goes when its handler has returned."""
    for letter in primary(DeadLetter).filter(bot=bot, is_marked=True):
        event = _event_of(letter)
        if is_durable and _retry_in_file(chat, letter, event):
            letter.delete()  # if the handler gives up again, it is there again
            continue
        try:
            _call(chat, handlers, letter, event)
        except Exception as error:  # noqa: BLE001 - whatever the handler raises
            logger.warning(
                "receiver %s of %s raised again: %r", letter.receiver, letter.signal, error
            )
            letter.error, letter.is_marked = _text(error), False
            letter.attempts += 1
            letter.save()
        else:
            letter.delete()


def _event_of(letter: DeadLetter) -> Any:
    return getattr(connectycube, letter.event["model"]).from_dict(letter.event)


def _retry_in_file(chat: Chat, letter: DeadLetter, event: Any) -> bool:
    """Mark the letter in the file of durable mode, which knows the ids of answers; False: it is not there."""
    letters = chat.dead_letters()
    for found in letters:
        if (found.signal, found.receiver, found.event) == (letter.signal, letter.receiver, event):
            letters.retry(found.id)
            return True
    return False


def _call(chat: Chat, handlers: list[Handler], letter: DeadLetter, event: Any) -> None:
    functions = {(handler.signal, handler.name): handler.function for handler in handlers}
    function = functions.get((letter.signal, letter.receiver))
    with around_receiver(chat, letter.signal, event, letter.receiver):
        if function is not None:
            function(chat, event)
        elif letter.receiver == f"connectycube.contrib.django.signals.{letter.signal}":
            SIGNALS[letter.signal].send(sender=type(event), chat=chat, event=event, bot=letter.bot)
        else:
            raise LookupError(f"there is no handler {letter.receiver} of {letter.signal} any more")
