"""What ``flask connectycube doctor`` looks at: each finding says what is, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from flask import Flask

from connectycube import ConnectyCube
from connectycube.errors import ConnectyCubeError

from ..common.doctor import Finding, examine_durable, examine_service
from .clients import Clients
from .conf import LIVE, Settings
from .handlers import Handler

__all__ = ["examine"]


def examine(app: Flask, clients: Clients, handlers: list[Handler]) -> Iterator[Finding]:
    """Look at the configuration, the run folder, the handlers and the service; nothing is changed."""
    settings = clients.settings
    try:
        config = settings.config()
        settings.credentials()
    except ConnectyCubeError as error:
        yield Finding(
            "configuration", "failed", str(error), "docs/flask.md has a table of the keys."
        )
        return
    backend = clients.backend(testing=app.testing)
    yield Finding("configuration", "ok", f"backend {backend}")
    if not app.debug and not app.testing and _is_here(urlsplit(config.api_url).hostname):
        yield Finding(
            "address",
            "warning",
            f"the service is at {config.api_url}, an emulator, and app.debug is off",
            "Remove CONNECTYCUBE_API_URL and CONNECTYCUBE_CHAT_HOST.",
        )
    yield _run_folder(settings)
    yield from examine_durable("durable mode", config.durable)
    names = ", ".join(handler.name for handler in handlers)
    hint = "" if names else "Write one with @cube.on, in a module that the application imports."
    yield Finding("handlers", "ok" if names else "warning", names or "none", hint)
    if backend != LIVE:
        yield Finding("service", "warning", f"the backend {backend} opens no connection")
        return
    yield from examine_service(config, partial(_log_in, settings))


def _run_folder(settings: Settings) -> Finding:
    try:
        folder = settings.folder().made()
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} cannot be written to")
    except (OSError, ConnectyCubeError) as error:
        hint = "Set CONNECTYCUBE_RUN_FOLDER to a folder that web server and listener share."
        return Finding("run folder", "failed", str(error), hint)
    return Finding("run folder", "ok", folder)


def _log_in(settings: Settings, client: ConnectyCube, seconds: float) -> None:
    client.login(**settings.credentials(), timeout=seconds)


def _is_here(host: str | None) -> bool:
    return host is not None and (host in ("localhost", "::1") or host.startswith("127."))
