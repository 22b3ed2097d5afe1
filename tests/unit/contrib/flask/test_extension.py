"""FlaskCube as Flask's other extensions are: factories, several applications, contexts, tests."""

from __future__ import annotations

import gc
import weakref

import pytest
from flask import Flask, g

from connectycube import ConnectyCube, Message, MessageEdit, NotConnectedError
from connectycube.contrib.flask import FlaskCube, OutboxMessage
from connectycube.errors import ArgumentTypeError, ArgumentValueError


def test_init_app_is_the_second_half_of_the_constructor(make_app):
    cube = FlaskCube()
    app = make_app(cube)
    assert app.extensions["connectycube"] is cube
    other = Flask("other")
    assert other.extensions == {}
    assert FlaskCube(other) is other.extensions["connectycube"]


def test_a_second_registration_is_refused(app, cube):
    for second in (cube, FlaskCube()):
        with pytest.raises(RuntimeError, match="is registered on this application already"):
            second.init_app(app)
    assert app.extensions["connectycube"] is cube


@pytest.mark.parametrize("wrong", [None, "shop", Flask])
def test_only_an_application_can_be_registered_on(wrong):
    with pytest.raises(ArgumentTypeError, match="app must be a Flask application"):
        FlaskCube().init_app(wrong)


def test_an_application_with_wrong_keys_is_not_registered():
    app = Flask("shop")
    app.config["CONNECTYCUBE_LOGN"] = "bot"
    with pytest.raises(ArgumentValueError, match="did you mean CONNECTYCUBE_LOGIN"):
        FlaskCube(app)
    assert app.extensions == {}


def test_init_app_sets_the_defaults_of_its_own_keys(make_app):
    app = make_app(LOGIN="bot")
    assert app.config["CONNECTYCUBE_STREAM_POLL"] == 5.0
    assert app.config["CONNECTYCUBE_LOGIN"] == "bot"


@pytest.mark.parametrize("name", ["client", "outbox"])
def test_without_a_context_flask_says_what_to_do(cube, name):
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        getattr(cube, name)


def test_an_extension_of_another_application_says_so(app):
    with pytest.raises(RuntimeError, match="is not registered on the current application"):
        FlaskCube().send(1, "hi")


def test_applications_share_handlers_and_nothing_else(make_app, cube):
    first, second = make_app(cube), make_app(cube)
    with first.app_context():
        cube.send(5, "one")
        with second.app_context():
            assert cube.outbox == []
            cube.send(5, "two")
        assert [message.body for message in cube.outbox] == ["one"]


def test_an_application_that_is_gone_leaves_nothing_behind(make_app, cube):
    app = weakref.ref(make_app(cube))
    gc.collect()
    assert app() is None
    assert len(cube._clients_of) == 0


def test_without_credentials_the_client_says_which_key_is_missing(make_app, cube):
    for keys, missing in (
        ({"APP_ID": 1, "AUTH_KEY": "k"}, "CONNECTYCUBE_LOGIN"),
        ({"LOGIN": "a", "PASSWORD": "b"}, "CONNECTYCUBE_APP_ID and CONNECTYCUBE_AUTH_KEY"),
    ):
        app = make_app(cube, testing=False, **keys)
        with app.app_context(), pytest.raises(ArgumentValueError, match=missing):
            cube.client  # noqa: B018 - it is a property that logs in


# --- handlers ---


def test_a_handler_with_other_parameters_is_refused_at_once(cube):
    with pytest.raises(ArgumentTypeError, match="cannot be called as handler\\(chat, event\\)"):

        @cube.on("message_received")
        def wrong(message):
            pass


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("mesage_received",), {}, "did you mean message_received"),
        ((print,), {}, 'write @on\\("message_received"\\)'),
        (("message_read",), {"where": 5}, "where must be callable"),
        (("message_read",), {"key": 5}, "key must be a string"),
        (("message_read",), {"handling": {}}, "handling must be a Handling"),
    ],
)
def test_wrong_arguments_of_on_are_named(cube, arguments, options, words):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=words):
        cube.on(*arguments, **options)(lambda chat, event: None)


def test_a_handler_of_the_same_key_replaces_the_one_before(cube):
    for number in (1, 2):
        cube.on("message_read", key="same")(lambda chat, event, number=number: number)
    (handler,) = cube.handlers
    assert handler.function(None, None) == 2


def test_two_handlers_of_one_name_are_refused(cube):
    first = lambda chat, event: 1  # noqa: E731 - all lambdas of a module have one name
    second = lambda chat, event: 2  # noqa: E731
    cube.on("message_read")(first)
    with pytest.raises(ArgumentValueError, match=r"two handlers .*<lambda> of message_read: give"):
        cube.on("message_read")(second)
    cube.on("message_edited")(second)
    cube.on("message_read", key="second")(second)
    assert [handler.function(None, None) for handler in cube.handlers] == [1, 2, 2]


def test_a_module_that_is_imported_anew_replaces_its_handlers(cube):
    for number in (1, 2):
        cube.on("message_read")(lambda chat, event, number=number: number)
    (handler,) = cube.handlers
    assert handler.function(None, None) == 2


def test_deliver_calls_each_handler_in_a_context_whose_teardown_runs(app, cube):
    seen = []
    app.teardown_appcontext(lambda error: seen.append(("teardown", error)))

    @cube.on("message_received")
    def keep(chat, message):
        seen.append((message.body, "mark" in g))
        g.mark = True

    @cube.on("message_received", key="second")
    def answer(chat, message):
        seen.append((message.sender_id, "mark" in g))
        chat.reply(message, "thank you", order=7)

    g.mark = True
    (answered,) = cube.deliver("three apples", sender=17)
    assert seen == [("three apples", False), ("teardown", None), (17, False), ("teardown", None)]
    assert (answered.body, answered.custom) == ("thank you", {"order": 7})
    assert answered.in_reply_to.body == "three apples"
    assert cube.outbox == [answered]


