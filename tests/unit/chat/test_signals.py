import functools
import gc
import inspect
import queue
import sys
import threading
import weakref
from unittest.mock import Mock, create_autospec

import blinker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import Handling
from connectycube._checks import name_of
from connectycube.chat import signals
from connectycube.chat.signals import Signal, check_callback
from connectycube.errors import ArgumentTypeError
from connectycube.models import Message


class Chat:
    """A sender."""

    message_received = Signal("message_received", Message, "A message arrived.")


@pytest.fixture
def signal():
    return Signal("message_received", Message, "A message arrived.")


@pytest.fixture
def chat():
    return Chat()


def plain(chat, event):
    return event


def numbered(number, chat, event):
    return number, event


async def coroutine_function(chat, event):
    return event


async def asynchronous_generator(chat, event):
    yield event


def generator(chat, event):
    yield event


class AsyncCallable:
    async def __call__(self, chat, event):
        return event


class GeneratorCallable:
    def __call__(self, chat, event):
        yield event


class Made:
    """A class whose instances are made of an event."""

    def __init__(self, chat, event):
        self.event = event


class Bot:
    def answer(self, chat, event):
        return event

    async def answer_later(self, chat, event):
        return event

    def __call__(self, chat, event):
        return event


def test_a_receiver_is_held_strongly(signal, chat):
    signal.connect(lambda chat, event: "kept")
    signal.connect(Bot().answer)
    gc.collect()
    assert [receiver(chat, "kept") for receiver in signal.receivers_for(chat)] == ["kept", "kept"]


def test_a_weak_receiver_goes_when_nobody_else_holds_it(signal, chat):
    def receiver(chat, event):
        """Never called."""

    bot = Bot()
    signal.connect(receiver, weak=True)
    signal.connect(bot.answer, weak=True)
    signal.connect(plain, weak=True)
    gc.collect()
    assert list(signal.receivers_for(chat)) == [receiver, bot.answer, plain]
    del receiver, bot
    gc.collect()
    assert list(signal.receivers_for(chat)) == [plain]
    assert list(signal.receivers) == [id(plain)]


def test_a_connected_receiver_is_let_go_when_it_is_disconnected(signal, chat):
    bot = Bot()
    reference = weakref.ref(bot)
    signal.connect(bot.answer, sender=chat)
    signal.disconnect(bot.answer, sender=chat)
    del bot
    gc.collect()
    assert reference() is None


def test_connect_is_a_decorator_that_returns_the_receiver(signal, chat):
    @signal.connect
    def receiver(chat, event):
        return event

    assert receiver(chat, 5) == 5
    assert list(signal.receivers_for(chat)) == [receiver]


def test_receivers_come_in_the_order_they_were_connected(signal, chat):
    receivers = [functools.partial(numbered, number) for number in range(50)]
    for receiver in receivers:
        signal.connect(receiver)
    assert list(signal.receivers_for(chat)) == receivers


def test_a_receiver_for_one_sender_keeps_its_place_among_those_for_all(signal, chat):
    receivers = [functools.partial(numbered, number) for number in range(20)]
    for number, receiver in enumerate(receivers):
        if number % 3:
            signal.connect(receiver, sender=chat)
        else:
            signal.connect(receiver)
    assert list(signal.receivers_for(chat)) == receivers
    assert list(signal.receivers_for(Chat())) == receivers[::3]


def test_a_receiver_connected_twice_is_called_once_at_its_first_place(signal, chat):
    other = Bot()
    signal.connect(plain, sender=chat)
    signal.connect(other)
    signal.connect(plain)
    signal.connect(plain)
    assert list(signal.receivers_for(chat)) == [plain, other]


