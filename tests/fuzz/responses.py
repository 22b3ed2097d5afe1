"""Fuzzes what is read from REST: any response gives a result or an error of the package's tree."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Hashable, Iterator
from datetime import datetime, timezone
from itertools import islice
from random import Random
from typing import Any
from zlib import crc32

from requests.structures import CaseInsensitiveDict

from connectycube import ConnectyCube, Contact, Message, Request, Response, RetryPolicy
from connectycube.chat.durable.serialization import message_of, text_of
from connectycube.errors import ConnectyCubeError
from tests.fuzz.target import NASTY, Target

__all__ = ["Responses", "damaged_json"]

_SCALARS = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**31,
        2**63,
        10**15,
        10**400,
        0.5,
        1e308,
        float("inf"),
        float("nan"),
    ),
    *(
        "",
        "1",
        "-0",
        "1e999",
        "9" * 5000,
        "²",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ),
    *(
        "2021-10-09T12:00:00Z",
        "true",
        "\ud800",
        "\0",
        "x" * 300,
        " ",
        "2021-10-09 16:56:41 UTC",
        [],
        {},
        [[]],
    ),
)
_NAMES = (
    *(
        "items",
        "errors",
        "error",
        "message",
        "base",
        "user",
        "session",
        "blob",
        "total_entries",
        "skip",
        "limit",
    ),
    *(
        "per_page",
        "current_page",
        "id",
        "_id",
        "type",
        "date_sent",
        "attachments",
        "count",
        "class_name",
        "data",
    ),
    *("occupants_ids", "created_at", "token", "expires_at", "total", "", "x"),
)
_HEADERS = (
    *(
        "Content-Type: application/json",
        "Content-Type: text/html",
        "Retry-After: 5",
        "Retry-After: -1",
    ),
    *(
        "Retry-After: 1e999",
        "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT",
        "Retry-After: nan",
        "Retry-After: \ud800",
    ),
    *(
        "Date: Fri, 31 Dec 9999 23:59:59 -2359",
        "Date: Sun, 06 Nov 1994 08:49:37 GMT",
        "Date: x",
        "Date: 0 0 0 0 0",
    ),
    *(
        "CB-Token-ExpirationDate: 2021-10-09 16:56:41 UTC",
        "CB-Token-ExpirationDate: 0001-01-01 00:00:00 +1400",
    ),
    *(
        "Content-Length: 5",
        "Content-Length: -1",
        "Location: http://x/",
        "Content-Range: bytes 0-1/2",
    ),
    *(
        "Date: Thu, 01 Jan 1970 00:00:00 +99999999999999",
        "Retry-After: Mon, 1 Jan 0000 00:00:00 GMT",
    ),
)
_STATUSES = (
    200,
    200,
    200,
    200,
    201,
    202,
    204,
    206,
    301,
    400,
    401,
    403,
    404,
    422,
    429,
    500,
    503,
    599,
    999,
    100,
)


def _calls(cube: ConnectyCube) -> dict[str, Callable[[], Any]]:
    """Return a call of each kind, by the name that an input says in its first line."""
    changed = datetime(2021, 1, 1, tzinfo=timezone.utc)
    return {
        "dialogs.list": cube.dialogs.list,
        "dialogs.iter": cube.dialogs.iter,
        "dialogs.changed": lambda: cube.dialogs.changed(changed),
        "dialogs.get": lambda: cube.dialogs.get("d"),
        "dialogs.count": cube.dialogs.count,
        "dialogs.create_group": lambda: cube.dialogs.create_group("n", [2]),
        "dialogs.delete": lambda: cube.dialogs.delete("d"),
        "dialogs.delete_two": lambda: cube.dialogs.delete(["d", "e"]),
        "dialogs.occupants": lambda: cube.dialogs.occupants("d"),
        "dialogs.notifications": lambda: cube.dialogs.notifications_enabled("d"),
        "messages.get": lambda: cube.messages.get("d", "m"),
        "messages.list": lambda: cube.messages.list("d"),
        "messages.iter": lambda: cube.messages.iter("d"),
        "messages.count": lambda: cube.messages.count("d"),
        "messages.create": lambda: cube.messages.create(2, "b"),
        "messages.delete": lambda: cube.messages.delete(["m", "n"]),
        "messages.unread": lambda: cube.messages.unread_count(["d"]),
        "messages.reactions": lambda: cube.messages.reactions("m"),
        "search": lambda: cube.search("words"),
        "users.list": lambda: cube.users.list(id=[1, 2]),
        "users.iter": lambda: cube.users.iter(id=[1, 2]),
        "users.get": lambda: cube.users.get(1),
        "users.get_by": lambda: cube.users.get_by(login="l"),
        "users.update": lambda: cube.users.update(1, full_name="x"),
        "users.online": cube.users.online,
        "users.online_count": cube.users.online_count,
        "files.list": cube.files.list,
        "files.get": lambda: cube.files.get(1),
        "files.upload": lambda: cube.files.upload(b"content", name="n.txt"),
        "files.download": lambda: cube.files.download("uid"),
        "address_book.get": cube.address_book.get,
        "address_book.upload": lambda: cube.address_book.upload(
            [Contact(name="n", phone="1234567890")]
        ),
        "address_book.users": cube.address_book.registered_users,
        "custom.list": lambda: cube.custom_objects.list("c"),
        "custom.get": lambda: cube.custom_objects.get("c", "i"),
        "custom.create_many": lambda: cube.custom_objects.create_many("c", [{"a": 1}]),
        "custom.permissions": lambda: cube.custom_objects.permissions("c", "i"),
        "push.subscriptions": cube.push.subscriptions,
        "session.info": cube.sessions.info,
        "session.login": lambda: cube.login(login="l", password="p"),
    }


class _Transport:
    """Answers each request with the same response, in at most so many requests."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 200, CaseInsensitiveDict[str](), b""
        self.fault = ""
        self.requests = 0

    def send(self, request: Request) -> Response:
        self.requests += 1
        assert self.requests < 200, "the same response is asked for again and again"
        headers = CaseInsensitiveDict(self.headers)
        return Response(
            self.status, headers=headers, body=self.body, request=request, fault=self.fault
        )


