"""A bot that reports to Sentry, as a program: it prints what Sentry would have been sent, as JSON.

``python -m tests.support.sentry_program``, with an emulator's environment and the users ``bot-login`` and
``peer-login``. With the argument ``fleet`` the bot is a member of a fleet, and another one cannot log in.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import sentry_sdk
from sentry_sdk.transport import Transport

from connectycube import ConnectyCube, ConnectyCubeError, Fleet, Handling, Message
from connectycube.contrib.sentry import ConnectyCubeIntegration
from tests.support.people import PASSWORD
from tests.support.waiting import TIMEOUT

QUICK = Handling(delay=0.01, max_delay=0.02, give_up_after=0.1)


class Kept(Transport):
    """Keeps what it would send."""

    kept: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        """Take an envelope."""
        self.kept += [item.payload.json for item in envelope.items]


def connect(chat: Any, calls: list[str], done: threading.Semaphore) -> None:
    """Connect the receivers, which do what the message says."""

    @chat.message_received.connect(key="obey", handling=QUICK)
    def obey(chat: Any, message: Message) -> None:
        calls.append(message.body or "")
        sentry_sdk.set_tag("order", f"{message.body} {len(calls)}")
        if message.body == "broken":
            raise ValueError("no such order")
        if message.body == "forever" or calls.count("flaky") == 1:
            raise ConnectionRefusedError(message.body)
        if message.body == "callback":
            chat.reply(message, "yes").add_done_callback(fail)
        done.release()

    def fail(handle: Any) -> None:
        raise KeyError("of the callback")

    @chat.receiver_gave_up.connect
    def noted(chat: Any, gave_up: Any) -> None:
        done.release()

    @chat.callback_failed.connect
    def callback(chat: Any, failure: Any) -> None:
        if failure.receiver.endswith("fail"):
            done.release()


def begin() -> None:
    """Have Sentry keep its reports."""
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=Kept,
        traces_sample_rate=1.0 if os.environ.get("TRACED") else 0.0,
        integrations=[ConnectyCubeIntegration()],
    )


def run_bot() -> None:
    """Run the bot for a few messages."""
    done, calls = threading.Semaphore(0), list[str]()
    with ConnectyCube.from_env() as bot, ConnectyCube.from_env() as peer:
        user = bot.login(login="bot-login", password=PASSWORD)
        peer.login(login="peer-login", password=PASSWORD)
        connect(bot.chat, calls, done)
        assert user is not None
        with bot.chat, peer.chat:
            for body, times in (("flaky", 1), ("broken", 1), ("forever", 1), ("callback", 2)):
                peer.chat.send_private(user.id, body, colour="written-by-peer").result(TIMEOUT)
                for _ in range(times):
                    assert done.acquire(timeout=TIMEOUT), calls
        with sentry_sdk.start_transaction(name="main"):
            bot.users.get_by(login="peer-login")
            try:
                bot.login(login="peer-login", password=f"wrong {PASSWORD}")
            except ConnectyCubeError:
                sentry_sdk.capture_exception()
    print(json.dumps({"calls": calls, "events": Kept.kept}, default=str))


def run_fleet() -> None:
    """Run a fleet whose members fail: one at its login, one with a message."""
    done, calls = threading.Semaphore(0), list[str]()
    wrong = {"login": "peer-login", "password": f"wrong {PASSWORD}"}
    with ConnectyCube.from_env() as cube, ConnectyCube.from_env() as peer:
        peer.login(login="peer-login", password=PASSWORD)
        with Fleet(cube, ()) as fleet, peer.chat:
            connect(fleet, calls, done)

            @fleet.member_failed.connect(key="tell", handling=QUICK)
            def tell(chat: Any, failure: Any) -> None:
                raise LookupError("nobody to tell")

            fleet.add(wrong)
            assert done.acquire(timeout=TIMEOUT)
            chats = [
                fleet.add({"login": f"{name}-login", "password": PASSWORD}).result(TIMEOUT)
                for name in ("bot", "other")
            ]
            for chat in chats:
                assert chat.user is not None
                peer.chat.send_private(chat.user, "broken", colour="written-by-peer")
                assert done.acquire(timeout=TIMEOUT), calls
    print(json.dumps({"calls": calls, "events": Kept.kept}, default=str))


if __name__ == "__main__":
    begin()
    run_fleet() if "fleet" in sys.argv else run_bot()
