"""Gaps on real sockets: what came while a session was lost is read from the emulator's history."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from connectycube import (
    ChatState,
    ConnectyCube,
    Dialog,
    DialogRef,
    Limits,
    Message,
    Observer,
    RequestRecord,
    RetryPolicy,
    ServerError,
)
from connectycube.emulator import Emulator
from tests.support.inside import api_of, driver_of, signals_of
from tests.support.people import FAST, PASSWORD, SLOW, Events, Person, away, settled
from tests.support.waiting import TIMEOUT, wait_until

HOUR = 3600.0
_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=[False, True], ids=["no offline copies", "offline copies"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with Emulator(offline_messages=request.param) as running:
        yield running


@pytest.fixture
def person(emulator: Emulator) -> Iterator[Callable[..., Person]]:
    """Makes users who are logged in; closed at the end."""
    made: list[Person] = []

    def make(name: str, **options: Any) -> Person:
        login = f"{name}-{next(_numbers)}"
        emulator.add_user(login, PASSWORD)
        made.append(Person.in_chat(emulator, login, **options))
        return made[-1]

    yield make
    emulator.faults.stop_all()
    for somebody in made:
        somebody.cube.close()


class Requests(Observer):
    """The REST requests of a client, by what they ask for."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.then: Callable[[str], None] = lambda path: None

    def request_finished(self, record: RequestRecord) -> None:
        assert record.path is not None
        path = record.path.removeprefix("/chat/").partition("/")[0]
        self.paths.append(path)
        self.then(path)

    @property
    def count(self) -> Counter[str]:
        return Counter(self.paths)


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def ann(person, requests) -> Person:
    return person("ann", reconnect=SLOW, observer=requests)


@pytest.fixture
def bea(person) -> Person:
    return person("bea")


def wait_for_bodies(somebody: Person, *bodies: str, signal: str = "message_received") -> list[Any]:
    """Wait until so many messages have come, check them, and return them."""
    messages = somebody.events.wait_for(signal, len(bodies))
    assert [message.body for message in messages] == list(bodies)
    return messages


def say(speaker: Person, to: Person | Dialog, *bodies: str) -> None:
    """Send messages, one after the other, to be stored before this returns."""
    for body in bodies:
        if isinstance(to, Dialog):
            speaker.chat.send_message(to, body).result(TIMEOUT)
        else:
            speaker.chat.send_private(to.id, body).result(TIMEOUT)


def is_filled(somebody: Person, patience: float = TIMEOUT) -> None:
    """Wait until there is no gap any more."""
    recovery = driver_of(somebody.chat).core.session.recovery
    wait_until(lambda: not recovery.is_open, "the gap to be filled", timeout=patience)


# --- what is recovered ----------------------------------------------------------------------------


def test_a_gap_in_private_group_and_public_dialogs_is_filled(emulator, ann, bea):
    group = ann.cube.dialogs.create_group("hikers", [bea.id])
    public = bea.cube.dialogs.create_public("everybody")
    ann.cube.dialogs.subscribe(public.id)
    say(bea, ann, "before")
    say(ann, bea, "mine")
    wait_for_bodies(ann, "before")
    settled(ann)  # the server has her 'delivered', too
    with away(ann, emulator):
        say(bea, ann, "private 1", "private 2")
        say(bea, group, "group 1", "group 2")
        say(bea, public, "public 1", "public 2")
    ann.events.wait_for("message_received", 7)
    say(bea, ann, "after")
    _, *messages, after = ann.events.wait_for("message_received", 8)
    assert after.body == "after" and not after.recovered
    for name, dialog in (("private", None), ("group", group), ("public", public)):
        of_dialog = [m for m in messages if m.body.startswith(name)]
        assert [m.body for m in of_dialog] == [f"{name} 1", f"{name} 2"]
        assert not any(m.own for m in of_dialog) and {m.sender_id for m in of_dialog} == {bea.id}
        if dialog is not None:
            assert {m.dialog_id for m in of_dialog} == {dialog.id}
    assert ann.events.of("recovery_failed") == []
    # 'delivered' of all that was saved, once; and nothing was marked as read
    bea.events.wait_for("message_delivered", 8)
    settled(ann, bea)
    delivered = Counter(status.message_id for status in bea.events.of("message_delivered"))
    assert set(delivered.values()) == {1} and len(delivered) == 8
    assert ann.cube.messages.unread_count().total == 8


