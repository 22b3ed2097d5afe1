"""Uses the windows of docs/examples/qt_chat as a person would; run with its folder on the path.

Prints the lines of both windows, and saves a picture of the first one where the argument says.
"""

from __future__ import annotations

import json
import sys
import time

import qt_chat
from PySide6.QtCore import QEventLoop, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from connectycube import ChatState


def wait(application, condition):
    """Run the windows until a condition is true."""
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline
        application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)


def texts(window):
    """The lines of a window."""
    return [window.list.item(row).text().splitlines() for row in range(window.list.count())]


def write(window, text):
    """Type a text and press Return."""
    QTest.keyClicks(window.entry, text)
    QTest.keyClick(window.entry, Qt.Key.Key_Return)


application = QApplication(sys.argv[:1])
alice, bob = windows = [qt_chat.ChatWindow(login) for login in ("alice", "bob")]
for window in windows:
    window.show()
wait(application, lambda: all(len(texts(window)) == 4 for window in windows))
QTest.keyClicks(alice.entry, "Then I ask ")
wait(application, lambda: "typing" in bob.header.text())
write(alice, "them")
assert texts(alice)[-1][1].endswith(("…", "✓"))
wait(application, lambda: texts(alice)[-1][1].endswith("✓✓ read"))
write(bob, "Thank you")
wait(application, lambda: texts(alice)[-1][0] == "Thank you")
wait(application, lambda: texts(bob)[-1][1].endswith("✓✓ read"))
alice.grab().save(sys.argv[1])
states = [window.state.text() for window in windows]
began = time.monotonic()
for window in windows:
    window.close()
seconds = time.monotonic() - began
application.processEvents()
assert all(window.chat.state is ChatState.IDLE for window in windows)
print(json.dumps({"alice": texts(alice), "bob": texts(bob), "states": states, "seconds": seconds}))
