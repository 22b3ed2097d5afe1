"""Fields of Config among the settings of a framework: each is checked by itself, the error names its key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, fields, frozen

from connectycube import Config, Handling, Limits, ReconnectPolicy, RetryPolicy, Timeouts
from connectycube._checks import nearest
from connectycube._containers import AnyMapping
from connectycube.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["CONFIG_KEYS", "WRONG", "missing_keys", "passing_too", "read_config_fields"]

CONFIG_KEYS = tuple(entry.name.upper() for entry in fields(Config))
"""The fields of Config in capitals."""
WRONG = (ArgumentTypeError, ArgumentValueError)

_TABLES = {
    "HANDLING": Handling,
    "LIMITS": Limits,
    "RECONNECT": ReconnectPolicy,
    "RETRY": RetryPolicy,
    "TIMEOUTS": Timeouts,
}
_FROM_ENVIRONMENT = (
    "app_id",
    "auth_key",
    "auth_secret",
    "admin_key",
    "api_url",
    "chat_host",
    "chat_port",
    "ca_file",
)
_TOGETHER = ("client_key", "client_key_password")
"""Fields of Config that are wrong without another one."""


def read_config_fields(
    values: Mapping[str, Any], wrong: Callable[[str, str], object]
) -> dict[str, Any]:
    """Return the fields of Config among the entries, each checked by itself.

    Args:
        values: The entries, by their keys in capitals; other keys are passed over.
        wrong: Called with the key and a sentence for each that is wrong.
    """
    # Any application will do: only the other field is looked at.
    empty = Config(app_id=1, auth_key="key")
    found: dict[str, Any] = {}
    for key in (key for key in CONFIG_KEYS if key in values):
        name, value = key.lower(), values[key]
        if value is None and name in _FROM_ENVIRONMENT:
            continue  # os.environ.get("…"): the environment fills it
        try:
            value = _with_table(key, value)
            if name not in _TOGETHER:
                empty.replace(**{name: value})
        except WRONG as error:
            wrong(key, str(error))
            continue
        found[name] = value
    return found


def _with_table(key: str, value: Any) -> Any:
    """Return the object for a dictionary such as ``"RECONNECT": {"MAX_ATTEMPTS": 3}``."""
    if key not in _TABLES or not isinstance(value, AnyMapping):
        return value
    cls: Any = _TABLES[key]
    known = [entry.name.upper() for entry in fields(cls)]
    for name in value:
        if name not in known:
            raise ArgumentTypeError(f"it has an unknown key {name!r}: {nearest(str(name), known)}")
    return cls(**{name.lower(): entry for name, entry in value.items()})


def missing_keys(given: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Return which of APP_ID and AUTH_KEY neither the settings nor the environment have."""
    return [
        name.upper()
        for name in ("app_id", "auth_key")
        if name not in given and not environ.get(f"CONNECTYCUBE_{name.upper()}")
    ]


def passing_too(handling: Handling, is_passing: Callable[[Exception], object]) -> Handling:
    """Return a Handling in which errors for which ``is_passing(error)`` is true are transient as well."""
    return evolve(handling, transient=_PassingToo(handling, is_passing))


@frozen
class _PassingToo:
    handling: Handling
    is_passing: Callable[[Exception], object]

    def __call__(self, error: Exception) -> object:
        return self.is_passing(error) or self.handling.passes(error)