def test_recovered_messages_can_be_answered_and_are_told_apart(emulator, ann, bea):
    with away(ann, emulator):
        bea.cube.messages.create(ann.id, "over REST", colour="red")  # never sent to the chat
    (message,) = wait_for_bodies(ann, "over REST")
    assert message.recovered and message.custom == {"colour": "red"} and message.markable
    assert message.dialog == DialogRef.private(bea.id, message.dialog_id)
    ann.chat.reply(message, "heard").result(TIMEOUT)
    wait_for_bodies(bea, "heard")


def test_what_was_edited_or_deleted_in_the_gap_is_as_history_has_it(emulator, ann, bea):
    say(bea, ann, "old")
    (old,) = wait_for_bodies(ann, "old")
    with away(ann, emulator):
        say(bea, ann, "edited", "deleted", "last")
        history = bea.cube.messages.list(old.dialog_id, mark_as_read=False)
        edited, deleted = history[1], history[2]
        bea.cube.messages.update(old.dialog_id, [old.id, edited.id], body="new")
        bea.cube.messages.delete(deleted.id, force=True)
    if emulator._settings.offline_messages:
        messages = wait_for_bodies(ann, "old", "edited", "last")
        assert not any(message.recovered for message in messages)
    else:
        wait_for_bodies(ann, "old", "new", "last")
    is_filled(ann)


def test_what_another_device_sent_in_the_gap_is_recovered_as_ones_own(emulator, ann, bea):
    say(ann, bea, "from here")
    with ConnectyCube(config=emulator.config(reconnect=FAST)) as other:
        other.login(login=ann.name, password=PASSWORD)
        other.chat.login()
        with away(ann, emulator):
            other.chat.send_private(bea.id, "from there").result(TIMEOUT)
    (message,) = wait_for_bodies(ann, "from there", signal="own_message_received")
    assert message.own and message.recovered and message.dialog.peer_id == bea.id
    assert ann.bodies == []


def test_equal_and_wrong_times_of_sending_are_no_obstacle(emulator, ann, bea):
    say(bea, ann, "first")
    wait_for_bodies(ann, "first")
    same = [f"same {number}" for number in range(205)]
    dates = {"future": 4_000_000_000, "past": 86_400} | dict.fromkeys(same, 1_700_000_000)
    with away(ann, emulator):
        for body, date in dates.items():
            sent = datetime.fromtimestamp(date, timezone.utc)
            handle = bea.chat.send_private(ann.id, Message(body=body, date_sent=sent))
        handle.result(TIMEOUT)
    # The dialog's last message is of 2023, and new all the same. What comes live is in the order it was sent.
    in_order = dates if emulator._settings.offline_messages else ["past", *same, "future"]
    messages = wait_for_bodies(ann, "first", *in_order)
    assert {m.recovered for m in messages[1:]} == {not emulator._settings.offline_messages}


@pytest.mark.parametrize("emulator", [False], indirect=True)
@pytest.mark.parametrize("every", [1, 2])
def test_dates_in_milliseconds_are_no_obstacle(emulator, ann, bea, requests, every):
    dialog = ann.cube.dialogs.create_private(bea.id)
    requests.paths.clear()
    with away(ann, emulator):
        now = int(emulator.clock.time()) + 1
        dates = [now * 1000 + number if number % every == 0 else now for number in range(350)]
        messages = [
            {"sender_id": bea.id, "message": str(number), "date_sent": date}
            for number, date in enumerate(dates)
        ]
        emulator.add_messages(dialog.id, messages)
    ann.events.wait_for("recovery_finished")
    ann.events.wait_for("message_received", 350)
    assert sorted(map(int, ann.bodies)) == list(range(350))
    assert requests.count["Message"] <= 6


# --- work is bounded ------------------------------------------------------------------------------


