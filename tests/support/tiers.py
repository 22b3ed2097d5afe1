"""A test uses what its folder allows: ``tests/unit`` opens no socket, only some folders start processes.

What is forbidden raises :class:`TierError` where it happens, and fails the test once more at its end, because
code under test may swallow the first.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TIERS = ("unit", "wire", "docs", "interop", "processes", "fuzz", "soak")
WITHOUT_SOCKETS = {"unit"}
WITHOUT_PROCESSES = {"unit", "wire", "fuzz"}

_TESTS = Path(__file__).parents[1]
_forbidden: dict[str, str] = {}
_attempts: list[str] = []


class TierError(RuntimeError):
    """The test does what its folder does not allow."""


def tier_of(path: Path) -> str | None:
    """Return the tier whose folder holds this file; None outside of this project's tests."""
    folder = path.relative_to(_TESTS).parts[0] if path.is_relative_to(_TESTS) else ""
    return folder if folder in TIERS else None


@pytest.fixture(autouse=True)
def _within_its_tier(request: pytest.FixtureRequest) -> Iterator[None]:
    tier = tier_of(request.path)
    if tier in WITHOUT_SOCKETS:
        _forbidden["socket"] = f"tests/{tier} opens no socket: the test belongs into tests/wire"
    if tier in WITHOUT_PROCESSES:
        words = f"tests/{tier} starts no process: the test belongs into tests/processes"
        _forbidden["process"] = words
    _attempts.clear()
    yield
    _forbidden.clear()
    if _attempts:
        pytest.fail(_attempts[0], pytrace=False)


def pytest_configure(config: pytest.Config) -> None:
    """Guard what opens sockets and starts processes for the whole session; register the marker."""
    config.addinivalue_line("markers", "posix: needs what Windows does not have")
    guard = pytest.MonkeyPatch()
    config.add_cleanup(guard.undo)
    for owner, name, kind in (
        (socket.socket, "__init__", "socket"),
        (subprocess.Popen, "__init__", "process"),
        (os, "fork", "process"),
    ):
        if hasattr(owner, name):
            guard.setattr(owner, name, _guarded(getattr(owner, name), kind))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip on Windows what needs more than it has."""
    if os.name == "nt":
        skip = pytest.mark.skip(reason="needs what Windows does not have")
        for item in items:
            if item.get_closest_marker("posix"):
                item.add_marker(skip)


def _guarded(original: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if kind in _forbidden:
            _attempts.append(_forbidden[kind])
            raise TierError(_forbidden[kind])
        return original(*args, **kwargs)

    return call
