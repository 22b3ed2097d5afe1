"""The setting CONNECTYCUBE: read once, checked as a whole, completed from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen
from django.conf import settings as django_settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.utils.module_loading import import_string

from connectycube import Config, ReconnectPolicy
from connectycube._checks import check_int, check_number, check_str, nearest, repr_of
from connectycube._containers import AnyMapping

from ..common.config_fields import (
    CONFIG_KEYS,
    WRONG,
    missing_keys,
    passing_too,
    read_config_fields,
)

__all__ = [
    "CONSOLE",
    "LIVE",
    "LOCMEM",
    "Bot",
    "Problem",
    "Settings",
    "Users",
    "read",
    "read_settings",
]

LIVE, LOCMEM, CONSOLE = (
    f"connectycube.contrib.django.backends.{name}" for name in ("live", "locmem", "console")
)

_SETTING = "CONNECTYCUBE"
_OWN_KEYS = ("BACKEND", "BOTS", "HANDLERS_MODULE", "USERS", "IDENTITY", "LEASE_SECONDS")
_BOT_KEYS = ("LOGIN", "EMAIL", "PASSWORD")
_USERS_KEYS = ("BY", "FIELDS", "CACHE")
_IDENTITY_KEYS = ("MAX_AGE",)


@frozen(kw_only=True)
class Problem:
    """One thing that is wrong with the setting: the id of the check, and a sentence."""

    id: str
    text: str


@frozen(kw_only=True)
class Bot:
    """One bot: whose name the commands take, who it logs in as, and its complete configuration."""

    name: str
    credentials: Mapping[str, Any] = field(repr=False)
    """The arguments of ``cube.login()``."""
    config: Config


@frozen(kw_only=True)
class Users:
    """How users of Django become users of the service."""

    by: str = "identity"
    """"identity": the service asks :class:`IdentityView`; "password": a password made of SECRET_KEY."""
    fields: Callable[[Any], Mapping[str, Any]] | None = None
    """Returns the fields of the service's user for a user of Django, such as ``full_name``."""
    cache: str = "default"
    """The cache, by its alias, that keeps the tokens of sessions for all processes."""


@frozen(kw_only=True)
class Settings:
    """The setting, complete and checked."""

    config: Config
    backend: str = LIVE
    bots: Mapping[str, Bot]
    handlers_module: str = "chat_handlers"
    users: Users = field(factory=Users)
    has_users: bool = False
    """Whether USERS is set."""
    identity_max_age: int = 60
    """Seconds for which a token of ``identity_token()`` is good."""
    lease_seconds: float | None = 15.0
    """Seconds after which another listener takes the place of one that is gone; None: no lease."""

    def bot(self, name: str) -> Bot:
        """Return a bot by its name.

        Raises:
            ImproperlyConfigured: There is no such bot.
        """
        found = self.bots.get(name)
        if found is None:
            known = f"there are: {', '.join(self.bots)}" if self.bots else "there are none"
            raise ImproperlyConfigured(f"{_SETTING}['BOTS'] has no bot {name!r}: {known}")
        return found


def read_settings() -> Settings:
    """Return the setting as it is now.

    Raises:
        ImproperlyConfigured: It is wrong; the error has all sentences of the checks.
    """
    settings, problems = read(getattr(django_settings, _SETTING, {}), os.environ)
    if settings is None or problems:
        raise ImproperlyConfigured("; ".join(problem.text for problem in problems))
    return settings


def read(raw: object, environ: Mapping[str, str]) -> tuple[Settings | None, list[Problem]]:
    """Return the setting, or None if a part cannot be used, and all that is wrong with it."""
    reader = _Reader(environ)
    settings = reader.read(raw)
    return settings, reader.problems


