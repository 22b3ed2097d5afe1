"""The shop's bot."""

from __future__ import annotations

import importlib
import os

from connectycube.contrib.django import on

from .models import Order

if "SHOP_MODULE" in os.environ:
    importlib.import_module(os.environ["SHOP_MODULE"])


@on("message_received")
def keep(chat, message):
    """Write each message as an order, and answer."""
    Order.objects.get_or_create(message_id=message.id, defaults={"text": message.body})
    if message.body == "fail" and "SHOP_MENDED" not in os.environ:
        raise ValueError("this order cannot be kept")
    chat.reply(message, f"kept {message.body}")


if os.environ.get("SHOP_HANDLER") == "wrong":

    @on("message_received")
    def without_chat(message):
        """A handler that cannot be called."""
