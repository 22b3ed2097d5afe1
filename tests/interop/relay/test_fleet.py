"""A fleet whose members are relayed on each engine: whose events are handed over, and who answers."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from connectycube import ArgumentTypeError, ConnectyCube, Fleet
from connectycube.contrib.relay import Engine, Relay, Worker
from connectycube.emulator import Emulator
from tests.support.people import FAST, PASSWORD, Person
from tests.support.waiting import TIMEOUT, wait_until

PARTITIONS = 4
_numbers = itertools.count(1)


@pytest.fixture
def alice(emulator: Emulator) -> Iterator[Person]:
    emulator.add_user("fleet-alice", PASSWORD)
    person = Person.in_chat(emulator, "fleet-alice")
    with person.cube:
        yield person


def credentials(emulator: Emulator) -> dict[str, str]:
    """Those of a new user."""
    login = f"relayed{next(_numbers)}"
    emulator.add_user(login, PASSWORD)
    return {"login": login, "password": PASSWORD}


@pytest.fixture
def fleet(emulator: Emulator) -> Iterator[Fleet]:
    """A fleet with two members, which is not logged in."""
    members = [credentials(emulator) for _ in range(2)]
    cube = ConnectyCube(config=emulator.config(reconnect=FAST))
    with cube:
        made = Fleet(cube, members)
        yield made
        made.close()


@pytest.fixture
def relay(new_engine: Callable[..., Engine], fleet: Fleet) -> Iterator[Relay]:
    made = Relay(new_engine(), partitions=PARTITIONS)
    yield made
    fleet.close()
    made.close()


@pytest.fixture
def seen(new_engine: Callable[..., Engine]) -> Iterator[dict[tuple[int, int], list[str]]]:
    """The events of a worker that answers each, by member and sender."""
    worker, found = Worker(new_engine(), partitions=PARTITIONS), defaultdict(list)

    @worker.on("message_received")
    def answer(message, context):
        found[context.bot, message.sender_id].append(message.body)
        context.reply(f"re: {message.body}")

    thread = threading.Thread(target=worker.run)
    thread.start()
    yield found
    worker.stop()
    thread.join(TIMEOUT)
    assert not thread.is_alive()


def answers(person: Person, count: int) -> dict[int, list[str]]:
    """The bodies of the answers that a person has, by their senders."""
    found = defaultdict(list)
    for message in person.events.wait_for("message_received", count):
        found[message.sender_id].append(message.body)
    return found


def outboxes() -> int:
    return sum(each.name == "connectycube-outbox" for each in threading.enumerate())


def test_each_member_answers_in_order_what_it_has_received(fleet, relay, seen, alice):
    assert relay.attach(fleet) is relay
    fleet.login()
    ids = [chat.user.id for chat in fleet]
    sent = [str(number) for number in range(20)]
    for body in sent:
        for each in ids:
            alice.chat.send_private(each, f"{body} for {each}")
    expected = {each: [f"re: {body} for {each}" for body in sent] for each in ids}
    assert answers(alice, 40) == expected
    assert seen == {(each, alice.id): [f"{body} for {each}" for body in sent] for each in ids}


@pytest.mark.parametrize("is_logged_in", [False, True])
def test_a_member_that_is_added_later_is_relayed_too(
    fleet, relay, seen, alice, emulator, is_logged_in
):
    if is_logged_in:
        fleet.login()
    relay.attach(fleet)
    fleet.login()
    later = fleet.add(credentials(emulator)).result(TIMEOUT)
    for chat in fleet:
        alice.chat.send_private(chat.user, "hello")
    assert answers(alice, 3) == {chat.user.id: ["re: hello"] for chat in fleet}
    assert later in {*fleet}


def test_a_removed_member_has_no_outbox_and_finds_its_answers_later(
    fleet, relay, new_engine, alice, emulator
):
    relay.attach(fleet)
    fleet.login()
    chat = next(iter(fleet))
    user = chat.user
    wait_until(lambda: outboxes() == 2)
    alice.chat.send_private(user, "hello")
    wait_until(lambda: sum(each.waiting for each in relay.status()) == 1)
    fleet.remove(user)
    wait_until(lambda: outboxes() == 1, "the outbox of the removed member has ended")
    worker = Worker(new_engine(), partitions=PARTITIONS)
    handled = threading.Event()

    @worker.on("message_received")
    def answer(message, context):
        context.reply("late")
        handled.set()

    thread = threading.Thread(target=worker.run)
    thread.start()
    assert handled.wait(TIMEOUT)
    worker.stop()
    thread.join(TIMEOUT)
    fleet.add({"login": user.login, "password": PASSWORD}).result(TIMEOUT)
    assert answers(alice, 1) == {user.id: ["late"]}


def test_a_chat_that_is_attached_after_its_login_answers_too(emulator, relay, seen, alice):
    with ConnectyCube(config=emulator.config()) as cube:
        user = cube.login(**credentials(emulator))
        cube.chat.login()
        relay.attach(cube.chat)
        alice.chat.send_private(user, "hello")
        assert answers(alice, 1) == {user.id: ["re: hello"]}


def test_the_end_of_a_fleet_leaves_no_outbox(fleet, relay, seen):
    relay.attach(fleet)
    fleet.login()
    wait_until(lambda: outboxes() == 2)
    assert not fleet.close()
    relay.close()
    assert outboxes() == 0


def test_what_is_no_chat_is_refused_by_name(relay, fleet):
    with pytest.raises(ArgumentTypeError, match=r"chat must be a Chat.* or a Fleet, not Config"):
        relay.attach(fleet._config)
