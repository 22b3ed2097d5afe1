"""The web application's pages as tasks of Celery, with folders of this process as broker and backend."""

from __future__ import annotations

import os

from celery import Celery

from tests.processes.programs import webapp

app = Celery(
    broker="filesystem://",
    backend=f"file://{os.getcwd()}/results",
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "data_folder_in": "queue",
        "data_folder_out": "queue",
        "control_folder": "control",
    },
)
for name, page in webapp.PAGES.items():
    app.task(page, name=name)
