"""Events on the GUI thread: in order, reported and kept as those of others, and none after the end."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from connectycube import (
    Abandoned,
    ChatState,
    ClientClosedError,
    ConnectyCube,
    Fleet,
    Handling,
    Limits,
    NotHandledError,
    QueueOverflowError,
)
from connectycube.contrib.desktop import Handover, handover
from tests.support.gui import Gui
from tests.support.people import FAST, Person, logged_in
from tests.support.waiting import TIMEOUT, Gate, wait_until

AT_ONCE = (
    3.0  # seconds on a busy machine; a worker that is waited for costs a logout its whole 5 seconds
)
LOGGERS = ("connectycube.chat", "connectycube.desktop")


@pytest.fixture
def gui():
    return Gui()


@pytest.fixture
def window(gui, alice):
    """The handover of alice's window."""
    with Handover(alice.chat, gui.post) as made:
        yield made


@pytest.fixture
def bot(emulator, tmp_path):
    """Make a client of one user whose chat is durable; each has the same file."""
    emulator.add_user("bot", "a password")
    made = []

    def make(durable=True, **options):
        options.setdefault("reconnect", FAST)
        options.setdefault("handling", Handling(delay=0.01, max_delay=0.05))
        path = tmp_path / "bot.db" if durable else None
        cube = ConnectyCube(config=emulator.config(durable=path, **options))
        made.append(cube)
        cube.login(login="bot", password="a password")
        return cube

    yield make
    for cube in made:
        cube.close()


def shown_by(window, gui, name="message_received", key="show"):
    """The bodies that a receiver of the window got; it checks its thread."""
    shown = []

    def show(chat, message):
        assert gui.is_here()
        shown.append(message.body)

    window.connect(getattr(window.chat, name), show, key=key)
    return shown


def send(sender, user_id, *bodies):
    for handle in [sender.chat.send_private(user_id, body) for body in bodies]:
        handle.result(TIMEOUT)


def timed(call):
    began = time.monotonic()
    result = call()
    return time.monotonic() - began, result


# --- while there is a window ---


def test_receivers_are_called_on_the_gui_thread_in_order(gui, window, alice, bob):
    shown = shown_by(window, gui)
    with logged_in(alice, bob):
        bodies = [str(number) for number in range(100)]
        send(bob, alice.id, *bodies)
        gui.run_until(lambda: len(shown) == 100)
        assert shown == bodies
        window.close()


def test_several_workers_keep_the_order_of_each_conversation(gui, emulator):
    alice, bob, cleo = (Person.new(emulator, workers=4) for _ in range(3))
    with Handover(alice.chat, gui.post) as window, logged_in(alice, bob, cleo):
        shown = shown_by(window, gui)
        bodies = [f"{who}{number}" for number in range(30) for who in "bc"]
        for body in bodies:
            {"b": bob, "c": cleo}[body[0]].chat.send_private(alice.id, body)
        gui.run_until(lambda: len(shown) == 60)
        for who in "bc":
            assert [body for body in shown if body[0] == who] == [f"{who}{n}" for n in range(30)]
        window.close()


def test_connect_takes_the_options_of_a_signal(gui, window, alice, bob):
    shown, other = [], []

    @window.connect(alice.chat.message_received, key="show", where=lambda m: m.body != "no")
    def first(chat, message):
        other.append(message.body)

    @window.connect(alice.chat.message_received, key="show", where=lambda m: m.body != "no")
    def show(chat, message):
        shown.append((chat, message.body))

    with logged_in(alice, bob):
        send(bob, alice.id, "no", "yes")
        gui.run_until(lambda: shown)
        window.disconnect(alice.chat.message_received, show)
        send(bob, alice.id, "later")
        alice.events.wait_for("message_received", 3)
        assert (shown, other) == ([(alice.chat, "yes")], [])
        assert gui.run_what_is_left() == 0
        window.close()


