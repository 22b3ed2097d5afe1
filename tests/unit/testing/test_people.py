import pytest

from connectycube import ConnectyCube, User
from connectycube.testing import CubeUser, MockTransport, Response

ALICE = CubeUser(login="alice", password="a secret", id=5, cube=None)


@pytest.fixture
def mock():
    return MockTransport()


@pytest.fixture
def cube(mock):
    with ConnectyCube(app_id=1, auth_key="key", transport=mock) as made:
        made.login(login="bot", password="a password")
        yield made


def test_a_user_of_a_test_will_do_wherever_a_user_is_asked_for(cube, mock):
    mock.add("GET", "/users/5", Response(json={"user": {"id": 5}}))
    mock.add("POST", "/chat/Dialog", Response(201, json={"_id": "d", "type": 3}))
    mock.add("POST", "/chat/Message", Response(201, json={"_id": "m"}))
    assert cube.users.get(ALICE) == User(id=5)
    assert cube.dialogs.create_private(ALICE).peer_id == 5
    cube.dialogs.create_group("Hikers", ALICE)
    cube.messages.create(ALICE, "hello")
    assert [request.json() for request in mock.requests[-2:]] == [
        {"type": 2, "occupants_ids": [5], "name": "Hikers"},
        {"recipient_id": 5, "message": "hello", "markable": 1},
    ]


def test_users_of_a_test_are_told_apart_and_show_no_password():
    other = CubeUser(login="alice", password="a secret", id=5, cube=None)
    assert {ALICE: 1}[ALICE] == 1
    assert other != ALICE
    assert repr(ALICE) == "CubeUser(login='alice', id=5)"
