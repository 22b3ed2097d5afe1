"""A program of Qt with a handover, run by test_qt.py. It prints JSON."""

from __future__ import annotations

import gc
import json
import threading
import time

from PySide6.QtCore import QCoreApplication, QEventLoop, QObject

from connectycube import ConnectyCube, ReconnectPolicy
from connectycube.contrib.desktop import Handover, qt_post
from connectycube.emulator import Emulator
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from tests.support.waiting import TIMEOUT, wait_until

PASSWORD = "a password"
COUNT = 300


def error_of(call):
    """The error that a call raises, as a text."""
    try:
        call()
    except (ArgumentTypeError, ArgumentValueError) as error:
        return str(error)
    return None


def run_until(application, condition):
    """Run the event loop until a condition is true."""
    deadline = time.monotonic() + TIMEOUT * 2
    while not condition():
        assert time.monotonic() < deadline
        application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)


def on_another_thread(call):
    """Call on another thread; return the result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def main(emulator):
    """Hand over messages, then end the window while they wait."""
    errors = [error_of(qt_post)]
    application = QCoreApplication([])
    errors += [error_of(lambda: qt_post("window")), on_another_thread(lambda: error_of(qt_post))]
    clients = []
    for name in ("alice", "bob"):
        emulator.add_user(name, PASSWORD)
        config = emulator.config(reconnect=ReconnectPolicy(max_attempts=None, delay=0.02))
        clients.append(ConnectyCube(config=config))
        clients[-1].login(login=name, password=PASSWORD)
        clients[-1].chat.login()
    alice, bob = clients
    window = QObject()
    handover = Handover(alice.chat, qt_post(window))
    shown, threads, found = [], set(), []

    @handover.connect(alice.chat.message_received)
    def show(chat, message):
        shown.append(message.body)
        threads.add(threading.current_thread().name)

    for number in range(COUNT):
        bob.chat.send_private(alice.user.id, str(number))
    handover.run(alice.dialogs.list, lambda page: found.append(len(page)))
    run_until(application, lambda: len(shown) == COUNT and found)
    in_order = shown == [str(number) for number in range(COUNT)]
    for number in range(COUNT):
        bob.chat.send_private(alice.user.id, str(number))
    wait_until(lambda: alice.chat.statistics().received == 2 * COUNT)
    del window  # destroys it
    gc.collect()
    closed = handover.is_closed
    began = time.monotonic()
    alice.close()
    seconds = time.monotonic() - began
    application.processEvents()
    bob.close()
    return {
        "errors": errors,
        "in order": in_order,
        "threads": sorted(threads),
        "found": found,
        "closed": closed,
        "shown later": len(shown) - COUNT,
        "seconds": seconds,
    }


if __name__ == "__main__":
    with Emulator() as emulator:
        result = main(emulator)
    print(json.dumps(result))
