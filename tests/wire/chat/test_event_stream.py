"""Events for code that waits: one with wait_for, or one after the other from a stream."""

from __future__ import annotations

import gc
import threading
from contextlib import nullcontext

import pytest

from connectycube import (
    ArgumentTypeError,
    ArgumentValueError,
    ChatState,
    ChatTimeoutError,
    ConnectionLostError,
    EventStreamOverflowError,
    Limits,
    NotConnectedError,
    ReconnectPolicy,
    Signal,
    Timeouts,
)
from connectycube.chat.event_stream import EventStream, Streams
from connectycube.chat.protocol.decoding import Delivery
from connectycube.models import Message, StateChange
from tests.support.inside import driver_of
from tests.support.people import Person, logged_in
from tests.support.waiting import TIMEOUT, Gate

S = ChatState


# --- what is shown to whom, without a connection --------------------------------------------------


def test_a_stream_that_nobody_reads_is_bounded_in_bytes():
    streams = Streams()
    stream = EventStream(
        "told", 0.0, Limits(queued_bytes=1_000, stanza_bytes=1_000), nullcontext, streams.remove
    )
    streams.add(stream)
    for number in range(3):
        streams.feed(Delivery(signal="told", event=number, size=400))
    assert [stream.next(0), stream.next(0)] == [0, 1]
    with pytest.raises(EventStreamOverflowError, match="wait in a stream without a reader"):
        stream.next(0)


def opened(streams, signal="told", most=100):
    stream = EventStream(signal, 0.0, Limits(queued_events=most), nullcontext, streams.remove)
    streams.add(stream)
    return stream


def told(event, signal="told", **about):
    return Delivery(signal=signal, event=event, **about)


def entered(state, reason=None):
    change = StateChange(state=state, previous=S.CONNECTING, reason=reason)
    return Delivery(signal="state_changed", event=change)


def resume(streams):
    for state in (S.FORCE_CLOSED, S.RECONNECTING, S.AUTHENTICATED, S.RESUMED):
        streams.feed(entered(state))


def test_each_stream_gets_the_events_of_its_signal_since_it_was_made():
    streams = Streams()
    first = opened(streams)
    streams.feed(told(1))
    second, other = opened(streams), opened(streams, "other")
    streams.feed(told(2))
    assert (list(first), list(second), list(other)) == ([1, 2], [2], [])


def test_what_comes_again_with_the_same_key_is_shown_once():
    streams = Streams()
    stream = opened(streams)
    for event in ("first", "again"):
        streams.feed(told(event, key=("c", 1, "m"), sequence=5))
    streams.feed(told("another", key=("c", 1, "n"), sequence=6))
    assert list(stream) == ["first", "another"]


def test_a_stream_shows_a_replayed_event_once_even_without_a_key():
    streams = Streams()
    stream = opened(streams)
    for sequence in (3, 4):
        streams.feed(told(sequence, sequence=sequence))
    resume(streams)
    for sequence in (3, 4, 5):
        streams.feed(told(sequence, sequence=sequence))
    assert list(stream) == [3, 4, 5]


def test_a_new_session_counts_anew_also_what_comes_before_it_is_ready():
    streams = Streams()
    stream = opened(streams)
    streams.feed(told("a", sequence=7))
    resume(streams)
    streams.feed(entered(S.AUTHENTICATED))
    streams.feed(told("b", sequence=1))
    streams.feed(entered(S.READY))
    streams.feed(told("c", sequence=2))
    resume(streams)
    streams.feed(told("c again", sequence=2))
    streams.feed(told("d", sequence=3))
    assert list(stream) == ["a", "b", "c", "d"]


def test_an_attempt_to_resume_that_failed_forgets_nothing():
    streams = Streams()
    stream = opened(streams)
    streams.feed(told("a", sequence=1))
    streams.feed(entered(S.AUTHENTICATED))
    resume(streams)
    streams.feed(told("a again", sequence=1))
    streams.feed(told("b", sequence=2))
    assert list(stream) == ["a", "b"]


def test_counts_wrap():
    streams = Streams()
    stream = opened(streams)
    for sequence in (2**32 - 1, 0):
        streams.feed(told(sequence, sequence=sequence))
    resume(streams)
    for sequence in (2**32 - 1, 0, 1):
        streams.feed(told(sequence, sequence=sequence))
    assert list(stream) == [2**32 - 1, 0, 1]