def test_a_receiver_connected_anew_comes_last(signal, chat):
    other = Bot()
    signal.connect(plain)
    signal.connect(other)
    signal.disconnect(plain)
    signal.connect(plain)
    assert list(signal.receivers_for(chat)) == [other, plain]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["connect", "disconnect"]),
            st.integers(0, 5),
            st.sampled_from(["all", "this", "other"]),
        ),
        max_size=40,
    )
)
def test_any_sequence_of_connections_gives_the_receivers_of_a_list(steps):
    signal, this, other = Signal("message_received", Message, ""), Chat(), Chat()
    senders = {"all": blinker.ANY, "this": this, "other": other}
    receivers = [functools.partial(numbered, number) for number in range(6)]
    connected = []  # (number, whose), in order
    for action, number, whose in steps:
        if action == "connect":
            signal.connect(receivers[number], sender=senders[whose])
            if (number, whose) not in connected:
                connected.append((number, whose))
        else:
            signal.disconnect(receivers[number], sender=senders[whose])
            connected = [(n, w) for n, w in connected if n != number or (whose not in ("all", w))]
    for name, sender in (("this", this), ("other", other)):
        expected = dict.fromkeys(n for n, whose in connected if whose in ("all", name))
        assert list(signal.receivers_for(sender)) == [receivers[n] for n in expected]
    assert set(signal.receivers) == {id(receivers[n]) for n, _ in connected}


def test_disconnecting_what_was_not_connected_is_ignored(signal, chat):
    signal.disconnect(plain)
    signal.disconnect(plain, sender=chat)
    signal.connect(plain)
    signal.disconnect(Bot())
    signal.disconnect(plain, sender=chat)
    assert list(signal.receivers_for(chat)) == [plain]


def test_disconnect_all_forgets_every_receiver(signal, chat):
    signal.connect(plain)
    signal.connect(Bot(), sender=chat)
    signal.disconnect_all()
    assert list(signal.receivers_for(chat)) == []
    assert not signal.receivers
    signal.connect(plain)
    assert list(signal.receivers_for(chat)) == [plain]


def test_a_muted_signal_has_no_receivers_until_it_is_heard_again(signal, chat):
    signal.connect(plain)
    with signal.muted():
        assert list(signal.receivers_for(chat)) == []
    assert list(signal.receivers_for(chat)) == [plain]


def test_receivers_are_those_of_the_moment_they_were_asked_for(signal, chat):
    signal.connect(plain)
    seen = signal.receivers_for(chat)
    signal.connect(Bot())
    signal.disconnect(plain)
    assert list(seen) == [plain]


@pytest.mark.parametrize(
    "receiver",
    [
        coroutine_function,
        asynchronous_generator,
        functools.partial(coroutine_function, event=1),
        functools.partial(functools.partial(coroutine_function), event=1),
        AsyncCallable(),
        functools.partial(AsyncCallable(), event=1),
        Bot().answer_later,
    ],
    ids=[
        *("function", "generator", "partial", "partial of a partial", "object"),
        *("partial of an object", "method"),
    ],
)
def test_a_coroutine_function_in_any_wrapping_is_refused_by_name(signal, chat, receiver):
    with pytest.raises(ArgumentTypeError, match=r"receiver .*is a coroutine function") as caught:
        signal.connect(receiver)
    assert name_of(receiver) in str(caught.value)
    assert list(signal.receivers_for(chat)) == []


@pytest.mark.parametrize(
    "receiver",
    [generator, functools.partial(generator), GeneratorCallable(), GeneratorCallable().__call__],
    ids=["function", "partial", "object", "method"],
)
def test_a_generator_function_is_refused_because_it_would_not_run(signal, chat, receiver):
    with pytest.raises(ArgumentTypeError, match=r"is a generator function .* would not run"):
        signal.connect(receiver)
    assert list(signal.receivers_for(chat)) == []


def accepts(parameters):
    """A function with these parameters."""
    namespace = {}
    exec(f"def receiver({parameters}): pass", namespace)
    return namespace["receiver"]


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ("", "()"),
        ("chat", "(chat)"),
        ("chat, event, log", "(chat, event, log)"),
        ("chat, event, *, log", "(chat, event, *, log)"),
        ("chat: int, *, log=print", "(chat, *, log=…)"),
    ],
)
def test_a_receiver_that_cannot_take_chat_and_event_is_refused(signal, chat, parameters, shown):
    with pytest.raises(ArgumentTypeError) as caught:
        signal.connect(accepts(parameters))
    words = f"cannot be called as receiver(chat, event): its parameters are {shown}"
    assert str(caught.value).endswith(words)
    assert name_of(accepts(parameters)) in str(caught.value)
    assert list(signal.receivers_for(chat)) == []


