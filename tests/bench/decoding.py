"""CPU of a page of 100 messages from its bytes to models, beside json.loads of the same bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import requests

from connectycube import ConnectyCube, Request, Response
from tests.bench.measuring import cpu_ratios
from tests.bench.registry import Row, topic
from tests.bench.service import Place, logged_in, service
from tests.support.inside import api_of

_MESSAGES = 100
_CALLS = 100
_GOAL = 1.8


@topic("decoding")
def decoding() -> Sequence[Row]:
    """Let messages.list read a page that is there already: all it does but the exchange itself."""
    with service(messages=_MESSAGES) as place, logged_in(place) as cube:
        body = _page(place, cube)
        reader = ConnectyCube(config=place.config, transport=_Canned(body))
        api_of(reader).adopt(cube.session)

        def ours() -> Sequence[object]:
            return reader.messages.list(place.dialog, mark_as_read=False)

        assert len(ours()) == len(json.loads(body)["items"]) == _MESSAGES
        ratio = cpu_ratios(ours, lambda: json.loads(body), calls=_CALLS)
    return [Row.of("decode 100 messages", "json.loads", ratio, _GOAL)]


def _page(place: Place, cube: ConnectyCube) -> bytes:
    response = requests.get(
        f"{place.config.api_url}/chat/Message",
        params={"chat_dialog_id": place.dialog, "mark_as_read": 0},
        headers={"CB-Token": cube.session.token},
        timeout=30,
    )
    response.raise_for_status()
    return response.content


class _Canned:
    """A transport that answers everything with the same bytes."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def send(self, request: Request) -> Response:
        return Response(body=self._body, request=request)