def test_one_stanza_may_bring_several_events():
    streams = Streams()
    stream = opened(streams)
    for event in "ab":
        streams.feed(told(event, sequence=1))
    assert list(stream) == ["a", "b"]


@pytest.mark.parametrize("about", [{"key": ("c", 1, "m")}, {}], ids=["with a key", "without"])
def test_what_nobody_was_shown_is_shown_when_it_comes_again(about):
    streams = Streams()
    other = opened(streams, "other")
    streams.feed(told(1, sequence=1, **about))
    resume(streams)
    stream = opened(streams)
    streams.feed(told(1, sequence=1, **about))
    assert (list(stream), list(other)) == ([1], [])


def test_an_unread_stream_is_bounded_and_raises_behind_its_events():
    streams = Streams()
    stream = opened(streams, most=2)
    for event in (1, 2, 3, 4):
        streams.feed(told(event))
    assert (next(stream), next(stream)) == (1, 2)
    with pytest.raises(EventStreamOverflowError, match="2 events of told wait in a stream"):
        next(stream)


def test_the_end_comes_behind_what_was_collected():
    streams = Streams()
    stream, failing = opened(streams), opened(streams)
    streams.feed(told(1))
    failing.end(ConnectionLostError("cut"))
    streams.feed(entered(S.CLOSED))
    streams.feed(told(2))
    assert list(stream) == [1]
    assert next(failing) == 1
    with pytest.raises(ConnectionLostError, match="cut"):
        next(failing)
    with pytest.raises(NotConnectedError, match="logged out"):
        stream.next()


def test_a_stream_that_was_closed_collects_nothing_and_is_let_go_of():
    streams = Streams()
    with opened(streams) as stream:
        streams.feed(told(1))
    streams.feed(told(2))
    assert list(stream) == [1]
    assert streams.open == ()


def test_streams_that_were_dropped_without_closing_cost_nothing():
    streams = Streams()
    for _ in range(50):
        opened(streams)
    gc.collect()
    stream = opened(streams)
    assert len(streams.open) == 1
    streams.feed(told(1))
    assert list(stream) == [1]


# --- wait_for -------------------------------------------------------------------------------------


def test_events_next_returns_the_first_fit_and_asks_in_its_own_thread(alice, bob):
    asked = []

    def fits(message):
        asked.append((message.body, threading.current_thread()))
        return message.body == "3"

    with logged_in(alice, bob):
        waiting = threading.Event()
        sender = threading.Thread(
            target=lambda: (
                waiting.wait(TIMEOUT)
                and [bob.chat.send_private(alice.id, body) for body in "12345"]
            )
        )
        sender.start()
        with alice.chat.events(alice.chat.message_received, TIMEOUT) as events:
            waiting.set()
            assert events.next(where=fits).body == "3"
            assert next(events).body == "4"
        sender.join()
    assert asked == [(body, threading.current_thread()) for body in "123"]


def test_wait_for_waits_for_one_event_and_leaves_nothing_open(alice, bob):
    found = []

    def wait():
        chat = alice.chat
        found.append(chat.wait_for(chat.message_received, TIMEOUT, lambda m: m.body == "hello"))

    with logged_in(alice, bob):
        waiter = threading.Thread(target=wait)
        waiter.start()
        # Whether it waits already cannot be seen from outside: say it until it was heard.
        while waiter.is_alive():
            bob.chat.send_private(alice.id, "hello").result(TIMEOUT)
        assert found[0].body == "hello"
        assert driver_of(alice.chat)._router.streams.open == ()


def test_what_where_raises_reaches_the_caller_and_closes_the_stream(alice, bob):
    with logged_in(alice, bob):
        events = alice.chat.events(alice.chat.message_received, TIMEOUT)
        bob.chat.send_private(alice.id, "hello")
        with pytest.raises(ZeroDivisionError), events:
            events.next(where=lambda message: 1 / 0)
        assert driver_of(alice.chat)._router.streams.open == ()


