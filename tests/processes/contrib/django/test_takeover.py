"""Two listeners of one bot, the first of which is killed under 500 messages."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.processes.contrib.django.project import READY, SECONDS
from tests.support.people import logged_in
from tests.support.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.time_limit(300)

MESSAGES = 500
LEASE = 12.0  # seconds: long enough that a busy machine is within half of it
WINDOW = 40  # messages on their way at a time


class Sessions:
    """Looks how many sessions a user has, as often as it can."""

    def __init__(self, emulator, user_id):
        self.most = 0
        self._emulator, self._user_id = emulator, user_id
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(TIMEOUT)

    def _run(self):
        while not self._end.wait(0.01):
            self.most = max(self.most, len(self._emulator.sessions(self._user_id)))


def test_a_killed_listener_costs_no_message_and_answers_none_twice(project, emulator, bot_id, bob):
    quick = {"SHOP_CONNECTYCUBE": json.dumps({"LEASE_SECONDS": LEASE})}
    numbers = [str(number) for number in range(MESSAGES)]

    def answered():
        return len(bob.events.of("message_received"))

    with (
        logged_in(bob),
        project.listening(**quick) as first,
        project.started("connectycube_listen", **quick) as second,
        Sessions(emulator, bot_id) as sessions,
    ):
        wait_until(lambda: "; waiting" in second.words, timeout=SECONDS)
        for sent, number in enumerate(numbers):
            if sent == MESSAGES // 4:
                first.process.kill()
                killed = time.monotonic()
            # While nobody listens the messages wait at the service.
            if sent < MESSAGES // 4:
                wait_until(lambda sent=sent: answered() > sent - WINDOW, timeout=SECONDS)
            bob.chat.send_private(bot_id, number)
        wait_until(lambda: READY in second.words, timeout=SECONDS)
        took = time.monotonic() - killed
        bob.events.wait_for("message_received", MESSAGES, timeout=SECONDS)
        assert second.ends() == 0
        assert "Traceback" not in second.words
    assert took < 1.5 * LEASE
    assert sessions.most == 1
    bodies = [message.body for message in bob.events.of("message_received")]
    assert bodies == [f"kept {number}" for number in numbers]
    assert sorted(project.orders(), key=int) == numbers
