"""Proxies that others wrote, as plain processes on free ports: tinyproxy, microsocks, and stunnel for TLS.

They look names up in a file of ours (libnss-wrapper), so they alone know where a server is: a client that
reaches it went through the proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.interop.referee_process import HOST, RefereeProcess
from tests.support import components
from tests.support.certificates import Certificates

USER, PASSWORD = "me", "p-w0rd"


class ProxyProcess(RefereeProcess):
    """One process of a proxy: start it with ``with``. It wants USER and PASSWORD."""

    scheme: ClassVar[str]

    def __init__(self, folder: Path, names: dict[str, str]) -> None:
        super().__init__(folder)
        self._names = names

    @property
    def address(self) -> str:
        """The URL without user and password, as errors name the proxy."""
        return f"{self.scheme}://localhost:{self.port}"

    def url(self, password: str = PASSWORD, *, scheme: str | None = None) -> str:
        """Return the URL for ``Config.proxy``."""
        return f"{scheme or self.scheme}://{USER}:{password}@localhost:{self.port}"

    def _configure(self) -> None:
        self._hosts.write_text(
            "".join(f"{address} {name}\n" for name, address in self._names.items())
        )

    def _environment(self) -> Mapping[str, str]:
        return {"LD_PRELOAD": _name_wrapper(), "NSS_WRAPPER_HOSTS": str(self._hosts)}

    @property
    def _hosts(self) -> Path:
        return self._folder / "hosts"


class Tinyproxy(ProxyProcess):
    """An HTTP proxy."""

    program, package, scheme = "tinyproxy", "tinyproxy-bin", "http"

    def _command(self, program: str) -> list[str]:
        file = self._folder / "tinyproxy.conf"
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
        file = self._folder / "stunnel.conf"
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