def test_a_wait_that_nothing_ends_times_out_and_names_the_signal(alice):
    with logged_in(alice):
        with pytest.raises(ChatTimeoutError, match="message_received"):
            alice.chat.wait_for(alice.chat.message_received, 0.01)
        assert list(alice.chat.events(alice.chat.message_received, 0.01)) == []


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        (("message_received", 1), ArgumentTypeError, "signal"),
        ((None, 1), ArgumentTypeError, "signal"),
        ((Signal("message_received", Message, ""), 1), ArgumentTypeError, "signal"),
        (("ok", "1"), ArgumentTypeError, "timeout"),
        (("ok", True), ArgumentTypeError, "timeout"),
        (("ok", -1), ArgumentValueError, "timeout"),
        (("ok", float("nan")), ArgumentValueError, "timeout"),
        (("ok", 1, 5), ArgumentTypeError, "where"),
        (("ok", 1, "body"), ArgumentTypeError, "where"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_left_open(alice, arguments, error, name):
    signal, *rest = arguments
    chat = alice.chat
    with pytest.raises(error, match=name):
        chat.wait_for(chat.message_received if signal == "ok" else signal, *rest)
    if len(rest) == 1:
        with pytest.raises(error, match=name):
            chat.events(chat.message_received if signal == "ok" else signal, *rest)
    assert driver_of(chat)._router.streams.open == ()


async def later(message):
    return True


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"where": 5}, "where"), ({"where": later}, "where"), ({"timeout": "1"}, "timeout")],
)
def test_wrong_arguments_of_next_are_named(alice, arguments, name):
    with (
        logged_in(alice),
        alice.chat.events(alice.chat.message_received, 1) as events,
        pytest.raises(ArgumentTypeError, match=name),
    ):
        events.next(**arguments)


# --- before, beside and inside receivers ----------------------------------------------------------


def test_events_are_there_before_the_receivers_have_run(alice, bob):
    inside, go, seen = threading.Event(), threading.Event(), []

    @alice.chat.message_received.connect
    def slow(chat, message):
        inside.set()
        go.wait(TIMEOUT)
        seen.append(message.body)

    with logged_in(alice, bob):
        with alice.chat.events(alice.chat.message_received, TIMEOUT) as events:
            for body in "12":
                bob.chat.send_private(alice.id, body)
            assert [next(events).body, next(events).body] == ["1", "2"]
            assert inside.wait(TIMEOUT) and seen == []
        go.set()
        alice.events.wait_for("message_received", 2)


def test_in_a_long_queue_a_receiver_gets_what_the_stream_shows(alice, bob):
    count, received = 700, []
    with Gate() as gate, logged_in(alice, bob):
        alice.chat.message_received.connect(gate)
        alice.chat.message_received.connect(lambda chat, message: received.append(message))
        with alice.chat.events(alice.chat.message_received, TIMEOUT) as events:
            for number in range(count):
                bob.chat.send_private(alice.id, f"{number}: schön 🚀", custom={"n": str(number)})
            shown = [next(events) for _ in range(count)]
        assert received == []
        gate.open()
        alice.events.wait_for("message_received", count)
        assert received == shown
        assert [message.custom["n"] for message in received] == [*map(str, range(count))]


def test_a_callback_may_wait_for_the_next_event_with_one_worker(alice, bob):
    found = []

    @alice.chat.message_received.connect
    def ask(chat, message):
        if message.body == "ask":
            with chat.events(chat.message_received, TIMEOUT) as events:
                chat.reply(message, "your name?")
                found.append(next(events).body)

    @bob.chat.message_received.connect
    def answer(chat, message):
        chat.reply(message, "Bob")

    with logged_in(alice, bob):
        assert alice.config.workers == 1
        bob.chat.send_private(alice.id, "ask")
        alice.events.wait_for("message_received", 2)
    assert found == ["Bob"]


def in_a_full_queue(emulator, bob, provoke, collect, *, count):
    """What a callback collects while the queue holds one message, and what the receivers got after it."""
    bot = Person.new(emulator, limits=Limits(queued_bytes=1))
    found, failed = [], []
    collected = threading.Event()

    @bot.chat.message_received.connect
    def waits(chat, message):
        if message.body == "begin":
            try:
                found.extend(collect(chat))
            except Exception as error:
                failed.append(error)
            collected.set()

    with logged_in(bot, bob):
        bob.chat.send_private(bot.id, "begin").result(TIMEOUT)
        provoke(bot)
        assert collected.wait(TIMEOUT)
        assert failed == []
        bot.events.wait(
            lambda events: len([e for name, e in events.all if "received" in name]) >= count
        )
        bob.chat.send_private(bot.id, "the end").result(TIMEOUT)
        bot.events.wait(lambda seen: seen.of("message_received")[-1].body == "the end")
        assert driver_of(bot.chat).dispatcher.queued == 0
    return found, bot


