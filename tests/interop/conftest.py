"""Two people with the official JavaScript SDK: a process each for a whole module, new users for each test.

And two who meet: ``ours`` has our client, ``theirs`` the JavaScript SDK, and both are in the chat.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from connectycube.emulator import Emulator
from tests.interop import javascript_surface
from tests.interop.javascript_peer import USED, JavaScriptPeer
from tests.interop.javascript_people import JavaScriptUser, fresh, in_chat, peer_on, person_at
from tests.support.people import PASSWORD, Person, settled


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget what the test before has called of the JavaScript SDK."""
    USED.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that passed without the calls that it is named for in ``javascript_surface.py``."""
    yield
    test = item.nodeid.rpartition("/")[2].partition("[")[0]
    missing = sorted(javascript_surface.promised(test) - USED)
    assert not missing, f"{test} is to call {', '.join(missing)}: see javascript_surface.py"


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    """A running emulator for the module."""
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def peers(service: Emulator) -> Iterator[tuple[JavaScriptPeer, JavaScriptPeer]]:
    """Two processes of the SDK."""
    with peer_on(service) as one, peer_on(service) as other:
        yield one, other


@pytest.fixture
def alice(service: Emulator, peers: tuple[JavaScriptPeer, JavaScriptPeer]) -> JavaScriptUser:
    """A new user with a session, in the first process."""
    return person_at(service, peers[0])


@pytest.fixture
def bob(service: Emulator, peers: tuple[JavaScriptPeer, JavaScriptPeer]) -> JavaScriptUser:
    """A new user with a session, in the second process."""
    return person_at(service, peers[1])


@pytest.fixture
def nobody(peers: tuple[JavaScriptPeer, JavaScriptPeer]) -> JavaScriptUser:
    """The first process without a session."""
    peers[0].call("setSession", None)
    return JavaScriptUser(peers[0], 0, "")


@pytest.fixture
def ours(service: Emulator) -> Iterator[Person]:
    """A new user of our client, with a session and in the chat."""
    login = f"python-{fresh()}"
    service.add_user(login, PASSWORD, full_name=f"The {login}")
    person = Person.in_chat(service, login, PASSWORD)
    with person.cube:
        settled(person)
        yield person


@pytest.fixture
def theirs(service: Emulator, alice: JavaScriptUser) -> Iterator[JavaScriptUser]:
    """A new user of the JavaScript SDK, with a session and in the chat."""
    with in_chat(service, alice) as person:
        yield person


@pytest.fixture
def third(service: Emulator, bob: JavaScriptUser) -> Iterator[JavaScriptUser]:
    """Another one."""
    with in_chat(service, bob) as person:
        yield person
