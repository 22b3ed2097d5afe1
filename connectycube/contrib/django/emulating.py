"""An emulator for a project: with its application, its bots, and the site as identity provider."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import connections

from connectycube.errors import ArgumentValueError

from .conf import Bot, Settings
from .identity import identity_of

if TYPE_CHECKING:
    from connectycube.emulator import Emulator

__all__ = ["add_bots", "emulator_of"]

_SECONDS = 10.0


def emulator_of(settings: Settings) -> Emulator:
    """Return an emulator of the project's application, not started.

    Raises:
        ModuleNotFoundError: The extra ``emulator`` is missing; the error says how to install it.
    """
    from connectycube.emulator import Emulator  # an extra of its own

    by_identity = settings.has_users and settings.users.by == "identity"
    return Emulator(
        app_id=settings.config.app_id,
        auth_key=settings.config.auth_key,
        auth_secret=settings.config.auth_secret,
        admin_key=settings.config.admin_key,
        identity_provider=_identity_on_another_thread if by_identity else None,
    )


def add_bots(emulator: Emulator, bots: Iterable[Bot]) -> None:
    """Give each bot its account, unless it has one."""
    for bot in bots:
        login, email = bot.credentials.get("login"), bot.credentials.get("email")
        fields: dict[str, Any] = {"email": email} if email is not None else {}
        try:
            emulator.add_user(login or f"bot-{bot.name}", bot.credentials["password"], **fields)
        except ArgumentValueError:
            pass  # loaded from a file, or the bot of another name


def _identity_on_another_thread(token: str) -> dict[str, Any] | None:
    """Answer as IdentityView does; the emulator's own thread has an event loop, where no query may run."""
    found: list[dict[str, Any] | None] = []

    def look() -> None:
        try:
            found.append(identity_of(token))
        finally:
            connections.close_all()

    thread = threading.Thread(target=look, name="identity", daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return found[0] if found else None
