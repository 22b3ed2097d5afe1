"""A chat window in Tk: dialogs, history, states of messages, typing, last activity and reconnection.

    python tk_chat.py alice bob

opens a window for each login. CONNECTYCUBE_* name the service, CHAT_PASSWORD is the password of all.

Whatever touches a widget runs on the GUI thread: receivers come there by ``handover.connect``, and calls
that block go the other way by ``handover.run(call, done)``.
"""

from __future__ import annotations

import os
import signal
import sys
import tkinter as tk
from datetime import datetime, timezone
from itertools import islice
from tkinter import font, ttk

from connectycube import ChatState, ConnectyCube, ConnectyCubeError, ReconnectPolicy
from connectycube.contrib.desktop import Handover, tk_post

PASSWORD = os.environ.get("CHAT_PASSWORD", "a password")
PAGE = 25  # messages of history at a time
SENDING, SENT, DELIVERED, READ, FAILED = MARKS = ("…", "✓", "✓✓", "✓✓ read", "✗ not sent")
CONNECTED, WAITING, BROKEN, GREY, BLUE = "#2e9e5b", "#b86b14", "#c23030", "#6b727b", "#1d6fc4"
STATES = {
    ChatState.READY: (CONNECTED, "connected"),
    ChatState.RESUMED: (CONNECTED, "connected"),
    ChatState.FORCE_CLOSED: (BROKEN, "connection lost: reconnecting …"),
    ChatState.RECONNECTING: (WAITING, "reconnecting …"),
    ChatState.CLOSED: (BROKEN, "disconnected"),
    ChatState.AUTHENTICATION_FAILURE: (BROKEN, "the login was refused"),
}


class Line:
    """One message in the window. An own one has a mark, which only ever moves forward."""

    def __init__(self, message, own, mark):
        self.message, self.id, self.own, self.mark = message, message.id, own, mark
        self.body = message.body or "(an attachment)"
        self.at = (message.date_sent or datetime.now(timezone.utc)).astimezone()

    @classmethod
    def of(cls, message):
        """The line of a message that was received or read from history."""
        is_read = {*message.read_ids} - {message.sender_id}
        is_delivered = {*message.delivered_ids} - {message.sender_id}
        return cls(message, message.own, READ if is_read else DELIVERED if is_delivered else SENT)

    @property
    def note(self):
        """The time, and the mark of an own message."""
        return f"{self.at:%H:%M} {self.mark}" if self.own else f"{self.at:%H:%M}"


class Conversation:
    """A dialog with the lines that are known of it, the oldest first."""

    def __init__(self, dialog, history):
        self.dialog = dialog
        self.lines = []
        self.unread = dialog.unread_messages_count or 0
        self.preview = dialog.last_message or ""
        self.at = dialog.last_message_date_sent or dialog.created_at
        self.typing = set()  # ids of users
        self.history = history  # an iterator, the newest message first, which knows where it is
        self.has_more, self.is_loading = True, False

    def add(self, lines, *, older=False):
        """Add the lines that are new; return them."""
        known = {line.id for line in self.lines}
        new = [line for line in lines if line.id not in known]
        self.lines[:] = [*new, *self.lines] if older else [*self.lines, *new]
        if new and not older:
            self.preview, self.at = new[-1].body, new[-1].at
        return new