def test_a_receiver_that_is_disconnected_is_not_called_for_what_waits(gui, window, alice, bob):
    shown = shown_by(window, gui, key="one")
    kept = shown_by(window, gui, key="two")
    show = next(link.receiver for link in window._links if link.key == "one")
    with logged_in(alice, bob):
        send(bob, alice.id, "hello")
        gui.wait_for_post()
        window.disconnect(alice.chat.message_received, show)
        gui.run_until(lambda: kept)
        assert shown == []
        window.close()


def test_a_method_that_is_connected_again_keeps_one_connection(gui, window, alice, bob):
    class Window:
        def __init__(self):
            self.shown = []

        def show(self, chat, message):
            self.shown.append(message.body)

    made = Window()
    for _ in range(2):
        window.connect(alice.chat.message_received, made.show)
    with logged_in(alice, bob):
        send(bob, alice.id, "hello")
        gui.run_until(lambda: made.shown)
        alice.chat.ping(TIMEOUT)
        gui.run_what_is_left()
        assert made.shown == ["hello"]
        window.close()


def test_a_receiver_that_raises_is_reported_as_every_other(gui, window, alice, bob, caplog):
    def show(chat, message):
        raise ValueError("broken")

    window.connect(alice.chat.message_received, show)
    with logged_in(alice, bob):
        send(bob, alice.id, "hello")
        failed = gui.run_until(lambda: alice.events.of("callback_failed"))[0]
        window.close()
    assert (failed.signal, failed.event.body) == ("message_received", "hello")
    assert failed.receiver.endswith(
        "test_a_receiver_that_raises_is_reported_as_every_other.<locals>.show"
    )
    assert isinstance(failed.error, ValueError)
    alice.events.wait_for("receiver_gave_up")
    assert [r.levelname for r in caplog.records if "raised" in r.message] == ["ERROR"]


def test_a_receiver_that_raises_a_transient_error_runs_again(gui, window, alice, bob):
    attempts = []

    def show(chat, message):
        attempts.append(gui.is_here())
        if len(attempts) < 3:
            raise ConnectionRefusedError

    window.connect(alice.chat.message_received, show, handling=Handling(delay=0.01))
    with logged_in(alice, bob):
        send(bob, alice.id, "hello")
        gui.run_until(lambda: len(attempts) == 3)
        window.close()
    assert all(attempts)
    assert alice.events.of("receiver_gave_up") == []


def test_ctrl_c_in_a_receiver_reaches_the_gui_thread_too(gui, window, alice, bob):
    def show(chat, message):
        raise KeyboardInterrupt

    window.connect(alice.chat.message_received, show)
    with logged_in(alice, bob):
        send(bob, alice.id, "hello")
        with pytest.raises(KeyboardInterrupt):
            gui.run_until(lambda: False)
        failed = alice.events.wait_for("callback_failed")[0]
        window.close()
    assert isinstance(failed.error, KeyboardInterrupt)


def test_a_window_of_a_member_of_a_fleet_has_the_events_of_that_member(gui, emulator, bob):
    members = [{"login": login, "password": "a password"} for login in ("anna", "berta")]
    for member in members:
        emulator.add_user(**member)
    with (
        logged_in(bob),
        ConnectyCube(config=emulator.config(reconnect=FAST)) as cube,
        Fleet(cube, members) as fleet,
    ):
        anna, berta = fleet
        with Handover(anna, gui.post) as for_anna, Handover(berta, gui.post) as for_berta:
            shown = {
                one.user.id: shown_by(of, gui) for one, of in ((anna, for_anna), (berta, for_berta))
            }
            send(bob, berta.user.id, "for berta")
            send(bob, anna.user.id, "for anna")
            gui.run_until(lambda: sum(map(len, shown.values())) == 2)
            for_anna.close()
            send(bob, berta.user.id, "again")
            gui.run_until(lambda: "again" in shown[berta.user.id])
    assert list(shown.values()) == [["for anna"], ["for berta", "again"]]


