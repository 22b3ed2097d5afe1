"""CPU of one call, beside the same exchange with requests: a small object read, and a message made.

A plain ``requests.Session`` looks at the environment's proxies and .netrc in every call, which we never do.
So there is a second peer that does not look either (``trust_env=False``) and leaves less to win.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import requests

from connectycube import ConnectyCube
from tests.bench.measuring import cpu_ratios
from tests.bench.registry import Row, topic
from tests.bench.service import Place, logged_in, service

_CALLS = 100
_GOAL = 0.8
_TEXT = "We meet at six in front of the café."
_SECONDS = 30

Sides = tuple[Callable[[], Any], Callable[[], Any]]


@topic("rest-calls")
def rest_calls() -> Sequence[Row]:
    """Compare ConnectyCube with requests.Session plus json, on one connection each."""
    rows = []
    with service() as place, logged_in(place) as cube, requests.Session() as session:
        session.headers["CB-Token"] = cube.session.token
        for peer, session.trust_env in (("requests.Session", True), ("… trust_env=False", False)):
            for name, sides in (
                ("users.get", _reading(place, cube, session)),
                ("messages.create", _writing(place, cube, session)),
            ):
                ratio = cpu_ratios(*sides, calls=_CALLS)
                rows.append(Row.of(f"CPU of {name}", peer, ratio, _GOAL))
    return rows


def _reading(place: Place, cube: ConnectyCube, session: requests.Session) -> Sides:
    url = f"{place.config.api_url}/users/{place.bob}"

    def ours() -> Any:
        return cube.users.get(place.bob)

    def theirs() -> Any:
        response = session.get(url, timeout=_SECONDS)
        response.raise_for_status()
        return response.json()["user"]

    assert ours().login == theirs()["login"] == "bob"
    return ours, theirs


def _writing(place: Place, cube: ConnectyCube, session: requests.Session) -> Sides:
    url = f"{place.config.api_url}/chat/Message"
    message = {"chat_dialog_id": place.dialog, "message": _TEXT, "markable": 1}

    def ours() -> Any:
        return cube.messages.create(place.dialog, _TEXT)

    def theirs() -> Any:
        response = session.post(url, json=message, timeout=_SECONDS)
        response.raise_for_status()
        return response.json()

    assert ours().body == theirs()["message"] == _TEXT
    return ours, theirs
