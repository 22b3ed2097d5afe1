"""Files, pushes, the address book and other users' clients, against the other reading of the protocol."""

import base64
import json
import re

import pytest

from connectycube.client import ConnectyCube
from connectycube.errors import ApiAuthenticationError, NotFoundError


@pytest.fixture
def cube(emulator, request):
    login = re.sub(r"\W+", "-", request.node.name)[:70]
    with ConnectyCube(config=emulator.config()) as made:
        made.users.create(login=login, password="pass-word-5ec4e7c0de", full_name="Ana")
        made.login(login=login, password="pass-word-5ec4e7c0de")
        yield made


def test_a_file_goes_up_and_comes_down(cube, tmp_path):
    source, copy = tmp_path / "grüße.txt", tmp_path / "copy"
    source.write_bytes(b"words" * 50_000)
    file = cube.files.upload(source)
    assert (file.name, file.size, file.content_type) == ("grüße.txt", 250_000, "text/plain")
    assert cube.files.download(file) == source.read_bytes()
    assert cube.files.download(file, to=copy) == 250_000
    assert copy.read_bytes() == source.read_bytes()
    known = cube.files.get(file)
    assert (known.uid, known.size) == (file.uid, 250_000)
    assert file.id in [one.id for one in cube.files.iter()]
    cube.files.delete(file)
    with pytest.raises(NotFoundError):
        cube.files.get(file)


def test_an_upload_that_ends_early_leaves_no_file(cube):
    def stop(sent, size):
        raise KeyError("enough")

    with pytest.raises(KeyError):
        cube.files.upload(b"x", name="a", progress=stop)
    assert list(cube.files.iter()) == []


def test_a_device_is_subscribed_and_a_push_sent(cube):
    (made,) = cube.push.subscribe(
        channel="gcm", platform="android", udid="d", environment="development", token="t"
    )
    assert [one.id for one in cube.push.subscriptions()] == [made.id]
    (event,) = cube.push.send_event("Dinner", environment="development", users=[cube.user])
    assert json.loads(base64.b64decode(event.message)) == {"message": "Dinner"}
    cube.push.unsubscribe(made)
    assert cube.push.subscriptions() == ()


def test_the_address_book_knows_who_is_registered(cube):
    ana = cube.users.create(
        login="in-the-book", password="pass-word-5ec4e7c0de", phone="15550100200"
    )
    result = cube.address_book.upload([("15550100200", "Ana"), ("15550100201", "Bob")])
    assert result.created == 2
    assert {contact.name for contact in cube.address_book.get()} == {"Ana", "Bob"}
    (user,) = cube.address_book.registered_users(compact=True)
    assert (user.id, user.extra["address_book_name"]) == (ana.id, "Ana")
    assert cube.address_book.upload(remove=["15550100201"]).deleted == 1


def test_users_are_found_and_changed(cube):
    me = cube.users.update(cube.user, full_name="Ana Oro", tags=["gold"])
    assert (me.full_name, me.tags) == ("Ana Oro", ("gold",))
    assert cube.users.get_by(login=me.login).id == me.id
    assert cube.users.get_by(login="nobody-of-this-name") is None
    assert [user.id for user in cube.users.iter(tags="gold", id__in=[me.id])] == [me.id]
    assert [user.id for user in cube.users.list(full_name__startswith="Ana O")] == [me.id]


def test_clients_share_connections_and_not_sessions(cube):
    guest = cube.for_user(guest=True, full_name="Olof")
    assert guest.user.is_guest
    assert guest.user.full_name == "Olof"
    same = cube.with_token(cube.session.token)
    assert same.sessions.info().user_id == cube.user.id
    cube.logout()
    with pytest.raises(ApiAuthenticationError):
        same.users.get(guest.user.id)
    guest.close()


def test_records_are_made_found_changed_and_deleted(cube):
    objects = cube.custom_objects
    first = objects.create("Profile", {"age": 41, "job": "accountant"})
    others = objects.create_many("Profile", [{"age": 25, "job": "cook"}, {"age": 30, "job": None}])
    mine = {"user_id": cube.user.id}
    assert objects.get("Profile", first) == first
    assert [one.id for one in objects.iter("Profile", **mine)] == [
        first.id,
        *(one.id for one in others),
    ]
    assert [one.id for one in objects.list("Profile", age__gt=28, sort="-age", **mine)] == [
        first.id,
        others[1].id,
    ]
    assert objects.count("Profile", job__contains="oo", **mine) == 1
    assert objects.update("Profile", first, {"inc": {"age": 1}}).fields["age"] == 42
    assert objects.permissions("Profile", first)["delete"] == {"access": "owner"}
    result = objects.delete("Profile", [first, others[0], "0" * 24])
    assert set(result.deleted) == {first.id, others[0].id}
    assert result.not_found == ("0" * 24,)
    assert objects.delete("Profile", others[1]).deleted == (others[1].id,)
    with pytest.raises(NotFoundError):
        objects.delete("Profile", others[1])
    objects.create_many("Profile", [{"age": 7}, {"age": 8}])
    changed = objects.update_by_criteria("Profile", {"job": "pupil"}, age__in=[7, 8])
    assert {record.fields["job"] for record in changed} == {"pupil"}
    assert objects.delete_by_criteria("Profile", age__lt=8, job="pupil") == 1
    with pytest.raises(NotFoundError):
        objects.get("Profile", first)


def test_reports_reach_the_moderators(cube):
    assert cube.report_user(45, "spam").fields == {"reportedUserId": 45, "reason": "spam"}
    made = cube.report_message("58e6a9c8a1834a3ea6001f15", "phishing")
    assert made.class_name == "MessageReports"
    assert made.user_id == cube.user.id