class _Reader:
    """Reads the setting once; what is wrong is collected in ``problems``."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[Problem] = []

    def _wrong(self, id: str, place: str, text: str) -> None:
        self.problems.append(Problem(id=id, text=f"{place}{text}"))

    def read(self, raw: object) -> Settings | None:
        """Return the setting; None if it, or what everything needs of it, is wrong."""
        values = self._table(_SETTING, raw, (*_OWN_KEYS, *CONFIG_KEYS))
        if not isinstance(raw, Mapping):
            return None
        # As Django has it for e-mail: a test sends nothing unless it says so.
        default = LOCMEM if hasattr(mail, "outbox") else LIVE
        backend = self._text(values, "BACKEND", default)
        given = self._config_fields(_SETTING, values)
        config = self._config(values, given, backend)
        bots = self._bots(values.get("BOTS"), config)
        settings: dict[str, Any] = dict(  # noqa: C408
            backend=backend,
            handlers_module=self._text(values, "HANDLERS_MODULE", "chat_handlers"),
            users=self._users(values.get("USERS")),
            has_users=values.get("USERS") is not None,
            identity_max_age=self._identity(values.get("IDENTITY")),
            lease_seconds=self._lease_seconds(values.get("LEASE_SECONDS", 15)),
        )
        return None if config is None else Settings(config=config, bots=bots, **settings)

    # --- tables ---

    def _table(self, place: str, raw: object, known: tuple[str, ...]) -> dict[str, Any]:
        """Return the entries of a dictionary that are known; the others are E001."""
        if not isinstance(raw, AnyMapping):
            self._wrong("E002", place, f" must be a dictionary, not {type(raw).__name__}")
            return {}
        found: dict[str, Any] = {}
        for key, value in raw.items():
            if key in known:
                found[key] = value
            else:
                if key in _BOT_KEYS:
                    meant = f'it belongs to a bot, as "BOTS": {{"default": {{"{key}": …}}}}'
                else:
                    meant = nearest(str(key), known)
                self._wrong("E001", place, f" has an unknown key {key!r}: {meant}")
        return found

    def _text(self, values: Mapping[str, Any], key: str, default: str) -> str:
        return str(self._checked(key, default, lambda: check_str(key, values.get(key, default))))

    def _checked(self, key: str, default: Any, check: Callable[[], Any]) -> Any:
        """Return what ``check()`` returns, or the default if it raises an error, which names the key."""
        try:
            return check()
        except WRONG as error:
            self._wrong("E002", f"{_SETTING}: ", str(error))
            return default

    # --- fields of Config ---

    def _config_fields(self, place: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of Config among the entries, each checked by itself."""
        return read_config_fields(
            values, lambda key, text: self._wrong("E002", place, f"[{key!r}] is wrong: {text}")
        )

    def _config(
        self, values: Mapping[str, Any], given: dict[str, Any], backend: str
    ) -> Config | None:
        """Return what all bots begin with, completed from the environment."""
        complete = dict(given)
        if backend in (LOCMEM, CONSOLE):  # no service is asked
            for name, value in (("app_id", 1), ("auth_key", "none")):
                if name not in given and not self._environ.get(f"CONNECTYCUBE_{name.upper()}"):
                    complete[name] = value
        missing = missing_keys(complete, self._environ)
        for key in missing:
            if values.get(key) is None:  # one that is wrong has been told of
                text = (
                    f"[{key!r}] is missing, and CONNECTYCUBE_{key} is not set either; without an account run"
                    " the command with an emulator: manage.py connectycube_emulator -- ./manage.py COMMAND"
                )
                self._wrong("E002", _SETTING, text)
        if missing:
            return None
        try:
            return _with_defaults(Config.from_env(self._environ, **complete), given)
        except WRONG as error:
            self._wrong("E002", f"{_SETTING}: ", str(error))
            return None

    # --- bots ---

    def _bots(self, raw: object, config: Config | None) -> dict[str, Bot]:
        if raw is None:
            return {}
        if not isinstance(raw, AnyMapping):
            place = f"{_SETTING}['BOTS']"
            self._wrong("E002", place, f" must be a dictionary, not {type(raw).__name__}")
            return {}
        found: dict[str, Bot] = {}
        for name, entry in raw.items():
            bot = self._bot(f"{_SETTING}['BOTS'][{name!r}]", str(name), entry, config)
            if bot is not None:
                found[bot.name] = bot
        self._check_files(found)
        return found

    def _bot(self, place: str, name: str, raw: object, config: Config | None) -> Bot | None:
        values = self._table(place, raw, (*_BOT_KEYS, *CONFIG_KEYS))
        if not isinstance(raw, AnyMapping):
            return None  # 'BOTS' may be the dictionary of one bot, where a dictionary of bots is wanted
        credentials: dict[str, str] = {}
        for key in (key for key in _BOT_KEYS if values.get(key) is not None):
            try:
                credentials[key.lower()] = check_str(key, values[key])
            except WRONG as error:
                self._wrong("E002", place, f": {error}")
        if "login" not in credentials and "email" not in credentials:
            self._wrong("E003", place, " has no LOGIN (or EMAIL): as whom shall the bot log in?")
        elif "password" not in credentials:
            self._wrong("E003", place, " has no PASSWORD: the bot cannot log in without it")
        elif len(credentials) == len(_BOT_KEYS):
            self._wrong("E002", place, " has LOGIN and EMAIL: give one of them")
        fields = self._config_fields(place, values)
        if config is None:
            return None
        try:
            return Bot(name=name, credentials=credentials, config=config.replace(**_of_bot(fields)))
        except WRONG as error:
            self._wrong("E002", f"{place}: ", str(error))
            return None

    def _check_files(self, bots: Mapping[str, Bot]) -> None:
        owners: dict[str, str] = {}
        for bot in bots.values():
            if bot.config.durable is None:
                continue
            path = os.path.realpath(bot.config.durable)
            if path in owners:
                self._wrong(
                    *("E004", f"{_SETTING}['BOTS']: "),
                    f"{owners[path]!r} and {bot.name!r} have the same DURABLE {path}: each bot needs its own",
                )
            owners.setdefault(path, bot.name)

    # --- the rest ---

    def _users(self, raw: object) -> Users:
        if raw is None:
            return Users()
        place = f"{_SETTING}['USERS']"
        values = self._table(place, raw, _USERS_KEYS)
        by = values.get("BY", "identity")
        if by not in ("identity", "password"):
            self._wrong(
                "E002", place, f"['BY'] must be 'identity' or 'password', not {repr_of(by)}"
            )
            by = "identity"
        fields = self._function(place, values.get("FIELDS"))
        cache = values.get("CACHE", "default")
        if cache not in django_settings.CACHES:
            self._wrong("E002", place, f"['CACHE'] is no cache of CACHES: {repr_of(cache)}")
        return Users(by=by, fields=fields, cache=cache)

    def _function(self, place: str, given: Any) -> Any:
        """Return the function of FIELDS, which may be given by its path."""
        if isinstance(given, str):
            try:
                given = import_string(given)
            except ImportError as error:
                self._wrong("E002", place, f"['FIELDS'] cannot be imported: {error}")
                return None
        if given is None or callable(given):
            return given
        self._wrong("E002", place, "['FIELDS'] must be a function of a user, or the path of one")
        return None

    def _identity(self, raw: object) -> int:
        if raw is None:
            return 60
        values = self._table(f"{_SETTING}['IDENTITY']", raw, _IDENTITY_KEYS)
        age = values.get("MAX_AGE", 60)
        return int(self._checked("MAX_AGE", 60, lambda: check_int("MAX_AGE", age, least=1)))

    def _lease_seconds(self, value: object) -> float | None:
        if value is None:
            return None
        check = check_int if isinstance(value, int) else check_number
        seconds = self._checked("LEASE_SECONDS", 15, lambda: check("LEASE_SECONDS", value, least=1))
        return float(seconds)


def _with_defaults(config: Config, given: Mapping[str, Any]) -> Config:
    """Return the configuration with what suits a server: it comes back however long an outage takes."""
    changes = _of_bot({"handling": config.handling})
    if "reconnect" not in given:
        changes["reconnect"] = ReconnectPolicy(max_attempts=None)
    return config.replace(**changes)


def _of_bot(given: dict[str, Any]) -> Any:
    """Return fields of Config in which the errors of a database that restarts are transient."""
    if "handling" in given:
        return {**given, "handling": passing_too(given["handling"], _is_of_database)}
    return given


def _is_of_database(error: Exception) -> bool:
    """Whether an error says that a database does not answer."""
    return isinstance(error, (OperationalError, InterfaceError))
