"""The keys ``CONNECTYCUBE_*`` of ``app.config``: read once, checked, completed from the environment."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from connectycube import Config, FileLease, Lease, ReconnectPolicy
from connectycube._checks import check_number, check_str, nearest, repr_of
from connectycube._containers import AnyPath
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from ..common.config_fields import (
    CONFIG_KEYS,
    WRONG,
    missing_keys,
    passing_too,
    read_config_fields,
)
from .run_folder import RunFolder

__all__ = ["DEFAULTS", "LIVE", "LOCMEM", "PREFIX", "Settings", "read_settings"]

PREFIX = "CONNECTYCUBE_"
LIVE, LOCMEM = "live", "locmem"

DEFAULTS: dict[str, Any] = {
    "LOGIN": None,
    "EMAIL": None,
    "PASSWORD": None,
    "BACKEND": None,
    "LEASE": None,
    "RUN_FOLDER": None,
    "STREAM_POLL": 5.0,
}
"""The keys beside the fields of Config, without the prefix, each with its default."""

_FROM_ENVIRONMENT = ("LOGIN", "EMAIL", "PASSWORD", "RUN_FOLDER")
_LONGEST_FOLDER = (
    80  # bytes: the address of a Unix socket has room for 104 with the name of the socket
)


@frozen(kw_only=True)
class Settings:
    """The settings of one application: what is wrong was refused, what is missing is told at its use."""

    given: Mapping[str, Any] = field(repr=False)
    """The fields of Config that app.config has."""
    login: Mapping[str, str] = field(repr=False)
    """LOGIN or EMAIL, and PASSWORD: the arguments of ``cube.login()``."""
    backend: str | None = None
    lease: Lease | str | bool | None = None
    run_folder: str | None = None
    stream_poll: float = 5.0

    def config(self, *, offline: bool = False) -> Config:
        """Return the configuration of the clients.

        Args:
            offline: Whether no service is asked, so that no application need be named.

        Raises:
            ArgumentValueError: The application's id or key is missing, or a variable of the environment is
                wrong.
        """
        given: dict[str, Any] = dict(self.given)
        missing = missing_keys(given, os.environ)
        if missing and offline:
            given = {"app_id": 1, "auth_key": "none", **given}
        elif missing:
            keys = " and ".join(f"{PREFIX}{key}" for key in missing)
            verb, what = ("is", "it") if len(missing) == 1 else ("are", "them")
            raise ArgumentValueError(
                f"{keys} {verb} missing: set {what} in app.config before init_app(app), or in the environment"
                "; without an account run the command with an emulator: connectycube exec -- flask …"
            )
        config = Config.from_env(**given)
        # What suits a server: it comes back however long an outage takes.
        reconnect = given.get("reconnect", ReconnectPolicy(max_attempts=None))
        handling = passing_too(config.handling, _is_of_database)
        return config.replace(reconnect=reconnect, handling=handling)

    def credentials(self) -> Mapping[str, Any]:
        """Return the arguments of ``cube.login()``.

        Raises:
            ArgumentValueError: There are none, or a part of them is missing.
        """
        if "login" not in self.login and "email" not in self.login:
            raise ArgumentValueError(
                f"{PREFIX}LOGIN (or {PREFIX}EMAIL) is missing: as which user shall this application log in?"
            )
        if "password" not in self.login:
            raise ArgumentValueError(
                f"{PREFIX}PASSWORD is missing: {self.user} cannot log in without it"
            )
        return self.login

    @property
    def user(self) -> str:
        """The login or e-mail address of the application's user; empty if there is none."""
        return self.login.get("login") or self.login.get("email") or ""

    def folder(self) -> RunFolder:
        """Return the folder of the sockets and the lease: RUN_FOLDER, or a temporary one of this user."""
        if self.run_folder is not None:
            return RunFolder(self.run_folder, is_temporary=False)
        config = self.config(offline=True)
        parts = [str(config.app_id), config.api_url, self.user]
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        user = os.getuid() if hasattr(os, "getuid") else 0
        path = os.path.join(tempfile.gettempdir(), f"connectycube-{user}-{digest}")
        return RunFolder(path, is_temporary=True)

    def listener_lease(self) -> Lease | None:
        """Return what lets one listener at a time work; None: nothing does."""
        if self.lease is False:
            return None
        if self.lease is None or self.lease is True:
            return FileLease(os.path.join(self.folder().path, "listener.lease"))
        return FileLease(self.lease) if isinstance(self.lease, str) else self.lease


