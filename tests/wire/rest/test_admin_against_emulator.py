"""The Administration API against the emulator: what it reads and changes, also while others write."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from connectycube import (
    ApiAuthenticationError,
    ConnectyCube,
    DialogType,
    NotFoundError,
    PermissionDeniedError,
    RetryPolicy,
    ServerError,
    ValidationError,
)
from tests.support.inside import api_of
from tests.support.people import Person, logged_in
from tests.support.waiting import TIMEOUT

FAST = RetryPolicy(max_retries=3, delay=0.001, max_delay=0.001)
PASSWORD = "a password"


@pytest.fixture
def cube(emulator):
    """A client with the key, without a session."""
    with ConnectyCube(config=emulator.config(retry=FAST)) as made:
        yield made


@pytest.fixture
def admin(cube):
    return cube.admin


@pytest.fixture
def people(emulator):
    return [emulator.add_user(name, PASSWORD) for name in ("alice", "bob", "eve")]


@pytest.fixture
def club(emulator, people):
    """A group of Alice and Bob with 250 messages, 40,000 seconds apart."""
    alice, bob, _ = people
    dialog_id = emulator.add_dialog("group", alice, [bob], name="Club")
    emulator.add_messages(
        dialog_id,
        [
            {"sender_id": bob, "message": f"message {n}", "date_sent": 1_700_000_000 + 40_000 * n}
            for n in range(250)
        ],
    )
    return dialog_id


def bodies(found):
    return [message.body for message in found]


def numbered(*numbers):
    return [f"message {number}" for number in range(*numbers)]


# --- reading --------------------------------------------------------------------------------------


def test_all_messages_come_in_both_directions(admin, club):
    assert bodies(admin.messages.iter(page_size=30)) == numbered(250)
    assert bodies(admin.messages.iter(sort="-id")) == numbered(250)[::-1]
    assert bodies(admin.messages.list(sort="-id", limit=3)) == numbered(249, 246, -1)
    assert admin.messages.count() == 250
    page = admin.messages.list()
    assert (len(page), page.total_entries, page.skip, page.limit) == (100, 250, 0, 100)


def test_an_iteration_in_another_process_goes_on_behind_an_id(emulator, admin, club):
    reading = admin.messages.iter(page_size=30)
    first = [next(reading) for _ in range(70)]
    with ConnectyCube(config=emulator.config()) as other:
        rest = list(other.admin.messages.iter(after=first[-1].id))
    assert bodies([*first, *rest]) == numbered(250)


def test_messages_of_one_dialog_or_of_a_time_alone(emulator, admin, people, club):
    other = emulator.add_dialog("group", people[0], [people[2]], name="Other")
    emulator.add_messages(other, [{"sender_id": people[0], "message": "elsewhere"}])
    assert bodies(admin.messages.iter(dialog=other)) == ["elsewhere"]
    assert admin.messages.count(dialog=club) == 250
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    assert admin.messages.count(created_at__lt=yesterday) == 250
    assert bodies(admin.messages.iter(updated_at__gte=yesterday)) == ["elsewhere"]


def test_reading_marks_nothing_as_read(emulator, admin, people, club):
    list(admin.messages.iter())
    with ConnectyCube(config=emulator.config()) as alice:
        alice.login(login="alice", password=PASSWORD)
        assert alice.messages.unread_count(club).total == 250


def test_what_a_user_deletes_for_themselves_is_still_there(emulator, admin, people, club):
    with ConnectyCube(config=emulator.config()) as alice:
        alice.login(login="alice", password=PASSWORD)
        first = alice.messages.list(club, limit=1, mark_as_read=False)[0]
        alice.messages.delete(first)
        private = alice.dialogs.create_private(people[1])
        alice.dialogs.delete(private)
    found = next(admin.messages.iter())
    assert (found.id, found.deleted_for_ids) == (first.id, (people[0],))
    assert admin.dialogs.get(private).deleted_ids == (people[0],)


def test_a_message_of_any_user_has_its_parts(emulator, admin, people):
    with ConnectyCube(config=emulator.config()) as alice:
        alice.login(login="alice", password=PASSWORD)
        dialog = alice.dialogs.create_private(people[1])
        sent = alice.messages.create(dialog, "Look", custom={"mood": "fine"})
        alice.messages.add_reaction(sent, "👍")
    (found,) = admin.messages.iter()
    assert (found.id, found.dialog_id, found.body) == (sent.id, dialog.id, "Look")
    assert (found.sender_id, found.recipient_id) == (people[0], people[1])
    assert (found.custom, found.edited_at) == ({"mood": "fine"}, None)
    assert found.reactions == {"own": [], "total": {"👍": 1}}
    assert found.read_ids == (people[0],)


def test_others_write_and_delete_while_all_is_read(emulator, admin, people, club):
    with ConnectyCube(config=emulator.config()) as bob:
        bob.login(login="bob", password=PASSWORD)
        found = []
        for message in admin.messages.iter(page_size=20):
            found.append(message.body)
            if len(found) % 50 == 0:
                bob.messages.delete(message, force=True)
                bob.messages.create(club, f"new {len(found)}")
                assert len(found) < 400, "an iteration does not run after itself for ever"
            if len(found) == 250:
                break
        assert found == numbered(250)
    assert admin.messages.count() == 250


@pytest.mark.parametrize(
    "fault",
    ["rate_limit:retry_after=0,times=2", "server_error:status=503,times=2", "drop:on=rest,times=1"],
)
def test_faults_of_the_service_lose_and_repeat_nothing(emulator, admin, club, fault):
    reading, found = admin.messages.iter(page_size=25), []
    for message in reading:
        found.append(message.body)
        if len(found) % 25 == 0:
            emulator.faults.start_text(fault)
    emulator.faults.stop_all()
    assert found == numbered(250)


def test_an_iteration_goes_on_after_an_error_that_reached_the_program(emulator, admin, club):
    reading, found = admin.messages.iter(page_size=100), []
    emulator.faults.server_error(status=500, times=1)
    with pytest.raises(ServerError):
        next(reading)
    found += [next(reading) for _ in range(100)]
    emulator.faults.server_error(status=500, times=1)
    with pytest.raises(ServerError):
        next(reading)
    assert bodies([*found, *reading]) == numbered(250)


def test_dialogs_of_all_users_are_listed_looked_up_and_counted(emulator, admin, people, club):
    _, bob, eve = people
    private = emulator.add_dialog("private", bob, [eve])
    public = emulator.add_dialog("public", eve, name="News")
    assert [found.id for found in admin.dialogs.iter(page_size=2)] == [club, private, public]
    assert [found.id for found in admin.dialogs.iter(after=club)] == [private, public]
    assert admin.dialogs.count() == 3
    assert admin.dialogs.count(type=DialogType.PRIVATE) == 1
    assert [found.id for found in admin.dialogs.list(name__contains="Ne")] == [public]
    found = admin.dialogs.get(private)
    assert found.type is DialogType.PRIVATE
    assert (found.occupants_ids, found.peer_id) == ((bob, eve), None)
    with pytest.raises(NotFoundError):
        admin.dialogs.get("f" * 24)


# --- changing -------------------------------------------------------------------------------------


def test_any_dialog_is_changed_whatever_the_roles(emulator, admin, people, club):
    alice, bob, eve = people
    changed = admin.dialogs.update(
        club,
        name="Old club",
        description="x",
        add_occupants=eve,
        add_admins=eve,
        remove_occupants=bob,
    )
    assert (changed.name, changed.description) == ("Old club", "x")
    assert (changed.occupants_ids, changed.admins_ids) == ((alice, eve), (eve,))
    with pytest.raises(NotFoundError):
        admin.dialogs.update("f" * 24, name="x")


def test_a_muted_user_gets_no_push_until_unmuted(emulator, admin, people, club):
    bob = people[1]
    with ConnectyCube(config=emulator.config()) as cube:
        cube.login(login="bob", password=PASSWORD)
        assert admin.dialogs.mute(club, bob).silent_ids == (bob,)
        assert cube.dialogs.notifications_enabled(club) is False
        assert admin.dialogs.unmute(club, bob).silent_ids == ()
        assert cube.dialogs.notifications_enabled(club) is True
    with pytest.raises(ValidationError, match="not in this dialog"):
        admin.dialogs.mute(club, people[2])
    with pytest.raises(NotFoundError):
        admin.dialogs.mute(club, 9999)


def test_any_user_is_deleted(emulator, admin, people):
    admin.users.delete(people[1])
    assert [user["login"] for user in emulator.users()] == ["alice", "eve"]
    with pytest.raises(NotFoundError):
        admin.users.delete(people[1])


def test_statistics_count_by_day_and_type(emulator, admin, people, club):
    assert admin.statistics.messages_sent() == 250
    assert admin.statistics.messages_sent(1_700_000_000, 1_700_000_000 + 40_000 * 9) == 10
    days = list(admin.statistics.iter_messages_sent_per_day(page_size=20))
    assert sum(each.count for each in days) == 250
    assert [each.day for each in days] == sorted({each.day for each in days})
    page = admin.statistics.messages_sent_per_day(limit=5, skip=2)
    assert list(page) == days[2:7]
    assert admin.statistics.dialogs_created(types=[DialogType.GROUP]) == 1
    assert admin.statistics.dialogs_created(types=DialogType.PUBLIC) == 0
    (today,) = admin.statistics.dialogs_created_per_day()
    assert today.count == 1


def test_a_wrong_key_is_refused_and_a_session_is_none(emulator, people):
    with ConnectyCube(config=emulator.config(admin_key="another key of somebody")) as cube:
        with pytest.raises(PermissionDeniedError):
            cube.admin.messages.list()
        cube.login(login="alice", password=PASSWORD)
        with pytest.raises(PermissionDeniedError):
            cube.admin.messages.list()


def test_without_the_header_the_service_answers_401(emulator, cube):
    with pytest.raises(ApiAuthenticationError):
        api_of(cube).call("GET", ("admin", "chat", "list"), session="none")


# --- meetings and calls ---------------------------------------------------------------------------


def test_a_meeting_lives_from_its_creation_to_its_end(emulator, admin, people):
    alice, bob, _ = people
    with (
        ConnectyCube(config=emulator.config()) as host,
        host.for_user(login="bob", password=PASSWORD) as guest,
        host.for_user(login="eve", password=PASSWORD) as stranger,
    ):
        host.login(login="alice", password=PASSWORD)
        made = host.meetings.create(
            "Round", 1_800_000_000, 1_800_003_600, [bob, "x@y.example"], chat=True
        )
        assert made.host_id == alice
        assert host.dialogs.get(made.chat_dialog_id).occupants_ids == (alice, bob)
        assert guest.meetings.get(made) == made
        assert list(guest.meetings.iter()) == [made]
        with pytest.raises(NotFoundError):
            stranger.meetings.get(made)
        with pytest.raises(PermissionDeniedError):
            guest.meetings.update(made, name="Mine")
        changed = host.meetings.update(made, name="Square", public=True)
        assert (changed.name, changed.attendees) == ("Square", made.attendees)
        assert stranger.meetings.get(made.id).name == "Square"
        assert list(stranger.meetings.iter()) == []
        host.meetings.update(made, record=True)
        host.meetings.update(made, name="Square", record=False, public=True)
        (recording,) = guest.meetings.recordings(made)
        assert recording.participants_ids == (alice,)
        assert admin.meetings.recordings(made) != ()
        admin.meetings.delete_recordings(made)
        assert host.meetings.recordings(made) == ()
        host.meetings.delete(made)
        assert host.meetings.list().items == ()


def test_meetings_are_looked_up_and_paged(emulator, admin, people):
    alice = people[0]
    for number in range(25):
        admin.meetings.create(
            alice, f"M{number}", 1000 + number, 2000, [], scheduled=number % 2 == 0
        )
    with ConnectyCube(config=emulator.config()) as host:
        host.login(login="alice", password=PASSWORD)
        names = [found.name for found in host.meetings.iter(page_size=4)]
        assert names == [f"M{number}" for number in range(25)]
        found = host.meetings.list(start_date__gte=1010, scheduled=True, created_at__gt=1)
        assert [each.name for each in found] == [f"M{number}" for number in range(10, 25, 2)]
        assert [each.name for each in host.meetings.list(limit=2, skip=3)] == ["M3", "M4"]


def test_a_change_of_a_meeting_by_its_id_needs_all_four(cube):
    with pytest.raises(ValueError, match="start is missing"):
        cube.meetings.update("6a2f00aa11bb22cc33dd4401", name="x")


def test_a_rejected_call_reaches_the_caller_and_no_signal_of_messages(emulator):
    caller = Person.new(emulator)
    emulator.add_user("called", PASSWORD)
    with logged_in(caller), ConnectyCube(config=emulator.config()) as cube:
        cube.login(login="called", password=PASSWORD)
        cube.calls.reject(caller.id, "5f1c", user_info={"busy": True})
        with pytest.raises(NotFoundError):
            cube.calls.reject(9999, "5f1c")
        cube.messages.create(caller.id, "afterwards", send_to_chat=True)
        assert caller.events.wait_for("message_received")[0].body == "afterwards"
        assert caller.events.of("system_message_received") == []
        assert caller.chat.wait_until_idle(TIMEOUT)
