"""Conversations of customers with the desk, and their lines."""

from django.conf import settings
from django.db import models, transaction

from connectycube.contrib.django.models import OutgoingMessage


class Conversation(models.Model):
    """What one customer and the desk wrote, until an agent closes it."""

    customer = models.BigIntegerField(help_text="The customer's id at the service.")
    name = models.CharField(max_length=150)
    agent = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    opened = models.DateTimeField(auto_now_add=True)
    closed = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-opened"]
        constraints = [
            models.UniqueConstraint(
                fields=["customer"], condition=models.Q(closed=None), name="one_open_conversation"
            )
        ]

    def __str__(self):
        return f"{self.name}, {self.opened:%d %b %H:%M}"

    def shown(self):
        """Return what the list of the agents shows of it: the last line of a person."""
        last = self.lines.exclude(is_answer=True, agent=None).last()
        return {
            "number": self.pk,
            "name": self.name,
            "agent": self.agent.first_name if self.agent else "",
            "text": last.text,
            "is_answered": last.is_answer,
        }

    def write(self, text, agent=None):
        """Answer the customer: the line, and the message that the bot will send, are one transaction."""
        with transaction.atomic():
            message = OutgoingMessage.objects.send(self.customer, text)
            return self.lines.create(
                message_id=message.message_id, text=text, agent=agent, is_answer=True
            )


class Line(models.Model):
    """One message of a conversation."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="lines")
    message_id = models.CharField(max_length=24, unique=True)
    is_answer = models.BooleanField(default=False)
    agent = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    text = models.TextField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.text

    def shown(self):
        """Return what the pages show of it."""
        author = (self.agent.first_name if self.agent else "Desk") if self.is_answer else ""
        return {
            "number": self.pk,
            "id": self.message_id,
            "is_answer": self.is_answer,
            "author": author or self.conversation.name,
            "text": self.text,
            "at": self.at.isoformat(),
        }
