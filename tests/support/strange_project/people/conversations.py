"""The bot of the project: the method of an object, and a partial."""

from __future__ import annotations

from functools import partial

from connectycube.contrib.django import on
from connectycube.contrib.django.models import ChatAccount

from .models import Note


class Notes:
    """Keeps what people write."""

    def keep(self, chat, message):
        """Write a note, and answer."""
        person = ChatAccount.objects.user_of(message.sender_id)
        Note.objects.get_or_create(
            message_id=message.id,
            defaults={"text": message.body, "author": person and person.pk},
        )
        chat.reply(message, f"kept {message.body}")


def forget(text, chat, deletion):
    """Delete notes."""
    Note.objects.filter(message_id=deletion.message_id).update(text=text)


on("message_received")(Notes().keep)
on("message_deleted")(partial(forget, "gone"))
