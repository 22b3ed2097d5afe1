import pytest

from connectycube.errors import ArgumentTypeError, ArgumentValueError, UnexpectedResponseError
from connectycube.models import Contact
from tests.support.scripted_http import answer


def test_contacts_are_uploaded_and_removed(cube, server):
    result = {"deleted": 2, "rejected": {"1": ["too short"], "x": []}, "created": 25, "updated": 5}
    server.play(answer(200, result))
    told = cube.address_book.upload(
        [Contact(phone="9506728854", name="Halldor"), ("5309413409", "Lidija")],
        remove=["61412675500", Contact(phone="61736404001")],
        force=True,
        udid="device-1",
    )
    assert (told.created, told.updated, told.deleted) == (25, 5, 2)
    assert told.rejected == {1: ("too short",)}
    assert (server.requests[0].method, server.requests[0].path) == ("POST", "/address_book")
    assert server.requests[0].json == {
        "contacts": [
            {"name": "Halldor", "phone": "9506728854"},
            {"name": "Lidija", "phone": "5309413409"},
            {"phone": "61412675500", "destroy": 1},
            {"phone": "61736404001", "destroy": 1},
        ],
        "force": 1,
        "udid": "device-1",
    }


def test_an_empty_book_may_replace_the_old_one(cube, server):
    server.play(answer(200, {"deleted": 3}))
    assert cube.address_book.upload(force=True).deleted == 3
    assert server.requests[0].json == {"contacts": [], "force": 1}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({}, "contacts"),
        ({"contacts": "abc"}, "contacts"),
        ({"contacts": ["15550100"]}, "contacts"),
        ({"contacts": [("1",)]}, "contacts"),
        ({"contacts": [("", "Ana")]}, "phone"),
        ({"contacts": [("15550100200", None)]}, "name"),
        ({"contacts": [Contact(phone="1")]}, "name"),
        ({"remove": [5]}, "remove"),
        ({"remove": "15550100200"}, "remove"),
        ({"force": 1}, "force"),
        ({"remove": ["15550100200"], "udid": "u" * 65}, "udid"),
        ({"remove": ["15550100200"], "udid": ""}, "udid"),
    ],
)
def test_wrong_arguments_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.address_book.upload(**arguments)
    assert server.connections == []


def test_contacts_are_read(cube, server):
    server.play(answer(200, [{"phone": "61412675500", "name": "Dacia"}, 5]), answer(200, []))
    assert cube.address_book.get() == (Contact(phone="61412675500", name="Dacia"),)
    assert cube.address_book.get(udid="d") == ()
    assert [request.query for request in server.requests] == [[], [("udid", "d")]]


def test_registered_users_are_a_page(cube, server):
    user = {"id": 212, "phone": "614126755001", "address_book_name": "Dacia"}
    server.play(answer(200, {"items": [{"user": user}]}), answer(200, {"items": []}))
    (found,) = cube.address_book.registered_users(compact=True, udid="d")
    assert (found.id, found.extra) == (212, {"address_book_name": "Dacia"})
    assert len(cube.address_book.registered_users()) == 0
    assert server.requests[0].query == [("udid", "d"), ("compact", "1")]
    assert server.requests[1].query == [("compact", "0")]


@pytest.mark.parametrize("data", [{}, {"items": {}}, [], None])
def test_an_answer_without_users_is_unexpected(cube, server, data):
    server.play(answer(200, data))
    with pytest.raises(UnexpectedResponseError):
        cube.address_book.registered_users()
