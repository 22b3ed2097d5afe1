"""The chores of a listener: sending the rows of OutgoingMessage, and running marked dead letters."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from attrs import frozen
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import F
from django.utils import timezone

from connectycube import (
    Chat,
    ConnectyCube,
    ConnectyCubeError,
    Dialog,
    Message,
    NotFoundError,
    ReceiverGaveUp,
    is_transient,
)

from .conf import Bot
from .databases import closed_afterwards, one_line, primary
from .dead_letters import keep, run_marked
from .handlers import Handler
from .models import OutgoingMessage

__all__ = ["Chores", "send_waiting"]

logger: logging.Logger = logging.getLogger("connectycube.django")

_EVERY = 1.0  # seconds between two looks for messages to send
_LETTERS_EVERY = 5.0
_AT_ONCE = 50
_MOST_GIVEN_UP = 1_000
"""Dead letters that wait for the database; a file of durable mode has them all."""


class Chores:
    """Looks into the database on a thread of its own, from ``start()`` to ``close()``."""

    def __init__(self, bot: Bot, client: ConnectyCube, handlers: list[Handler]) -> None:
        self._bot = bot
        self._client = client
        self._handlers = handlers
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"chores-{bot.name}", daemon=True)
        self._letters_due = 0.0
        self._given_up: deque[ReceiverGaveUp] = deque(maxlen=_MOST_GIVEN_UP)
        self._is_away = False

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def keep(self, chat: Chat, gave_up: ReceiverGaveUp) -> None:
        """Write a dead letter at the next look: the database may be away, and a handler waits for nothing."""
        self._given_up.append(gave_up)

    def close(self) -> None:
        """Look no longer; a message that is on its way may finish within the time-out of logging out."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(self._bot.config.timeouts.logout)

    def _run(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._end.wait(_EVERY)
            with closed_afterwards():
                self._look()  # for the last time at the end, for dead letters

    def _look(self) -> None:
        try:
            self._write_dead_letters()
            if self._end.is_set():
                return
            send_waiting(self._bot.name, self._client, self._end)
            if time.monotonic() >= self._letters_due:
                self._letters_due = time.monotonic() + _LETTERS_EVERY
                is_durable = self._bot.config.durable is not None
                run_marked(self._bot.name, self._client.chat, self._handlers, is_durable=is_durable)
        except (DatabaseError, InterfaceError) as error:
            if not self._is_away:  # once an outage
                text = "the messages to send cannot be read for the moment: %s"
                logger.warning(text, one_line(error))
            self._is_away = True
        except Exception:
            logger.exception("the messages to send could not be looked through")
        else:
            self._is_away = False

    def _write_dead_letters(self) -> None:
        while self._given_up:
            gave_up = self._given_up[0]
            try:
                keep(self._bot.name, gave_up)
            except (OperationalError, InterfaceError):
                raise  # it stays for the next look
            except DatabaseError as error:
                logger.error(
                    "a dead letter of %s was not kept: %s", gave_up.receiver, one_line(error)
                )
            self._given_up.popleft()


def send_waiting(bot: str, client: ConnectyCube, end: threading.Event | None = None) -> None:
    """Send the messages of a bot that wait, in the order in which they were written."""
    waiting = OutgoingMessage.State.WAITING
    for row in primary(OutgoingMessage).filter(bot=bot, state=waiting)[:_AT_ONCE]:
        if end is not None and end.is_set():
            return
        outcome = _send(row, client)
        if outcome is None:
            return  # what comes after it waits, too: the order is kept
        changes: dict[str, object] = {"state": outcome.state, "error": outcome.error}
        if outcome.state == OutgoingMessage.State.SENT:
            changes["sent_at"] = timezone.now()
        _change(row, **changes)


@frozen
class _Outcome:
    state: str
    error: str = ""


def _send(row: OutgoingMessage, client: ConnectyCube) -> _Outcome | None:
    """Send a message; return what became of it, or None if it is to be tried again later."""
    try:
        # An attempt before this one may have sent it: the process ended before the row said so.
        if row.attempts and _is_stored(row, client):
            return _Outcome(OutgoingMessage.State.SENT)
        _change(row, attempts=F("attempts") + 1)
        message = Message(id=row.message_id, body=row.body or None, custom=row.custom)
        if row.to_user is not None:
            client.chat.send_private(row.to_user, message).result()
        else:
            client.chat.send_message(row.to_dialog, message).result()
    except ConnectyCubeError as error:
        _change(row, error=str(error))
        if is_transient(error):
            logger.warning("message %s was not sent, and waits: %r", row.message_id, error)
            return None
        logger.error("message %s cannot be sent: %r", row.message_id, error)
        return _Outcome(OutgoingMessage.State.FAILED, str(error))
    return _Outcome(OutgoingMessage.State.SENT)


def _change(row: OutgoingMessage, **changes: object) -> None:
    primary(OutgoingMessage).filter(pk=row.pk).update(**changes)


def _is_stored(row: OutgoingMessage, client: ConnectyCube) -> bool:
    dialog: str | Dialog = row.to_dialog
    if row.to_user is not None:
        dialog = client.dialogs.create_private(row.to_user)
    try:
        client.messages.get(dialog, row.message_id)
    except NotFoundError:
        return False
    return True
