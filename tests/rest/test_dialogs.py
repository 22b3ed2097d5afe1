import pytest

from connectycube.errors import ArgumentTypeError, ArgumentValueError, UnexpectedResponseError
from connectycube.models import Dialog, DialogType, Session, User
from tests.models.examples import DIALOG

from .server import answer


@pytest.fixture
def ana(cube):
    """The client of user 85, who is in the example dialog."""
    cube._transport.adopt(Session(token="t", user_id=85))
    return cube


@pytest.mark.parametrize("user", [86, User(id=86)])
def test_create_private_returns_a_dialog_that_knows_its_peer(ana, server, user):
    server.play(answer(201, {**DIALOG, "occupants_ids": []}))
    dialog = ana.dialogs.create_private(user)
    assert (dialog.id, dialog.type, dialog.peer_id) == (DIALOG["_id"], DialogType.PRIVATE, 86)
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/chat/Dialog")
    assert request.json == {"type": 3, "occupants_ids": [86]}


@pytest.mark.parametrize("user", ["86", 0, None, True, User()])
def test_what_is_no_user_sends_nothing(ana, server, user):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match="user"):
        ana.dialogs.create_private(user)
    assert server.connections == 0


def test_list_is_a_page_of_dialogs(ana, server):
    server.play(answer(200, {"items": [DIALOG], "total_entries": 4, "skip": 1, "limit": 2}))
    page = ana.dialogs.list(
        limit=2, skip=1, sort="-last_message_date_sent", updated_at__gt=5, type__in=[2, 3]
    )
    assert list(page) == [Dialog.from_json(DIALOG, me=85)]
    assert page[0].peer_id == 86
    assert (page.total_entries, page.skip, page.limit) == (4, 1, 2)
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/chat/Dialog")
    assert server.requests[0].query == [
        ("updated_at[gt]", "5"),
        ("type[in]", "2,3"),
        ("limit", "2"),
        ("skip", "1"),
        ("sort_desc", "last_message_date_sent"),
    ]


def test_list_without_arguments_asks_for_nothing(ana, server):
    server.play(answer(200, {"items": []}))
    assert len(ana.dialogs.list()) == 0
    assert server.requests[0].raw_path == "/chat/Dialog"


@pytest.mark.parametrize("data", [[], {"items": None}, {}])
def test_what_is_no_page_is_unexpected(ana, server, data):
    server.play(answer(200, data))
    with pytest.raises(UnexpectedResponseError):
        ana.dialogs.list()


def test_wrong_arguments_send_nothing(ana, server):
    for arguments in ({"limit": 0}, {"sort": "name"}, {"colour": "red"}, {"timeout": 0}):
        with pytest.raises((ArgumentTypeError, ArgumentValueError), match=next(iter(arguments))):
            ana.dialogs.list(**arguments)
    with pytest.raises(ArgumentTypeError, match="limit is no argument"):
        ana.dialogs.count(limit=5)
    assert server.connections == 0


def test_count_is_a_number(ana, server):
    server.play(answer(200, {"items": {"count": 12}}))
    assert ana.dialogs.count(type=DialogType.GROUP) == 12
    assert server.requests[0].query == [("type", "2"), ("count", "1")]
