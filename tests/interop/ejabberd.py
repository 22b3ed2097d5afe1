"""ejabberd, an XMPP server that others wrote, as a plain process with a configuration of ours.

It runs as an Erlang node without a name: no distribution, no epmd, no cookie, and no port but the two that
the configuration names: for clients, and for ejabberd's own commands over HTTP.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.interop import ejabberd_accounts
from tests.interop.referee_process import accepts
from tests.interop.server_process import ServerProcess
from tests.support.ports import free_port
from tests.support.waiting import wait_until

_STORED_SECONDS = 30.0
_DEBIAN_LIBRARIES = "/usr/lib/*-linux-gnu/ejabberd-*/ebin"

# Nobody is looked up in the DNS, and no helper process is started to do so.
_RESOLVER = '{lookup, ["file"]}.\n{host, {127,0,0,1}, ["localhost"]}.\n'


class Ejabberd(ServerProcess):
    """One ejabberd process: start it with ``with``."""

    name = package = "ejabberd"
    program = "ejabberdctl"
    _api_port = 0

    def add_user(self, user: str, password: str) -> str:
        """Make the account, at any time, running or not; return its bare JID."""
        ejabberd_accounts.path_of(self._accounts, user).write_text(password)
        return f"{user}@{self.domain}"

    def wait_until_member_is_stored(self, user: str) -> None:
        """Wait until it is in the database's files that a user is a member of a room.

        That is some seconds later than ejabberd says so, and what is not there yet is forgotten when the
        process is killed. Other tables name the user as well, but not before the word "member".
        """
        folder = (
            self._folder / "database"
        )  # LATEST.LOG: what has changed since the tables were dumped
        member = re.compile(re.escape(user.encode()) + rb".{1,80}member", re.DOTALL)
        wait_until(
            lambda: any(
                file.exists() and member.search(file.read_bytes())
                for file in (folder / "LATEST.LOG", folder / "muc_room.DCD")
            ),
            f"the membership of {user} in ejabberd's database",
            timeout=_STORED_SECONDS,
        )

    def call(self, command: str, **arguments: Any) -> Any:
        """Run one of ejabberd's commands and return its answer; RuntimeError if it is refused."""
        connection = http.client.HTTPConnection(self.host, self._api_port, timeout=10)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/api/{command}", json.dumps(arguments), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"ejabberd refused {command}: {response.status} {answer}")
        return answer

    def _configure(self) -> None:
        self._api_port = self._api_port or free_port()
        for name in ("accounts", "database", "translations"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "inetrc").write_text(_RESOLVER)
        # JSON is YAML, and needs no quoting rules of our own.
        self._configuration_file.write_text(json.dumps(self._configuration(), indent=2))

    def _configuration(self) -> dict[str, Any]:
        loopback: dict[str, Any] = {"ip": self.host}
        return {
            "hosts": [self.domain],
            "loglevel": "info",
            "ca_file": str(self.ca_file),
            "certfiles": [
                str(self._certificates.chain_file),
                str(self._certificates.key_file),
            ],
            "acme": {"auto": False},
            "auth_method": "external",
            "auth_use_cache": False,
            "extauth_program": f"{sys.executable} -I {ejabberd_accounts.__file__} {self._accounts}",
            "extauth_pool_size": 1,
            "listen": [
                {
                    **loopback,
                    "port": self.port,
                    "module": "ejabberd_c2s",
                    "tls": True,
                    "access": "all",
                    "shaper": "none",
                    "max_stanza_size": 262_144,  # as in the configuration that ejabberd ships with
                },
                {
                    **loopback,
                    "port": self._api_port,
                    "module": "ejabberd_http",
                    "request_handlers": {"/api": "mod_http_api"},
                },
            ],
            "api_permissions": {
                "the tests": {
                    "from": ["mod_http_api"],
                    "who": [{"ip": f"{self.host}/32"}],
                    "what": "*",
                }
            },
            "modules": {
                "mod_admin_extra": {},
                "mod_carboncopy": {},
                "mod_client_state": {},
                "mod_disco": {},
                "mod_http_api": {},
                "mod_last": {},
                "mod_muc": {
                    "hosts": [self.rooms],
                    "access_create": "all",
                    "access_persistent": "all",
                    "history_size": 20,
                },
                "mod_offline": {},
                "mod_ping": {},
                "mod_privacy": {},
                "mod_roster": {},
                "mod_stream_mgmt": {
                    "resume_timeout": self._hibernation,
                    "resend_on_timeout": "if_offline",
                },
            },
        }

    def _command(self, program: str) -> list[str]:
        # ejabberdctl itself insists on a name for the node, and so on the distribution.
        busy_waiting = ["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]
        monitors = ["start_memsup", "start_disksup", "start_cpu_sup"]
        without = [
            *busy_waiting,
            "-os_mon",
            *(part for name in monitors for part in (name, "false")),
        ]
        database = ["-mnesia", "dir", json.dumps(str(self._folder / "database"))]
        return ["erl", "-noinput", *without, *database, "-s", "ejabberd"]

    def _environment(self) -> Mapping[str, str]:
        return {
            **super()._environment(),
            "ERL_LIBS": _library_folder(),
            "ERL_INETRC": str(self._folder / "inetrc"),
            "ERL_CRASH_DUMP": str(self._folder / "crash.dump"),
            "EJABBERD_CONFIG_PATH": str(self._configuration_file),
            "EJABBERD_LOG_PATH": str(self.log_file),
            # Without translations it starts half a second sooner.
            "EJABBERD_MSGS_PATH": str(self._folder / "translations"),
            "HOME": str(self._folder),
        }

    def _is_ready(self) -> bool:
        # It listens before it accepts; the answer to a command waits until everything is up.
        return (
            super()._is_ready() and accepts(self.host, self._api_port) and bool(self.call("status"))
        )

    @property
    def _accounts(self) -> Path:
        return self._folder / "accounts"

    @property
    def _configuration_file(self) -> Path:
        return self._folder / "ejabberd.yml"


def _library_folder() -> str:
    """Return where Debian has ejabberd and the Erlang libraries it needs."""
    for found in Path("/").glob(_DEBIAN_LIBRARIES[1:]):
        return str(found.parent.parent)
    raise RuntimeError(f"ejabberdctl is there, but nothing matches {_DEBIAN_LIBRARIES}")
