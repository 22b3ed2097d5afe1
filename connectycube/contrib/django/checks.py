"""System checks of the setting CONNECTYCUBE; none of them uses the network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core import mail
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, get_resolver

from .backends import load
from .conf import LOCMEM, Settings, read
from .identity import IdentityView

__all__ = ["check_settings"]

_HINTS = {
    "E001": "A key that is not known has no effect.",
    "E002": "docs/django.md has a table of the keys.",
    "E003": "Read both from the environment: secrets do not belong into a repository.",
    "E004": "Give each bot a DURABLE of its own.",
    "E005": 'Add path("chat/identity/", IdentityView.as_view()) to the URLconf, or USERS["BY"] = "password".',
    "W001": "Remove API_URL and CHAT_HOST from the setting and the environment.",
    "W002": "The emulator writes such a file; a certificate authority of your own belongs to the project.",
    "W003": "Set CONN_HEALTH_CHECKS = True: a database that restarted costs an attempt otherwise.",
    "W004": "SQLite lets one connection write at a time: use WORKERS = 1 or another database.",
    "W005": "The backend locmem is for tests: messages go nowhere.",
    "W006": "The web server shows what is in this folder to everybody. Put the file somewhere else.",
    "W007": "Use a cache that all processes share, such as Redis, Memcached or the database.",
    "W008": 'Write BASE_DIR / "bot.db": a listener that starts in another folder finds another file.',
}
_PER_PROCESS = ("locmem.LocMemCache", "dummy.DummyCache")


def check_settings(*, app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Return what is wrong with the setting (E001 to E005), and what looks wrong (W001 to W008)."""
    settings, problems = read(getattr(django_settings, "CONNECTYCUBE", {}), os.environ)
    found: list[CheckMessage] = [
        Error(problem.text, hint=_HINTS[problem.id], id=f"connectycube.{problem.id}")
        for problem in problems
    ]
    if settings is None:
        return found
    try:
        load(settings)
    except ImproperlyConfigured as error:
        found.append(Error(str(error), hint=_HINTS["E002"], id="connectycube.E002"))
    if settings.has_users and settings.users.by == "identity" and not _has_identity_url():
        text = "CONNECTYCUBE['USERS']['BY'] is 'identity', and no URL leads to IdentityView"
        found.append(Error(text, hint=_HINTS["E005"], id="connectycube.E005"))
    for id, text in _warnings(settings):
        found.append(Warning(text, hint=_HINTS[id], id=f"connectycube.{id}"))
    return found


def _warnings(settings: Settings) -> Iterator[tuple[str, str]]:
    config = settings.config
    is_emulator = _is_here(urlsplit(config.api_url).hostname) or _is_here(config.chat_host)
    # Django's test runner turns DEBUG off, and uses an emulator or no network.
    is_production = not django_settings.DEBUG and not hasattr(mail, "outbox")
    if is_production:
        if is_emulator:
            yield "W001", f"the service is at {config.api_url}, an emulator, and DEBUG is off"
        if settings.backend == LOCMEM:
            yield "W005", f"CONNECTYCUBE['BACKEND'] is {LOCMEM}, and DEBUG is off"
    # The emulator's own file is there, while somebody develops with it.
    is_expected = is_emulator and not is_production
    if config.ca_file and not is_expected and _is_below(config.ca_file, tempfile.gettempdir()):
        yield "W002", f"CA_FILE is in the temporary folder: {config.ca_file}"
    yield from _database_warnings(settings)
    yield from _file_warnings(settings)
    if settings.has_users and config.token_store is None:
        backend = django_settings.CACHES[settings.users.cache]["BACKEND"]
        if backend.endswith(_PER_PROCESS):
            text = "each process logs every user in by itself"
            yield "W007", f"USERS['CACHE'] is {settings.users.cache!r}, a {backend}: {text}"


def _database_warnings(settings: Settings) -> Iterator[tuple[str, str]]:
    if not settings.bots:
        return
    for alias, database in django_settings.DATABASES.items():
        if database.get("CONN_MAX_AGE", 0) != 0 and not database.get("CONN_HEALTH_CHECKS", False):
            yield "W003", f"the database {alias!r} has CONN_MAX_AGE without CONN_HEALTH_CHECKS"
        if str(database.get("ENGINE", "")).endswith(("sqlite3", "spatialite")):
            for bot in settings.bots.values():
                if bot.config.workers > 1:
                    text = f"{bot.config.workers} WORKERS, and the database {alias!r} is SQLite"
                    yield "W004", f"the bot {bot.name!r} has {text}"


def _file_warnings(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in ("MEDIA_ROOT", "STATIC_ROOT"):
        folder = getattr(django_settings, name, None)
        for bot in settings.bots.values():
            path = bot.config.durable
            if folder and path is not None and _is_below(path, folder):
                yield "W006", f"the DURABLE of the bot {bot.name!r} is below {name}: {path}"
    for bot in settings.bots.values():
        path = bot.config.durable
        if path is not None and not os.path.isabs(path):
            yield "W008", f"the DURABLE of the bot {bot.name!r} has no folder of its own: {path}"


def _is_here(host: str | None) -> bool:
    return host is not None and (host in ("localhost", "::1") or host.startswith("127."))


def _is_below(path: str, folder: str | os.PathLike[str]) -> bool:
    place, above = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([place, above]) == above


def _has_identity_url() -> bool:
    if not getattr(django_settings, "ROOT_URLCONF", None):
        return False
    try:
        return _leads_there(get_resolver().url_patterns)
    except ImproperlyConfigured:
        return True  # Django's own check says what is wrong with the URLconf


def _leads_there(patterns: Any) -> bool:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "view_class", None)
            if isinstance(view, type) and issubclass(view, IdentityView):
                return True
        elif _leads_there(pattern.url_patterns):
            return True
    return False