@pytest.mark.parametrize("parameters", ["sender, **kw", "**kw", "sender, *, event, **extra"])
def test_a_receiver_in_the_manner_of_blinker_is_told_the_difference(signal, parameters):
    words = "unlike blinker, this SDK gives each receiver the chat and one event object"
    with pytest.raises(ArgumentTypeError, match=words):
        signal.connect(accepts(parameters))


@pytest.mark.parametrize(
    "parameters",
    [
        *("chat, event", "chat, event, /", "*args", "chat, *args", "a, b, c=None, d=1"),
        *("*args, **kw", "chat, event=None", "chat, event, *, log=None", "chat, event, **kw"),
    ],
)
def test_a_receiver_with_other_parameters_too_is_taken(signal, chat, parameters):
    receiver = signal.connect(accepts(parameters))
    assert list(signal.receivers_for(chat)) == [receiver]


def with_a_third(function):
    """A decorator that gives the function one argument more."""

    @functools.wraps(function)
    def decorated(*arguments):
        return function(*arguments, "third")

    return decorated


def without_the_first(function):
    """A decorator whose result takes one argument less."""

    @functools.wraps(function)
    def decorated(event):
        return function(None, event)

    return decorated


def test_the_parameters_are_those_of_the_decorated_function(signal):
    signal.connect(with_a_third(accepts("chat, event, third")))
    with pytest.raises(ArgumentTypeError, match=r"its parameters are \(event\)"):
        signal.connect(without_the_first(plain))


def test_parameters_that_a_partial_has_filled_are_not_counted(signal):
    three = accepts("first, chat, event")
    signal.connect(functools.partial(three, 1))
    signal.connect(functools.partial(accepts("chat, event, log"), log=print))
    for wrong in (functools.partial(plain, 1), functools.partial(functools.partial(three), 1, 2)):
        with pytest.raises(ArgumentTypeError, match="cannot be called as receiver"):
            signal.connect(wrong)


class ClaimsAnother:
    """A callable that a decorating library made: it shows the parameters of the function inside."""

    __signature__ = inspect.signature(accepts("chat, event, injected"))

    def __call__(self, *arguments):
        """Take any."""


@pytest.mark.parametrize(
    "receiver",
    [
        *(ClaimsAnother(), queue.SimpleQueue().put, dict, Mock()),
        *(functools.lru_cache(plain), create_autospec(plain), {}.setdefault),
    ],
    ids=lambda receiver: type(receiver).__name__,
)
def test_a_callable_whose_parameters_are_unknown_is_taken(signal, chat, receiver):
    signal.connect(receiver)
    assert list(signal.receivers_for(chat)) == [receiver]


def test_a_signal_is_no_decorator_and_says_what_is(signal):
    with pytest.raises(ArgumentTypeError, match=r"use chat\.message_received\.connect"):
        signal(plain)
    with pytest.raises(TypeError, match=r"use chat\.message_received\.connect"):
        signal(weak=True)
    with pytest.raises(ArgumentTypeError, match="receiver must be callable, not Signal"):
        signal.connect(signal)


@pytest.mark.parametrize("receiver", ["receiver", 5, [plain]])
def test_what_cannot_be_called_is_refused(signal, chat, receiver):
    with pytest.raises(ArgumentTypeError, match="receiver must be callable, not"):
        signal.connect(receiver)
    assert list(signal.receivers_for(chat)) == []


@pytest.mark.parametrize(
    "receiver",
    [plain, functools.partial(plain), Bot(), Bot().answer, lambda *_: None, print, Made],
    ids=["function", "partial", "object", "method", "lambda", "builtin", "class"],
)
def test_everything_else_that_can_be_called_is_taken(signal, chat, receiver):
    assert signal.connect(receiver) is receiver
    assert list(signal.receivers_for(chat)) == [receiver]


