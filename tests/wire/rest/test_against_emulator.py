"""The real flows, against the other reading of the protocol."""

import re
import threading
from datetime import datetime, timezone

import pytest

from connectycube.client import ConnectyCube
from connectycube.emulator import Emulator
from connectycube.errors import (
    ApiAuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    ValidationError,
)
from connectycube.models import Attachment, DialogRef, DialogType
from tests.support.inside import api_of


@pytest.fixture
def connect(emulator, request):
    """Sign a user up and log in; the login is unique to the test."""
    opened = []

    def make(name):
        cube = ConnectyCube(config=emulator.config())
        opened.append(cube)
        login = re.sub(r"\W+", "-", f"{name}-{request.node.name}")[:70]
        cube.users.create(
            login=login, password=f"{name} pass-word-5ec4e7c0de", full_name=name.title()
        )
        user = cube.login(login=login, password=f"{name} pass-word-5ec4e7c0de")
        assert user.login == login
        return cube

    yield make
    for cube in opened:
        cube.close()


@pytest.fixture
def ana(connect):
    return connect("ana")


@pytest.fixture
def bob(connect):
    return connect("bob")


def test_sign_up_login_and_look_up(emulator):
    with ConnectyCube(config=emulator.config()) as cube:
        made = cube.users.create(
            login="first",
            email="first@example.org",
            password="pass-word-5ec4e7c0de",
            full_name="Ünë 👋",
            phone="15550100",
            tags=["a", "b"],
            custom_data="{}",
        )
        by_email = cube.login(email="first@example.org", password="pass-word-5ec4e7c0de")
        assert (by_email.id, by_email.full_name, by_email.tags) == (made.id, "Ünë 👋", ("a", "b"))
        assert cube.users.get(made).login == "first"
        assert cube.sessions.info().user_id == made.id
        with pytest.raises(ValidationError):
            cube.users.create(login="first", password="pass-word-5ec4e7c0de")
        with pytest.raises(NotFoundError):
            cube.users.get(999_999)


def test_a_wrong_password_is_a_credentials_error(ana):
    login = ana.user.login
    with pytest.raises(ApiAuthenticationError) as caught:
        ana.login(login=login, password="not it")
    assert caught.value.status == 401
    assert caught.value.messages
    assert ana.user.login == login


def test_a_call_without_a_session_is_a_credentials_error(emulator):
    with ConnectyCube(config=emulator.config()) as cube, pytest.raises(ApiAuthenticationError):
        cube.dialogs.list()


def test_a_session_of_the_application_has_no_user(emulator):
    with ConnectyCube(config=emulator.config()) as cube:
        session = cube.sessions.create()
        assert session.token
        assert cube.user is None
        assert not cube.sessions.info().user_id


def test_signed_sessions_are_accepted_and_wrong_signatures_are_not():
    with Emulator(auth_secret="a s3cret") as strict:
        with ConnectyCube(config=strict.config()) as cube:
            cube.users.create(login="bob", password="pass=&wörd[]")
            assert cube.login(login="bob", password="pass=&wörd[]").login == "bob"
        other = ConnectyCube(config=strict.config(auth_secret="another"))
        with other, pytest.raises((ApiAuthenticationError, ValidationError)):
            other.login(login="bob", password="pass=&wörd[]")


def test_the_expiry_of_the_session_is_known_or_unknown_but_not_past(ana):
    expiry = ana.session.expires_at
    assert expiry is None or expiry > datetime.now(timezone.utc)


def test_a_private_dialog_and_its_history(ana, bob):
    dialog = ana.dialogs.create_private(bob.user)
    assert (dialog.type, dialog.peer_id) == (DialogType.PRIVATE, bob.user.id)
    assert ana.dialogs.create_private(bob.user.id).id == dialog.id

    bodies = ["one", "two\n<&>\"'", "שלום 👋 नमस्ते", "four"]
    made = [ana.messages.create(dialog, body, stars=5) for body in bodies]
    assert [message.body for message in made] == bodies
    assert made[0].dialog_id == dialog.id
    assert made[0].sender_id == ana.user.id

    history = bob.messages.list(dialog, sort="date_sent", mark_as_read=False)
    assert sorted(message.body for message in history) == sorted(bodies)
    assert history[0].custom["stars"] in (5, "5")
    assert bob.messages.count(dialog) == 4
    assert len(bob.messages.list(dialog, limit=2, mark_as_read=False)) == 2
    some = bob.messages.list(dialog, id__in=made[1:3], mark_as_read=False)
    assert {message.id for message in some} == {message.id for message in made[1:3]}


def test_a_message_to_a_user_makes_the_private_dialog(ana, bob):
    message = ana.messages.create(bob.user, "hello")
    assert message.dialog.peer_id == bob.user.id
    (dialog,) = bob.dialogs.list()
    assert dialog.id == message.dialog_id == message.dialog.id
    assert dialog.peer_id == ana.user.id
    assert dialog.last_message == "hello"
    reply = bob.messages.create(dialog, "and to you")
    assert {each.body for each in ana.messages.list(message)} == {"hello", "and to you"}
    assert reply.dialog_id == dialog.id


