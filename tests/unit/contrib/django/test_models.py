"""The tables: leases by the database's clock, messages of a transaction, dead letters, the admin."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import transaction
from django.db.models.functions import Now
from django.test import Client

import connectycube
from connectycube import DialogRef, Message, ReceiverGaveUp
from connectycube.contrib.django import dead_letters
from connectycube.contrib.django.leases import DatabaseLease
from connectycube.contrib.django.models import ChatAccount, DeadLetter, Lease, OutgoingMessage
from connectycube.errors import ArgumentValueError

pytestmark = pytest.mark.usefixtures("database")

DIALOG = "5356c64ab35c12bd3b108a41"


def test_the_migrations_are_those_of_the_models():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


# --- leases ---


def test_one_holder_has_a_lease_until_it_is_given_back():
    lease = DatabaseLease("bot:default", 15)
    assert lease.acquire("a") == 1
    assert lease.acquire("b") is None
    assert lease.held_by == "a"
    assert lease.acquire("a") == 2, "the same holder may take it again"
    assert (lease.renew("a"), lease.renew("b")) == (True, False)
    lease.release("b")
    assert lease.renew("a")
    lease.release("a")
    assert lease.acquire("b") == 3
    assert not lease.renew("a")


def test_a_lease_ends_by_the_clock_of_the_database():
    lease = DatabaseLease("bot:default", 15)
    lease.acquire("a")
    assert Lease.objects.filter(until__gt=Now() + timedelta(seconds=14)).exists()
    assert not Lease.objects.filter(until__gt=Now() + timedelta(seconds=16)).exists()
    Lease.objects.update(until=Now() - timedelta(seconds=1))
    assert lease.acquire("b") == 2


def test_the_database_lease_is_a_lease_of_the_package():
    assert isinstance(DatabaseLease("bot:default", 15), connectycube.Lease)


# --- outgoing messages ---


def test_a_message_of_a_transaction_is_a_row_with_an_id(locmem):
    row = OutgoingMessage.objects.send(17, "hello", order="4711")
    assert re.fullmatch(r"[0-9a-f]{24}", row.message_id)
    assert (row.to_user, row.to_dialog, row.body, row.custom) == (
        17,
        "",
        "hello",
        {"order": "4711"},
    )
    room = OutgoingMessage.objects.send(DialogRef.room(DIALOG), Message(body="x"), bot="b")
    assert (room.to_user, room.to_dialog, room.bot, room.state) == (None, DIALOG, "b", "waiting")
    with transaction.atomic():
        OutgoingMessage.objects.send(17, "undone")
        transaction.set_rollback(True)
    assert OutgoingMessage.objects.count() == 2


def test_a_row_for_a_user_without_an_account_is_refused():
    ann = get_user_model().objects.create_user("ann")
    with pytest.raises(ArgumentValueError, match="no account at the service yet: call client_for"):
        OutgoingMessage.objects.send(ann, "hello")
    ChatAccount.objects.create(user=ann, uid=str(ann.pk), chat_id=9)
    ann.refresh_from_db()
    assert OutgoingMessage.objects.send(ann, "hello").to_user == 9


# --- dead letters ---


def gave_up(error="no", **changes):
    values = {
        "event": Message(id="a" * 24, body="an order"),
        "signal": "message_received",
        "receiver": "shop.keep",
        "error": ValueError(error),
        "attempts": 2,
    }
    return ReceiverGaveUp(**{**values, **changes})


def test_an_event_that_a_handler_gave_up_is_one_row():
    dead_letters.keep("default", gave_up())
    dead_letters.keep("default", gave_up("still no"))
    dead_letters.keep("default", gave_up(receiver="shop.other"))
    dead_letters.keep("other", gave_up())
    first = DeadLetter.objects.first()
    assert DeadLetter.objects.count() == 3
    assert (first.error, first.attempts) == ("ValueError: still no", 2)
    assert Message.from_dict(first.event) == gave_up().event


def test_an_event_with_a_long_error_and_no_id_is_kept():
    edit = {"event": Message(body="without an id")}
    dead_letters.keep("default", gave_up("x" * 50_000, **edit))
    dead_letters.keep("default", gave_up(event=Message(body="another")))
    assert DeadLetter.objects.count() == 2


# --- the admin ---


@pytest.fixture
def browser(locmem):
    admin = get_user_model().objects.create_superuser("admin")
    client = Client()
    client.force_login(admin)
    return client


@pytest.mark.parametrize("model", ["chataccount", "lease", "deadletter", "outgoingmessage"])
def test_the_admin_shows_every_table(browser, model):
    ChatAccount.objects.create(uid="1", chat_id=5)
    DatabaseLease("bot:default", 15).acquire("a")
    dead_letters.keep("default", gave_up())
    OutgoingMessage.objects.send(17, "hello")
    page = browser.get(f"/admin/connectycube/{model}/")
    assert page.status_code == 200
    (pk,) = re.findall(rf'href="/admin/connectycube/{model}/(\d+)/change/', page.content.decode())
    assert browser.get(f"/admin/connectycube/{model}/{pk}/change/").status_code == 200
    assert browser.get(f"/admin/connectycube/{model}/?q=5").status_code == 200


def test_a_dead_letter_shows_its_event_on_lines(browser):
    dead_letters.keep("default", gave_up(event=Message(id="a" * 24, body="<b>an order</b>")))
    pk = DeadLetter.objects.get().pk
    page = browser.get(f"/admin/connectycube/deadletter/{pk}/change/").content.decode()
    assert "&quot;body&quot;: &quot;&lt;b&gt;an order&lt;/b&gt;&quot;\n}" in page


def act(browser, model, action):
    pks = [str(pk) for pk in model.objects.values_list("pk", flat=True)]
    path = f"/admin/connectycube/{model._meta.model_name}/"
    answer = browser.post(path, {"action": action, "_selected_action": pks}, follow=True)
    return re.findall(r'<li class="(?:success|info)">(.*?)</li>', answer.content.decode())


def test_the_admin_has_handlers_run_again(browser):
    dead_letters.keep("default", gave_up())
    said = act(browser, DeadLetter, "run_again")
    assert said == ["1 marked: the listener runs them within 5 seconds."]
    assert DeadLetter.objects.get().is_marked


def test_the_admin_sends_what_failed_again(browser):
    failed = OutgoingMessage.objects.send(17, "failed")
    OutgoingMessage.objects.filter(pk=failed.pk).update(state="failed", error="no")
    sent = OutgoingMessage.objects.send(17, "sent")
    OutgoingMessage.objects.filter(pk=sent.pk).update(state="sent")
    assert act(browser, OutgoingMessage, "send_again") == ["1 wait again."]
    assert [row.state for row in OutgoingMessage.objects.all()] == ["waiting", "sent"]
    assert OutgoingMessage.objects.first().message_id == failed.message_id


def test_nobody_adds_leases_and_dead_letters_by_hand(browser):
    for model in ("lease", "deadletter"):
        assert browser.get(f"/admin/connectycube/{model}/add/").status_code == 403
