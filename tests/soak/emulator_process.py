"""The emulator as a process of its own: to be stopped, killed and started again, its faults within reach.

``python -m tests.soak.emulator_process FOLDER PORTS`` serves until its stdin ends. Each line there is a
JSON list, an operation and its arguments; each answer is a line of JSON on stdout.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme

from connectycube.emulator import Emulator
from tests.interop.realtime.servers import APP, PASSWORD
from tests.support.paths import ROOT
from tests.support.ports import free_port

_PORTS = ("api_port", "chat_port")


class EmulatorProcess:
    """One process after another with the same folder, ports and certificate authority.

    What was acknowledged outlives a kill; sessions of chats do not. Methods may be called from any thread.
    """

    def __init__(self, folder: Path) -> None:
        self.host = "127.0.0.1"
        self._folder = folder
        self._ports: dict[str, int] = {name: free_port() for name in _PORTS}
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self.generation = 0
        authority = trustme.CA()
        self.ca_file = self._folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        authority.private_key_pem.write_to_path(str(self._folder / "ca.key"))

    @property
    def port(self) -> int:
        """Where chats connect to."""
        return self._ports["chat_port"]

    @property
    def api_url(self) -> str:
        """Where the REST API is."""
        return f"http://{self.host}:{self._ports['api_port']}"

    def start(self) -> None:
        """Start a process and return when it accepts connections."""
        scratch = self._folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)  # what a killed one has left
        scratch.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._folder), json.dumps(self._ports)],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(scratch)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.generation += 1
        self._ports = self.call("ports")

    def call(self, operation: str, *arguments: Any) -> Any:
        """Have the running process do one of ``OPERATIONS`` and return what that returns."""
        with self._lock:
            process = self._process
            assert process is not None and process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps([operation, *arguments]) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the emulator ended during {operation} with {process.wait()}")
        return json.loads(answer)

    def stop(self) -> None:
        """End it in good order."""
        self._end(None)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it where it is: connections stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> EmulatorProcess:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def _end(self, number: signal.Signals | None) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if number is not None:
            process.send_signal(number)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


class _Served:
    """What a process can be asked to do."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._faults: list[Any] = []

    def ports(self) -> dict[str, int]:
        return {name: getattr(self._emulator, name) for name in _PORTS}

    def add_user(self, login: str) -> int:
        return self._emulator.add_user(login, PASSWORD)

    def add_group(self, owner_id: int, occupants_ids: list[int]) -> str:
        return self._emulator.add_dialog("group", owner_id, occupants_ids, name="everybody")

    def private_dialog(self, user_id: int, other_id: int) -> str | None:
        return self._emulator.private_dialog(user_id, other_id)

    def history(self, dialog_id: str) -> list[str]:
        return [message["_id"] for message in self._emulator.messages(dialog_id)]

    def begin_fault(self, text: str) -> int:
        self._faults.append(self._emulator.faults.start_text(text))
        return len(self._faults) - 1

    def end_fault(self, number: int) -> None:
        self._faults[number].stop()

    def end_faults(self) -> None:
        self._emulator.faults.stop_all()


def _serve(folder: Path, ports: dict[str, int]) -> None:
    emulator = Emulator(app_id=APP, data=folder / "data", **ports)
    # The same authority as before, as a service has that was started again.
    pair = ((folder / name).read_bytes() for name in ("ca.pem", "ca.key"))
    emulator._authority = trustme.CA.from_pem(*pair)
    with emulator:
        served = _Served(emulator)
        for line in sys.stdin:
            operation, *arguments = json.loads(line)
            perform: Callable[..., Any] = getattr(served, operation)
            print(json.dumps(perform(*arguments)), flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), json.loads(sys.argv[2]))
