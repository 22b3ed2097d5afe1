"""The pages of the admin: accounts, leases, dead letters and outgoing messages."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from .models import ChatAccount, DeadLetter, Lease, OutgoingMessage

__all__ = ["ChatAccountAdmin", "DeadLetterAdmin", "LeaseAdmin", "OutgoingMessageAdmin"]


@admin.register(ChatAccount)
class ChatAccountAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Which user of the service belongs to which user of Django."""

    list_display = ("uid", "user", "chat_id", "changed")
    search_fields = ("uid", "=chat_id")
    raw_id_fields = ("user",)
    readonly_fields = ("fields_sent", "created", "changed")


class _NotAdded:
    """A page without a button "Add": the rows come from the listener."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody may."""
        return False


@admin.register(Lease)
class LeaseAdmin(_NotAdded, admin.ModelAdmin):  # type: ignore[type-arg]
    """Which process listens for which bot."""

    list_display = ("name", "holder", "until", "fencing")
    readonly_fields = ("name", "holder", "until", "fencing")


@admin.register(DeadLetter)
class DeadLetterAdmin(_NotAdded, admin.ModelAdmin):  # type: ignore[type-arg]
    """What handlers have given up."""

    list_display = ("at", "bot", "signal", "receiver", "attempts", "error", "is_marked")
    list_filter = ("bot", "signal", "is_marked")
    search_fields = ("receiver", "error")
    readonly_fields = ("bot", "signal", "receiver", "event_on_lines", "error", "attempts", "at")
    fields = (*readonly_fields, "is_marked")
    actions = ("run_again",)

    @admin.display(description="event")
    def event_on_lines(self, letter: DeadLetter) -> str:
        """Return the event as people read JSON."""
        text = json.dumps(letter.event, indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", text)

    @admin.action(
        description="Run the handlers of the selected dead letters again", permissions=["change"]
    )
    def run_again(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Mark them; the listener runs the handlers within seconds."""
        marked = queryset.update(is_marked=True)
        self.message_user(request, f"{marked} marked: the listener runs them within 5 seconds.")


@admin.register(OutgoingMessage)
class OutgoingMessageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Messages that the listener sends."""

    list_display = ("created", "bot", "to_user", "to_dialog", "state", "attempts", "error")
    list_filter = ("bot", "state")
    search_fields = ("body", "message_id", "=to_user", "to_dialog")
    readonly_fields = ("message_id", "state", "attempts", "error", "created", "sent_at")
    actions = ("send_again",)

    @admin.action(
        description="Send the selected messages that failed again", permissions=["change"]
    )
    def send_again(self, request: HttpRequest, queryset: QuerySet[OutgoingMessage]) -> None:
        """Let them wait again; the id stays, so what has arrived comes once."""
        state = OutgoingMessage.State
        waiting: Any = queryset.filter(state=state.FAILED).update(state=state.WAITING, error="")
        level = messages.SUCCESS if waiting else messages.WARNING
        self.message_user(request, f"{waiting} wait again.", level)
