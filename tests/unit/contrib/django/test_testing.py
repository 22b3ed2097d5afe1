"""``send()`` and ``deliver()`` in tests: the outbox, the transaction, errors that a test asks for."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils.functional import SimpleLazyObject, lazy
from django.utils.text import format_lazy
from django.utils.translation import get_language, override

from connectycube import DialogRef, Message, MessageEdit, NotConnectedError, Typing, User
from connectycube.contrib.django import (
    client_for,
    get_client,
    handlers,
    on,
    send,
    signals,
)
from connectycube.contrib.django.models import ChatAccount
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from tests.support.django_project.shop.models import Order
from tests.support.django_setup import BOTS

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def _own_handlers(locmem, monkeypatch):
    """The handlers of the project, and those that a test adds for itself."""
    handlers.discover("chat_handlers")
    monkeypatch.setattr(handlers, "_handlers", dict(handlers._handlers))


@pytest.fixture
def ann():
    return get_user_model().objects.create_user("ann")


def test_what_is_sent_is_in_the_outbox_at_once(locmem):
    sent = send(17, "hello", order="4711")
    (entry,) = locmem.outbox
    assert (entry.to, entry.body, entry.custom, entry.bot) == (
        17,
        "hello",
        {"order": "4711"},
        "default",
    )
    assert entry.message is sent
    assert entry.message.recipient_id == 17


def test_the_outbox_marks_what_waits_for_the_commit(locmem):
    send(17, "late")
    send(17, "at once", on_commit=False)
    assert [entry.after_commit for entry in locmem.outbox] == [True, False], (
        "the test has a transaction"
    )


def test_the_outbox_of_the_next_test_is_empty(locmem, monkeypatch):
    send(17, "hello")
    locmem.fail_next(ValueError())
    monkeypatch.setattr(mail, "outbox", [])  # as Django does for each test
    assert locmem.outbox == []
    send(17, "hello")


def test_the_next_message_fails_if_the_test_says_so(locmem):
    locmem.fail_next(NotConnectedError("gone"))
    with pytest.raises(NotConnectedError):
        send(17, "hello")
    send(17, "again")
    assert [entry.body for entry in locmem.outbox] == ["again"]


@pytest.mark.parametrize(
    ("to", "address"),
    [
        (17, 17),
        (User(id=17), 17),
        ("5356c64ab35c12bd3b108a41", "5356c64ab35c12bd3b108a41"),
        (DialogRef.private(17), 17),
        (DialogRef.room("5356c64ab35c12bd3b108a41"), "5356c64ab35c12bd3b108a41"),
        (Message(id="1", dialog_id="5356c64ab35c12bd3b108a41"), "5356c64ab35c12bd3b108a41"),
    ],
)
def test_a_message_is_for_a_user_or_a_dialog(locmem, to, address):
    message = send(to, "hello")
    assert address in (message.recipient_id, message.dialog_id)


def test_a_message_may_be_for_a_user_of_django_and_from_one(locmem, ann):
    send(SimpleLazyObject(lambda: ann), "hello", as_user=ann)  # as request.user is
    ChatAccount.objects.create(user=ann, uid=str(ann.pk), chat_id=99)
    ann.refresh_from_db()
    assert send(ann, "again").recipient_id == 99
    assert [(entry.to, entry.as_user) for entry in locmem.outbox] == [(ann, ann), (ann, None)]


@pytest.mark.parametrize(
    ("arguments", "more", "error", "text"),
    [
        ((None, "x"), {}, ArgumentTypeError, "to must be a dialog or a user"),
        ((0, "x"), {}, ArgumentValueError, "to must be at least 1"),
        ((True, "x"), {}, ArgumentTypeError, "to must be an int"),
        (("a b", "x"), {}, ArgumentValueError, "to is not an id"),
        ((User(), "x"), {}, ArgumentValueError, "to has no id"),
        ((17, ""), {}, ArgumentValueError, "body"),
        ((17, None), {}, ArgumentTypeError, "body must be a str"),
        ((17, Message()), {}, ArgumentValueError, "body must not be empty"),
        ((17, "x"), {"bot": "none"}, ImproperlyConfigured, "no bot 'none': there are: default"),
        ((17, "x"), {"as_user": 3}, ArgumentTypeError, "as_user must be a user of Django"),
        ((17, "x"), {"on_commit": 1}, ArgumentTypeError, "on_commit must be a bool"),
        ((17, "x"), {"oncommit": False}, ArgumentTypeError, "did you mean on_commit?"),
    ],
)
def test_wrong_arguments_send_nothing(locmem, arguments, more, error, text):
    with pytest.raises(error, match=text):
        send(*arguments, **more)
    assert locmem.outbox == []


def test_a_lazy_translation_is_text_when_it_is_sent(locmem):
    languages = []

    def translated():
        languages.append(get_language())
        return "hello"

    with override("de"):
        sent = send(17, lazy(translated, str)(), note=format_lazy("a {}", "note"))
    assert (sent.body, sent.custom) == ("hello", {"note": "a note"})
    assert languages == ["de"]


def test_a_user_who_is_not_saved_is_refused(locmem):
    with pytest.raises(ArgumentValueError, match="to is not saved"):
        send(get_user_model()(username="new"), "x")


def test_clients_of_a_test_refuse_every_request(locmem, ann):
    for client in (get_client(), client_for(ann)):
        with pytest.raises(AssertionError, match="was not sent: CONNECTYCUBE"):
            client.users.get(1)


def test_the_console_prints_what_would_be_sent(setting, capsys):
    setting({"BACKEND": "connectycube.contrib.django.backends.console", "BOTS": BOTS})
    with transaction.atomic():
        assert send(17, "hello", on_commit=False, a="1").body == "hello"
        assert send(17, "later") is None
    assert capsys.readouterr().out == "chat message from default to 17: hello  {'a': '1'}\n"


# --- messages that arrive ---


def test_delivering_runs_the_handlers_in_the_tests_transaction(locmem):
    (answer,) = locmem.deliver("three apples")
    assert Order.objects.get().text == "three apples"
    assert answer.body == "kept three apples"
    assert answer.in_reply_to.body == "three apples"
    assert list(locmem.outbox) == [answer]


def test_the_rows_of_a_delivery_are_gone_in_the_next_test(locmem):
    assert not Order.objects.exists()


def test_what_a_handler_raises_is_raised_to_the_test(locmem):
    with pytest.raises(ValueError, match="cannot be kept"):
        locmem.deliver("fail")


def test_a_delivered_message_has_what_a_real_one_has(locmem, ann):
    got = []
    signals.message_received.connect(
        lambda event, **_: got.append(event), weak=False, dispatch_uid="test"
    )
    try:
        locmem.deliver("hi", sender=ann, custom={"a": "b"})
        locmem.deliver("hi", dialog="5356c64ab35c12bd3b108a41")
    finally:
        signals.message_received.disconnect(dispatch_uid="test")
    private, group = got
    assert ChatAccount.objects.user_of(private.sender_id) == ann
    assert private.dialog.peer_id == private.sender_id
    assert private.recipient_id and private.date_sent and private.custom == {"a": "b"}
    assert (group.dialog_id, group.recipient_id) == ("5356c64ab35c12bd3b108a41", None)


def test_any_event_can_be_delivered(locmem):
    got = []

    @on("message_edited")
    def note(chat, edit):
        got.append(edit)
        chat.mark_read(Message(id="1"))
        assert chat.send_private(5, "edited?", reason="test").result().body == "edited?"

    edit = MessageEdit(user_id=5, message_id="1", body="new", dialog=DialogRef.private(5))
    (answer,) = locmem.deliver(edit, signal=signals.message_edited)
    assert got == [edit]
    assert answer.custom == {"reason": "test"}


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"signal": "message_recieved"}, ArgumentValueError, "did you mean message_received?"),
        ({"sender": "x"}, ArgumentTypeError, "sender must be a user"),
        ({"bot": "none"}, ImproperlyConfigured, "no bot 'none'"),
    ],
)
def test_wrong_arguments_deliver_nothing(locmem, arguments, error, text):
    with pytest.raises(error, match=text):
        locmem.deliver("hi", **arguments)


def test_delivering_needs_the_backend_of_tests(setting, locmem):
    setting({"APP_ID": 1, "AUTH_KEY": "k", "BACKEND": "connectycube.contrib.django.backends.live"})
    with pytest.raises(ImproperlyConfigured, match="needs the backend locmem"):
        locmem.deliver("hi")


def test_the_chat_of_a_delivery_names_the_other_test_case(locmem):
    @on("typing_started")
    def ask(chat, typing):
        chat.ping()

    with pytest.raises(AttributeError, match="has no ping: ChatTransactionTestCase"):
        locmem.deliver(Typing(user_id=5), signal="typing_started")


def test_django_in_tests_sends_nothing_unless_told(setting, monkeypatch):
    monkeypatch.setattr(mail, "outbox", [], raising=False)
    setting({"BOTS": BOTS})
    assert send(17, "hello").body == "hello"
