"""Proxies that others wrote, as plain processes on free ports: tinyproxy, microsocks, and stunnel for TLS.

They look names up in a file of ours (libnss-wrapper), so they alone know where a server is: a client that
reaches it went through the proxy.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TypeVar

from tests.interop.server_process import accepts
from tests.support import components
from tests.support.certificates import Certificates
from tests.support.ports import free_port
from tests.support.waiting import wait_until

USER, PASSWORD = "me", "p-w0rd"
HOST = "127.0.0.1"

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_Self = TypeVar("_Self", bound="ProxyProcess")


class ProxyProcess(ABC):
    """One process of a proxy: start it with ``with``. It wants USER and PASSWORD."""

    program: ClassVar[str]
    package: ClassVar[str]
    scheme: ClassVar[str]

    def __init__(self, folder: Path, names: dict[str, str]) -> None:
        self.port = 0
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._hosts = folder / "hosts"
        self._hosts.write_text("".join(f"{address} {name}\n" for name, address in names.items()))
        self._output_file = folder / "output"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The URL without user and password, as errors name the proxy."""
        return f"{self.scheme}://localhost:{self.port}"

    def url(self, password: str = PASSWORD, *, scheme: str | None = None) -> str:
        """Return the URL for ``Config.proxy``."""
        return f"{scheme or self.scheme}://{USER}:{password}@localhost:{self.port}"

    def __enter__(self: _Self) -> _Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if error is not None:
            print(self._output_file.read_text(errors="replace"))

    def start(self) -> None:
        """Start the process, on the same port as before if it ran, and return when it accepts."""
        program = shutil.which(self.program)
        if program is None:
            components.missing(self.package, f"apt-get install {self.package}")
        self.port = self.port or free_port()
        with self._output_file.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(program),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={
                    **os.environ,
                    "LD_PRELOAD": _name_wrapper(),
                    "NSS_WRAPPER_HOSTS": str(self._hosts),
                },
            )
        try:
            wait_until(self._is_ready, f"{self.program} is ready", timeout=_START_SECONDS)
        except BaseException:
            print(self._output_file.read_text(errors="replace"))
            self.stop()
            raise

    def stop(self) -> None:
        """End the process; nothing if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.program} ended with status {self._process.returncode}")
        return accepts(HOST, self.port)

    @abstractmethod
    def _command(self, program: str) -> list[str]:
        """Return the command that runs the proxy in the foreground."""


class Tinyproxy(ProxyProcess):
    """An HTTP proxy."""

    program, package, scheme = "tinyproxy", "tinyproxy-bin", "http"

    def _command(self, program: str) -> list[str]:
        file = self.folder / "tinyproxy.conf"
        file.write_text(
            f"Port {self.port}\nListen {HOST}\nTimeout 60\nMaxClients 50\nLogLevel Info\n"
            f"BasicAuth {USER} {PASSWORD}\n"
        )
        return [program, "-d", "-c", str(file)]


class Microsocks(ProxyProcess):
    """A SOCKS5 proxy."""

    program, package, scheme = "microsocks", "microsocks", "socks5h"

    def _command(self, program: str) -> list[str]:
        return [program, "-i", HOST, "-p", str(self.port), "-u", USER, "-P", PASSWORD]


class Stunnel(ProxyProcess):
    """TLS in front of a tinyproxy, which makes an ``https://`` proxy."""

    program, package, scheme = "stunnel4", "stunnel4", "https"

    def __init__(self, folder: Path, certificates: Certificates, behind: Tinyproxy) -> None:
        super().__init__(folder, {})
        self._certificates = certificates
        self._behind = behind

    def _command(self, program: str) -> list[str]:
        file = self.folder / "stunnel.conf"
        file.write_text(
            f"foreground = yes\npid =\nsyslog = no\n[proxy]\naccept = {HOST}:{self.port}\n"
            f"connect = {HOST}:{self._behind.port}\ncert = {self._certificates.chain_file}\n"
            f"key = {self._certificates.key_file}\n"
        )
        return [program, str(file)]


def _name_wrapper() -> str:
    """Return the library that reads a hosts file of ours."""
    found = sorted(Path("/usr/lib").glob("*/libnss_wrapper.so"))
    if not found:
        components.missing("libnss-wrapper", "apt-get install libnss-wrapper")
    return str(found[0])
