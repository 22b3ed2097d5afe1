"""Dialogs, messages and search, against the other reading of the documentation."""

from datetime import datetime, timedelta, timezone

import pytest

from connectycube.client import ConnectyCube
from connectycube.errors import (
    ApiResponseError,
    NotFoundError,
    PermissionDeniedError,
    ValidationError,
)
from connectycube.models import DialogType


@pytest.fixture
def people(emulator):
    """Three clients: Ana, Bob and Eve."""
    opened = []
    for name in ("ana", "bob", "eve"):
        emulator.add_user(name, f"{name} pass-word-5ec4e7c0de")
        cube = ConnectyCube(config=emulator.config())
        opened.append(cube)
        cube.login(login=name, password=f"{name} pass-word-5ec4e7c0de")
    yield opened
    for cube in opened:
        cube.close()


@pytest.fixture
def ana(people):
    return people[0]


@pytest.fixture
def bob(people):
    return people[1]


@pytest.fixture
def eve(people):
    return people[2]


def test_a_group_is_made_changed_and_deleted_for_all(ana, bob, eve):
    group = ana.dialogs.create_group("Hikers", [bob.user], description="Sundays", photo="p")
    assert (group.type, group.name, group.user_id) == (DialogType.GROUP, "Hikers", ana.user.id)
    assert set(group.occupants_ids) == {ana.user.id, bob.user.id}
    changed = ana.dialogs.update(group, name="Climbers", photo="", add_occupants=eve.user)
    assert (changed.name, changed.description, changed.photo or "") == ("Climbers", "Sundays", "")
    assert eve.user.id in changed.occupants_ids
    assert eve.user.id not in ana.dialogs.update(group, remove_occupants=[eve.user]).occupants_ids
    with pytest.raises(ApiResponseError):
        eve.dialogs.update(group, name="Mine")
    assert ana.dialogs.delete(group, force=True).deleted == (group.id,)
    assert bob.dialogs.count() == 0


def test_one_dialog_and_one_message_are_found_by_their_ids(ana, bob, eve):
    group = ana.dialogs.create_group("Hikers", [bob.user], data={"class_name": "C", "place": "x"})
    message = ana.messages.create(group, "hello")
    assert bob.dialogs.get(group.id).name == "Hikers"
    assert bob.messages.get(group.id, message.id).body == "hello"
    assert bob.messages.unread_count(group).total == 1
    with pytest.raises(NotFoundError):
        eve.dialogs.get(group.id)
    with pytest.raises(NotFoundError):
        bob.messages.get(group.id, "0" * 24)
    with pytest.raises(NotFoundError):
        bob.messages.delete("0" * 24)
    changed = ana.dialogs.update(group, data={"place": None, "height": 5})
    assert changed.data == {"class_name": "C", "height": 5}


def test_messages_are_pinned_and_unpinned(ana, bob):
    group = ana.dialogs.create_group("Hikers", [bob.user])
    message = ana.messages.create(group, "read this")
    assert ana.dialogs.update(group, pin=message).pinned_messages_ids == (message.id,)
    assert ana.dialogs.update(group, unpin=[message]).pinned_messages_ids == ()


def test_only_the_owner_makes_admins(ana, bob, eve):
    group = ana.dialogs.create_group("Hikers", [bob.user, eve.user])
    assert ana.dialogs.update_admins(group, add=bob.user).admins_ids == (bob.user.id,)
    with pytest.raises(PermissionDeniedError):
        eve.dialogs.update_admins(group, add=eve.user)
    assert ana.dialogs.update_admins(group, remove=[bob.user]).admins_ids == ()


def test_several_are_deleted_and_each_is_answered_for(ana, bob, eve):
    mine = [ana.dialogs.create_group(f"g{number}", [bob.user]) for number in range(3)]
    absent = "f" * 24
    result = ana.dialogs.delete([*mine, absent], force=True)
    assert set(result.deleted) == {dialog.id for dialog in mine}
    assert result.not_found == (absent,)
    other = ana.dialogs.create_group("other", [bob.user])
    assert bob.dialogs.delete([other, absent], force=True).not_permitted == (other.id,)
    assert bob.dialogs.delete([absent]).not_found == (absent,)
    with pytest.raises(NotFoundError):
        bob.dialogs.delete(absent)


def test_many_dialogs_are_read_to_the_end_once_each(ana, bob):
    made = [ana.dialogs.create_group(f"g{number}", [bob.user]).id for number in range(25)]
    for dialog in made[::2]:
        ana.messages.create(dialog, "x")
    found = [dialog.id for dialog in ana.dialogs.iter(page_size=10)]
    assert sorted(found) == sorted(made)
    assert ana.dialogs.count(name__contains="g1") == 11


def test_dialogs_that_go_while_they_are_read_hide_no_other(ana, bob):
    made = [ana.dialogs.create_group(f"g{number}", [bob.user]).id for number in range(60)]
    found = []
    for dialog in ana.dialogs.iter(page_size=20):
        found.append(dialog.id)
        if len(found) == 20 + 19:
            ana.dialogs.delete(found[:10], force=True)
    assert sorted(found) == sorted(made)


def test_a_public_dialog_is_subscribed_to_and_left(ana, bob, eve):
    news = ana.dialogs.create_public("News", description="daily")
    assert bob.dialogs.subscribe(news).id == news.id
    users = {user.id for user in ana.dialogs.iter_occupants(news, page_size=2)}
    assert users == {ana.user.id, bob.user.id}
    assert len(ana.dialogs.occupants(news, limit=1)) == 1
    bob.dialogs.unsubscribe(news)
    assert {user.id for user in ana.dialogs.occupants(news)} == {ana.user.id}


