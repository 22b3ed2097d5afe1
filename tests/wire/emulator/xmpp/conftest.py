from __future__ import annotations

import pytest

from tests.wire.emulator.api.people import People, make_group


@pytest.fixture
def people(emulator, rest):
    return People(emulator, rest)


@pytest.fixture
def group(people):
    """A group of alice (owner), bob (admin), carol and dave, as REST shows it."""
    return make_group(people)


@pytest.fixture
def room(group):
    """The JID of the group's room."""
    return group["xmpp_room_jid"]


@pytest.fixture
def logged_in(connect, people):
    """``logged_in("alice", "phone")``: a client with a resource."""
    return lambda name, resource=None: connect().log_in(getattr(people, name).id, resource)