def test_a_callback_hears_every_event_once_although_the_queue_is_full(emulator, bob):
    ready = threading.Event()

    def collect(chat):
        with chat.events(chat.message_received, TIMEOUT) as events:
            ready.set()
            return [next(events).body for _ in range(20)]

    def provoke(bot):
        assert ready.wait(TIMEOUT)
        for number in range(20):
            bob.chat.send_private(bot.id, str(number))

    found, bot = in_a_full_queue(emulator, bob, provoke, collect, count=21)
    numbers = [str(number) for number in range(20)]
    assert found == numbers, "each once, in order"
    bodies = [message.body for message in bot.events.of("message_received")]
    assert bodies == ["begin", *numbers, "the end"], "and so did the receivers"


def test_a_stream_shows_events_without_an_id_once_although_they_came_twice(emulator, bob):
    ready, burst = threading.Event(), threading.Event()
    streams = []

    def collect(chat):
        streams.append(chat.events(chat.system_message_received, TIMEOUT))
        ready.set()
        burst.wait(TIMEOUT)
        first = [next(streams[0]).custom["n"] for _ in range(10)]
        chat.ping(TIMEOUT)
        return first

    def provoke(bot):
        assert ready.wait(TIMEOUT)
        for number in range(10):
            bob.chat.send_system_message(bot.id, {"n": number}).result(TIMEOUT)
        burst.set()

    found, bot = in_a_full_queue(emulator, bob, provoke, collect, count=11)
    numbers = [str(number) for number in range(10)]
    assert found == numbers
    received = [event.custom["n"] for event in bot.events.of("system_message_received")]
    assert received == numbers
    with pytest.raises((ChatTimeoutError, NotConnectedError)):
        streams[0].next(0.0)


def test_one_wait_after_the_other_in_a_full_queue_finds_nothing_twice(emulator, bob):
    asked = threading.Event()
    bodies = threading.Semaphore(0)

    def collect(chat):
        found = []
        for _ in range(5):
            with chat.events(chat.message_received, TIMEOUT) as events:
                asked.set()
                bodies.release()
                found.append(next(events).body)
        return found

    def provoke(bot):
        for number in range(5):
            assert bodies.acquire(timeout=TIMEOUT)
            bob.chat.send_private(bot.id, str(number)).result(TIMEOUT)

    found, bot = in_a_full_queue(emulator, bob, provoke, collect, count=6)
    assert found == list("01234")
    assert [m.body for m in bot.events.of("message_received")] == ["begin", *"01234", "the end"]


def test_many_threads_each_get_everything(alice, bob):
    streams = [alice.chat.events(alice.chat.message_received, TIMEOUT) for _ in range(8)]
    found: list[list[str]] = [[] for _ in streams]

    def read(position):
        for _ in range(30):
            found[position].append(next(streams[position]).body)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(len(streams))]
    with logged_in(alice, bob):
        for thread in threads:
            thread.start()
        for number in range(30):
            bob.chat.send_private(alice.id, str(number))
        for thread in threads:
            thread.join(TIMEOUT)
    assert found == [[str(number) for number in range(30)]] * len(streams)


def test_a_stream_that_nobody_reads_is_bounded_by_the_queues_limit(emulator, bob):
    bot = Person.new(emulator, limits=Limits(queued_events=3))
    with logged_in(bot, bob):
        events = bot.chat.events(bot.chat.message_received, TIMEOUT)
        for number in range(10):
            bob.chat.send_private(bot.id, str(number))
        bot.events.wait_for("message_received", 10)
        found = []
        with pytest.raises(EventStreamOverflowError, match="3 events of message_received"):
            for message in events:
                found.append(message.body)
        assert found == list("012")


# --- the end --------------------------------------------------------------------------------------


def ends(chat, provoke):
    """What iterating and waiting come to when ``provoke()`` ends them from another thread."""
    results = {}
    waiting = threading.Barrier(3)

    def iterate():
        events = chat.events(chat.message_received, TIMEOUT)
        waiting.wait(TIMEOUT)
        try:
            results["iterated"] = list(events)
        except Exception as error:
            results["iterated"] = error

    def wait():
        with chat.events(chat.message_received, TIMEOUT) as events:
            waiting.wait(TIMEOUT)
            try:
                results["waited"] = events.next()
            except Exception as error:
                results["waited"] = error

    threads = [threading.Thread(target=target) for target in (iterate, wait)]
    for thread in threads:
        thread.start()
    waiting.wait(TIMEOUT)
    provoke()
    for thread in threads:
        thread.join(TIMEOUT)
    return results["iterated"], results["waited"]


