"""The base of tasks that handle events: acknowledged after their run, and called with the event itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celery import Task

from connectycube import ArgumentValueError

from ..relay.context import Context
from ..relay.envelope import Answer, Envelope

__all__ = ["ChatTask"]


if TYPE_CHECKING:
    _Task = Task[..., Any]
else:
    _Task = Task


class ChatTask(_Task):
    """The base of a task for the events of a chat: ``@app.task(base=ChatTask)``.

    It is called with the event. A worker acknowledges it after the run, so a task whose worker was killed
    runs again: use ``self.context.event_id``, which is the id of the task too, as a key for all that it
    writes.

    Example:
        >>> from celery import Celery
        >>> from connectycube.contrib.celery import ChatTask
        >>> app = Celery("bot")
        >>> @app.task(base=ChatTask, bind=True)
        ... def answer(self, message):
        ...     print(f"{message.body}, in {self.name}")
    """

    acks_late: bool = True
    reject_on_worker_lost: bool | None = True

    def __call__(self, envelope: Mapping[str, Any]) -> Any:
        """Run the task for the event of an envelope; raises EnvelopeError for one that cannot be read."""
        return self.run(Envelope.from_dict(envelope).event)

    @property
    def context(self) -> Context:
        """The facts beside the event, while the task runs (``bind=True``).

        Its ``reply_over_rest(client(), body)`` answers; there is no outbox.
        """
        arguments = self.request.args
        assert arguments is not None  # it runs
        envelope = Envelope.from_dict(arguments[0])
        attempt = (self.request.retries or 0) + 1
        delivery = self.request.delivery_info or {}
        event_is_repeated = bool(getattr(envelope.event, "redelivered", False))
        repeated = attempt > 1 or bool(delivery.get("redelivered")) or envelope.repeated
        return Context(envelope, self.name, attempt, repeated or event_is_repeated, _no_outbox)


def _no_outbox(answer: Answer) -> None:
    raise ArgumentValueError(
        "a task of Celery has no outbox: use context.reply_over_rest(client(), …)"
    )
