"""prosody, an XMPP server that others wrote, as a plain process with a configuration of ours.

It speaks TLS from the first byte on a free port of 127.0.0.1, for users ``{user}-{app}@localhost``; rooms are
at muc.localhost. It knows nobody else and connects nowhere.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType

from tests.support import components
from tests.support.certificates import Certificates
from tests.support.waiting import wait_until

DOMAIN = "localhost"
ROOMS = f"muc.{DOMAIN}"

_CONFIGURATION = """
daemonize = false
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
log = {{ debug = "{folder}/prosody.log" }}

interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ }}
{direct_tls_ports} = {{ {port} }}
ssl = {{ key = "{key}", certificate = "{certificate}" }}
c2s_require_encryption = true

modules_enabled = {{
    "roster", "saslauth", "disco", "ping", "carbons", "smacks", "offline", "presence", "message", "iq",
    "blocklist", "lastactivity", "version", "time",
}}
modules_disabled = {{ "s2s", "s2s_auth_certs", "posix", "tls", "http" }}

authentication = "internal_plain"
storage = "internal"
smacks_hibernation_time = {hibernation}

VirtualHost "{domain}"

Component "{rooms}" "muc"
    restrict_room_creation = false
"""


class Prosody:
    """One prosody process: start it with ``with``.

    ``hibernation`` is how many seconds a session whose link is lost waits to be resumed (XEP-0198).
    ``host``, ``port``, ``ca_file`` are what a client needs. When the ``with`` statement ends with an error,
    the server's log is printed.
    """

    def __init__(self, folder: Path, certificates: Certificates, *, hibernation: int = 60) -> None:
        self.host = "127.0.0.1"
        self.domain = DOMAIN
        self.port = 0
        self.ca_file = certificates.ca_file
        self.log_file = folder / "prosody.log"
        self._folder = folder
        self._certificates = certificates
        self._hibernation = hibernation
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prosody:
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
            print(f"--- {self.log_file}", self.log(), sep="\n")

    def start(self) -> None:
        """Start the process, on the same port as before if it ran, and return when it accepts connections."""
        program = shutil.which("prosody")
        if program is None:
            components.missing("prosody", "apt-get install prosody")
        (self._folder / "data").mkdir(parents=True, exist_ok=True)
        self.port = self.port or _free_port()
        configuration = self._folder / "prosody.cfg.lua"
        configuration.write_text(self._configuration())
        with (self._folder / "prosody.out").open("ab") as output:
            self._process = subprocess.Popen(
                [program, "-F", "--config", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_until(self._accepts, 15, "prosody accepts connections")
        except BaseException:
            print(self.log())
            self.kill()
            raise

    def stop(self) -> None:
        """End the process in good order: its clients get a stream error. Nothing if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once: its clients' connections end without a word."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop the process where it is: connections stay open and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._running().send_signal(signal.SIGCONT)

    def add_user(self, user: str, password: str) -> str:
        """Make the account, at any time, running or not; return its bare JID."""
        folder = self._folder / "data" / _encoded(DOMAIN) / "accounts"
        folder.mkdir(parents=True, exist_ok=True)
        quoted = password.replace("\\", "\\\\").replace('"', '\\"')
        (folder / f"{_encoded(user)}.dat").write_text(f'return {{ ["password"] = "{quoted}" }};\n')
        return f"{user}@{DOMAIN}"

    def log(self) -> str:
        """Return what the server has logged so far."""
        parts = [path for path in (self.log_file, self._folder / "prosody.out") if path.exists()]
        return "\n".join(path.read_text(errors="replace") for path in parts)

    def _configuration(self) -> str:
        return _CONFIGURATION.format(
            folder=self._folder,
            direct_tls_ports="legacy_ssl_ports" if _is_old() else "c2s_direct_tls_ports",
            port=self.port,
            key=self._certificates.key_file,
            certificate=self._certificates.chain_file,
            hibernation=self._hibernation,
            domain=DOMAIN,
            rooms=ROOMS,
        )

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("prosody does not run")
        return self._process

    def _accepts(self) -> bool:
        if self._running().poll() is not None:
            raise RuntimeError(f"prosody ended with status {self._running().returncode}")
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except ConnectionRefusedError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _is_old() -> bool:
    """Whether this is prosody 0.11, which has another word for TLS from the first byte."""
    program = shutil.which("prosodyctl")
    if program is None:
        return False
    about = subprocess.run(
        [program, "about"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    found = re.search(r"Prosody (\d+)\.(\d+)", about.stdout)
    return bool(found) and (int(found[1]), int(found[2])) < (0, 12)


def _encoded(name: str) -> str:
    """Write a name as prosody's file storage does: all but letters and digits as %xx."""
    return "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"%{byte:02x}"
        for byte in name.encode()
    )


def is_installed() -> bool:
    """Whether there is a prosody to run."""
    return shutil.which("prosody") is not None and os.name == "posix"
