"""Many clients at once: each logs in, connects, writes to one neighbour and hears from the other."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from attrs import fields, frozen

from connectycube.emulator import Emulator
from tests.support.websocket_client import WebSocketClient
from tests.support.wire_client import CLIENT, Client, chat

__all__ = ["Place", "Times", "doors_of", "meet"]

# A thread of a crowd has its turn late.
_PATIENCE = 60.0


@frozen(kw_only=True)
class Place:
    """Where an emulator is, as far as its clients need it: the names are those of ``Emulator``."""

    host: str
    domain: str
    ca_file: str
    api_url: str
    app_id: int
    auth_key: str
    chat_port: int
    websocket_port: int


def doors_of(emulator: Emulator) -> Place:
    """Return where an emulator is, for other processes."""
    return Place(**{entry.name: getattr(emulator, entry.name) for entry in fields(Place)})


@frozen(kw_only=True)
class Times:
    """Seconds from the first log-in until all are online, and from there until all have their message."""

    online: float
    talk: float


def meet(place: Place | Emulator, logins: list[str]) -> tuple[list[list[str]], Times]:
    """Return the bodies that each user got, half of them over WebSocket, and how long it took.

    Each writes one message, which names its sender, to the next user; their password is "secret".
    """
    moments: list[float] = []
    ready, done = (
        threading.Barrier(len(logins), lambda: moments.append(time.monotonic())) for _ in range(2)
    )
    users: dict[int, int] = {}

    def one(number: int) -> list[str]:
        try:
            users[number] = _session(place, logins[number])
            with (Client if number % 2 else WebSocketClient)(place) as client:  # type: ignore[arg-type]
                client.socket.settimeout(_PATIENCE)
                client.log_in(users[number])
                ready.wait(_PATIENCE)
                message = chat(
                    users[(number + 1) % len(logins)], f"from {number}", id=f"{number:024x}"
                )
                _send(client, message)
                got = [_body(client.find(f"{CLIENT}message"))]
                done.wait(_PATIENCE)
                return [*got, *_rest(client)]
        except BaseException:
            ready.abort()
            done.abort()
            raise

    began = time.monotonic()
    with ThreadPoolExecutor(len(logins)) as pool:
        got = list(pool.map(one, range(len(logins))))
    return got, Times(online=moments[0] - began, talk=moments[1] - moments[0])


def _session(place: Place | Emulator, login: str) -> int:
    body = {
        "application_id": place.app_id,
        "auth_key": place.auth_key,
        "user": {"login": login, "password": "secret"},
    }
    answer = requests.post(f"{place.api_url}/session", json=body, timeout=_PATIENCE)
    return int(answer.json()["session"]["user_id"])


def _send(client: Client | WebSocketClient, stanza: str) -> None:
    client.stanza(stanza) if isinstance(client, WebSocketClient) else client.send(stanza)


def _body(message: object) -> str:
    return message.findtext(f"{CLIENT}body")  # type: ignore[attr-defined, no-any-return]


def _rest(client: Client | WebSocketClient) -> list[str]:
    """Return the bodies of what comes before the answer to a ping, after everybody has written."""
    _send(client, "<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>")
    bodies = []
    while (element := client.next()) is not None and element.get("id") != "end":
        if element.tag == f"{CLIENT}message":
            bodies.append(_body(element))
    assert element is not None, "the stream ended"
    return bodies
