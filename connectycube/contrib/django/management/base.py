"""What the commands share: the setting and a bot of it, or a sentence that says what is missing."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import DatabaseError, InterfaceError, connections, router
from django.db.models import Model

from connectycube.errors import ConnectyCubeError

from ..backends import get_backend, live
from ..conf import Bot, Settings, read_settings
from ..databases import closed_afterwards, one_line
from ..handlers import discover

__all__ = ["bot_of", "check_database", "discover_handlers", "live_backend", "settings_or_error"]


def settings_or_error() -> Settings:
    """Return the setting."""
    try:
        return read_settings()
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from None


def bot_of(settings: Settings, name: str | None) -> Bot:
    """Return the bot of that name; without a name "default", or the only one."""
    if not settings.bots:
        raise CommandError(
            "CONNECTYCUBE['BOTS'] has no bot: give one a LOGIN and a PASSWORD, as"
            ' "BOTS": {"default": {"LOGIN": …, "PASSWORD": …}}'
        )
    if name is None:
        name = next(iter(settings.bots)) if len(settings.bots) == 1 else "default"
    try:
        return settings.bot(name)
    except ImproperlyConfigured as error:
        raise CommandError(f"{error}; name one with --bot") from None


def live_backend() -> live.Backend:
    """Return the backend of this process, which must be one that opens connections."""
    try:
        backend = get_backend()
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from None
    if not isinstance(backend, live.Backend):
        raise CommandError(
            f"CONNECTYCUBE['BACKEND'] is {backend.settings.backend}, which opens no connection:"
            f" use {live.__name__}"
        )
    return backend


def check_database(model: type[Model]) -> None:
    """Raise a CommandError unless the database of a model answers and has its table."""
    alias, table, label = router.db_for_write(model), model._meta.db_table, model._meta.app_label
    try:
        with closed_afterwards():
            tables = connections[alias].introspection.table_names()
    except (DatabaseError, InterfaceError) as error:
        text = f"the database {alias!r} does not answer: {one_line(error)}"
        raise CommandError(text) from None
    if table not in tables:
        raise CommandError(
            f"the database {alias!r} has no table {table}: run manage.py migrate {label}"
        )


def discover_handlers(settings: Settings) -> None:
    """Import the modules with handlers."""
    try:
        discover(settings.handlers_module, settings.bots)
    except ConnectyCubeError as error:
        raise CommandError(f"in a module {settings.handlers_module}: {error}") from None