class ChatWindow:
    """One user's window, and the client behind it."""

    def __init__(self, window, login):
        self.window = window
        self.cube = ConnectyCube.from_env(reconnect=ReconnectPolicy(max_attempts=None, delay=1.0))
        self.chat = self.cube.chat
        self.handover = Handover(self.chat, tk_post(window))
        self.conversations = {}  # by id of the dialog
        self.current = None
        self.names = {}  # of users, by id
        self.activity = ""  # of the user of a private dialog
        self._build(login)
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
        connect(chat.typing_started, lambda chat, typing: self._note_typing(typing, True))
        connect(chat.typing_stopped, lambda chat, typing: self._note_typing(typing, False))
        connect(
            chat.last_activity_changed,
            lambda chat, activity: self._show_activity(activity.user_id, activity.seconds),
        )

    # --- calls that block: off the GUI thread ---

    def _log_in(self, login):
        me = self.cube.login(login=login, password=PASSWORD)
        self.chat.login()
        dialogs = list(self.cube.dialogs.iter())
        ids = {me.id, *(user_id for dialog in dialogs for user_id in dialog.occupants_ids)}
        users = self.cube.users.iter(id__in=sorted(ids))
        return dialogs, {user.id: user.full_name or user.login for user in users}

    def _ask_activity(self, user_id):
        self.chat.subscribe_last_activity(user_id)
        return self.chat.last_activity(user_id)

    # --- their results, and events: on the GUI thread ---

    def _logged_in(self, found):
        dialogs, self.names = found
        for dialog in dialogs:
            self._add_conversation(dialog)
        self._show_dialogs()
        if self.conversations:
            newest = max(self.conversations.values(), key=lambda each: each.at)
            self.dialogs.selection_set(newest.dialog.id)

    def _add_conversation(self, dialog):
        history = self.cube.messages.iter(dialog, sort="-date_sent", page_size=PAGE)
        self.conversations.setdefault(dialog.id, Conversation(dialog, history))

    def _receive(self, message):
        conversation = self.conversations.get(message.dialog_id)
        if conversation is None:  # a dialog that somebody has just made
            dialog_id = message.dialog_id
            self.handover.run(
                lambda: self.cube.dialogs.get(dialog_id), self._add_new_dialog, self._show_error
            )
            return
        conversation.typing.discard(message.sender_id)
        for line in conversation.add([Line.of(message)]):
            conversation.unread += not line.own
            if conversation is self.current:
                self._write(line)
                self._mark_read(conversation)
        self._show_dialogs()
        self._show_header()

    def _add_new_dialog(self, dialog):
        self._add_conversation(dialog)
        self._show_dialogs()

    def _mark(self, message_id, mark):
        for conversation in self.conversations.values():
            for line in conversation.lines:
                if line.id == message_id and MARKS.index(mark) > MARKS.index(line.mark):
                    line.mark = mark
                    if conversation is self.current:
                        self._write_note(line)

    def _note_typing(self, typing, starts):
        for conversation in self.conversations.values():
            dialog = conversation.dialog
            # Only a group is named; in a private dialog it is the other user who types.
            if typing.dialog_id == dialog.id or (
                typing.dialog_id is None and dialog.peer_id == typing.user_id
            ):
                (conversation.typing.add if starts else conversation.typing.discard)(typing.user_id)
        self._show_header()

    def _show_activity(self, user_id, seconds):
        if self.current is not None and self.current.dialog.peer_id == user_id:
            minutes = seconds // 60
            ago = f"{minutes} min" if minutes < 60 else f"{minutes // 60} h"
            self.activity = "online" if seconds == 0 else f"last seen {ago} ago"
            self._show_header()

    def _show_state(self, change):
        colour, words = STATES.get(change.state, (WAITING, "connecting …"))
        if change.reason is not None and change.state is ChatState.CLOSED:
            words += f": {change.reason}"
        self.state.configure(text=f"● {words}", foreground=colour)
        self._watch_peer()

    def _show_error(self, error):
        self.state.configure(text=f"● {error}", foreground=BROKEN)

    # --- what the user does ---

    def _select(self, event=None):
        selected = self.dialogs.selection()
        if not selected or self.conversations[selected[0]] is self.current:
            return
        self.current = conversation = self.conversations[selected[0]]
        self._clear()
        for line in conversation.lines:
            self._write(line)
        if len(conversation.lines) < PAGE:
            self._load_older()
        self._mark_read(conversation)
        self._watch_peer()
        self.entry.focus_set()

    def _watch_peer(self):
        """Ask when the user of a private dialog was last here; nobody knows it while we are not."""
        self.activity = ""
        self._show_header()
        peer = None if self.current is None else self.current.dialog.peer_id
        if peer is not None and self.chat.is_ready:
            self.handover.run(
                lambda: self._ask_activity(peer),
                lambda seconds: self._show_activity(peer, seconds),
                lambda error: None,  # the service does not say it of a user who was never here
            )

    def _load_older(self):
        """Ask for a page of history, unless it is on its way or there is none."""
        conversation = self.current
        if conversation.is_loading or not conversation.has_more:
            return
        conversation.is_loading = True
        self.handover.run(
            lambda: list(islice(conversation.history, PAGE)),
            lambda messages: self._add_older(conversation, messages),
            lambda error: self._fail_to_load(conversation, error),
        )

    def _add_older(self, conversation, messages):
        conversation.is_loading, conversation.has_more = False, len(messages) == PAGE
        older = conversation.add([Line.of(message) for message in reversed(messages)], older=True)
        if conversation is self.current:
            self._write_above(older)
            self._mark_read(conversation)

    def _fail_to_load(self, conversation, error):
        conversation.is_loading = False  # the next attempt goes on where this one ended
        self._show_error(error)

    def _mark_read(self, conversation):
        """Tell the senders of messages that were unread, now that they are on the screen."""
        received = [line.message for line in conversation.lines if not line.own]
        for message in received[-conversation.unread :] if conversation.unread else ():
            self.chat.mark_read(message)
        if received:
            conversation.unread = 0
        self._show_dialogs()

    def _send(self, event=None):
        body = self.entry.get().strip()
        if not body or self.current is None:
            return
        try:
            handle = self.chat.send_message(self.current.dialog, body)
        except ConnectyCubeError as error:  # nobody is logged in, or the text cannot be sent
            self._show_error(error)
            return
        self.entry.delete(0, "end")
        for line in self.current.add([Line(handle.message, True, SENDING)]):
            self._write(line)
        self._show_dialogs()

    def _type(self, event):
        is_text = event.char and event.char.isprintable()
        if is_text and self.current is not None and self.chat.is_ready:
            self.chat.send_typing(self.current.dialog, stop_after=4.0)

    def close(self):
        """Close the window, then the connection: neither waits for the other."""
        self.handover.close()
        root = self.window.master
        self.window.destroy()
        if not root.winfo_children():
            root.quit()
        self.cube.close()

    # --- widgets ---

    def _build(self, login):
        window = self.window
        window.title(f"Chat of {login}")
        window.geometry("760x520")
        window.minsize(480, 280)
        window.protocol("WM_DELETE_WINDOW", self.close)
        window.columnconfigure(1, weight=1)
        window.rowconfigure(1, weight=1)

        self.state = ttk.Label(
            window, text="● connecting …", foreground=WAITING, style="State.TLabel"
        )
        self.state.grid(row=0, column=0, columnspan=2, sticky="ew")

        self.dialogs = ttk.Treeview(
            window, show="tree", selectmode="browse", style="Dialogs.Treeview"
        )
        self.dialogs.column("#0", width=210, stretch=False)
        self.dialogs.tag_configure("unread", font="ChatBold")
        self.dialogs.bind("<<TreeviewSelect>>", self._select)
        self.dialogs.grid(row=1, column=0, rowspan=2, sticky="ns")

        pane = ttk.Frame(window)
        pane.columnconfigure(0, weight=1)
        pane.rowconfigure(1, weight=1)
        pane.grid(row=1, column=1, sticky="nsew")
        self.bodies, self.notes = [], {}  # labels of the messages on the screen
        header = ttk.Frame(pane, padding=(14, 8))
        header.grid(row=0, column=0, columnspan=2, sticky="ew")
        self.name = ttk.Label(header, font="ChatBold", background="#ffffff")
        self.name.pack(side="left")
        self.detail = ttk.Label(header, font="ChatNote", background="#ffffff", foreground=GREY)
        self.detail.pack(side="left", padx=10)
        self.text = tk.Text(
            pane, state="disabled", wrap="word", relief="flat", highlightthickness=0, border=0,
            background="#f4f5f7", padx=14, pady=10, font="ChatText", width=1, height=1, cursor="arrow",
        )  # fmt: skip
        self.text.grid(row=1, column=0, sticky="nsew")
        self.scrollbar = ttk.Scrollbar(pane, command=self.text.yview)
        self.scrollbar.grid(row=1, column=1, sticky="ns")
        self.text.configure(yscrollcommand=self._scrolled)
        self.text.tag_configure("own", justify="right")
        self.text.tag_configure("gap", font="ChatGap")
        self.text.bind("<Configure>", self._wrap)

        bar = ttk.Frame(window, padding=(10, 8))
        bar.columnconfigure(0, weight=1)
        bar.grid(row=2, column=1, sticky="ew")
        self.entry = ttk.Entry(bar, font="ChatText")
        self.entry.grid(row=0, column=0, sticky="ew", padx=(0, 8), ipady=4)
        self.entry.bind("<Return>", self._send)
        self.entry.bind("<KeyPress>", self._type)
        ttk.Button(bar, text="Send", width=8, command=self._send).grid(row=0, column=1)

    def _name(self, user_id):
        return self.names.get(user_id) or f"user {user_id}"

    def _show_dialogs(self):
        """Show the dialogs, the newest first."""
        newest_first = sorted(self.conversations.values(), key=lambda each: each.at, reverse=True)
        for place, each in enumerate(newest_first):
            dialog_id = each.dialog.id
            count = f"  ({each.unread})" if each.unread else ""
            text = f"{each.dialog.name}{count}\n{shortened(each.preview)}"
            tags = ("unread",) if each.unread else ()
            if not self.dialogs.exists(dialog_id):
                self.dialogs.insert("", "end", dialog_id)
            self.dialogs.item(dialog_id, text=text, tags=tags)
            self.dialogs.move(dialog_id, "", place)

    def _show_header(self):
        if self.current is None:
            return
        typing = ", ".join(self._name(user_id) for user_id in sorted(self.current.typing))
        detail = f"{typing} is typing …" if typing else self.activity
        self.name.configure(text=self.current.dialog.name)
        self.detail.configure(text=detail)

    def _scrolled(self, first, last):
        self.scrollbar.set(first, last)
        if self.current is not None and float(first) == 0.0 and self.current.lines:
            self._load_older()

    def _clear(self):
        self.bodies, self.notes = [], {}
        self.text.configure(state="normal")
        self.text.delete("1.0", "end")
        self.text.configure(state="disabled")

    def _write(self, line):
        """Write a line below the others, and show it unless the user has scrolled up."""
        is_at_end = self.text.yview()[1] >= 0.999
        self._insert("end", line)
        if is_at_end or line.own:
            self.window.update_idletasks()  # so that the height of the bubble is known
            self.text.yview_moveto(1.0)

    def _write_above(self, lines):
        """Write lines above the others; what is on the screen stays where it is."""
        was_empty = self.text.compare("end-1c", "==", "1.0")
        self.text.mark_set("top", "@0,0")
        for line in reversed(lines):
            self._insert("1.0", line)
        self.window.update_idletasks()
        if was_empty:
            self.text.yview_moveto(1.0)
        else:
            self.text.yview("top")

    def _insert(self, index, line):
        bubble = self._bubble(line)
        self.text.configure(state="normal")
        self.text.mark_set("here", index)
        self.text.insert("here", "\n\n", ("gap",))
        self.text.window_create("here -2 chars", window=bubble)
        if line.own:
            self.text.tag_add("own", "here -3 chars")
        self.text.configure(state="disabled")

    def _bubble(self, line):
        colour = "#d7ebff" if line.own else "#ffffff"
        bubble = tk.Frame(self.text, background=colour, padx=10, pady=5)
        if not line.own and self.current.dialog.peer_id is None:
            name = self._name(line.message.sender_id)
            tk.Label(
                bubble, text=name, font="ChatNote", background=colour, foreground="#5b4b9a"
            ).pack(anchor="w")
        body = tk.Label(
            bubble, text=line.body, font="ChatText", background=colour, foreground="#1c1f23",
            justify="left", wraplength=self._widest(),
        )  # fmt: skip
        body.pack(anchor="w")
        note = tk.Label(bubble, font="ChatNote", background=colour)
        note.pack(anchor="e")
        self.bodies.append(body)
        self.notes[line.id] = note
        self._write_note(line)
        for widget in (bubble, *bubble.winfo_children()):
            # The wheel scrolls the history also where a bubble is in between.
            widget.bind("<MouseWheel>", lambda e: self.text.yview_scroll(-e.delta // 120, "units"))
            widget.bind("<Button-4>", lambda e: self.text.yview_scroll(-2, "units"))
            widget.bind("<Button-5>", lambda e: self.text.yview_scroll(2, "units"))
        return bubble

    def _write_note(self, line):
        """Write the time of a message, and the mark of an own one."""
        colour = {READ: BLUE, FAILED: BROKEN}.get(line.mark, GREY) if line.own else GREY
        self.notes[line.id].configure(text=line.note, foreground=colour)

    def _widest(self):
        return max(120, int(self.text.winfo_width() * 0.65))

    def _wrap(self, event):
        """Wrap the texts again when the window has another width."""
        for body in self.bodies:
            body.configure(wraplength=self._widest())


def shortened(text, most=22):
    """The beginning of a text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def set_style(root):
    """Make the fonts and colours of all windows; return the fonts, which last as long as these objects."""
    sizes = {
        "Text": (11, "normal"),
        "Bold": (11, "bold"),
        "Note": (9, "normal"),
        "Gap": (3, "normal"),
    }
    fonts = [
        font.Font(root, name=f"Chat{name}", family="DejaVu Sans", size=size, weight=weight)
        for name, (size, weight) in sizes.items()
    ]
    style = ttk.Style(root)
    style.theme_use("clam")
    style.configure("TFrame", background="#ffffff")
    style.configure("State.TLabel", padding=(12, 5), background="#e9ebef", font="ChatNote")
    style.configure("Dialogs.Treeview", rowheight=48, font="ChatText", borderwidth=0, indent=4)
    style.map(
        "Dialogs.Treeview",
        background=[("selected", "#dbe7f5")],
        foreground=[("selected", "#000000")],
    )
    return fonts


def main(logins):
    """Open a window for each login; return when all are closed, or with Ctrl-C."""
    root = tk.Tk()
    root.withdraw()
    fonts = set_style(root)
    windows = [ChatWindow(tk.Toplevel(root), login) for login in logins]
    for number, each in enumerate(windows):
        left = min(20 + 780 * number, root.winfo_screenwidth() - 780)
        each.window.geometry(f"+{max(left, 0)}+40")
    # The handovers' timers wake the interpreter often, so that a signal is handled at once.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: root.quit())
    root.mainloop()
    for each in windows:
        each.close()
    root.destroy()
    del fonts


if __name__ == "__main__":
    main(sys.argv[1:] or ["alice"])
