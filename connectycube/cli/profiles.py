"""Profiles: the accounts that this machine knows, each with its application. Their secrets are elsewhere."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, fields, frozen

from .._containers import AnyDict
from . import file_lock
from .failure import Failure
from .secret_store import FileSecrets, KeyringSecrets, SecretStore

__all__ = ["DEFAULT", "Profile", "ProfileError", "Profiles", "check_name"]

DEFAULT = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


class ProfileError(Failure):
    """There is no such profile, or its file cannot be used."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 2)


@frozen(kw_only=True)
class Profile:
    """One user of one application, without secrets."""

    name: str
    app_id: int
    api_url: str
    chat_host: str
    chat_port: int
    ca_file: str | None = None
    login: str | None = None
    email: str | None = None
    user_id: int | None = None
    secrets: str = "keyring"
    """Where the secrets are: "keyring" or "file"."""

    @property
    def who(self) -> str:
        """The user, for people; empty if nobody is logged in."""
        return self.login or self.email or ""

    def without_user(self) -> Profile:
        """Return the profile as it is after a logout."""
        return evolve(self, login=None, email=None, user_id=None)


class Profiles:
    """The file of the profiles, and the place of their secrets.

    Args:
        folder: The folder of both; by default that of CONNECTYCUBE_CONFIG_DIR, or the user's own.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder: Path = folder or _own_folder()
        self.path: Path = self.folder / "profiles.json"

    @property
    def current(self) -> str:
        """The name of the profile that is used when none is named."""
        return str(self._read().get("current") or DEFAULT)

    def all(self) -> dict[str, Profile]:
        """Return the profiles by their names."""
        try:
            return {
                name: Profile(name=name, **_known(row))
                for name, row in self._read().get("profiles", {}).items()
            }
        except (TypeError, ValueError, AttributeError):
            raise self._damaged() from None

    def get(self, name: str) -> Profile | None:
        """Return a profile; None if there is none of that name."""
        return self.all().get(check_name(name))

    def store_of(self, profile: Profile) -> SecretStore:
        """Return where the secrets of a profile are."""
        return FileSecrets(self.folder) if profile.secrets == "file" else KeyringSecrets()

    def put(self, profile: Profile, *, make_current: bool = False) -> None:
        """Keep a profile in place of the one of its name."""
        row = {key: value for key, value in asdict(profile).items() if key != "name"}
        with self._changed() as data:
            data.setdefault("profiles", {})[check_name(profile.name)] = row
            if make_current:
                data["current"] = profile.name

    def use(self, name: str) -> None:
        """Make a profile the current one."""
        with self._changed() as data:
            if name not in data.get("profiles", {}):
                raise self.unknown(name)
            data["current"] = name

    def remove(self, name: str) -> None:
        """Forget a profile and its secrets."""
        profile = self.get(name)
        if profile is None:
            raise self.unknown(name)
        self.store_of(profile).remove(name)
        with self._changed() as data:
            data["profiles"].pop(name, None)
            if data.get("current") == name:
                data["current"] = next(iter(data["profiles"]), DEFAULT)

    def unknown(self, name: str) -> ProfileError:
        """Return the error for a name that no profile has."""
        there = ", ".join(self.all()) or "none"
        return ProfileError(f"there is no profile {name!r}; there is: {there}")

    # --- the file -------------------------------------------------------------------------------

    def _read(self) -> dict[str, Any]:
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise self._damaged() from None
        if not isinstance(data, AnyDict) or not isinstance(data.get("profiles", {}), AnyDict):
            raise self._damaged()
        return data

    @contextmanager
    def _changed(self) -> Generator[dict[str, Any]]:
        """Yield the data of the file, and write it: one process at a time, and wholly or not at all."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "lock").open("ab") as lock:
            file_lock.lock(lock)
            data = self._read()
            yield data
            beside = self.path.with_suffix(".new")
            with beside.open("w", encoding="utf-8") as file:
                json.dump(data, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)

    def _damaged(self) -> ProfileError:
        return ProfileError(f"{self.path} is damaged: correct it, or move it away and log in again")


def _own_folder() -> Path:
    named = os.environ.get("CONNECTYCUBE_CONFIG_DIR")
    if named:
        return Path(named)
    from platformdirs import user_config_path

    return user_config_path("connectycube")


def _known(row: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a row that this release knows."""
    names = {entry.name for entry in fields(Profile)} - {"name"}
    return {name: value for name, value in row.items() if name in names}


def check_name(name: str) -> str:
    """Return the name of a profile, or raise an error that says what is wrong with it."""
    if not _NAME.fullmatch(name):
        raise ProfileError(
            f"{name!r} is no name of a profile: use up to 40 letters, digits, '-', '_' and '.'"
        )
    return name
