"""The backend ``live``: bots and users at the service, and messages before and after a commit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.db import connections, transaction

from connectycube import ApiAuthenticationError, ApiError, ClientClosedError
from connectycube.contrib.django import asend, backends, client_for, get_client, send, sending
from connectycube.contrib.django.identity import identity_of
from connectycube.contrib.django.models import ChatAccount
from connectycube.errors import ArgumentValueError
from tests.support.waiting import TIMEOUT


@pytest.fixture
def ann(tables):
    return get_user_model().objects.create_user("ann", first_name="Ann", last_name="Lee")


@pytest.fixture(autouse=True)
def _empty_cache():
    caches["default"].clear()
    yield
    caches["default"].clear()


def test_a_bot_has_one_client_in_a_process(live, emulator):
    clients = []
    threads = [threading.Thread(target=lambda: clients.append(get_client())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert len(clients) == 8
    assert len(set(map(id, clients))) == 1
    assert clients[0].user.id == live.bot_id
    assert emulator.sessions() == [], "no chat is connected"


def test_a_changed_setting_closes_the_clients_and_makes_others(live):
    before = get_client()
    live(BOTS={"other": {"LOGIN": "bot", "PASSWORD": "a password"}})
    with pytest.raises(ClientClosedError):
        before.users.get(1)
    with pytest.raises(ImproperlyConfigured, match="no bot 'default': there are: other"):
        get_client()
    assert get_client("other").user.id == live.bot_id


def test_a_wrong_password_of_a_bot_is_an_error_each_time(live, emulator):
    live(BOTS={"default": {"LOGIN": "bot", "PASSWORD": "a wrong password"}})
    for _ in range(2):
        with pytest.raises(ApiAuthenticationError):
            get_client()


def test_a_message_outside_of_a_transaction_is_sent_at_once(live, friend):
    with friend.chat.events(friend.chat.message_received, TIMEOUT) as messages:
        sent = send(friend.user, "hello", order="4711")
        got = messages.next()
    assert (got.id, got.body, got.sender_id) == (sent.id, "hello", live.bot_id)
    assert got.custom == {"order": "4711"}


def test_a_message_in_a_transaction_is_sent_after_the_commit(live, friend):
    with friend.chat.events(friend.chat.message_received, TIMEOUT) as messages:
        with transaction.atomic():
            assert send(friend.user, "after the commit") is None
            send(friend.user, "at once", on_commit=False)
        bodies = [messages.next().body, messages.next().body]
    assert bodies == ["at once", "after the commit"]


def test_an_asynchronous_view_awaits_what_it_sends(live, friend, ann):
    async def view():
        with pytest.raises(SynchronousOnlyOperation, match="await asend"):
            send(friend.user, "at once")
        return await asend(friend.user, "hello", order="4711")

    with friend.chat.events(friend.chat.message_received, TIMEOUT) as messages:
        sent = async_to_sync(view)()
        got = messages.next()
    assert (got.id, got.body, got.custom) == (sent.id, "hello", {"order": "4711"})


def test_a_message_waits_for_the_transaction_of_another_database(live, friend, monkeypatch):
    """Here of the only database, under another name, as of a project with several."""
    monkeypatch.setattr(sending, "DEFAULT_DB_ALIAS", "none")
    with friend.chat.events(friend.chat.message_received, TIMEOUT) as messages:
        with transaction.atomic():
            assert send(friend.user, "after the commit") is None
        assert messages.next().body == "after the commit"


def test_a_rollback_sends_nothing(live, friend, emulator):
    with pytest.raises(ValueError, match="undo"), transaction.atomic():
        send(friend.user, "never")
        raise ValueError("undo")
    send(friend.user, "the first")
    dialog = friend.dialogs.create_private(live.bot_id)
    assert [message.body for message in friend.messages.list(dialog)] == ["the first"]


def test_a_failure_after_the_commit_is_logged_and_ends_nobody(live, friend, emulator, caplog):
    done = []
    get_client()
    emulator.faults.server_error(on="rest", times=1)
    with transaction.atomic():
        send(friend.user, "lost")
        transaction.on_commit(lambda: done.append(True))
    assert done == [True]
    (record,) = [one for one in caplog.records if one.name == "connectycube.django"]
    assert record.levelname == "ERROR"
    assert record.exc_info is None
    assert "was not sent after the commit (OutgoingMessage would be)" in record.getMessage()


def test_a_failure_without_a_transaction_is_raised(live, friend, emulator):
    get_client()
    emulator.faults.server_error(on="rest", times=1)
    with pytest.raises(ApiError):
        send(friend.user, "lost")


def test_a_message_to_who_has_no_account_says_what_to_do(live, ann):
    with pytest.raises(ArgumentValueError, match="connectycube_sync_users"):
        send(ann, "hello")


# --- users of Django ---


def test_a_user_of_django_becomes_one_of_the_service(live, ann, friend, emulator):
    live(USERS={"BY": "password", "FIELDS": lambda user: {"full_name": user.get_full_name()}})
    client = client_for(ann)
    account = ChatAccount.objects.get(user=ann)
    me = client.users.get(account.chat_id)
    assert (me.full_name, me.external_id) == ("Ann Lee", str(ann.pk))
    with friend.chat.events(friend.chat.message_received, TIMEOUT) as messages:
        send(friend.user, "from Ann", as_user=ann)
        assert messages.next().sender_id == account.chat_id
    ann.refresh_from_db()
    assert send(ann, "to Ann").recipient_id == account.chat_id


def test_processes_share_the_session_of_a_user(live, ann):
    live(USERS={"BY": "password"})
    token = client_for(ann).session.token
    backends.reset()  # as another process
    assert client_for(ann).session.token == token


def test_a_session_that_has_ended_is_renewed_by_itself(live, ann, emulator):
    live(USERS={"BY": "password"})
    client_for(ann).logout()
    client = client_for(ann)
    assert client.users.get(ChatAccount.objects.get().chat_id).login == f"django-{ann.pk}"


def test_the_service_may_ask_the_site_who_a_user_is(live, setting, ann):
    from connectycube.emulator import Emulator

    def ask(token):  # on another thread: the emulator's has an event loop
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(identity_in_thread, token).result(TIMEOUT)

    with Emulator(identity_provider=ask) as own:
        live(
            APP_ID=own.app_id,
            API_URL=own.api_url,
            CA_FILE=own.ca_file,
            USERS={"BY": "identity"},
        )
        client = client_for(ann)
        me = client.users.get(ChatAccount.objects.get(user=ann).chat_id)
        assert (me.external_id, me.full_name) == (str(ann.pk), "Ann Lee")
        backends.reset()


def identity_in_thread(token):
    try:
        return identity_of(token)
    finally:
        connections.close_all()


def test_a_user_who_is_not_active_gets_no_client(live, ann):
    ann.is_active = False
    with pytest.raises(ArgumentValueError, match="user is not active"):
        client_for(ann)
