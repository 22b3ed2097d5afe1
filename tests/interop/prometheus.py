"""Prometheus as a plain process on a free port, which reads one target each second."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.interop.referee_process import HOST, RefereeProcess

_SECONDS = 5.0


class Prometheus(RefereeProcess):
    """One Prometheus with the configuration of an example: start it with ``with``.

    Args:
        folder: A temporary folder.
        configuration: The folder with ``prometheus.yml`` and the files that it names.
        target: The address of the target, in place of the one of the configuration.
    """

    program, package = "prometheus", "prometheus"

    def __init__(self, folder: Path, configuration: Path, target: str) -> None:
        super().__init__(folder)
        self._configuration = configuration
        self._target = target

    def _configure(self) -> None:
        for file in self._configuration.glob("*.yml"):
            text = file.read_text().replace("127.0.0.1:9464", self._target)
            (self._folder / file.name).write_text(text.replace("interval: 5s", "interval: 1s"))

    def _command(self, program: str) -> list[str]:
        return [
            *(program, "--config.file=prometheus.yml", "--log.level=warn"),
            *("--storage.tsdb.path=data", f"--web.listen-address={HOST}:{self.port}"),
        ]

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/-/ready", timeout=_SECONDS):
                return super()._is_ready()
        except (urllib.error.URLError, OSError):
            return False

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of its HTTP API."""
        words = urllib.parse.urlencode(query)
        url = f"http://{HOST}:{self.port}/api/v1/{path}?{words}"
        with urllib.request.urlopen(url, timeout=_SECONDS) as response:
            return json.load(response)["data"]

    def value_of(self, expression: str) -> float | None:
        """Return the value of an expression with one result; None if there is none yet."""
        found = self.ask("query", query=expression)["result"]
        return float(found[0]["value"][1]) if len(found) == 1 else None