def test_what_a_handler_raises_is_raised_and_seen_by_the_teardown(app, cube):
    errors = []
    app.teardown_appcontext(errors.append)

    @cube.on("message_received")
    def fail(chat, message):
        raise KeyError("no such order")

    with pytest.raises(KeyError, match="no such order"):
        cube.deliver("hi")
    assert [type(error) for error in errors] == [KeyError]


def test_deliver_takes_events_of_every_signal_and_respects_where(app, cube):
    bodies = []
    cube.on("message_edited")(lambda chat, edit: bodies.append(edit.body))
    cube.on("message_received", key="a", where=lambda message: message.dialog_id == "d" * 24)(
        lambda chat, message: bodies.append(message.body)
    )
    cube.deliver(
        MessageEdit(user_id=1, message_id="m", body="new", dialog=None), signal="message_edited"
    )
    cube.deliver("in the group", dialog="d" * 24)
    cube.deliver("in private")
    assert bodies == ["new", "in the group"]


def test_deliver_is_for_tests_alone(make_app, cube):
    app = make_app(cube, testing=False)
    with app.app_context(), pytest.raises(RuntimeError, match=r"deliver\(\) is for tests"):
        cube.deliver("hi")


# --- sending in tests ---


def test_send_is_kept_in_the_outbox_and_nothing_is_connected(app, cube):
    user = cube.client_for(token="a token", user_id=5)
    sent = cube.send("d" * 24, "hello", as_client=user, order=7)
    assert (sent.body, sent.dialog_id, len(sent.id)) == ("hello", "d" * 24, 24)
    (kept,) = cube.outbox
    assert isinstance(kept, OutboxMessage)
    assert (kept.to, kept.body, kept.custom, kept.as_client) == (
        "d" * 24,
        "hello",
        {"order": 7},
        user,
    )


def test_the_next_message_may_fail(app, cube):
    cube.outbox.fail_next(NotConnectedError("no connection"))
    with pytest.raises(NotConnectedError):
        cube.send(5, "hello")
    cube.send(5, "again")
    assert [message.body for message in cube.outbox] == ["again"]
    cube.outbox.clear()
    assert cube.outbox == []
    with pytest.raises(ArgumentTypeError, match="error must be an exception"):
        cube.outbox.fail_next("no")


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((None, "hi"), {}, "to must be a dialog or a user"),
        ((0, "hi"), {}, "to must be at least 1"),
        ((5, ""), {}, "body must not be empty"),
        ((5, None), {}, "body must be a string"),
        ((5, "hi"), {"as_client": "ann"}, "as_client must be a ConnectyCube"),
        ((5, "hi"), {"as_clients": 1}, "as_clients is no argument of send: did you mean as_client"),
    ],
)
def test_wrong_arguments_of_send_are_named_and_nothing_is_sent(
    app, cube, arguments, options, words
):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=words):
        cube.send(*arguments, **options)
    assert cube.outbox == []


def test_clients_of_tests_refuse_every_request_and_say_what_to_do(app, cube):
    for client in (cube.client, cube.client_for(login="ann", password="p")):
        with pytest.raises(AssertionError, match=r"was not sent: app\.testing is on"):
            client.users.get(5)


# --- clients in g ---


def test_the_client_of_a_session_is_checked_in_tests_as_well(app, cube):
    assert cube.client_for(token="a token", user_id=17).session.user_id == 17
    with pytest.raises(ArgumentTypeError, match="user_id must be an int"):
        cube.client_for(token="a token", user_id="17")
    with pytest.raises(ArgumentValueError, match="token"):
        cube.client_for(token="", user_id=17)


def test_a_users_client_is_one_a_context_and_closed_at_its_end(make_app, cube):
    app = make_app(cube)
    with app.app_context():
        ann = cube.client_for(token="one", user_id=1)
        assert cube.client_for(user_id=1, token="one") is ann
        assert cube.client_for(token="two", user_id=1) is not ann
        with app.app_context():
            assert cube.client_for(token="one", user_id=1) is not ann
    with pytest.raises(Exception, match="closed"):
        ann.users.get(5)


# --- streams ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"as_client": None}, "as_client must be a ConnectyCube"),
        ({"heartbeat": 0}, "heartbeat must be"),
        ({"heartbeat": "15"}, "heartbeat must be"),
        ({"history": 101}, "history must be"),
        ({"history": -1}, "history must be"),
        ({"last_event_id": 5}, "last_event_id must be a string"),
        ({"dialog": 5}, "dialog must be a dialog with an id"),
        ({"dialog": None}, "to must be a dialog"),
    ],
)
def test_wrong_arguments_of_stream_are_named(app, cube, options, words):
    given = {"dialog": "d" * 24, "as_client": cube.client, **options}
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=words):
        cube.stream(given.pop("dialog"), **given)


def test_the_repr_shows_no_secret(cube):
    cube.on("message_read")(lambda chat, event: None)
    assert repr(cube) == "<FlaskCube with 1 handlers>"


def test_a_message_may_be_given_whole(app, cube):
    cube.send(5, Message(body="hello", custom={"a": "b"}), c="d")
    assert cube.outbox[0].custom == {"a": "b", "c": "d"}
    assert isinstance(cube.client, ConnectyCube)
