"""The shop's bot."""

from __future__ import annotations

import os

from connectycube.contrib.django import on

from .models import Order


@on("message_received")
def keep(chat, message):
    """Write each message as an order, and answer."""
    Order.objects.get_or_create(message_id=message.id, defaults={"text": message.body})
    if message.body == "fail" and "SHOP_MENDED" not in os.environ:
        raise ValueError("this order cannot be kept")
    chat.reply(message, f"kept {message.body}")
