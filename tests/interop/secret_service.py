"""A Secret Service as a desktop has it: gnome-keyring on a message bus of its own, below one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.interop.referee_process import RefereeProcess
from tests.support.waiting import wait_until

__all__ = ["SecretService"]

_PROGRAM = """
import sys
import secretstorage
connection = secretstorage.dbus_init()
keyring = secretstorage.get_default_collection(connection)
if sys.argv[1] == "lock":
    keyring.lock()
else:
    for item in keyring.get_all_items():
        print(item.get_label(), item.get_secret().hex(), sep="\\t")
connection.close()
"""


class SecretService(RefereeProcess):
    """One gnome-keyring, whose login keyring is unlocked: start it with ``with``.

    Args:
        folder: A temporary folder with a short path, as that of a socket is bounded.
    """

    program, package = "gnome-keyring-daemon", "gnome-keyring"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._bus: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a session of the desktop."""
        folder = self._folder
        return {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder / 'bus'}",
        }

    def lock(self) -> None:
        """Lock the keyring, as when its user leaves."""
        self._run("lock")

    def items(self) -> dict[str, bytes]:
        """Return the secret of each item, by its label; the keyring must not be locked."""
        lines = self._run("items").splitlines()
        return {
            label: bytes.fromhex(secret)
            for label, _, secret in (each.partition("\t") for each in lines)
        }

    def _run(self, what: str) -> str:
        """Ask it in a process of its own, because the bus is found by the environment."""
        return subprocess.run(
            [sys.executable, "-c", _PROGRAM, what],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout

    def _configure(self) -> None:
        (self._folder / "run").mkdir(mode=0o700, exist_ok=True)
        (self._folder / "password").write_text("the password of the keyring")
        with self._output_file.open("ab") as output:
            self._bus = subprocess.Popen(
                [
                    *("dbus-daemon", "--session", "--nofork", "--nopidfile"),
                    f"--address=unix:path={self._folder / 'bus'}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                start_new_session=True,  # with what it starts
                env={**os.environ, **self.environment},
            )
        wait_until((self._folder / "bus").exists, "the message bus is ready")

    def _command(self, program: str) -> list[str]:
        # The password of the keyring comes from its standard input.
        run = 'exec "$0" --foreground --components=secrets --unlock <password'
        return ["sh", "-c", run, program]

    def _environment(self) -> Mapping[str, str]:
        return self.environment

    def _is_ready(self) -> bool:
        if self._running().poll() is not None:
            raise RuntimeError(f"{self.program} ended with status {self._running().returncode}")
        asked = subprocess.run(
            [
                *("dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/"),
                *("org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"),
            ],
            env={**os.environ, **self.environment},
            capture_output=True,
            check=False,
        )
        return b"boolean true" in asked.stdout

    def _end(self, number: signal.Signals) -> None:
        super()._end(number)
        bus, self._bus = self._bus, None
        if bus is not None:
            os.killpg(bus.pid, signal.SIGKILL)
            bus.wait()
