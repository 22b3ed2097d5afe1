"""Hands events over to a task: each is a task of Celery whose id is that of the event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from celery import Task
from kombu import pools

from connectycube import Chat, Fleet, Handling, NotConnectedError
from connectycube._checks import check_list
from connectycube.errors import ArgumentTypeError

from ..common.signal_names import check_signal
from ..common.sources import check_source
from ..relay.envelope import Envelope, conversation_of
from ..relay.errors import EngineUnavailableError, RelayError
from ..relay.ids import EventIds
from .task import ChatTask

__all__ = ["hand_over"]

logger: logging.Logger = logging.getLogger("connectycube.celery")

_AMQP = frozenset({"amqp", "amqps", "pyamqp"})
_FOR_EVER = 1e9  # seconds: an event that the broker does not take is never given up
_CONFIRM = 10.0  # seconds


def hand_over(
    chat: Chat | Fleet, task: Task[..., Any], signals: Iterable[str] = ("message_received",)
) -> None:
    """Have a task run for each event of a chat, from its login on.

    On RabbitMQ each task is confirmed by the broker (``confirm_publish``) before the event counts as handled.
    On another broker Celery has no such confirmation, and a warning names the cost.

    Args:
        chat: The chat of a bot, or a fleet: then of each member, also of those that are added later.
        task: A task with the base ChatTask.
        signals: The names of the signals whose events are handed over.

    Raises:
        ArgumentTypeError, ArgumentValueError: A signal is unknown, the task has another base, or ``chat`` is
            neither.
    """
    check_source(chat)
    if not isinstance(task, ChatTask):
        raise ArgumentTypeError("task must have the base ChatTask: @app.task(base=ChatTask)")
    names = [check_signal(each) for each in check_list("signals", signals, "names", empty=False)]
    send = _sender_of(task)
    handling = Handling(
        delay=0.1,
        max_delay=5.0,
        give_up_after=_FOR_EVER,
        transient=(RelayError, NotConnectedError),
    )
    for name in names:
        getattr(chat, name).connect(
            _receiver(send, name),
            key=f"connectycube.celery.{task.name}",
            handling=handling,
        )


def _sender_of(task: Task[..., Any]) -> Callable[[str, Mapping[str, Any]], object]:
    """Return a function that publishes a call of the task: ``send(task_id, envelope)``."""
    app = task.app
    scheme = str(app.connection_for_write().transport_cls)
    if scheme not in _AMQP:
        logger.warning(
            "Celery on %s: a worker that is killed loses the task that it has just taken, or runs it after"
            " the visibility timeout (an hour); use RabbitMQ, or connectycube.contrib.relay",
            scheme,
        )
        return lambda task_id, data: task.apply_async((data,), task_id=task_id, retry=False)
    # A pool of its own, so that nothing changes for the other tasks of the application.
    confirming = app.connection_for_write(transport_options={"confirm_publish": True})

    # The types of Celery lack confirm_timeout.
    options: dict[str, Any] = {"retry": False, "confirm_timeout": _CONFIRM}

    def send(task_id: str, data: Mapping[str, Any]) -> None:
        with pools.producers[confirming].acquire(block=True, timeout=_CONFIRM) as producer:
            task.apply_async((data,), task_id=task_id, producer=producer, **options)

    return send


def _receiver(
    send: Callable[[str, Mapping[str, Any]], object], signal: str
) -> Callable[[Chat, Any], None]:
    ids = EventIds()
    tried: set[str] = set()

    def hand_over_event(chat: Chat, event: Any) -> None:
        user = chat.user
        if user is None or user.id is None:  # events may arrive before login() has returned
            raise NotConnectedError("the chat has no user yet, or no more")
        conversation = conversation_of(event)
        event_id = ids.id_of(user.id, signal, conversation, event)
        envelope = Envelope(
            event_id, user.id, signal, conversation, event, repeated=event_id in tried
        )
        data = envelope.to_dict()
        tried.add(event_id)
        try:
            send(event_id, data)
        except Exception as error:
            raise EngineUnavailableError(
                f"the broker of Celery did not take it: {error!r}"
            ) from error
        tried.discard(event_id)
        ids.forget(event)

    return hand_over_event
