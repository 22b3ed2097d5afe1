"""The bot: what customers write, on this site or in an app, becomes lines of their conversation."""

from django.db import transaction

from connectycube.contrib.django import on
from connectycube.contrib.django.models import ChatAccount

from .models import Conversation, Line

GREETING = "Thank you. Somebody of us answers in a moment."


@on("message_received")
@transaction.atomic
def keep(chat, message):
    """Keep a message; runs again for it if the database was away, and then changes nothing twice."""
    if Line.objects.filter(message_id=message.id).exists():
        return
    conversation, is_new = Conversation.objects.get_or_create(
        customer=message.sender_id, closed=None, defaults={"name": name_of(message.sender_id)}
    )
    conversation.lines.create(message_id=message.id, text=message.body or "(a file)")
    if is_new:
        conversation.write(GREETING)


def name_of(chat_id):
    """Return the name of a customer: a user of this site, or of an app."""
    user = ChatAccount.objects.user_of(chat_id)
    return f"App user {chat_id}" if user is None else user.get_full_name() or user.get_username()
