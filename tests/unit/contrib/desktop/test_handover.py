"""The handover's arguments, and its calls on and off the GUI thread."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from connectycube import Chat, ClientClosedError, Config
from connectycube.chat.durable.mode import DURABLE_SIGNALS
from connectycube.contrib import desktop
from connectycube.contrib.desktop import Handover, handover
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from tests.support.gui import Gui
from tests.support.waiting import TIMEOUT, Gate, wait_until


def make_chat():
    return Chat(Config(app_id=1, auth_key="key"))


@pytest.fixture
def chat():
    return make_chat()


@pytest.fixture
def gui():
    return Gui()


@pytest.fixture
def window(chat, gui):
    with Handover(chat, gui.post) as made:
        yield made


def test_the_events_that_are_kept_are_those_of_durable_mode():
    assert handover.KEPT == DURABLE_SIGNALS


def test_the_public_names_are_there():
    assert sorted(desktop.__all__) == ["Handover", "Post", "qt_post", "tk_post"]
    assert all(getattr(desktop, name) is not None for name in desktop.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        desktop.nothing  # noqa: B018


# --- arguments ---


def receive(chat, event):
    pass


async def coroutine(chat, event):
    pass


def generator(chat, event):
    yield


WRONG = {
    "chat must be a Chat, such as cube.chat, not str": lambda w: Handover("chat", print),
    "post must be callable, not NoneType": lambda w: Handover(w.chat, None),
    "post .* cannot be called as post\\(function\\)": lambda w: Handover(w.chat, lambda: None),
    "signal must be a signal, such as chat.message_received, not str": lambda w: w.connect(
        "message_received", receive
    ),
    "receiver must be callable, not Signal": lambda w: w.connect(
        w.chat.message_received, w.chat.message_sent
    ),
    "receiver .*<lambda> cannot be called as": lambda w: w.connect(
        w.chat.message_received, lambda: None
    ),
    "coroutine function": lambda w: w.connect(w.chat.message_received, coroutine),
    "generator function": lambda w: w.connect(w.chat.message_received, generator),
    "key must be a string": lambda w: w.connect(w.chat.message_received, receive, key=5),
    "where must be callable": lambda w: w.connect(w.chat.message_received, receive, where=5),
    "handling must be a Handling": lambda w: w.connect(
        w.chat.message_received, receive, handling=5
    ),
    "signal must be a signal": lambda w: w.disconnect(receive, receive),
    "function must be callable": lambda w: w.post(None),
    "function .* cannot be called": lambda w: w.run(receive),
    "done .* cannot be called": lambda w: w.run(int, receive),
    "failed .* cannot be called": lambda w: w.run(int, print, receive),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_argument_is_named(words, window):
    with pytest.raises(ArgumentTypeError, match=words):
        WRONG[words](window)
    assert not window._links


def test_a_signal_of_another_chat_is_refused(window):
    with pytest.raises(ArgumentValueError, match="signal message_received is that of another chat"):
        window.connect(make_chat().message_received, receive)


def test_the_receiver_has_the_name_that_it_would_have_without_a_handover(window):
    signal = window.chat.message_received
    window.connect(signal, receive)
    assert signal.names() == [f"{__name__}.receive"]


def test_connecting_again_changes_the_options_and_keeps_the_place(window):
    signal = window.chat.message_received
    window.connect(signal, receive, key="one")
    window.connect(signal, lambda chat, event: None, key="two")
    window.connect(signal, receive, key="three")
    assert signal.names() == ["three", "two"]


def test_a_receiver_that_is_not_connected_cannot_be_disconnected_wrongly(window):
    window.disconnect(window.chat.message_received, receive)


# --- calls on the GUI thread, and off it ---


def test_what_is_posted_runs_on_the_gui_thread_in_order(gui, window):
    seen = []
    thread = threading.Thread(
        target=lambda: [window.post(lambda n=n: seen.append((n, gui.is_here()))) for n in range(5)]
    )
    thread.start()
    thread.join()
    gui.run_until(lambda: len(seen) == 5)
    assert seen == [(number, True) for number in range(5)]


def test_what_is_posted_and_raises_is_logged(gui, window, caplog):
    window.post(lambda: 1 / 0)
    gui.run_what_is_left()
    (record,) = caplog.records
    assert "raised, on the GUI thread" in record.message
    assert isinstance(record.exc_info[1], ZeroDivisionError)


def test_a_call_off_the_gui_thread_brings_its_result_there(gui, window):
    results = []
    future = window.run(
        lambda: gui.is_here(), lambda result: results.append((result, gui.is_here()))
    )
    gui.run_until(lambda: results)
    assert (results, future.result()) == ([(False, True)], False)


def test_an_error_comes_to_failed_and_not_to_done(gui, window):
    told = []
    future = window.run(lambda: 1 / 0, lambda result: told.append("done"), told.append)
    gui.run_until(lambda: told)
    assert isinstance(told[0], ZeroDivisionError)
    assert future.exception() is told[0]


def test_an_error_without_failed_is_logged(gui, window, caplog):
    window.run(lambda: 1 / 0)
    gui.run_until(lambda: caplog.records)
    assert "raised, off the GUI thread" in caplog.text


def test_a_done_that_raises_is_logged(gui, window, caplog):
    window.run(lambda: 5, lambda result: 1 / 0)
    gui.run_until(lambda: caplog.records)
    assert "raised, on the GUI thread" in caplog.text


def test_an_exit_in_a_call_ends_no_thread_silently(gui, window):
    told = []
    window.run(lambda: exit(3), None, told.append)
    gui.run_until(lambda: told)
    assert isinstance(told[0], SystemExit)


def test_four_calls_run_at_a_time_and_no_thread_is_left(gui, window):
    gates = [Gate() for _ in range(6)]
    done = []
    before = threading.active_count()
    for number, gate in enumerate(gates):
        window.run(lambda gate=gate, number=number: (gate(), number)[1], done.append)
    for gate in gates[:4]:
        gate.wait_until_entered()
    assert threading.active_count() == before + 4
    for gate in gates:
        gate.open()
    gui.run_until(lambda: len(done) == 6)
    assert sorted(done) == [*range(6)]
    wait_until(lambda: threading.active_count() == before)


def test_a_call_is_cancelled_until_it_begins(gui, window):
    done = []
    with Gate() as gate:
        for _ in range(4):
            window.run(gate, done.append)
        gate.wait_until_entered()
        waiting = window.run(lambda: "never", done.append)
        assert waiting.cancel()
    gui.run_until(lambda: len(done) == 4)
    assert gui.run_what_is_left() <= 1
    assert done == [None] * 4


def test_after_close_no_result_is_told_and_no_call_begins(gui, window):
    told = []
    gates = [Gate() for _ in range(4)]
    running = [window.run(gate, told.append, told.append) for gate in gates]
    for gate in gates:
        gate.wait_until_entered()
    others = [window.run(lambda: 1, told.append) for _ in range(5)]
    window.close()
    assert all(other.cancelled() for other in others)
    for gate in gates:
        gate.open()
    assert [one.result(TIMEOUT) for one in running] == [None] * 4
    assert (gui.run_what_is_left(), told) == (0, [])
    with pytest.raises(ClientClosedError):
        window.run(int)


def test_closing_again_does_nothing(window):
    window.close()
    window.close()
    assert window.is_closed


def test_a_closed_handover_holds_no_object_of_the_window(chat, gui):
    import gc
    import weakref

    class Widget:
        def show(self, chat, event):
            pass

    widget, post = Widget(), Gui()
    gone = [weakref.ref(widget), weakref.ref(post)]
    closed = Handover(chat, post.post)
    closed.connect(chat.message_received, widget.show)
    with Gate() as gate:
        running = closed.run(gate, partial(widget.show, chat))
        gate.wait_until_entered()
        closed.close()
    del widget, post
    gc.collect()
    running.result(TIMEOUT)
    assert [ref() for ref in gone] == [None, None]
