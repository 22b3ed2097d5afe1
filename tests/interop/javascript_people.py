"""Users of the REST API who act through the official JavaScript SDK, and what their tests have in common."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import frozen

from connectycube.emulator import Emulator
from tests.interop.javascript_peer import JavaScriptError, JavaScriptPeer
from tests.support.people import PASSWORD
from tests.support.waiting import wait_until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
OBJECT_ID = re.compile(r"[0-9a-f]{24}")
NOBODY = 999_999_999
NO_SUCH_ID = "f" * 24

_numbers = itertools.count(1)


def fresh() -> int:
    """A number that no test was given before: what is made of it is unique on an emulator."""
    return next(_numbers)


@frozen
class JavaScriptUser:
    """A user of the service and the SDK that acts for it."""

    peer: JavaScriptPeer
    id: int
    login: str

    def call(self, path: str, *args: Any) -> Any:
        """Call a function of the SDK and return what it resolves to."""
        return self.peer.call(path, *args)

    def refused(self, path: str, *args: Any) -> tuple[Any, Any]:
        """Call what the service must refuse; return the status and the body that the SDK rejects with."""
        with pytest.raises(JavaScriptError) as error:
            self.peer.call(path, *args)
        return error.value.code, error.value.info


def peer_on(emulator: Emulator, **options: Any) -> JavaScriptPeer:
    """The SDK, pointed at an emulator; ``options`` are those of the peer."""
    return JavaScriptPeer(
        app_id=emulator.app_id,
        auth_key=emulator.auth_key,
        api_url=emulator.api_url,
        chat_port=emulator.chat_port,
        ca_file=emulator.ca_file,
        **options,
    )


def person_at(emulator: Emulator, peer: JavaScriptPeer) -> JavaScriptUser:
    """A new user; the SDK of ``peer`` forgets the session it had and has one of this user."""
    login = f"person-{fresh()}"
    user_id = emulator.add_user(login, PASSWORD, full_name=f"The {login}")
    peer.call("createSession", {"login": login, "password": PASSWORD})
    return JavaScriptUser(peer, user_id, login)


@contextmanager
def in_chat(emulator: Emulator, person: JavaScriptUser) -> Iterator[JavaScriptUser]:
    """Log in to the chat for as long as the context lasts; nothing heard before is remembered."""
    peer = person.peer
    peer.connect(person.id, PASSWORD)
    peer.heard("")  # whose answer says that the presence was handled
    # Only now: the SDK keeps what arrives while it logs out, and tells it to who logs in next.
    peer.events.clear()
    try:
        yield person
    finally:
        if peer.user_id:
            go_offline(emulator, person)


def go_offline(emulator: Emulator, person: JavaScriptUser) -> None:
    """Log out of the chat, and wait until the server has noticed."""
    before = len(emulator.sessions(person.id))
    person.call("chat.disconnect")
    person.peer.user_id = 0
    wait_until(lambda: len(emulator.sessions(person.id)) < before, "the end of the session")