def test_a_frozen_window_fills_the_queue_to_its_bound_and_loses_nothing(gui, emulator, bob):
    alice = Person.new(emulator, limits=Limits(queued_events=3))
    with Handover(alice.chat, gui.post) as window, logged_in(alice, bob):
        shown = shown_by(window, gui)
        send(bob, alice.id, "0")
        gui.wait_for_post()
        for number in range(1, 20):
            bob.chat.send_private(alice.id, str(number))
        # Not with a stream: a call that waits for an event keeps the link open.
        wait_until(lambda: alice.chat.state is ChatState.FORCE_CLOSED)
        reason = alice.chat.statistics().last_reason
        assert isinstance(reason, QueueOverflowError)
        assert reason.receiver == "show"
        gui.run_until(lambda: len(shown) == 20)
        assert shown == [str(number) for number in range(20)]
        window.close()


def test_a_dialog_of_a_receiver_does_not_stop_other_calls(gui, window, alice, bob):
    """A modal dialog runs the loop inside of a receiver."""
    posted = []

    def show(chat, message):
        window.post(lambda: posted.append(message.body))
        gui.run_until(lambda: posted)

    window.connect(alice.chat.message_received, show)
    with logged_in(alice, bob):
        send(bob, alice.id, "hello")
        gui.run_until(lambda: posted)
        window.close()
    assert posted == ["hello"]


# --- the end of the window, and of the chat ---


def end_chat(chat, cube):
    return chat.logout()


def end_cube(chat, cube):
    return cube.close()


ENDS = pytest.mark.parametrize("end", [end_chat, end_cube])
ORDERS = pytest.mark.parametrize("closes_first", [True, False], ids=["window first", "chat first"])
KINDS = pytest.mark.parametrize("durable", [True, False], ids=["durable", "memory"])


@ENDS
@ORDERS
@KINDS
def test_the_end_on_the_gui_thread_waits_for_no_worker_that_waits_for_it(
    end, closes_first, durable, gui, bot, bob, caplog
):
    caplog.set_level(logging.WARNING)
    cube = bot(durable)
    window = Handover(cube.chat, gui.post)
    states = []
    window.connect(cube.chat.state_changed, lambda chat, change: states.append(change.state))
    shown = shown_by(window, gui)
    cube.chat.login()
    gui.run_until(lambda: ChatState.READY in states)
    with logged_in(bob):
        send(bob, cube.user.id, *"abc")
        gui.wait_for_post()
        cube.chat.ping(TIMEOUT)
        chat = cube.chat
        if closes_first:
            window.close()
        seconds, abandoned = timed(lambda: end(chat, cube))
        window.close()
    assert seconds < AT_ONCE
    gui.run_what_is_left()
    assert (shown, states[-1]) == ([], ChatState.READY)
    assert not [
        one for one in threading.enumerate() if "dispatcher" in one.name and cube.chat in [one]
    ]
    if not durable:
        told = [r.message for r in caplog.records if r.name in LOGGERS]
        assert len(told) == 1
        assert "abandoned: 3 queued events" in told[0]
        assert abandoned in (None, Abandoned(queued=3))
    else:
        assert [r.message for r in caplog.records if r.name in LOGGERS] == []
        assert abandoned in (None, Abandoned())
        again = bot()
        with Handover(again.chat, gui.post) as other:
            shown = shown_by(other, gui)
            again.chat.login()
            gui.run_until(lambda: len(shown) == 3)
            assert shown == ["a", "b", "c"]


def test_an_event_counts_as_handled_when_the_gui_receiver_has_returned(gui, bot, bob):
    cube = bot()
    with Handover(cube.chat, gui.post) as window:
        inbox = []
        window.connect(
            cube.chat.message_received,
            lambda chat, message: inbox.append(chat.statistics().durable_inbox),
        )
        cube.chat.login()
        with logged_in(bob):
            send(bob, cube.user.id, "hello")
            gui.run_until(lambda: inbox)
        assert inbox == [1]
        wait_until(lambda: cube.chat.statistics().durable_inbox == 0)


