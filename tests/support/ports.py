"""Ports for servers that tests start, and start again: such that nobody else gets them meanwhile."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_240
_OTHERWISE = 32_768
_given: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, another one each time.

    The kernel has another range for the ports of outgoing connections, and for those that are asked for as 0.
    """
    mine = _ports_of_this_worker()
    for port in random.sample(mine, len(mine)):
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise RuntimeError(f"no free port among {mine}")


def emulator_ports() -> dict[str, int]:
    """Return the arguments for an emulator that is stopped and starts again on the same ports."""
    names = ("api", "chat", "storage", "websocket", "https", "storage_https", "control")
    return {f"{name}_port": free_port() for name in names}


def _ports_of_this_worker() -> range:
    """Return every n-th port: the n workers of pytest-xdist do not know what the others were given."""
    end = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else _OTHERWISE
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(_LOWEST + worker, max(end, _LOWEST + 1_000), workers)


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
