"""A fleet on servers of others: many users on one thread, a link that breaks, and the end."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from functools import partial

from connectycube import ConnectyCube, Fleet, Response
from connectycube.testing import MockTransport
from tests.support.waiting import TIMEOUT, wait_until

MEMBERS = 8


@contextmanager
def fleet_on(server, port):
    """A fleet of new users. These servers have no REST: a session's token is the user's password."""
    users = {}
    for _ in range(MEMBERS):
        user = server.user()
        users[user.login] = user

    def session(request):
        user = users[request.json()["user"]["login"]]
        made = {"token": user.password, "user_id": user.id, "user": {"id": user.id}}
        return Response(201, json={"session": made})

    transport = MockTransport()
    transport.add("POST", "/session", session)
    members = [{"login": user.login, "password": user.password} for user in users.values()]
    with (
        ConnectyCube(config=server.config(port=port, fill_gaps=False), transport=transport) as cube,
        Fleet(cube, members, workers=2) as fleet,
    ):
        assert fleet.failures == ()
        yield fleet


def test_all_members_go_on_after_a_link_that_broke(server):
    proxy = server.proxy()
    received, changed = defaultdict(list), threading.Condition()
    with fleet_on(server, proxy.port) as fleet:

        @fleet.message_received.connect
        def receive(chat, message):
            with changed:
                received[chat.user.id].append(message.body)
                changed.notify_all()

        chats = list(fleet)
        for number in range(20):
            if number == 10:
                proxy.rst()
            for position, chat in enumerate(chats):
                chat.send_private(chats[position - 1].user, f"{number}")
        with changed:
            assert changed.wait_for(
                lambda: sum(map(len, received.values())) >= 20 * MEMBERS, TIMEOUT * 2
            )
        wanted = [str(number) for number in range(20)]
        ordered = list if server.supports("order amid a resumption") else partial(sorted, key=int)
        assert [ordered(bodies) for bodies in received.values()] == [wanted] * MEMBERS
        wait_until(lambda: fleet.statistics().ready == MEMBERS)
        assert not fleet.close()