@pytest.mark.parametrize("emulator", [False], indirect=True)
@pytest.mark.time_limit(180)
def test_a_thousand_dialogs_cost_few_pages_and_a_request_per_change(emulator, ann, bea, requests):
    dialogs = [
        emulator.add_dialog("group", ann.id, [bea.id], name=f"d{number}") for number in range(1_000)
    ]
    emulator.clock.advance(HOUR)
    assert ann.cube.dialogs.count() >= 1_000  # which also tells the time
    changed = dialogs[::25]
    say(bea, ann, "here")
    wait_for_bodies(ann, "here")
    settled(ann)  # the server has answered by now: the gap will begin here
    requests.paths.clear()
    talking = threading.Event()

    def talk() -> None:
        while not talking.wait(0.001):
            say(bea, ann, "meanwhile")

    with away(ann, emulator):
        for dialog_id in changed:
            bea.chat.send_message(DialogRef.room(dialog_id), dialog_id).result(TIMEOUT)
        speaker = threading.Thread(target=talk)
        speaker.start()
    try:
        ann.events.wait(lambda events: set(changed) <= set(ann.bodies), 60.0)
        is_filled(ann)
    finally:
        talking.set()
        speaker.join(TIMEOUT)
    # The private dialog changed as well; each of the two lists of dialogs ends within its first page.
    assert requests.count["Dialog"] <= 4
    assert requests.count["Message"] <= len(changed) + 3
    counts = Counter(ann.bodies)
    assert all(counts[dialog_id] == 1 for dialog_id in changed)


@pytest.mark.parametrize("emulator", [False], indirect=True)
@pytest.mark.time_limit(180)
def test_a_thousand_changed_dialogs_cost_their_pages_and_a_request_each(
    emulator, ann, bea, requests
):
    dialogs = [
        emulator.add_dialog("group", ann.id, [bea.id], name=f"d{number}") for number in range(1_000)
    ]
    requests.paths.clear()
    with away(ann, emulator):
        pass
    is_filled(ann, 120.0)  # all of them have just been made
    assert len(dialogs) == 1_000 and requests.count["Message"] == 1_000
    assert requests.count["Dialog"] <= 2 * 13


def test_a_session_that_is_resumed_asks_nothing(emulator, ann, bea, requests):
    requests.paths.clear()
    with away(ann, emulator, resumes=True):
        say(bea, ann, "meanwhile")
    wait_for_bodies(ann, "meanwhile")
    assert requests.paths == []


def test_gaps_can_be_left_unfilled(emulator, person, bea, requests):
    cat = person("cat", reconnect=SLOW, observer=requests, fill_gaps=False)
    requests.paths.clear()
    with away(cat, emulator):
        bea.cube.messages.create(cat.id, "stored only")
    say(bea, cat, "after")
    wait_for_bodies(cat, "after")
    assert requests.paths == []


# --- what arrives meanwhile -----------------------------------------------------------------------


def test_live_messages_wait_for_history_and_come_behind_it(emulator, ann, bea):
    group = ann.cube.dialogs.create_group("hikers", [bea.id])
    with emulator.faults.delay(seconds=HOUR, on="rest", user=ann.id):
        with away(ann, emulator):
            say(bea, ann, "in the gap")
        say(bea, ann, "live")
        say(bea, group, "live in the group")
        settled(ann)
        assert ann.bodies == []
    emulator.clock.advance(HOUR)
    ann.events.wait_for("message_received", 3)
    private = [m for m in ann.events.of("message_received") if m.dialog_id != group.id]
    assert [m.body for m in private] == ["in the gap", "live"]
    assert [m.recovered for m in private] == [not emulator._settings.offline_messages, False]


def test_a_gap_within_a_gap_is_filled_once(emulator, ann, bea):
    with emulator.faults.delay(seconds=HOUR, on="rest", user=ann.id) as slow:
        with away(ann, emulator):
            say(bea, ann, "first gap")
        say(bea, ann, "live")
        settled(ann)
        slow.wait(1)
        with away(ann, emulator):
            say(bea, ann, "second gap")
    emulator.clock.advance(HOUR)
    wait_for_bodies(ann, "first gap", "live", "second gap")
    is_filled(ann)
    settled(ann)
    assert len(ann.bodies) == 3


def test_logging_out_meanwhile_gives_the_receivers_what_had_arrived(emulator, ann, bea):
    with emulator.faults.delay(seconds=HOUR, on="rest", user=ann.id) as slow:
        with away(ann, emulator):
            bea.cube.messages.create(ann.id, "in the gap")
        say(bea, ann, "live")
        settled(ann)
        slow.wait(1)
        ann.chat.logout()
    assert ann.chat.state is ChatState.CLOSED
    wait_for_bodies(ann, "live")
    emulator.clock.advance(HOUR)
    wait_until(
        lambda: not any(t.name.endswith("-history") for t in threading.enumerate()),
        "the end of the reading",
    )
    assert ann.bodies == ["live"]