def test_a_refusal_names_the_argument_it_is_told():
    with pytest.raises(ArgumentTypeError, match=r"^callback must be callable"):
        check_callback("callback", None)
    with pytest.raises(ArgumentTypeError, match=r"^callback .*coroutine_function is a coroutine"):
        check_callback("callback", coroutine_function)
    with pytest.raises(ArgumentTypeError, match=r"^where .*cannot be called as where\(event\)"):
        check_callback("where", plain, "event")


@pytest.mark.parametrize(
    ("receiver", "name"),
    [
        (plain, f"{__name__}.plain"),
        (functools.partial(functools.partial(plain), 1), f"{__name__}.plain"),
        (Bot().answer, f"{__name__}.Bot.answer"),
        (Bot(), f"{__name__}.Bot"),
        (print, "builtins.print"),
        ([].append, "?.list.append"),
    ],
    ids=["function", "partial of a partial", "method", "object", "builtin", "builtin method"],
)
def test_a_receiver_is_called_by_its_module_and_qualified_name(receiver, name):
    assert name_of(receiver) == name


# --- options -----------------------------------------------------------------------------------------


def test_without_a_receiver_connect_returns_a_decorator(signal, chat):
    @signal.connect(key="bot", where=lambda event: event > 1, handling=Handling(delay=1.0))
    def receiver(chat, event):
        return event

    assert receiver(chat, 5) == 5
    [connection] = signal.connections_for(chat)
    assert (connection.receiver, connection.name) == (receiver, "bot")
    assert connection.handling == Handling(delay=1.0)
    assert (connection.where(1), connection.where(2)) == (False, True)


def test_the_same_key_replaces_the_earlier_receiver(signal, chat):
    """As a cell of a notebook that is run twice."""
    for _ in range(3):

        @signal.connect(key="bot")
        def receiver(chat, event):
            return event

    assert list(signal.receivers_for(chat)) == [receiver]
    assert list(signal.receivers) == [id(receiver)]
    signal.connect(plain, key="another")
    signal.connect(receiver, key="bot")
    assert list(signal.receivers_for(chat)) == [receiver, plain]


def test_a_key_and_a_name_are_those_of_one_sender(signal, chat):
    other, one = Chat(), functools.partial(numbered, 1)
    two, three = functools.partial(numbered, 2), functools.partial(numbered, 3)
    signal.connect(one, sender=chat, key="show")
    signal.connect(two, sender=other, key="show")
    assert list(signal.receivers_for(chat)) == [one]
    assert list(signal.receivers_for(other)) == [two]
    assert [each.name for each in signal.connections_for(other)] == ["show"]
    signal.connect(three, sender=chat, key="show")
    assert list(signal.receivers_for(chat)) == [three]
    signal.connect(one, key="show")
    assert list(signal.receivers_for(chat)) == list(signal.receivers_for(other)) == [one]


def test_receivers_of_one_name_are_numbered_for_each_sender(signal, chat):
    other = Chat()
    for sender in (chat, other):
        signal.connect(functools.partial(numbered, 1), sender=sender)
        signal.connect(functools.partial(numbered, 2), sender=sender)
    names = [[each.name for each in signal.connections_for(sender)] for sender in (chat, other)]
    assert names[0] == names[1] and names[0][1] == names[0][0] + "#2"


def test_the_same_receiver_connected_again_has_the_new_options(signal, chat):
    signal.connect(plain, key="old")
    signal.connect(plain, where=bool)
    [connection] = signal.connections_for(chat)
    assert (connection.name, connection.where) == (f"{__name__}.plain", bool)


def test_receivers_of_one_name_are_numbered_in_their_order(signal, chat):
    for number in range(3):
        signal.connect(functools.partial(numbered, number))
    signal.connect(plain)
    name = f"{__name__}.numbered"
    names = [connection.name for connection in signal.connections_for(chat)]
    assert names == [name, f"{name}#2", f"{name}#3", f"{__name__}.plain"]


