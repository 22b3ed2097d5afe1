"""The lease of one connection: what a login with it begins."""

from __future__ import annotations

from types import SimpleNamespace

from connectycube.chat.lease.exclusive import Exclusive
from connectycube.chat.lease.hold import Hold


class Part:
    """A part of a connection; ``begun`` counts the times at which it forgot the last login."""

    hold = None
    begun = 0

    def forget_last_login(self):
        self.begun += 1


def held():
    hold = Hold("bot", "process 1", seconds=None)
    assert hold.begin(hold.now(), fencing=1)
    return hold


def test_logins_that_share_a_lease_forget_the_last_one_once():
    exclusive = Exclusive("chat", lambda: None, lambda deadline: True, lambda: True)
    core, durability, receivers, streams = Part(), Part(), SimpleNamespace(), SimpleNamespace()

    def begin(hold):
        exclusive.begin(hold, core, durability, receivers, streams)
        assert durability.hold is receivers.hold is streams.hold is exclusive.hold is hold
        return core.begun, durability.begun

    first, second = held(), held()
    assert begin(first) == (1, 1)
    assert begin(first) == (1, 1), "another thread has loaded what the store has"
    assert begin(second) == (2, 2)
    assert begin(None) == (2, 2)