def test_destroy_waits_for_a_request_to_history_within_its_bound(emulator, ann):
    def reading() -> list[threading.Thread]:
        name = f"{driver_of(ann.chat).name}-history"
        return [thread for thread in threading.enumerate() if thread.name == name]

    with emulator.faults.delay(seconds=HOUR, on="rest", user=ann.id) as slow:
        with away(ann, emulator):
            pass
        slow.wait(1)
        ann.chat.destroy(timeout=0.1)
        assert ann.chat.state is ChatState.IDLE and len(reading()) == 1
    emulator.clock.advance(HOUR)
    ann.chat.destroy(timeout=TIMEOUT)
    assert reading() == []


# --- slow receivers -------------------------------------------------------------------------------


def fill(emulator: Emulator, somebody: Person, sender: Person, count: int) -> list[str]:
    """Let so many messages come while somebody is away, and return their bodies."""
    dialog = somebody.cube.dialogs.create_private(sender.id)
    bodies = [str(number) for number in range(count)]
    with away(somebody, emulator, settles=False):
        messages = [{"sender_id": sender.id, "message": body} for body in bodies]
        emulator.add_messages(dialog.id, messages)
    return bodies


def test_history_is_read_no_faster_than_receivers_take_it(emulator, person, bea, requests):
    limits = Limits(queued_events=4)
    cat = person("cat", reconnect=SLOW, observer=requests, limits=limits)
    entered, release = threading.Event(), threading.Event()

    def dawdle(chat: Any, message: Any) -> None:
        entered.set()
        release.wait(TIMEOUT)

    cat.chat.message_received.connect(dawdle)
    requests.paths.clear()
    bodies = fill(emulator, cat, bea, 350)
    try:
        assert entered.wait(TIMEOUT)
        dispatcher = driver_of(cat.chat).dispatcher
        wait_until(lambda: dispatcher._room._waiters, "the wait for room")
        assert dispatcher.queued <= 4 and requests.count["Message"] == 1
    finally:
        release.set()
    wait_for_bodies(cat, *bodies)
    assert cat.chat.state is ChatState.READY


def test_a_receiver_may_wait_for_what_history_brings_later(emulator, person, bea):
    """With one worker and a full queue."""
    cat = person("cat", reconnect=SLOW, limits=Limits(queued_events=8))
    found: list[Any] = []

    def wait_for_the_last(chat: Any, message: Any) -> None:
        if message.body == "0":
            last = chat.wait_for(chat.message_received, TIMEOUT, lambda m: m.body == "249")
            found.append(last)

    cat.chat.message_received.connect(wait_for_the_last)
    bodies = fill(emulator, cat, bea, 250)
    wait_for_bodies(cat, *bodies)
    assert [message.body for message in found] == ["249"]


# --- failures -------------------------------------------------------------------------------------


def test_what_could_not_be_read_is_read_in_the_same_session(emulator, ann, bea):
    with emulator.faults.server_error(on="rest", user=ann.id) as trouble:
        with away(ann, emulator):
            bea.cube.messages.create(ann.id, "lost at first")
        (failure,) = ann.events.wait_for("recovery_failed")
        assert failure.dialog is None and isinstance(failure.error, ServerError)
        assert failure.is_repeated
        say(bea, ann, "live")
        wait_for_bodies(ann, "live")
        trouble.wait(3)
    (finished,) = ann.events.wait_for("recovery_finished")
    wait_for_bodies(ann, "live", "lost at first")
    is_filled(ann)
    assert len(ann.events.of("recovery_failed")) == 1 and finished.messages == 1


@pytest.mark.parametrize("place", ["Dialog", "Message"])
def test_a_gap_is_filled_though_a_request_for_it_fails(emulator, ann, bea, requests, place):
    group = ann.cube.dialogs.create_group("hikers", [bea.id])
    requests.paths.clear()
    begun = threading.Lock()

    def break_the_next(path: str) -> None:
        if path == place and begun.acquire(blocking=False):
            emulator.faults.server_error(on="rest", user=ann.id, times=1)

    requests.then = break_the_next
    with away(ann, emulator):
        bea.cube.messages.create(group, "in the group")
        bea.cube.messages.create(ann.id, "private")
    ann.events.wait_for("recovery_finished")
    (failure,) = ann.events.of("recovery_failed")
    assert failure.is_repeated and isinstance(failure.error, ServerError)
    ann.events.wait_for("message_received", 2)
    assert sorted(ann.bodies) == ["in the group", "private"]


