"""A chat window in Qt (PySide6) for the newest dialog of a user: history, states of messages, reconnection.

    python qt_chat.py alice bob

opens a window for each login. CONNECTYCUBE_* name the service, CHAT_PASSWORD is the password of all.

Receivers come to the GUI thread by ``handover.connect``; calls that block leave it by ``handover.run``.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime, timezone

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from connectycube import ChatState, ConnectyCube, ConnectyCubeError, ReconnectPolicy
from connectycube.contrib.desktop import Handover, qt_post

PASSWORD = os.environ.get("CHAT_PASSWORD", "a password")
SENDING, SENT, DELIVERED, READ, FAILED = MARKS = ("…", "✓", "✓✓", "✓✓ read", "✗ not sent")
STATES = {
    ChatState.READY: ("#2e9e5b", "connected"),
    ChatState.RESUMED: ("#2e9e5b", "connected"),
    ChatState.FORCE_CLOSED: ("#c23030", "connection lost: reconnecting …"),
    ChatState.CLOSED: ("#c23030", "disconnected"),
}
OWN, THEIRS = QColor("#d7ebff"), QColor("#ffffff")


class Line(QListWidgetItem):
    """One message in the list."""

    def __init__(self, message, own, mark):
        super().__init__()
        self.message, self.own, self.mark = message, own, mark
        self.setTextAlignment(Qt.AlignmentFlag.AlignRight if own else Qt.AlignmentFlag.AlignLeft)
        self.setBackground(OWN if own else THEIRS)
        self.show_mark(mark)

    def show_mark(self, mark):
        """Show what became of an own message; a mark only ever moves forward."""
        if MARKS.index(mark) >= MARKS.index(self.mark):
            self.mark = mark
        at = (self.message.date_sent or datetime.now(timezone.utc)).astimezone()
        note = f"{at:%H:%M} {self.mark}" if self.own else f"{at:%H:%M}"
        self.setText(f"{self.message.body}\n{note}")


class ChatWindow(QWidget):
    """One user's window, and the client behind it."""

    def __init__(self, login):
        super().__init__()
        self.setWindowTitle(f"Chat of {login}")
        self.resize(420, 520)
        self.setStyleSheet(
            "QListWidget { background: #f4f5f7; color: #1c1f23; border: 0; font-size: 14px }"
            "QListWidget::item { padding: 6px 10px }"
        )
        self.state, self.header = QLabel("● connecting …"), QLabel()
        self.list, self.entry, button = QListWidget(), QLineEdit(), QPushButton("Send")
        self.list.setWordWrap(True)
        self.list.setSpacing(3)
        self.list.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        bar = QHBoxLayout()
        bar.addWidget(self.entry)
        bar.addWidget(button)
        layout = QVBoxLayout(self)
        for widget in (self.state, self.header, self.list):
            layout.addWidget(widget)
        layout.addLayout(bar)
        self.entry.returnPressed.connect(self.send)
        self.entry.textEdited.connect(self.type)
        button.clicked.connect(self.send)

        self.dialog = None
        self.lines = {}  # by id of the message
        self.cube = ConnectyCube.from_env(reconnect=ReconnectPolicy(max_attempts=None, delay=1.0))
        self.chat = self.cube.chat
        self.handover = Handover(self.chat, qt_post(self))
        self._connect()
        self.handover.run(lambda: self._log_in(login), self._logged_in, self._show_error)

    def _connect(self):
        chat, connect = self.chat, self.handover.connect
        connect(chat.state_changed, lambda chat, change: self._show_state(change))
        connect(chat.message_received, lambda chat, message: self._receive(message))
        connect(chat.own_message_received, lambda chat, message: self._receive(message))
        connect(chat.message_sent, lambda chat, sent: self._mark(sent.message_id, SENT))
        connect(chat.message_delivered, lambda chat, s: self._mark(s.message_id, DELIVERED))
        connect(chat.message_read, lambda chat, s: self._mark(s.message_id, READ))
        connect(chat.message_failed, lambda chat, f: self._mark(f.message_id, FAILED))
        connect(chat.typing_started, lambda chat, typing: self._show_typing(typing, "is typing …"))
        connect(chat.typing_stopped, lambda chat, typing: self._show_typing(typing, ""))

    # --- calls that block: off the GUI thread ---

    def _log_in(self, login):
        self.cube.login(login=login, password=PASSWORD)
        self.chat.login()
        dialog = self.cube.dialogs.list(sort="-last_message_date_sent", limit=1)[0]
        newest = self.cube.messages.list(dialog, sort="-date_sent", limit=50, mark_as_read=False)
        return dialog, newest[::-1]

    # --- their results, and events: on the GUI thread ---

    def _logged_in(self, found):
        self.dialog, messages = found
        self.header.setText(f"<b>{self.dialog.name}</b>")
        for message in messages:
            self._add(message)
        self.entry.setFocus()

    def _receive(self, message):
        if self.dialog is not None and message.dialog_id == self.dialog.id:
            self._add(message)

    def _add(self, message):
        if message.id in self.lines:
            return
        is_read = {*message.read_ids} - {message.sender_id}
        self._show(Line(message, message.own, READ if is_read else SENT))
        if not message.own and self.chat.user.id not in message.read_ids:
            self.chat.mark_read(message)

    def _show(self, line):
        self.lines[line.message.id] = line
        self.list.addItem(line)
        self.list.scrollToBottom()

    def _mark(self, message_id, mark):
        if message_id in self.lines:
            self.lines[message_id].show_mark(mark)

    def _show_typing(self, typing, words):
        if self.dialog is not None and self.dialog.peer_id == typing.user_id:
            self.header.setText(f"<b>{self.dialog.name}</b> &nbsp; {words}")

    def _show_state(self, change):
        colour, words = STATES.get(change.state, ("#b86b14", "connecting …"))
        self.state.setText(f'<span style="color: {colour}">● {words}</span>')

    def _show_error(self, error):
        self.state.setText(f"● {error}")

    # --- what the user does ---

    def send(self):
        """Send what is in the entry; its line is there at once, and its mark follows."""
        body = self.entry.text().strip()
        if not body or self.dialog is None:
            return
        try:
            handle = self.chat.send_message(self.dialog, body)
        except ConnectyCubeError as error:  # nobody is logged in, or the text cannot be sent
            self._show_error(error)
            return
        self.entry.clear()
        self._show(Line(handle.message, True, SENDING))

    def type(self):
        """Tell the other user that this one is typing."""
        if self.dialog is not None and self.chat.is_ready:
            self.chat.send_typing(self.dialog, stop_after=4.0)

    def closeEvent(self, event):
        """Close the handover, then the connection: neither waits for the other."""
        self.handover.close()
        self.cube.close()
        event.accept()


def main(logins):
    """Open a window for each login; return when all are closed, or with Ctrl-C."""
    application = QApplication(sys.argv[:1])
    windows = [ChatWindow(login) for login in logins]
    for number, window in enumerate(windows):
        window.move(40 + 440 * number, 60)
        window.show()
    # Not at once: a signal may interrupt a call of the package, whose locks closing would wait for.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: QTimer.singleShot(0, application.closeAllWindows))
    # Qt does not come back to Python by itself, and only there a signal is handled.
    timer = QTimer()
    timer.timeout.connect(lambda: None)
    timer.start(200)
    application.exec()


if __name__ == "__main__":
    main(sys.argv[1:] or ["alice"])
