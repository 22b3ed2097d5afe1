"""A program of Tk with a handover, run by test_tk.py: ``tk_program.py SCENE``. It prints JSON."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
import tkinter as tk
from tkinter import ttk

from connectycube import ChatState, ConnectyCube, ReconnectPolicy
from connectycube.contrib.desktop import Handover, tk_post
from connectycube.emulator import Emulator
from tests.support.tk_guard import guard
from tests.support.waiting import TIMEOUT, wait_until

PASSWORD = "a password"
FAST = ReconnectPolicy(max_attempts=None, delay=0.02, max_delay=0.2)


class Scene:
    """A window of alice, who is logged in, and bob, who writes to her."""

    def __init__(self, emulator, **options):
        self.emulator = emulator
        self.alice = self._client("alice", **options)
        self.bob = self._client("bob")
        self.bob.chat.login()
        self.root = tk.Tk()
        self.guard = guard(self.root)
        self.list = tk.Listbox(self.root)
        self.list.pack()
        self.state = tk.StringVar(self.root)
        ttk.Label(self.root, textvariable=self.state).pack()
        self.root.update_idletasks()  # else a theme of ttk complains when the window is destroyed early
        self.shown = []
        self.states = []
        self.after_close = []
        self.handover = Handover(self.alice.chat, tk_post(self.root))
        self.handover.connect(self.alice.chat.message_received, self.show)
        self.handover.connect(self.alice.chat.state_changed, self.show_state)

    def _client(self, name, **options):
        self.emulator.add_user(name, PASSWORD)
        cube = ConnectyCube(config=self.emulator.config(reconnect=FAST, **options))
        cube.login(login=name, password=PASSWORD)
        return cube

    def show(self, chat, message):
        if self.handover.is_closed:
            self.after_close.append(message.body)
        self.shown.append(message.body)
        self.list.insert("end", message.body)
        self.list.see("end")

    def show_state(self, chat, change):
        self.states.append(change.state)
        self.state.set(change.state.value)

    def send(self, count):
        """Have bob send messages; return once all have arrived at alice's chat."""
        received = self.alice.chat.statistics().received
        for number in range(count):
            self.bob.chat.send_private(self.alice.user.id, str(number))
        wait_until(lambda: self.alice.chat.statistics().received == received + count)

    def run_until(self, condition):
        """Run the window until a condition is true."""
        deadline = time.monotonic() + TIMEOUT

        def look():
            if condition() or time.monotonic() > deadline:
                self.root.quit()
            else:
                self.root.after(5, look)

        look_id = self.root.after(5, look)
        self.root.mainloop()
        self.root.after_cancel(look_id)
        assert condition()

    def end(self, how=lambda scene: (scene.handover.close(), scene.alice.close())):
        """End alice's window and client on the GUI thread; return what came of it."""
        began = time.monotonic()
        how(self)
        seconds = time.monotonic() - began
        try:
            self.root.update()  # what is still queued would run now
            self.root.destroy()
        except tk.TclError:
            pass  # it is destroyed
        self.bob.close()
        self.emulator.stop()
        gc.collect()
        wait_until(lambda: len(threading.enumerate()) == 1)
        return {
            "seconds": seconds,
            "shown": len(self.shown),
            "in order": self.shown == [str(number) for number in range(len(self.shown))],
            "after close": self.after_close,
            "threads": sorted(self.guard.calls),
        }


def shows(emulator):
    """All messages are shown, and a call off the GUI thread answers meanwhile."""
    scene = Scene(emulator)
    scene.alice.chat.login()
    scene.send(300)
    found = []
    scene.handover.run(scene.alice.dialogs.list, lambda page: found.append(len(page)))
    began = time.monotonic()
    scene.run_until(lambda: len(scene.shown) == 300 and found)
    took = time.monotonic() - began
    return {**scene.end(), "found": found, "took": took}


def planted(emulator):
    """A receiver is connected to the signal itself, so it runs on a worker."""
    scene = Scene(emulator)
    scene.alice.chat.message_received.connect(scene.show)
    scene.alice.chat.login()
    threading.Thread(target=lambda: scene.send(1)).start()
    scene.run_until(lambda: len(scene.guard.calls) == 2)
    return scene.end()


