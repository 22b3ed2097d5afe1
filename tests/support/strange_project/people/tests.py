"""The tests of the project, as its authors would write them; run by ``manage.py test``."""

from __future__ import annotations

from io import StringIO

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import TestCase

from connectycube import DialogRef, MessageDeletion
from connectycube.contrib.django import client_for, testing
from connectycube.contrib.django.identity import identity_of, identity_token, token_of_uid
from connectycube.contrib.django.models import ChatAccount, OutgoingMessage

from .models import Note

BOTH = {"default", "chats"}


def make(email="ann@example.com", **fields):
    """A user."""
    return get_user_model().objects.create_user(email, **fields)


class OfflineTests(TestCase):
    """Without a service."""

    databases = BOTH

    def test_handlers_run_in_the_transaction_of_the_test(self):
        """A method and a partial."""
        ann = make()
        (answer,) = testing.deliver("hi", sender=ann)
        note = Note.objects.get()
        assert (note.author, note.text, answer.body) == (ann.pk, "hi", "kept hi")
        testing.deliver(
            MessageDeletion(user_id=1, message_id=note.message_id, dialog=DialogRef.private(1)),
            signal="message_deleted",
        )
        note.refresh_from_db()
        assert note.text == "gone"

    def test_the_next_test_finds_nothing(self):
        """In both databases."""
        assert not Note.objects.exists()
        assert not ChatAccount.objects.exists()
        assert testing.outbox == []

    def test_views_write_in_the_transaction_of_a_request_and_from_a_coroutine(self):
        """The text is in the language of the request."""
        ann = make()
        self.client.force_login(ann)
        for page in ("/greet/", "/soon/"):
            assert self.client.get(page).status_code == 200
        greeting, soon = testing.outbox
        assert (greeting.body, greeting.custom) == ("Good morning", {"at": "Good morning"})
        assert (soon.body, soon.to) == ("Good morning", 17)

    def test_a_token_of_identity_has_the_uuid(self):
        """A number, as of another model of users, is nobody."""
        ann = make()
        assert identity_of(identity_token(ann))["uid"] == str(ann.pk)
        assert identity_of(token_of_uid("17")) is None

    def test_the_admin_opens_every_table(self):
        """In the database that the router says."""
        admin = make("admin@example.com", is_staff=True, is_superuser=True)
        self.client.force_login(admin)
        ChatAccount.objects.create(uid=str(admin.pk), user=admin)
        OutgoingMessage.objects.send(17, "hello")
        for name in ("chataccount", "lease", "deadletter", "outgoingmessage"):
            assert self.client.get(f"/admin/cube/{name}/").status_code == 200

    def test_the_doctor_looks_into_the_database_of_the_router(self):
        """It finds the migrations there."""
        said = StringIO()
        call_command("connectycube_doctor", no_color=True, stdout=said)
        assert "ok       migrations\n" in said.getvalue()


class ServiceTests(testing.ChatTransactionTestCase):
    """With a service."""

    databases = BOTH

    def test_a_note_is_kept_and_answered(self):
        """By a user of Django, through client_for."""
        ann = make()
        client = client_for(ann)
        account = ChatAccount.objects.get()
        assert (account.uid, account.user_id) == (str(ann.pk), ann.pk)
        client.chat.login()
        self.addCleanup(client.close)
        with client.chat.events(client.chat.message_received, 60) as answers:
            client.chat.send_private(self.bot_id(), "apples")
            assert answers.next().body == "kept apples"
        self.wait_until_handled(timeout=60)
        assert Note.objects.get().author == ann.pk