def test_a_stranger_may_look_into_a_dialog_that_allows_it(ana, bob):
    news = ana.dialogs.create_public("News", permissions={"allow_preview": True})
    ana.messages.create(news, "first")
    assert [message.body for message in bob.messages.list(news, preview=True)] == ["first"]
    ana.dialogs.update(news, permissions={"allow_preview": False})
    with pytest.raises((PermissionDeniedError, NotFoundError)):
        bob.messages.list(news, preview=True)


def test_notifications_are_on_until_they_are_turned_off(ana, bob):
    dialog = ana.dialogs.create_private(bob.user)
    assert ana.dialogs.notifications_enabled(dialog) is True
    assert ana.dialogs.set_notifications(dialog, False) is False
    assert ana.dialogs.notifications_enabled(dialog) is False
    assert bob.dialogs.notifications_enabled(dialog) is True


def test_history_is_cleared_for_one_or_for_all(ana, bob):
    dialog = ana.dialogs.create_private(bob.user)
    ana.messages.create(dialog, "hello")
    bob.dialogs.clear_history(dialog)
    assert (ana.messages.count(dialog), bob.messages.count(dialog)) == (1, 0)
    ana.dialogs.clear_history(dialog, force=True)
    assert ana.messages.count(dialog) == 0


@pytest.mark.parametrize("sort", ["date_sent", "-date_sent"])
def test_a_history_of_one_second_is_read_once_each(ana, bob, sort):
    dialog = ana.dialogs.create_private(bob.user)
    made = [ana.messages.create(dialog, str(number)).id for number in range(35)]
    found = bob.messages.iter(dialog, page_size=10, sort=sort, mark_as_read=False)
    assert sorted(message.id for message in found) == sorted(made)
    assert bob.messages.unread_count().total == 35


def test_messages_are_edited_and_marked(ana, bob):
    dialog = ana.dialogs.create_private(bob.user)
    first, second = (ana.messages.create(dialog, text) for text in ("one", "two"))
    ana.messages.update(dialog, first, body="won")
    bob.messages.update(dialog, [first, second], delivered=True)
    bob.messages.update(dialog, second, read=True)
    one, two = ana.messages.list(dialog, mark_as_read=False)
    assert one.body == "won"
    assert bob.user.id in one.delivered_ids
    assert bob.user.id not in one.read_ids
    assert bob.user.id in two.read_ids


def test_a_whole_dialog_is_marked_and_counted(ana, bob):
    dialog = ana.dialogs.create_private(bob.user)
    for text in ("one", "two"):
        ana.messages.create(dialog, text)
    count = bob.messages.unread_count([dialog])
    assert (count.total, count.by_dialog) == (2, {dialog.id: 2})
    bob.messages.mark_all_delivered(dialog)
    assert bob.messages.unread_count(dialog).total == 2
    bob.messages.mark_all_read(dialog)
    assert bob.messages.unread_count().total == 0
    assert all(
        {bob.user.id} <= {*message.read_ids} & {*message.delivered_ids}
        for message in ana.messages.list(dialog)
    )


def test_messages_are_deleted_for_one_or_for_all(ana, bob):
    dialog = ana.dialogs.create_private(bob.user)
    first, second = (ana.messages.create(dialog, text) for text in ("one", "two"))
    assert bob.messages.delete(first).deleted == (first.id,)
    assert [message.id for message in bob.messages.list(dialog)] == [second.id]
    assert ana.messages.count(dialog) == 2
    result = ana.messages.delete([first, second, "f" * 24], force=True)
    assert set(result.deleted) == {first.id, second.id}
    assert result.not_found == ("f" * 24,)
    assert (ana.messages.count(dialog), bob.messages.count(dialog)) == (0, 0)


def test_a_message_has_one_reaction_of_each_user(ana, bob):
    dialog = ana.dialogs.create_private(bob.user)
    message = ana.messages.create(dialog, "hello")
    bob.messages.add_reaction(message, "👍")
    ana.messages.add_reaction(message, "👍")
    assert {
        reaction: set(users) for reaction, users in ana.messages.reactions(message).items()
    } == {"👍": {ana.user.id, bob.user.id}}
    bob.messages.remove_reaction(message, "👍")
    assert ana.messages.reactions(message) == {"👍": (ana.user.id,)}
    assert ana.messages.list(dialog)[0].reactions["own"] == ["👍"]


def test_a_system_message_is_answered_with_what_was_sent(ana, bob):
    sent = ana.messages.create_system(bob.user, {"refresh": "photos", "who": {"name": "Ana"}})
    assert sent.id
    assert sent.recipient_id == bob.user.id
    assert sent.custom == {"refresh": "photos", "who": {"name": "Ana"}}


def test_a_search_finds_messages_and_dialogs(ana, bob):
    group = ana.dialogs.create_group("lorem people", [bob.user])
    message = ana.messages.create(group, "ipsum lorem dolor")
    found = bob.search("lorem")
    assert [dialog.id for dialog in found.dialogs] == [group.id]
    assert [each.id for each in found.messages] == [message.id]
    now = datetime.now(timezone.utc)
    day = timedelta(days=1)
    assert bob.search("lorem", start=now + day, end=now - day, dialogs=group).messages
    assert not bob.search("lorem", start=now - day, end=now - 2 * day, dialogs=[group]).messages


def test_the_services_rules_of_search_reach_the_caller(ana):
    now = datetime.now(timezone.utc)
    with pytest.raises(ValidationError):
        ana.search("words", start=now, end=datetime(2020, 1, 1, tzinfo=timezone.utc))
    with pytest.raises(ValidationError):
        ana.search("four")
    with pytest.raises(ValidationError):
        ana.search("words", dialogs=[f"{number:024x}" for number in range(11)])
