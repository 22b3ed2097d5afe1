"""Eight users in one process write real texts to groups: each sees all of them, once, in the room's order."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from connectycube import ConnectyCube
from tests.interop.texts import UNHURRIED, allowed_in_xml, texts
from tests.support.people import FAST, Events
from tests.support.waiting import TIMEOUT

PASSWORD = "correct horse"
COUNT = 2000
PEOPLE = 8


@pytest.fixture
def crowd(emulator):
    """Eight clients with sessions and chats that are logged in."""
    with ExitStack() as stack:
        cubes = []
        for number in range(PEOPLE):
            login = f"user{number}"
            emulator.add_user(login, PASSWORD)
            cube = stack.enter_context(
                ConnectyCube(config=emulator.config(reconnect=FAST, timeouts=UNHURRIED))
            )
            cube.login(login=login, password=PASSWORD)
            cubes.append(cube)
        yield cubes


def exchange(emulator, cubes, dialogs, capsys):
    """Let everybody write their share of 2,000 texts to the dialogs in turn, all at once."""
    sample = [text for text in texts(2300) if allowed_in_xml(text)][:COUNT]
    assert len(sample) == COUNT
    received = [Events(cube.chat.message_received) for cube in cubes]
    failed = [Events(cube.chat.message_failed, cube.chat.callback_failed) for cube in cubes]
    for cube in cubes:
        cube.chat.login()
        for dialog in dialogs:
            cube.chat.join(dialog)

    def write(number):
        mine = sample[number::PEOPLE]
        handles = [
            cubes[number].chat.send_message(dialogs[position % len(dialogs)], text)
            for position, text in enumerate(mine)
        ]
        return [handle.result(60) for handle in handles]

    began = time.monotonic()
    with ThreadPoolExecutor(PEOPLE) as pool:
        sent = [message for messages in pool.map(write, range(PEOPLE)) for message in messages]
    others = COUNT - COUNT // PEOPLE
    for events in received:
        events.wait_for("message_received", others, timeout=60)
    took = time.monotonic() - began

    bodies = {message.id: message.body for message in sent}
    assert len(bodies) == COUNT and sorted(bodies.values()) == sorted(sample)
    for dialog in dialogs:
        in_room = [message["_id"] for message in emulator.messages(dialog.id)]
        for cube, events in zip(cubes, received, strict=True):
            seen = [m for m in events.of("message_received") if m.dialog_id == dialog.id]
            assert all(message.body == bodies[message.id] for message in seen)
            mine = {message.id for message in sent if message.sender_id == cube.user.id}
            assert [message.id for message in seen] == [i for i in in_room if i not in mine]
    for cube in cubes:
        cube.chat.ping(TIMEOUT)
    assert [len(events.of("message_received")) for events in received] == [others] * PEOPLE
    assert all(events.all == [] for events in failed)
    with capsys.disabled():
        print(
            f"\n{COUNT} real texts of {PEOPLE} users in {len(dialogs)} groups: {others * PEOPLE} received"
            f" in {took:.1f} s"
        )


def test_eight_users_exchange_two_thousand_real_texts_in_one_room(emulator, crowd, capsys):
    owner, *members = crowd
    group = owner.dialogs.create_group("All", [cube.user.id for cube in members])
    exchange(emulator, crowd, [group], capsys)


def test_and_in_twenty_dialogs_at_once(emulator, crowd, capsys):
    owner, *members = crowd
    ids = [cube.user.id for cube in members]
    groups = [owner.dialogs.create_group(f"Group {number}", ids) for number in range(20)]
    exchange(emulator, crowd, groups, capsys)
