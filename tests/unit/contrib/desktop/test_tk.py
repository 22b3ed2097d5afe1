"""The queue of ``tk_post``, with a clock of the test in the place of Tk."""

from __future__ import annotations

import pytest

from connectycube.contrib.desktop import tk_post
from connectycube.errors import ArgumentTypeError


class Root:
    """What ``tk_post`` uses of a widget: timers, and the event of its end."""

    def __init__(self):
        self.timers = {}
        self.handlers = []
        self._numbers = iter(range(1_000))

    def after(self, milliseconds, function):
        number = next(self._numbers)
        self.timers[number] = (milliseconds, function)
        return number

    def after_cancel(self, number):
        self.timers.pop(number, None)

    def bind(self, event, function, add):
        assert (event, add) == ("<Destroy>", "+")
        self.handlers.append(function)

    def tick(self):
        """Call the timer that is set; return its delay."""
        ((number, (milliseconds, function)),) = self.timers.items()
        del self.timers[number]
        function()
        return milliseconds

    def destroy(self, widget=None):
        for handler in self.handlers:
            handler(type("Event", (), {"widget": widget or self}))


def test_functions_are_called_in_order_and_the_queue_is_looked_into_again():
    root, seen = Root(), []
    post = tk_post(root)
    assert root.tick() == 40
    for number in range(3):
        post(lambda number=number: seen.append(number))
    assert seen == []
    assert root.tick() == 40
    assert seen == [0, 1, 2]
    assert root.tick() == 1
    assert root.tick() == 40


def test_a_function_that_raises_does_not_stop_the_queue():
    root, seen = Root(), []
    post = tk_post(root)
    post(lambda: 1 / 0)
    post(lambda: seen.append("later"))
    with pytest.raises(ZeroDivisionError):
        root.tick()
    root.tick()
    assert seen == ["later"]


def test_a_function_that_runs_the_event_loop_sees_the_queue_go_on():
    root, seen = Root(), []
    post = tk_post(root)

    def dialog():
        post(lambda: seen.append("inside"))
        root.tick()
        seen.append("dialog")

    post(dialog)
    root.tick()
    assert seen == ["inside", "dialog"]
    assert len(root.timers) == 1


def test_a_slow_function_lets_tk_have_its_turn(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("connectycube.contrib.desktop.tk.time.monotonic", lambda: now[0])
    root, seen = Root(), []
    post = tk_post(root)

    def slow():
        now[0] += 0.1
        seen.append(now[0])

    for _ in range(3):
        post(slow)
    root.tick()
    assert len(seen) == 1
    root.tick()
    assert len(seen) == 2


def test_nothing_is_called_once_the_window_is_destroyed():
    root, seen = Root(), []
    post = tk_post(root)
    post.call_when_destroyed(lambda: seen.append("ended"))
    post(lambda: seen.append("called"))
    root.destroy(widget=object())  # a widget of the window, not the window
    assert len(root.timers) == 1
    root.destroy()
    root.destroy()
    assert root.timers == {}
    post(lambda: seen.append("called"))
    assert seen == ["ended"]


def test_a_window_that_is_destroyed_by_a_function_gets_no_timer():
    root, seen = Root(), []
    post = tk_post(root)
    post(root.destroy)
    post(lambda: seen.append("later"))
    root.tick()
    assert (root.timers, seen) == ({}, [])


@pytest.mark.parametrize("root", [None, 5, "root", Root])
def test_what_is_no_widget_is_refused(root):
    with pytest.raises(ArgumentTypeError, match="root must be a widget of tkinter"):
        tk_post(root)
