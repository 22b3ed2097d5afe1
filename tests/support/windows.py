"""An example that opens windows: started by its own command, ended as a person would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from connectycube import ConnectyCube
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

EXAMPLES = ROOT / "docs" / "examples"
SECONDS = 60.0


class RunningExample:
    """``docs/examples/NAME/run``, in a process group of its own."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.process = subprocess.Popen(
            [str(EXAMPLES / name / "run")],
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Use the control API of the emulator of the example."""
        variables = self._variables()
        request = urllib.request.Request(
            f"{variables['CONNECTYCUBE_CONTROL_URL']}/{path}",
            method=method,
            headers={"Authorization": f"Bearer {variables['CONNECTYCUBE_CONTROL_TOKEN']}"},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.load(answer)["result"]

    @contextmanager
    def client(self, login: str) -> Iterator[ConnectyCube]:
        """Log in over REST, as a user of the example."""
        with mock.patch.dict(os.environ, self._variables()):
            client = ConnectyCube.from_env()
        with client:
            client.login(login=login, password="a password")
            yield client

    def _variables(self) -> dict[str, str]:
        """Return the environment of the program, a child of the command."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")

        def look() -> dict[str, str]:
            for child in children.read_text().split():
                words = Path(f"/proc/{child}/environ").read_bytes().decode().split("\0")
                found = dict(word.split("=", 1) for word in words if "=" in word)
                if "CONNECTYCUBE_APP_ID" in found:  # not before the child has become the program
                    return found
            return {}

        return wait_until(look, "the program", SECONDS)

    def interrupt(self) -> str:
        """Press Ctrl-C; return what was written once all has ended."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=SECONDS)
        return output.decode()

    def kill(self) -> None:
        """End what a failed test has left."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=SECONDS)
