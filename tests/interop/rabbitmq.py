"""RabbitMQ as plain processes on free ports, each with a folder, an Erlang cookie and an epmd of its own."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.interop.referee_process import HOST, RefereeProcess, accepts
from tests.support import components
from tests.support.ports import free_port
from tests.support.waiting import wait_until

__all__ = ["RabbitCluster", "RabbitMQ"]

_BIN = Path("/usr/lib/rabbitmq/bin")


class Epmd:
    """The port mapper of Erlang on a port of its own, which the nodes of one test share."""

    def __init__(self) -> None:
        self.port = free_port()
        self.cookie = secrets.token_hex(10)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process is None:
            nothing = subprocess.DEVNULL
            command = ["epmd", "-port", str(self.port), "-address", HOST]
            self._process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)
            wait_until(lambda: accepts(HOST, self.port), "epmd is ready")

    def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


class RabbitMQ(RefereeProcess):
    """One node without plugins: start it with ``with``.

    It keeps its data and its ports when it is killed and started again.
    """

    program, package = "rabbitmq-server", "rabbitmq-server"
    start_seconds = 120.0

    def __init__(self, folder: Path, name: str = "rabbit", epmd: Epmd | None = None) -> None:
        super().__init__(folder)
        self.node = f"{name}@localhost"
        self._own_epmd = epmd is None
        self._epmd = epmd or Epmd()
        self._distribution = free_port()

    def __enter__(self) -> RabbitMQ:
        try:
            return super().__enter__()
        except BaseException:
            self._close_epmd()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.kill()
            super().__exit__(kind, error, traceback)
        finally:
            self._close_epmd()

    def _close_epmd(self) -> None:
        if self._own_epmd:
            self._epmd.close()

    @property
    def url(self) -> str:
        """How clients connect to it."""
        return f"amqp://guest:guest@{HOST}:{self.port}/"

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl and return what it says."""
        done = subprocess.run(
            [str(_BIN / "rabbitmqctl"), "-n", self.node, *arguments],
            env={**os.environ, **self._environment()},
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _find(self, program: str) -> str:
        """Return the path of a program; the one on PATH would change the user."""
        path = _BIN / program
        if not path.exists():
            components.missing(self.package, f"apt-get install {self.package}")
        return str(path)

    def _configure(self) -> None:
        self._epmd.start()
        cookie = self._folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(self._epmd.cookie)
            cookie.chmod(0o400)
        (self._folder / "plugins").write_text("[].\n")
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {HOST}:{self.port}\nloopback_users = none\nlog.console = true\n"
            "vm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 20MB\n"
        )

    def _command(self, program: str) -> list[str]:
        return [program]

    def _environment(self) -> Mapping[str, str]:
        folder = self._folder
        return {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self._epmd.port),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "no-such-file"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none"
            " -kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _is_ready(self) -> bool:
        # It accepts connections last of all.
        return super()._is_ready()

    def _end(self, number: signal.Signals) -> None:
        """End the shell script and the node that it has started."""
        process = self._process
        if process is None:
            return
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGKILL if number == signal.SIGKILL else signal.SIGTERM)
        super()._end(number)
        wait_until(lambda: not accepts(HOST, self.port), "the node has ended")
        wait_until(lambda: not accepts(HOST, self._distribution), "the node has ended")


class RabbitCluster:
    """Three nodes on this machine, which are one cluster: start it with ``with``."""

    def __init__(self, folder: Path, count: int = 3) -> None:
        self._epmd = Epmd()
        self.nodes = [RabbitMQ(folder / f"node{n}", f"node{n}", self._epmd) for n in range(count)]

    def __enter__(self) -> RabbitCluster:
        first = self.nodes[0]
        try:
            for node in self.nodes:
                node.start()
            for node in self.nodes[1:]:
                node.control("stop_app")
                node.control("join_cluster", first.node)
                node.control("start_app")
        except BaseException:
            self.close()
            raise
        return self

    @property
    def url(self) -> str:
        """How clients connect to it: the addresses of all nodes."""
        return ",".join(node.url for node in self.nodes)

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.kill()
        self._epmd.close()
