"""Orders: one for each message."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    """What a user ordered by a message."""

    message_id = models.CharField(max_length=24, unique=True)
    text = models.TextField()
