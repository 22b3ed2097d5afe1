"""The parts of a client are made at their first use, once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube import ConnectyCube
from connectycube.chat import Chat
from connectycube.rest.users import Users
from connectycube.testing import MockTransport
from tests.support.waiting import TIMEOUT

PARTS = [
    *("sessions", "users", "dialogs", "messages", "files", "push", "address_book"),
    *("custom_objects", "chat"),
]


@pytest.fixture
def cube():
    with ConnectyCube(app_id=7, auth_key="key", transport=MockTransport()) as made:
        yield made


@pytest.mark.parametrize("name", PARTS)
def test_each_use_of_a_part_gives_the_same_object(cube, name):
    assert getattr(cube, name) is getattr(cube, name)
    assert getattr(cube, name) is not getattr(cube.with_token("token"), name)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_its_documentation_and_cannot_be_replaced(cube, name):
    assert getattr(ConnectyCube, name).__doc__
    with pytest.raises(AttributeError):
        setattr(cube, name, None)


@pytest.mark.parametrize(("name", "made"), [("users", Users), ("chat", Chat)])
def test_two_threads_that_use_a_part_first_get_one_object(cube, monkeypatch, name, made):
    both, make = threading.Barrier(2, timeout=TIMEOUT), made.__init__

    def make_when_both_are_here(self, *arguments, **keywords):
        both.wait()
        make(self, *arguments, **keywords)

    monkeypatch.setattr(made, "__init__", make_when_both_are_here)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: getattr(cube, name), range(2))
    assert first is second is getattr(cube, name)


def test_the_end_of_a_client_makes_no_chat(monkeypatch):
    monkeypatch.setattr(Chat, "__init__", None)  # whoever makes one fails
    with ConnectyCube(app_id=7, auth_key="key", transport=MockTransport()) as cube:
        cube.logout()