def test_logout_ends_iterating_and_is_an_error_for_who_waits(alice):
    with logged_in(alice):
        iterated, waited = ends(alice.chat, alice.chat.logout)
    assert iterated == []
    assert type(waited) is NotConnectedError


def test_a_final_failure_is_raised_to_both(emulator):
    eve = Person.new(emulator, reconnect=ReconnectPolicy(max_attempts=0))
    with logged_in(eve):
        iterated, waited = ends(eve.chat, lambda: emulator.cut(eve.id))
        assert isinstance(waited, ConnectionLostError) and iterated is waited
        assert eve.wait_for_state(S.CLOSED).reason is waited


def test_a_lost_link_ends_nothing(emulator, alice, bob):
    with logged_in(alice, bob), alice.chat.events(alice.chat.message_received, TIMEOUT) as events:
        emulator.cut(alice.id)
        bob.chat.send_private(alice.id, "still here?")
        assert next(events).body == "still here?"


def test_closing_ends_iterating_also_from_another_thread(alice):
    with logged_in(alice):
        events = alice.chat.events(alice.chat.message_received, TIMEOUT)
        started, found = threading.Event(), []

        def iterate():
            started.set()
            found.append(list(events))

        thread = threading.Thread(target=iterate)
        thread.start()
        started.wait(TIMEOUT)
        events.close()
        events.close()
        thread.join(TIMEOUT)
        assert found == [[]]
        with pytest.raises(NotConnectedError, match="closed"):
            events.next()


LOGIN_FIRST = r"nobody has logged in .*call chat\.login\(\) first"


def test_a_wait_for_an_event_without_a_login_raises_at_once(alice):
    chat = alice.chat
    with pytest.raises(NotConnectedError, match=LOGIN_FIRST):
        chat.wait_for(chat.message_received, TIMEOUT)
    with chat.events(chat.message_received) as events:
        with pytest.raises(NotConnectedError, match=LOGIN_FIRST):
            events.next()
        with pytest.raises(NotConnectedError, match=LOGIN_FIRST):
            list(events)
    assert driver_of(chat)._router.streams.open == ()


def test_a_wait_for_an_event_after_logout_raises_at_once(alice):
    chat = alice.chat
    with logged_in(alice):
        pass
    with pytest.raises(NotConnectedError, match=r"closed: call chat\.login\(\) first"):
        chat.wait_for(chat.message_received, TIMEOUT)
    with (
        chat.events(chat.message_received) as events,
        pytest.raises(NotConnectedError, match="first"),
    ):
        list(events)


def test_a_wait_for_an_event_after_a_final_failure_raises_its_reason(emulator):
    eve = Person.new(emulator, reconnect=ReconnectPolicy(max_attempts=0))
    with logged_in(eve):
        emulator.cut(eve.id)
        eve.wait_for_state(S.CLOSED)
        with pytest.raises(ConnectionLostError):
            eve.chat.wait_for(eve.chat.message_received, TIMEOUT)


def test_without_a_time_out_an_event_is_waited_for_as_configured(emulator):
    eve = Person.new(emulator, timeouts=Timeouts(event=0.01))
    chat = eve.chat
    with logged_in(eve):
        with pytest.raises(ChatTimeoutError, match="message_received"):
            chat.wait_for(chat.message_received)
        assert list(chat.events(chat.message_received)) == []


def test_the_error_of_a_callback_can_be_waited_for(alice, bob):
    bob.chat.message_received.connect(lambda chat, message: 1 / 0)
    with logged_in(alice, bob), bob.chat.events(bob.chat.callback_failed, TIMEOUT) as failures:
        handle = alice.chat.send_private(bob.id, "hello")
        assert isinstance(failures.next().error, ZeroDivisionError)
        handle.result(TIMEOUT)


def test_events_from_before_the_end_of_login_are_in_a_stream_made_before(alice):
    events = alice.chat.events(alice.chat.state_changed, TIMEOUT)
    with logged_in(alice):
        assert [next(events).state for _ in range(3)] == [S.CONNECTING, S.AUTHENTICATED, S.READY]
