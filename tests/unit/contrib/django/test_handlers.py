"""``@on``: what it takes, what it refuses, and what stands around each call."""

from __future__ import annotations

import functools

import pytest
from django.db import OperationalError, connection

from connectycube import Chat, Config, Handling, Message
from connectycube.contrib.django import handlers, on, signals
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from tests.support.inside import signals_of


@pytest.fixture(autouse=True)
def _own_handlers(monkeypatch):
    monkeypatch.setattr(handlers, "_handlers", {})


@pytest.fixture
def chat():
    return Chat(Config(app_id=1, auth_key="key"))


def keep(chat, message):
    """A handler."""


def test_there_is_a_django_signal_for_each_of_the_chat(chat):
    assert list(signals.SIGNALS) == [signal.name for signal in signals_of(chat)]
    assert signals.message_received is signals.SIGNALS["message_received"]
    with pytest.raises(AttributeError):
        _ = signals.message_recieved


def test_a_handler_belongs_to_its_bots():
    on("message_received")(keep)
    on(signals.message_edited, bot="support", attempts=3)(keep)
    named = [(one.signal, one.name) for one in handlers.handlers_of("default")]
    assert named == [("message_received", f"{__name__}.keep")]
    assert [one.attempts for one in handlers.handlers_of("support")] == [None, 3]


def test_a_module_that_is_imported_anew_replaces_its_handlers():
    on("message_received")(keep)
    on("message_received")(keep)
    assert len(handlers.handlers_of("default")) == 1


async def coroutine(chat, message): ...


class Shop:
    """An object with a handler."""

    def keep(self, chat, message):
        return self

    def __call__(self, chat, message):
        return self


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("message_recieved",), ArgumentValueError, "did you mean message_received?"),
        ((keep,), ArgumentTypeError, r'a function: write @on\("message_received"\)'),
        ((3,), ArgumentTypeError, "signal must be the name of a signal, not int"),
        (("message_received", 3), ArgumentTypeError, "bot must be a str"),
        (("message_received", None, 0), ArgumentValueError, "attempts must be at least 1"),
        (("message_received", None, "3"), ArgumentTypeError, "attempts must be an int"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, text):
    with pytest.raises(error, match=text):
        on(*arguments)


@pytest.mark.parametrize(
    "function",
    [lambda message: None, lambda *, chat, event: 0, coroutine, functools.partial(coroutine), 3],
)
def test_a_function_that_cannot_be_called_is_refused(function):
    with pytest.raises(ArgumentTypeError, match="handler"):
        on("message_received")(function)


def test_a_method_of_an_object_is_a_handler():
    shop = Shop()
    on("message_received")(shop.keep)
    on("message_received")(shop.keep)
    (handler,) = handlers.handlers_of("default")
    assert handler.name == f"{__name__}.Shop.keep"
    assert handler.function(None, None) is shop


def second():
    def keep(chat, message):
        """Another function."""

    keep.__qualname__ = "keep"
    return keep


def test_a_handler_for_an_unknown_bot_is_refused_with_the_nearest_name(monkeypatch):
    monkeypatch.setattr(handlers, "autodiscover_modules", lambda module: None)
    on("message_received", bot="suport")(keep)
    words = r"keep is for the bot 'suport', which is not in BOTS: did you mean support\?$"
    with pytest.raises(ArgumentValueError, match=words):
        handlers.discover("chat_handlers", ["default", "support"])
    handlers.discover("chat_handlers", ["suport"])
    handlers.discover("chat_handlers")  # a project that has no bots yet


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (keep, second()),
        (functools.partial(keep), functools.partial(keep, more=1)),
        (functools.partial(Shop.keep, 1), functools.partial(Shop.keep, 2)),
        (Shop().keep, Shop().keep),
        (Shop(), Shop()),
    ],
    ids=["functions", "keywords", "arguments", "methods", "objects"],
)
def test_two_handlers_of_one_name_are_refused(one, other):
    on("message_received")(one)
    on("message_edited")(other)
    with pytest.raises(ArgumentValueError, match="there are two handlers"):
        on("message_received")(other)
    assert next(each.function for each in handlers.handlers_of("default")) is one


def test_a_function_with_a_wrapper_is_itself_in_a_new_import():
    for _ in range(2):

        @on("message_received")
        @functools.wraps(keep)
        def wrapper(chat, message):
            """As a decorator of the project makes it."""

    assert len(handlers.handlers_of("default")) == 1


def connections_of(chat, signal="message_received"):
    found = getattr(chat, signal).connections_for(chat)
    return {connection.name: connection for connection in found}


def test_handlers_are_connected_under_their_names(chat):
    on("message_received")(keep)
    handling = Handling()
    handlers.connect(chat, "default", handling)
    found = connections_of(chat)
    assert list(found) == [
        f"{__name__}.keep",
        "connectycube.contrib.django.signals.message_received",
    ]
    assert {one.handling for one in found.values()} == {handling}


@pytest.mark.parametrize(
    "transient",
    [lambda error: isinstance(error, OperationalError), OperationalError, (OperationalError,)],
    ids=["function", "class", "classes"],
)
def test_a_handler_runs_as_often_for_an_event_as_attempts_says(chat, transient):
    calls = []

    @on("message_received", attempts=3)
    def failing(chat, message):
        calls.append(message.id)
        raise OperationalError("away")

    handling = Handling(transient=transient)
    handlers.connect(chat, "default", handling)
    connected = next(iter(connections_of(chat).values()))

    def attempt(message):
        try:
            connected.receiver(chat, message)
        except OperationalError as error:
            return connected.handling.transient(error)

    one, other = Message(id="1"), Message(id="2")
    assert [attempt(one), attempt(one), attempt(other), attempt(one)] == [True, True, True, False]
    assert attempt(one), "a retried dead letter begins anew"
    assert not connected.handling.transient(ValueError())


def test_a_django_receiver_gets_chat_event_and_bot_and_may_fail(chat):
    handlers.connect(chat, "default", Handling())
    bridge = connections_of(chat)["connectycube.contrib.django.signals.message_received"]
    message, got = Message(id="1"), []
    assert not bridge.where(message)

    def receiver(sender, **kwargs):
        got.append((sender, kwargs))
        raise ValueError("no")

    signals.message_received.connect(receiver)
    try:
        assert bridge.where(message)
        with pytest.raises(ValueError, match="no"):
            bridge.receiver(chat, message)
    finally:
        signals.message_received.disconnect(receiver)
    ((sender, kwargs),) = got
    assert sender is Message
    assert (kwargs["chat"], kwargs["event"], kwargs["bot"]) == (chat, message, "default")


def test_an_unusable_connection_is_replaced_before_and_after_a_call(chat, tables):
    connection.ensure_connection()
    first = connection.connection
    connection.errors_occurred = True
    connection.is_usable, usable = lambda: False, connection.is_usable
    try:
        with handlers.around_receiver(chat, "message_received", None, "x"):
            assert connection.connection is None
            connection.ensure_connection()
            assert connection.connection is not first
        assert connection.connection is None, "CONN_MAX_AGE is 0"
    finally:
        connection.is_usable = usable


def test_queries_of_a_call_under_debug_are_forgotten(chat, tables, settings_with_debug):
    for _ in range(3):
        with (
            handlers.around_receiver(chat, "message_received", None, "x"),
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT 1")
    assert len(connection.queries) == 1


@pytest.fixture
def settings_with_debug(setting):
    setting({}, DEBUG=True)