def test_reading_marks_as_read_unless_told_not_to(ana, bob):
    ana.messages.create(bob.user, "hello")
    (dialog,) = bob.dialogs.list()
    bob.messages.list(dialog, mark_as_read=False)
    bob.messages.count(dialog)
    bob.messages.stored_ids(dialog.id, [bob.messages.list(dialog, mark_as_read=False)[0].id])
    assert bob.user.id not in bob.messages.list(dialog, mark_as_read=False)[0].read_ids
    bob.messages.list(dialog)
    assert bob.user.id in bob.messages.list(dialog, mark_as_read=False)[0].read_ids


def test_attachments_come_back(ana, bob):
    photo = Attachment(type="image", uid="uid-1", content_type="image/png", size=12.0, width=3)
    ana.messages.create(bob.user, attachments=[photo])
    (dialog,) = ana.dialogs.list()
    (message,) = ana.messages.list(dialog)
    (back,) = message.attachments
    assert (back.type, back.uid, back.id, back.content_type) == (
        "image",
        "uid-1",
        "uid-1",
        "image/png",
    )
    assert (back.size, back.width) == (12.0, 3)


def test_stored_ids_tell_what_history_holds(ana, bob):
    dialog = ana.dialogs.create_private(bob.user)
    made = {ana.messages.create(dialog, str(number)).id for number in range(60)}
    absent = {f"{number:024x}" for number in range(60)}
    assert ana.messages.stored_ids(dialog.id, made | absent) == made


def test_dialogs_are_listed_filtered_and_counted(ana, bob, connect):
    eve = connect("eve")
    with_bob = ana.dialogs.create_private(bob.user)
    with_eve = ana.dialogs.create_private(eve.user)
    ana.messages.create(with_eve, "hi")
    assert {dialog.id for dialog in ana.dialogs.list()} == {with_bob.id, with_eve.id}
    assert ana.dialogs.count() == 2
    assert ana.dialogs.count(id=with_bob) == 1
    assert [dialog.id for dialog in ana.dialogs.list(id__in=[with_eve])] == [with_eve.id]
    assert ana.dialogs.count(type=DialogType.GROUP) == 0
    assert len(ana.dialogs.list(limit=1)) == 1
    assert bob.dialogs.count() == 1


def test_a_stranger_may_not_read_the_dialog(ana, bob, connect):
    dialog = ana.dialogs.create_private(bob.user)
    with pytest.raises((PermissionDeniedError, NotFoundError)):
        connect("eve").messages.list(dialog)


def test_after_logout_there_is_no_session(ana):
    ana.logout()
    assert (ana.session, ana.user) == (None, None)
    with pytest.raises(ApiAuthenticationError):
        ana.dialogs.list()


def test_a_session_that_the_service_ended_is_renewed_by_the_next_call(ana, emulator):
    other = ConnectyCube(config=emulator.config())
    api_of(other).adopt(ana.session)
    other.logout()
    other.close()
    ended = ana.session.token
    assert ana.dialogs.count() == 0
    assert ana.session.token != ended


def test_many_threads_use_one_client(ana, bob):
    dialog = ana.dialogs.create_private(bob.user)
    failures = []

    def work(worker):
        try:
            for number in range(5):
                ana.messages.create(dialog, f"{worker}-{number}")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert ana.messages.count(dialog) == 30


READINGS = {
    "list": lambda cube, dialog, found: cube.messages.list(dialog, id=found, mark_as_read=False)[0],
    "iter": lambda cube, dialog, found: next(cube.messages.iter(dialog, id=found)),
    "iter, newest first": lambda cube, dialog, found: next(
        cube.messages.iter(dialog, id=found, sort="-date_sent")
    ),
    "get": lambda cube, dialog, found: cube.messages.get(dialog, found),
    "search": lambda cube, dialog, found: cube.search("a longer text").messages[0],
}


@pytest.mark.parametrize("known", ["by its Dialog", "by its id", "by id and type"])
@pytest.mark.parametrize("session", ["login", "token alone"])
@pytest.mark.parametrize("way", READINGS)
def test_every_reading_of_a_message_names_its_dialog_and_its_writer(ana, bob, way, session, known):
    dialog = ana.dialogs.create_private(bob.user)
    stored = ana.messages.create(dialog.id, "a longer text")
    assert (stored.own, stored.dialog) == (True, DialogRef.private(bob.user.id, dialog.id))
    for mine, peer in ((ana, bob), (bob, ana)):
        cube = mine if session == "login" else mine.with_token(mine.session.token)
        place = {
            "by its Dialog": mine.dialogs.get(dialog.id),
            "by its id": dialog.id,
            "by id and type": DialogRef(id=dialog.id, type=DialogType.PRIVATE),
        }[known]
        message = READINGS[way](cube, place, stored.id)
        assert message.own is (mine is ana)
        assert message.dialog == DialogRef.private(peer.user.id, dialog.id)