def test_a_name_stays_while_the_receiver_is_connected(signal, chat):
    first, second, third = (functools.partial(numbered, number) for number in range(3))
    for receiver in (first, second):
        signal.connect(receiver)
    signal.disconnect(first)
    signal.connect(second, where=bool)
    signal.connect(third)
    name = f"{__name__}.numbered"
    names = {each.receiver: each.name for each in signal.connections_for(chat)}
    assert names == {second: f"{name}#2", third: name}
    signal.connect(first)
    assert signal.names() == [f"{name}#2", name, f"{name}#3"]


def test_a_weak_receiver_that_goes_leaves_the_names_of_others(signal, chat):
    bot, other = Bot(), Bot()
    signal.connect(bot.answer, weak=True)
    signal.connect(other.answer)
    before = signal.connections_for(chat)[1].name
    del bot
    gc.collect()
    assert [each.name for each in signal.connections_for(chat)] == [before]


def test_a_key_that_another_receiver_bears_as_its_name_stays_one_name(signal, chat):
    signal.connect(plain)
    signal.connect(Bot(), key=f"{__name__}.plain")
    names = [connection.name for connection in signal.connections_for(chat)]
    assert len(set(names)) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"where": 5}, "where must be callable"),
        ({"where": plain}, r"cannot be called as where\(event\)"),
        ({"key": 5}, "key must be a string"),
        ({"key": ""}, "key must not be empty"),
        ({"handling": 5}, "handling must be a Handling"),
    ],
)
def test_a_wrong_option_is_refused_before_the_receiver_is_known(signal, chat, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        signal.connect(**options)
    assert list(signal.receivers_for(chat)) == []


def test_a_function_under_a_second_key_has_that_key_alone(signal, chat):
    signal.connect(plain, key="k1", where=bool)
    signal.connect(plain, key="k2")
    signal.connect(functools.partial(plain), key="k1")
    assert signal.names() == ["k2", "k1"]


@pytest.mark.parametrize(
    "sender",
    [None, "x", 5, object(), Mock(spec=["chat"])],
    ids=["None", "x", "5", "object", "cube"],
)
def test_a_sender_that_is_no_chat_is_refused(signal, chat, sender):
    for connect in (signal.connect, lambda *given, sender: signal.connect_via(sender)(*given)):
        with pytest.raises(ArgumentTypeError, match="sender must be a chat"):
            connect(plain, sender=sender)
    assert signal.names() == []


class Slotted:
    __slots__ = ()

    def __call__(self, chat, event):
        pass

    def answer(self, chat, event):
        pass


@pytest.mark.parametrize(
    ("receiver", "words"),
    [
        (lambda chat, event: None, "would be gone at once"),
        (functools.partial(plain), "would be gone at once"),
        (Slotted(), "cannot be held by a weak reference"),
        (Slotted().answer, "cannot be held by a weak reference"),
    ],
    ids=["lambda", "partial", "slots", "method of slots"],
)
def test_a_weak_receiver_that_nothing_could_hold_is_refused(signal, chat, receiver, words):
    with pytest.raises(ArgumentTypeError, match=words):
        signal.connect(receiver, weak=True)
    assert signal.names() == []
    signal.connect(receiver)
    assert len(signal.names()) == 1


def test_options_are_forgotten_with_their_receiver(signal, chat):
    bot = Bot()
    signal.connect(bot.answer, key="bot", weak=True)
    del bot
    gc.collect()
    assert signal._options == {}
    signal.connect(plain, key="bot")
    signal.disconnect(plain)
    assert signal._options == {}


def test_blinkers_own_ways_still_work(signal, chat):
    assert isinstance(signal, blinker.Signal)
    assert not signal.has_receivers_for(chat)
    with signal.connected_to(plain, sender=chat):
        assert signal.has_receivers_for(chat)
        assert not signal.has_receivers_for(Chat())
        assert list(signal.receivers_for(chat)) == [plain]
    assert list(signal.receivers_for(chat)) == []

    @signal.connect_via(chat)
    def receiver(chat, event):
        return event + 1

    assert signal.send(chat, event=4) == [(receiver, 5)]
    assert signal.send(Chat(), event=4) == []


def test_a_signal_shows_its_name_and_explains_itself(signal):
    assert repr(signal) == "<Signal message_received>"
    assert signal.name == "message_received"
    assert signal.__doc__ == "A message arrived."


@pytest.fixture
def impatient_threads():
    """Threads that take turns as often as the interpreter lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_receiver_goes_with_the_only_sender_that_it_had(signal, chat):
    other = Chat()
    signal.connect(functools.partial(numbered, 1), sender=other)
    kept = signal.connect(functools.partial(numbered, 2))
    del other
    gc.collect()
    assert list(signal.receivers.values()) == list(signal.receivers_for(chat)) == [kept]
    assert len(signal.names()) == 1


def test_senders_may_be_collected_while_a_receiver_is_disconnected(signal, chat, monkeypatch):
    senders = [Chat() for _ in range(3)]
    receiver = functools.partial(numbered, 1)
    for sender in senders:
        signal.connect(receiver, sender=sender)
    del sender
    discard = signals._InOrder.discard

    def collect_and_discard(bucket, item):
        senders.clear()
        gc.collect()
        discard(bucket, item)

    monkeypatch.setattr(signals._InOrder, "discard", collect_and_discard)
    signal.disconnect(receiver)
    assert signal.names() == []


@pytest.mark.usefixtures("impatient_threads")
def test_threads_may_connect_disconnect_and_drop_receivers_during_calls(signal, chat):
    errors = []
    thrown = []
    over = threading.Event()
    anchors = [functools.partial(numbered, number) for number in range(5)]
    for anchor in anchors:
        signal.connect(anchor)

    def guarded(work):
        try:
            work()
        except BaseException as error:
            errors.append(error)

    def connect_and_disconnect():
        for number in range(300):
            sender = Chat() if number % 2 else chat
            receiver = functools.partial(numbered, number)
            signal.connect(receiver, sender=sender)
            signal.disconnect(receiver)

    def connect_weakly_and_forget():
        for number in range(300):
            bot = Bot()
            signal.connect(bot.answer, weak=True, sender=chat if number % 2 else blinker.ANY)
            del bot

    def look():
        while not over.is_set():
            receivers = list(signal.receivers_for(chat))
            assert [r for r in receivers if r in anchors] == anchors
            signal.has_receivers_for(chat)

    works = [connect_and_disconnect, connect_weakly_and_forget] * 2
    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    lookers = [threading.Thread(target=guarded, args=(look,)) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        # Where an exception in a weak reference's callback ends.
        patch.setattr(sys, "unraisablehook", lambda failure: thrown.append(failure.exc_value))
        for thread in [*threads, *lookers]:
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        for thread in lookers:
            thread.join()
    assert errors == []
    assert thrown == []
    assert list(signal.receivers_for(chat)) == anchors
    assert len(signal.receivers) == len(anchors)


def test_every_change_and_look_waits_for_the_one_that_is_under_way(signal, chat):
    signal.connect(plain)
    bot = Bot()
    signal.connect(bot.answer, weak=True)
    bots = [bot]
    del bot
    actions = [
        lambda: signal.connect(Bot()),
        lambda: signal.disconnect(plain),
        lambda: list(signal.receivers_for(chat)),
        bots.clear,  # the weak receiver is collected
        signal.disconnect_all,
    ]
    done = threading.Semaphore(0)

    def perform(action):
        action()
        done.release()

    threads = [threading.Thread(target=perform, args=(action,)) for action in actions]
    with signal._lock:
        for thread in threads:
            thread.start()
        assert not done.acquire(timeout=0.05)
    for thread in threads:
        thread.join()


def test_looking_at_the_receivers_holds_no_lock_while_they_run(signal, chat):
    connected = threading.Event()

    def receiver(chat, event):
        def connect():
            signal.connect(plain)
            connected.set()

        threading.Thread(target=connect).start()
        return connected.wait(10)

    signal.connect(receiver)
    assert [found(chat, None) for found in signal.receivers_for(chat)] == [True]
