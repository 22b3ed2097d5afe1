"""Ports for servers that tests start, and start again: such that nobody else gets them meanwhile."""

from __future__ import annotations

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
    end = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else _OTHERWISE
    for port in random.sample(range(_LOWEST, max(end, _LOWEST + 1_000)), 1_000):
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise RuntimeError(f"no free port from {_LOWEST} to {end}")


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
