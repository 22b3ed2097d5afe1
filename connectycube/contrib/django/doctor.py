"""What ``manage.py connectycube_doctor`` looks at: each finding says what is, and what to do."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import partial

from django.core.cache import caches
from django.db import DatabaseError, connections, router
from django.db.migrations.executor import MigrationExecutor

from connectycube import ConnectyCube

from ..common.doctor import Finding, examine_durable, examine_service
from .checks import check_settings
from .conf import LIVE, Bot, Settings, read_settings
from .databases import one_line, primary
from .handlers import discover, handlers_of
from .models import DeadLetter, Lease, OutgoingMessage

__all__ = ["Finding", "examine"]


def examine() -> Iterator[Finding]:
    """Look at the setting, the database, the handlers, and the service; nothing is changed."""
    messages = check_settings()
    for message in messages:
        state = "failed" if message.is_serious() else "warning"
        yield Finding("setting", state, message.msg, message.hint or "")
    if any(message.is_serious() for message in messages):
        return
    settings = read_settings()
    yield Finding(
        "setting", "ok", f"bots: {', '.join(settings.bots) or 'none'}; backend {settings.backend}"
    )
    yield from _database(settings)
    for bot in settings.bots.values():
        yield from examine_durable(f"durable mode of {bot.name}", bot.config.durable)
    yield from _handlers(settings)
    if settings.has_users:
        yield _cache(settings)
    if settings.backend != LIVE:
        yield Finding("service", "warning", f"the backend {settings.backend} opens no connection")
        return
    for bot in settings.bots.values():
        yield from examine_service(bot.config, partial(_log_in, bot), of=f"bot {bot.name}")


def _database(settings: Settings) -> Iterator[Finding]:
    connection = connections[router.db_for_write(Lease)]
    label = Lease._meta.app_label
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes(label))
    except DatabaseError as error:
        hint = f"Start it, or correct DATABASES[{connection.alias!r}]."
        yield Finding("database", "failed", one_line(error), hint)
        return
    yield Finding("database", "ok", connection.vendor)
    if plan:
        yield Finding(
            "migrations",
            "failed",
            f"{len(plan)} are missing",
            f"Run manage.py migrate {label}.",
        )
        return
    yield Finding("migrations", "ok")
    for name in settings.bots:
        row = primary(Lease).filter(name=f"bot:{name}").first()
        holder = row.holder if row is not None else ""
        yield Finding(f"listener of {name}", "ok", holder or "none has the lease")
    waiting, failed = (
        OutgoingMessage.objects.filter(state=state).count() for state in ("waiting", "failed")
    )
    state = "warning" if failed else "ok"
    yield Finding(
        "outgoing messages", state, f"{waiting} wait, {failed} failed", _LOOK if failed else ""
    )
    letters = DeadLetter.objects.count()
    yield Finding(
        "dead letters", "warning" if letters else "ok", str(letters), _LOOK if letters else ""
    )


_LOOK = "Look at them in the admin."


def _handlers(settings: Settings) -> Iterator[Finding]:
    try:
        discover(settings.handlers_module, settings.bots)
    except Exception as error:  # noqa: BLE001 - whatever a module of the project raises
        hint = f"Correct the module {settings.handlers_module}."
        yield Finding("handlers", "failed", f"{type(error).__name__}: {error}", hint)
        return
    for name in settings.bots:
        names = [handler.name for handler in handlers_of(name)]
        hint = (
            "" if names else f"Write one with @on in a module {settings.handlers_module} of an app."
        )
        yield Finding(
            f"handlers of {name}", "ok" if names else "warning", ", ".join(names) or "none", hint
        )


def _cache(settings: Settings) -> Finding:
    alias, key, value = settings.users.cache, "connectycube:doctor", secrets.token_hex(8)
    try:
        caches[alias].set(key, value, 60)
        found = caches[alias].get(key)
    except Exception as error:  # noqa: BLE001 - each cache has errors of its own
        return Finding(
            "cache", "failed", f"{type(error).__name__}: {error}", f"Start the cache {alias!r}."
        )
    if found != value:
        return Finding("cache", "warning", f"{alias!r} keeps nothing", "Each call logs a user in.")
    return Finding("cache", "ok", repr(alias))


def _log_in(bot: Bot, client: ConnectyCube, seconds: float) -> None:
    client.login(**bot.credentials, timeout=seconds)