def read_settings(raw: Mapping[str, Any]) -> Settings:
    """Return the settings of an application, from its ``app.config``.

    Raises:
        ArgumentTypeError: A key has a value of the wrong type, and nothing else is wrong.
        ArgumentValueError: Something is wrong; the error has a sentence for each key.
    """
    return _Reader(raw).read()


class _Reader:
    """Reads app.config once; what is wrong is collected, so that one start tells everything."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        names = [key for key in raw if isinstance(key, str) and key.startswith(PREFIX)]
        self._values = {key.removeprefix(PREFIX): raw[key] for key in names}
        self._problems: list[str] = []

    def _wrong(self, key: str, text: str) -> None:
        self._problems.append(f"app.config['{PREFIX}{key}'] is wrong: {text}")

    def read(self) -> Settings:
        known = (*DEFAULTS, *CONFIG_KEYS)
        for key in self._values:
            if key not in known:
                # Without the prefix, which makes every two keys alike.
                meant = nearest(key, known).replace("did you mean ", f"did you mean {PREFIX}")
                self._problems.append(f"app.config has an unknown key '{PREFIX}{key}': {meant}")
        settings = Settings(
            given=read_config_fields(self._values, self._wrong),
            login=self._login(),
            backend=self._checked("BACKEND", _check_backend),
            lease=self._checked("LEASE", _check_lease),
            run_folder=self._checked("RUN_FOLDER", _check_folder),
            stream_poll=self._checked("STREAM_POLL", _check_poll) or DEFAULTS["STREAM_POLL"],
        )
        if not self._problems:
            self._check_together(settings.given)
        if self._problems:
            raise ArgumentValueError("; ".join(self._problems))
        return settings

    def _check_together(self, given: Mapping[str, Any]) -> None:
        """Find fields of Config that exclude or need each other, such as DURABLE and CURSOR_STORE."""
        try:
            fields: dict[str, Any] = {"app_id": 1, "auth_key": "none", **given}
            Config(**fields)
        except WRONG as error:
            self._problems.append(f"app.config is wrong: {error}")

    def _login(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for key in ("LOGIN", "EMAIL", "PASSWORD"):
            value = self._checked(key, lambda value: check_str("it", value))
            if value is not None:
                found[key.lower()] = value
        if "login" in found and "email" in found:
            self._problems.append(f"{PREFIX}LOGIN and {PREFIX}EMAIL are both set: give one of them")
        return found

    def _checked(self, key: str, check: Callable[[Any], Any]) -> Any:
        """Return what ``check(value)`` returns; None if the value is missing or wrong."""
        value = self._values.get(key)
        if value is None and key in _FROM_ENVIRONMENT:
            value = os.environ.get(f"{PREFIX}{key}") or None
        if value is None:
            return None
        try:
            return check(value)
        except WRONG as error:
            self._wrong(key, str(error))
            return None


def _check_backend(value: object) -> str:
    if value not in (LIVE, LOCMEM):
        raise ArgumentValueError(f"it must be {LIVE!r} or {LOCMEM!r}, not {repr_of(value)}")
    return str(value)


def _check_lease(value: object) -> Lease | str | bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (str, AnyPath)):
        return check_str("it", os.fspath(value))
    if isinstance(value, type) or not isinstance(value, Lease):
        raise ArgumentTypeError(
            f"it must be a path, False, or a Lease such as SqlLease(…), not {type(value).__name__}"
        )
    return value


def _check_folder(value: object) -> str:
    if not isinstance(value, (str, AnyPath)):
        raise ArgumentTypeError(f"it must be the path of a folder, not {type(value).__name__}")
    path = os.path.abspath(check_str("it", os.fspath(value)))
    size = len(os.fsencode(path))
    if size > _LONGEST_FOLDER:
        raise ArgumentValueError(
            f"it has {size} bytes, and the address of a Unix socket has room for {_LONGEST_FOLDER}:"
            " give a shorter path, such as /run/mysite"
        )
    return path


def _check_poll(value: object) -> float:
    check_number("it", value, least=0.1)
    return float(value)  # type: ignore[arg-type]


def _is_of_database(error: Exception) -> bool:
    """Whether an error says that a database does not answer, for SQLAlchemy if the application uses it."""
    module = sys.modules.get("sqlalchemy.exc")
    if module is None:
        return False
    return isinstance(error, (module.OperationalError, module.InterfaceError))