class Responses(Target):
    """A response to each kind of call.

    An input is the name of a call and a status, then headers, an empty line, and the body.
    """

    name = "responses"
    words = (
        *NASTY,
        *(
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b"[" * 2000,
            b'{"a":' * 2000,
            b'{"items": ',
            b'{"errors": ',
        ),
        *(f"{header}\n".encode("utf-8", "surrogatepass") for header in _HEADERS),
        *(f'"{name}": '.encode() for name in _NAMES),
        *(json.dumps(value).encode() for value in _SCALARS),
    )
    share = 2.0

    def __init__(self) -> None:
        self._transport = _Transport()
        retry = RetryPolicy(max_retries=0)
        self._cube = ConnectyCube(app_id=1, auth_key="k", transport=self._transport, retry=retry)
        self._session = (
            b'{"session": {"token": "t", "user_id": 1, "application_id": 1, "user": {"id": 1}}}'
        )
        self._calls = _calls(self._cube)
        self._bodies: list[tuple[str, Any]] = []
        self._began = False

    def make(self, random: Random) -> bytes:
        if not self._bodies:
            for seed in self.seeds():
                name, _, _, body = _parts(seed)
                if body[:1] in b"{[":
                    self._bodies.append((name, json.loads(body)))
        name, value = random.choice(self._bodies)
        if random.random() < 0.1:
            name = random.choice(list(self._calls))
        headers = "".join(f"{random.choice(_HEADERS)}\n" for _ in range(random.randrange(3)))
        body = json.dumps(damaged_json(random, value), ensure_ascii=random.random() < 0.9)
        return f"{name} {random.choice(_STATUSES)}\n{headers}\n{body}".encode(
            "utf-8", "surrogatepass"
        )

    def run(self, data: bytes) -> Hashable:
        name, status, headers, body = _parts(data)
        if name not in self._calls:
            name = list(self._calls)[crc32(data) % len(self._calls)]
        call = self._calls[name]
        transport = self._transport
        self._log_in()
        transport.status, transport.headers, transport.body = status, headers, body
        transport.requests = 0
        transport.fault = (
            ("cut off", "too large", "late")[crc32(data) % 3] if body.endswith(b"!") else ""
        )
        try:
            result = call()
            if isinstance(result, Iterator):
                result = list(islice(result, 50))
        except ConnectyCubeError as error:
            assert str(error) and repr(error)
            again = pickle.loads(pickle.dumps(error))
            assert type(again) is type(error) and str(again) == str(error)
            return name, type(error), getattr(error, "retry_after", None) is None
        assert repr(result) is not None
        for message in _messages_in(result):
            assert message_of(text_of(message)) == message or "nan" in repr(message).lower()
        return name, type(result), _size(result)

    def _log_in(self) -> None:
        """Have a session, which an input may have ended."""
        if self._began and self._cube.session is not None and self._cube.session.token == "t":
            return
        transport = self._transport
        transport.status, transport.headers, transport.body = (
            201,
            CaseInsensitiveDict(),
            self._session,
        )
        transport.fault, transport.requests = "", 0
        self._cube.login(login="l", password="p")
        self._began = True


def _parts(data: bytes) -> tuple[str, int, CaseInsensitiveDict[str], bytes]:
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    name, _, status = first.partition(" ")
    headers = CaseInsensitiveDict[str]()
    for line in lines:
        key, _, value = line.partition(":")
        headers[key] = value.strip()
    return (
        name,
        int(status) if status.isascii() and status.isdigit() and len(status) < 4 else 200,
        headers,
        body,
    )


def _messages_in(result: Any) -> list[Message]:
    items = getattr(result, "items", result)
    items = items if isinstance(items, list | tuple) else [items]
    return [item for item in items if isinstance(item, Message)]


def _size(result: Any) -> int:
    items = getattr(result, "items", result)
    return min(len(items), 3) if isinstance(items, list | tuple) else -1


def damaged_json(random: Random, value: Any, depth: int = 6) -> Any:
    """Return ``value`` with some of it damaged: fields dropped, nulled, of another type, and added."""
    if depth == 0 or random.random() < 0.05:
        return random.choice(_SCALARS)
    if isinstance(value, dict):
        result = {}
        for key, entry in value.items():
            chance = random.random()
            if chance < 0.5:
                result[key] = entry
            elif chance < 0.9:
                result[key] = damaged_json(random, entry, depth - 1)
        if random.random() < 0.2:
            result[random.choice(_NAMES)] = random.choice(_SCALARS)
        return result
    if isinstance(value, list):
        entries = [damaged_json(random, entry, depth - 1) for entry in value]
        return [*entries, random.choice(_SCALARS)] if random.random() < 0.2 else entries
    return value if random.random() < 0.6 else random.choice(_SCALARS)