def test_limited_rates_keep_no_gap_open(emulator, person, bea):
    cat = person("cat", reconnect=SLOW, retry=RetryPolicy(delay=0.01))
    limits = emulator.faults.rate_limit(retry_after=0, times=5, user=cat.id)
    with away(cat, emulator):
        bea.cube.messages.create(cat.id, "in the gap")
    cat.events.wait_for("recovery_finished")
    wait_for_bodies(cat, "in the gap")
    limits.wait(5)
    assert len(cat.events.of("recovery_failed")) == 1


@pytest.mark.parametrize("how", ["logout", "destroy", "a new session"])
def test_the_end_of_a_session_ends_its_repetition(emulator, ann, bea, how):
    name = f"{driver_of(ann.chat).name}-history"
    is_reading = lambda: any(thread.name == name for thread in threading.enumerate())  # noqa: E731
    limited = emulator.faults.rate_limit(retry_after=20, user=ann.id)
    with away(ann, emulator):
        bea.cube.messages.create(ann.id, "in the gap")
    limited.wait(1)
    wait_until(is_reading, "the reading")
    if how == "a new session":
        limited.stop()
        with away(ann, emulator):
            pass
        wait_for_bodies(ann, "in the gap")
        is_filled(ann)
    else:
        getattr(ann.chat, how)()
    wait_until(lambda: not is_reading(), "the end of the reading")


@pytest.mark.parametrize("emulator", [False], indirect=True)
def test_a_gap_of_large_messages_is_read_in_smaller_pages(emulator, ann, bea, monkeypatch):
    monkeypatch.setattr("connectycube.rest._http._RESPONSE_BYTES", 400_000)
    dialog = ann.cube.dialogs.create_private(bea.id)
    with away(ann, emulator):
        large = [{"sender_id": bea.id, "message": f"{n:03d}" + "x" * 20_000} for n in range(100)]
        emulator.add_messages(dialog.id, large)
    ann.events.wait_for("recovery_finished")
    ann.events.wait_for("message_received", 100)
    assert [body[:3] for body in ann.bodies] == [f"{number:03d}" for number in range(100)]
    assert ann.events.of("recovery_failed") == []
    assert len(list(ann.cube.messages.iter(dialog))) == 100


def test_temporary_trouble_is_the_transports_business(emulator, ann, bea):
    trouble = emulator.faults.rate_limit(retry_after=0, times=2, user=ann.id)
    with away(ann, emulator):
        bea.cube.messages.create(ann.id, "in the gap")
    wait_for_bodies(ann, "in the gap")
    trouble.wait(2)
    assert ann.events.of("recovery_failed") == []


def test_without_a_rest_session_it_is_told_that_nothing_can_be_read(emulator, bea):
    login = f"dan-{next(_numbers)}"
    user_id = emulator.add_user(login, PASSWORD)
    with ConnectyCube(config=emulator.config(reconnect=SLOW)) as cube:
        cube.chat.events_seen = Events(*signals_of(cube.chat))
        cube.chat.login(user_id, PASSWORD)
        watched = Person(user_id, cube.config, cube=cube)
        with away(watched, emulator):
            pass
        (failure,) = cube.chat.events_seen.wait_for("recovery_failed")
        assert failure.dialog is None
        say(bea, watched, "live")
        cube.chat.events_seen.wait_for("message_received")


def test_recovery_asks_for_the_service_time_that_no_rest_call_told(emulator, bea):
    login = f"eve-{next(_numbers)}"
    user_id = emulator.add_user(login, PASSWORD)
    with ConnectyCube(config=emulator.config(reconnect=SLOW)) as other:
        other.login(login=login, password=PASSWORD)
        token = other.session.token
        with other.with_token(token, user_id=user_id) as cube:
            seen = Events(cube.chat.message_received, cube.chat.recovery_failed)
            cube.chat.login()
            assert api_of(cube).service_time() is None
            with away(Person(user_id, cube.config, cube=cube), emulator):
                bea.cube.messages.create(user_id, "in the gap")
            assert seen.wait_for("message_received")[0].recovered
            assert seen.of("recovery_failed") == []
