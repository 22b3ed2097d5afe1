"""The secrets of a profile: in the keyring of the operating system, or in a file of the user alone.

They are one small JSON object for each profile: the application's key and secret, the key of its
Administration API, the user's password, and the token of the session.
"""

from __future__ import annotations

import json
import os
import re
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from attrs import asdict, field, fields, frozen

from .failure import Failure

__all__ = [
    "FileSecrets",
    "KeyringSecrets",
    "SecretStore",
    "SecretStoreError",
    "Secrets",
    "new_store",
]

_HAS_MODES = hasattr(os, "fchmod")  # whether a file's mode says who may read it
_SERVICE = "connectycube"
_BUS = "DBUS_SESSION_BUS_ADDRESS"
_SECONDS = 30.0
"""For an answer of the keyring, which may ask the user for a password."""


class SecretStoreError(Failure):
    """The secrets cannot be read or kept, and why."""


@frozen
class Secrets:
    """The secrets of a profile; they do not show themselves."""

    auth_key: str | None = field(default=None, repr=False)
    auth_secret: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def to_json(self) -> str:
        """Return them as a small JSON object."""
        return json.dumps({name: text for name, text in asdict(self).items() if text})

    @classmethod
    def from_json(cls, text: str | None) -> Secrets:
        """Read them back; None has none."""
        if text is None:
            return cls()
        try:
            found = json.loads(text)
            return cls(**{entry.name: found.get(entry.name) for entry in fields(cls)})
        except (ValueError, AttributeError):
            # The text is in the frames of the error.
            failure = SecretStoreError("the secrets of the profile are damaged: log in again")
        raise failure


class SecretStore(Protocol):
    """Where the secrets of profiles are."""

    kind: str
    """"keyring" or "file"."""

    def load(self, name: str) -> Secrets:
        """Return the secrets of a profile; empty if there are none."""
        ...

    def save(self, name: str, secrets: Secrets) -> None:
        """Keep the secrets of a profile in place of those before."""

    def remove(self, name: str) -> None:
        """Forget the secrets of a profile."""


class KeyringSecrets:
    """The keyring of the operating system (package keyring)."""

    kind = "keyring"

    def load(self, name: str) -> Secrets:
        """Return the secrets of a profile; empty if there are none."""
        return Secrets.from_json(
            self._ask("read", lambda keyring: keyring.get_password(_SERVICE, name))
        )

    def save(self, name: str, secrets: Secrets) -> None:
        """Keep the secrets of a profile in place of those before."""
        self._ask("write", lambda keyring: keyring.set_password(_SERVICE, name, secrets.to_json()))

    def remove(self, name: str) -> None:
        """Forget the secrets of a profile."""

        def delete(keyring: Any) -> None:
            if keyring.get_password(_SERVICE, name) is not None:
                keyring.delete_password(_SERVICE, name)

        self._ask("write", delete)

    def _ask(self, what: str, question: Callable[[Any], Any]) -> Any:
        """Ask on a thread of its own: a locked keyring may wait for its user forever."""
        answers: list[Any] = []
        failures: list[Exception] = []
        end = time.monotonic() + _SECONDS

        def ask() -> None:
            while True:
                try:
                    answers.append(question(_find_keyring()))
                except TimeoutError as error:
                    # A backend gives the message bus one second, and a busy machine takes longer.
                    if time.monotonic() < end:
                        continue
                    failures.append(error)
                except Exception as error:  # noqa: BLE001 - each backend has errors of its own
                    failures.append(error)
                return

        thread = threading.Thread(target=ask, name="keyring", daemon=True)
        thread.start()
        thread.join(_SECONDS)
        if answers:
            return answers[0]
        why = _words(failures[0]) if failures else f"it has not answered in {_SECONDS:g} seconds"
        raise SecretStoreError(
            f"the keyring cannot be {'read' if what == 'read' else 'written to'}: {why}. Unlock it and run "
            "the command again, or log in with --file, which keeps the secrets in a file of yours"
        )


def _words(error: Exception) -> str:
    text = str(error) or type(error).__name__
    name = type(error).__name__
    return f"it is locked ({text})" if "Locked" in name else f"{name}: {text}"


class FileSecrets:
    """A file for each profile that its owner alone may read: mode 0600.

    Windows has no such modes. There the folder decides, and that of the user's own settings is theirs alone.
    """

    kind = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> Secrets:
        """Return the secrets of a profile; empty if there are none."""
        path = self._path(name)
        try:
            with path.open(encoding="utf-8") as file:
                if _HAS_MODES and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    raise SecretStoreError(f"others may read {path}: run 'chmod 600 {path}'")
                return Secrets.from_json(file.read())
        except FileNotFoundError:
            return Secrets()

    def save(self, name: str, secrets: Secrets) -> None:
        """Keep the secrets of a profile in place of those before."""
        path = self._path(name)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(beside, flags, 0o600), "w", encoding="utf-8") as file:
            if _HAS_MODES:
                os.fchmod(file.fileno(), 0o600)
            file.write(secrets.to_json())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    def remove(self, name: str) -> None:
        """Forget the secrets of a profile."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        assert re.fullmatch(r"[\w.-]+", name)
        return self._folder / f"{name}.secrets"


def new_store(folder: Path, *, in_file: bool) -> SecretStore:
    """Return where the secrets of a new profile go: the keyring, if this machine has one."""
    if in_file or not _has_keyring():
        return FileSecrets(folder)
    return KeyringSecrets()


def _has_keyring() -> bool:
    backend = _find_keyring()
    # After that, so that the error of a missing package names it.
    from keyring.backends import fail, null

    backends = getattr(backend, "backends", [backend])  # of a chain
    return any(not isinstance(each, (fail.Keyring, null.Keyring)) for each in backends)


def _find_keyring() -> Any:
    """Return the backend of this machine's keyring; where there is none, it fails each call."""
    import keyring
    from keyring import backend, core
    from keyring.backends import fail

    # The package takes a message bus that has not answered within a second for none, in silence.
    if isinstance(keyring.get_keyring(), fail.Keyring) and _BUS in os.environ:
        known: dict[str, Any] = vars(backend.get_all_keyring)
        known.pop("saved_result", None)
        core.init_backend()
    return keyring.get_keyring()
