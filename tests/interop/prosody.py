"""prosody, an XMPP server that others wrote, as a plain process with a configuration of ours."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.interop.server_process import DOMAIN, ServerProcess

_CONFIGURATION = """
daemonize = false
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
log = {{ {level} = "{log}" }}

interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ }}
{direct_tls_ports} = {{ {port} }}
ssl = {{ key = "{key}", certificate = "{certificate}" }}
c2s_require_encryption = true

modules_enabled = {{
    "roster", "saslauth", "disco", "ping", "carbons", "smacks", "offline", "presence", "message", "iq",
    "blocklist", "lastactivity", "csi", "csi_simple", "version", "time",
}}
modules_disabled = {{ "s2s", "s2s_auth_certs", "posix", "tls", "http" }}

authentication = "internal_plain"
storage = "internal"
smacks_hibernation_time = {hibernation}

VirtualHost "{domain}"

Component "{rooms}" "muc"
    restrict_room_creation = false
    muc_room_default_history_length = 20
"""


class Prosody(ServerProcess):
    """One prosody process: start it with ``with``."""

    name = program = package = "prosody"
    log_level = "debug"
    """Under load "info" makes it a good deal faster."""

    def add_user(self, user: str, password: str) -> str:
        """Make the account, at any time, running or not; return its bare JID."""
        folder = self._folder / "data" / _encoded(DOMAIN) / "accounts"
        folder.mkdir(parents=True, exist_ok=True)
        quoted = password.replace("\\", "\\\\").replace('"', '\\"')
        (folder / f"{_encoded(user)}.dat").write_text(f'return {{ ["password"] = "{quoted}" }};\n')
        return f"{user}@{DOMAIN}"

    def _configure(self) -> None:
        (self._folder / "data").mkdir(parents=True, exist_ok=True)
        self._configuration_file.write_text(
            _CONFIGURATION.format(
                folder=self._folder,
                level=self.log_level,
                log=self.log_file,
                direct_tls_ports="legacy_ssl_ports" if _is_old() else "c2s_direct_tls_ports",
                port=self.port,
                key=self._certificates.key_file,
                certificate=self._certificates.chain_file,
                hibernation=self._hibernation,
                domain=self.domain,
                rooms=self.rooms,
            )
        )

    def _command(self, program: str) -> list[str]:
        return [program, "-F", "--config", str(self._configuration_file)]

    @property
    def _configuration_file(self) -> Path:
        return self._folder / "prosody.cfg.lua"


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