def frozen(emulator):
    """The window never runs; the queue is full."""
    scene = Scene(emulator)
    scene.alice.chat.login()
    scene.send(500)
    return scene.end()


def frozen_chat_first(emulator):
    """The same, and the client is closed before the window."""
    scene = Scene(emulator)
    scene.alice.chat.login()
    scene.send(500)
    return scene.end(lambda scene: (scene.alice.close(), scene.handover.close()))


def inside(emulator):
    """A receiver that runs closes the window and the client."""
    scene = Scene(emulator)
    results = []

    def end(chat, message):
        scene.handover.close()
        scene.alice.close()
        results.append(message.body)

    scene.handover.connect(scene.alice.chat.own_message_received, end)
    scene.handover.connect(scene.alice.chat.message_received, end, key="end")
    scene.handover.disconnect(scene.alice.chat.message_received, scene.show)
    scene.alice.chat.login()
    scene.send(3)
    took = []

    def how(scene):
        began = time.monotonic()
        scene.run_until(lambda: results)
        took.append(time.monotonic() - began)

    return {**scene.end(how), "results": results}


def reconnecting(emulator):
    """The link is lost and cannot be made anew."""
    scene = Scene(emulator)
    scene.alice.chat.login()
    scene.run_until(lambda: ChatState.READY in scene.states)
    emulator.faults.drop(user="alice")
    scene.run_until(lambda: ChatState.FORCE_CLOSED in scene.states)
    return scene.end()


def destroyed(emulator):
    """The window is destroyed while it is frozen, and nobody closes the handover."""
    scene = Scene(emulator)
    scene.alice.chat.login()
    scene.send(100)

    def how(scene):
        scene.root.destroy()
        assert scene.handover.is_closed
        scene.alice.close()

    return scene.end(how)


def destroyed_part(emulator):
    """The handover belongs to a Toplevel, whose end leaves the rest of the program alone."""
    scene = Scene(emulator)
    top = tk.Toplevel(scene.root)
    other = Handover(scene.alice.chat, tk_post(top))
    seen = []
    label = tk.Label(top)
    other.connect(scene.alice.chat.message_received, lambda c, m: seen.append(m.body))
    scene.alice.chat.login()
    scene.send(1)
    scene.run_until(lambda: seen and scene.shown)
    label.destroy()
    assert not other.is_closed
    top.destroy()
    assert other.is_closed
    scene.send(1)
    scene.run_until(lambda: len(scene.shown) == 2)
    scene.shown = []
    return {**scene.end(), "seen": seen}


def modal(emulator):
    """A receiver opens a dialog; the queue is looked into while it is open."""
    scene = Scene(emulator)
    answered = []

    def ask(chat, message):
        dialog = tk.Toplevel(scene.root)
        scene.handover.run(scene.alice.dialogs.list, lambda page: dialog.destroy())
        scene.root.wait_window(dialog)
        answered.append(message.body)

    scene.handover.connect(scene.alice.chat.message_received, ask)
    scene.alice.chat.login()
    scene.send(2)
    scene.run_until(lambda: len(answered) == 2)
    return {**scene.end(), "answered": answered}


def collected(emulator):
    """What held the window is dropped on a worker; Tk would end the process if it came to the window."""
    scene = Scene(emulator)
    scene.alice.chat.login()
    scene.send(50)
    scene.handover.close()
    scene.root.destroy()
    guarded = scene.guard
    chat = scene.alice.chat
    del scene.root, scene.list, scene.state, scene.handover
    done = threading.Event()

    def collect():
        gc.collect()
        done.set()

    threading.Thread(target=collect).start()
    assert done.wait(TIMEOUT)
    chat.logout()
    scene.bob.close()
    scene.alice.close()
    return {"threads": sorted(guarded.calls)}


SCENES = (
    *(shows, planted, frozen, frozen_chat_first, inside, reconnecting, destroyed, destroyed_part),
    *(modal, collected),
)

if __name__ == "__main__":
    scene = next(scene for scene in SCENES if scene.__name__ == sys.argv[1])
    with Emulator() as emulator:
        result = scene(emulator)
    print(json.dumps(result))
