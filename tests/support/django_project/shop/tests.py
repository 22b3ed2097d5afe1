"""The tests of the shop, as its authors would write them; run by ``manage.py test``."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import TestCase

from connectycube.contrib.django import client_for, send, testing

from .models import Order


class HandlerTests(TestCase):
    """In the test's transaction: each test finds the tables and the outbox empty."""

    def deliver_and_look(self):
        assert not Order.objects.exists(), "of another test"
        assert testing.outbox == []
        (answer,) = testing.deliver("hi")
        assert connection.in_atomic_block
        assert Order.objects.get().text == "hi"
        assert answer.body == "kept hi"
        assert testing.outbox == [answer]

    def test_a_message_is_an_order(self):
        """The one."""
        self.deliver_and_look()

    def test_a_message_is_an_order_in_the_next_test_too(self):
        """The other."""
        self.deliver_and_look()

    def test_what_a_view_sends_waits_for_the_commit(self):
        """The outbox knows it."""
        send(17, "shipped")
        assert testing.outbox[0].after_commit


class ServiceTests(testing.ChatTransactionTestCase):
    """With a service: commits are real, and handlers run on threads of their own."""

    def test_a_message_is_an_order(self):
        """From a friend's chat to the row and back."""
        ann = self.chat_user("ann")
        with ann.chat.events(ann.chat.message_received, 60) as answers:
            ann.chat.send_private(self.bot_id(), "apples")
            assert answers.next().body == "kept apples"
        self.wait_until_handled(timeout=60)
        assert Order.objects.get().text == "apples"

    def test_the_tables_are_empty_in_the_next_test(self):
        """And nobody is at the service but the bot."""
        assert not Order.objects.exists()
        self.chat_user("ann")

    def test_a_user_of_django_logs_in_by_the_identity_of_the_site(self):
        """The emulator asks the site."""
        user = get_user_model().objects.create_user("ben")
        me = client_for(user)
        assert me.users.get(user.chat_account.chat_id).external_id == str(user.pk)
