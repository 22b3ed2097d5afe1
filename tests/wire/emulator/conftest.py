from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
import requests

from connectycube.emulator import Emulator
from tests.support.wire_client import Client


class ManualClock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def alice(emulator: Emulator) -> int:
    return emulator.add_user("alice", "secret", full_name="Alice")


@pytest.fixture
def bob(emulator: Emulator) -> int:
    return emulator.add_user("bob", "secret")


@pytest.fixture
def connect(emulator: Emulator) -> Iterator[Callable[[], Client]]:
    """Give a new connection each time it is called."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Client(emulator))


class Rest:
    """REST calls with requests; a session of a user if a login is given."""

    def __init__(self, emulator: Emulator, login: str | None = None) -> None:
        self._url = emulator.api_url
        self.http = requests.Session()
        self.http.trust_env = False
        user = {} if login is None else {"user": {"login": login, "password": "secret"}}
        body = {"application_id": emulator.app_id, "auth_key": emulator.auth_key, **user}
        answer = self("POST", "session", json=body)
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["session"]["token"]
        self.http.headers["CB-Token"] = self.token

    def __call__(self, method: str, path: str, **more: object) -> requests.Response:
        return self.http.request(method, f"{self._url}/{path}", timeout=5, **more)  # type: ignore[arg-type]


@pytest.fixture
def rest(emulator: Emulator) -> Iterator[Callable[..., Rest]]:
    """Give a REST session each time it is called: of a user by login, or of the application."""
    with contextlib.ExitStack() as stack:

        def make(login: str | None = None) -> Rest:
            made = Rest(emulator, login)
            stack.enter_context(made.http)
            return made

        yield make
