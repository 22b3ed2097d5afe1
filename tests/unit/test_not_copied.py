"""What belongs to one process is neither pickled nor copied, and the error says what to do."""

from __future__ import annotations

import copy
import functools
import pickle

import pytest

from connectycube import ArgumentTypeError, ConnectyCube, Message
from connectycube.chat.send_handle import SendHandle
from connectycube.testing import MockTransport

WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": functools.partial(pickle.dumps, protocol=protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}
RESOURCES = [
    "sessions",
    "users",
    "dialogs",
    "messages",
    "files",
    "push",
    "address_book",
    "custom_objects",
    "chat",
]


def things(cube):
    """Everything public that belongs to a client."""
    yield cube
    yield from (getattr(cube, name) for name in RESOURCES)
    yield from (cube.chat.contacts, cube.chat.privacy, cube.chat.message_received)
    yield cube.chat.events(cube.chat.message_received, 1.0)
    yield SendHandle("5d5e2d8cca8bf43ca4d51a5b", Message(body="hello"), 1.0, None)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_has_connections_and_locks_is_neither_pickled_nor_copied(way):
    cube = ConnectyCube(app_id=1, auth_key="key", transport=MockTransport())
    for thing in things(cube):
        with pytest.raises(
            ArgumentTypeError,
            match=f"{type(thing).__name__} cannot be pickled or copied.*make a ConnectyCube in",
        ):
            way(thing)


def test_a_method_for_a_pool_of_processes_is_not_pickled_either():
    cube = ConnectyCube(app_id=1, auth_key="key", transport=MockTransport())
    with pytest.raises(TypeError, match=r"Users cannot be pickled.*make a ConnectyCube in"):
        pickle.dumps(cube.users.get)


def test_the_config_for_the_other_process_is_pickled():
    cube = ConnectyCube(app_id=1, auth_key="key", transport=MockTransport())
    assert pickle.loads(pickle.dumps(cube.config)) == cube.config