def test_another_receiver_of_the_event_is_not_called_twice(gui, bot, bob):
    """The window of the first process never came to the event; a receiver on a worker did."""
    bodies = []
    for number in range(2):
        cube = bot()
        window = Handover(cube.chat, gui.post)
        cube.chat.message_received.connect(lambda chat, m: bodies.append(m.body), key="archive")
        shown = shown_by(window, gui)
        cube.chat.login()
        if number == 0:
            with logged_in(bob):
                send(bob, cube.user.id, "hello")
                gui.wait_for_post()
            window.close()
        else:
            gui.run_until(lambda got=shown: got)
            window.close()
        cube.close()
    assert (bodies, shown) == (["hello"], ["hello"])


def test_a_closed_window_leaves_the_chat_to_its_other_receivers(
    gui, window, alice, bob, monkeypatch, caplog
):
    monkeypatch.setattr(handover, "_FAREWELL", 0.1)
    caplog.set_level(logging.WARNING)
    shown = shown_by(window, gui)
    with logged_in(alice, bob):
        send(bob, alice.id, "one")
        gui.wait_for_post()
        window.close()
        send(bob, alice.id, "two")
        alice.events.wait_for("message_received", 2)
        assert gui.run_what_is_left() >= 1
    assert (alice.bodies, shown) == (["one", "two"], [])
    assert caplog.records == []


def test_a_new_window_of_the_chat_takes_the_place_of_a_closed_one(gui, alice, bob):
    with logged_in(alice, bob):
        windows = []
        for number in range(3):
            with Handover(alice.chat, gui.post) as window:
                shown = shown_by(window, gui, key=None)
                send(bob, alice.id, str(number))
                gui.run_until(lambda shown=shown: shown)
            windows.append(shown)
        names = [one.name for one in alice.chat.message_received.connections_for(alice.chat)]
    assert windows == [["0"], ["1"], ["2"]]
    assert len([name for name in names if "shown_by" in name]) == 1


def test_after_close_nothing_that_is_queued_runs(gui, window, alice, bob):
    shown = shown_by(window, gui)
    posted = []
    with logged_in(alice, bob):
        send(bob, alice.id, *"abc")
        gui.wait_for_post()
        window.post(lambda: posted.append("posted"))
        window.close()
        window.post(lambda: posted.append("later"))
        gui.run_what_is_left()
    gui.run_what_is_left()
    assert (shown, posted, window.is_closed) == ([], [], True)


def test_a_receiver_that_closes_the_window_itself_ends_with_its_return(gui, window, alice, bob):
    shown = []

    def show(chat, message):
        window.close()
        shown.append(message.body)

    window.connect(alice.chat.message_received, show)
    with logged_in(alice, bob):
        send(bob, alice.id, "one", "two")
        gui.run_until(lambda: shown)
    gui.run_what_is_left()
    assert shown == ["one"]
    assert alice.events.of("callback_failed") == []


def test_a_receiver_that_logs_out_does_not_wait_for_itself(gui, window, alice, bob):
    took = []
    window.connect(
        alice.chat.message_received,
        lambda chat, message: took.append(timed(lambda: (window.close(), chat.logout()))[0]),
    )
    with logged_in(alice, bob):
        send(bob, alice.id, "bye")
        gui.run_until(lambda: took)
    assert took[0] < AT_ONCE


def test_a_receiver_that_runs_is_not_waited_for_by_another_thread(gui, window, alice, bob):
    gate = Gate()
    window.connect(alice.chat.message_received, gate)
    took = []

    def end():
        gate.wait_until_entered()
        window.close()
        took.append(timed(alice.chat.logout)[0])
        gate.open()

    with logged_in(alice, bob):
        send(bob, alice.id, "hello")
        thread = threading.Thread(target=end)
        thread.start()
        gui.run_until(lambda: took)
        thread.join(TIMEOUT)
    assert took[0] < AT_ONCE


