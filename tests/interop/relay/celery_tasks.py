"""A task of Celery that answers, for ``celery -A tests.interop.relay.celery_tasks worker``."""

from __future__ import annotations

import os

from celery import Celery

from connectycube.contrib.celery import ChatTask, client

app = Celery("tasks", broker=os.environ.get("CELERY_BROKER", "memory://"))
app.conf.broker_connection_retry_on_startup = True
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 1


@app.task(base=ChatTask, bind=True)
def answer(self, message):
    """Answer a message over REST."""
    self.context.reply_over_rest(client(), f"re: {message.body}")