def test_the_end_while_the_chat_reconnects_waits_for_nothing(gui, emulator, bob, person):
    alice = person()
    with Handover(alice.chat, gui.post) as window:
        states = []
        window.connect(alice.chat.state_changed, lambda chat, change: states.append(change.state))
        alice.login()
        gui.run_until(lambda: ChatState.READY in states)
        emulator.cut(alice.id)
        with alice.chat.events(alice.chat.state_changed, TIMEOUT) as changes:
            changes.next()
        window.close()
        seconds, _ = timed(alice.chat.logout)
    assert seconds < AT_ONCE
    assert ChatState.CLOSED not in states


def test_a_window_that_logs_out_and_stays_is_told_that_the_chat_is_closed(gui, window, alice):
    states = []
    window.connect(alice.chat.state_changed, lambda chat, change: states.append(change.state))
    alice.login()
    gui.run_until(lambda: ChatState.READY in states)
    seconds, _ = timed(alice.chat.logout)
    assert seconds < AT_ONCE
    gui.run_until(lambda: states[-1] is ChatState.CLOSED)
    states.clear()
    alice.login()
    gui.run_until(lambda: ChatState.READY in states)
    window.close()
    alice.chat.logout()


def test_a_post_that_raises_is_the_end_of_the_window(alice, bob, caplog):
    def post(function):
        raise RuntimeError("the window is gone")

    window = Handover(alice.chat, post)
    window.connect(alice.chat.typing_started, print)
    with logged_in(alice, bob):
        bob.chat.send_typing(bob.chat.send_private(alice.id, "x").result(TIMEOUT).dialog)
        alice.events.wait_for("typing_started")
        wait_until(lambda: window.is_closed)
    assert "the window is gone" in caplog.text


def test_nothing_is_connected_or_run_after_close(gui, window, alice):
    window.close()
    with pytest.raises(ClientClosedError, match="make a new one"):
        window.connect(alice.chat.message_received, print)
    with pytest.raises(ClientClosedError):
        window.run(print)
    assert "closed" in repr(window)


# --- the core's part ---


@KINDS
def test_what_a_receiver_could_not_begin_is_left_without_a_report(durable, bot, bob, caplog):
    caplog.set_level(logging.WARNING)
    gate, failures = Gate(), []
    cube = bot(durable)

    @cube.chat.message_received.connect(key="elsewhere")
    def leave(chat, message):
        gate()
        raise NotHandledError("closed")

    cube.chat.callback_failed.connect(lambda chat, failure: failures.append(failure))
    cube.chat.login()
    with logged_in(bob):
        send(bob, cube.user.id, "hello")
        gate.wait_until_entered()
        opener = threading.Thread(
            target=lambda: (wait_until(lambda: cube.chat.state is ChatState.CLOSED), gate.open())
        )
        opener.start()
        left = cube.chat.logout()
        opener.join(TIMEOUT)
    assert left == (Abandoned() if durable else Abandoned(queued=1))
    assert failures == []
    assert len(caplog.records) == (0 if durable else 1)
    again = bot(durable) if durable else cube
    again.chat.message_received.disconnect(leave)
    seen = []
    again.chat.message_received.connect(lambda chat, m: seen.append(m.body), key="elsewhere")
    again.chat.login()
    wait_until(lambda: seen == ["hello"])


def test_while_the_chat_is_open_it_is_an_error_that_passes(alice, bob):
    attempts = []

    @alice.chat.message_received.connect(handling=Handling(delay=0.01))
    def receive(chat, message):
        attempts.append(message)
        if len(attempts) == 1:
            raise NotHandledError("not now")

    with logged_in(alice, bob):
        send(bob, alice.id, "hello")
        wait_until(lambda: len(attempts) == 2)
        assert len(alice.events.of("callback_failed")) == 1
