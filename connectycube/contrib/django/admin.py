"""The pages of the admin: accounts, leases, dead letters and outgoing messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from .models import ChatAccount, DeadLetter, Lease, OutgoingMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias, TypeVar

    from django.contrib.admin.filters import FieldListFilter, ListFilter
    from django.db.models import Field, Model
    from django.http.response import HttpResponseBase
    from typing_extensions import Self

    _Model = TypeVar("_Model", bound=Model)
    _Admin = TypeVar("_Admin", bound=admin.ModelAdmin[Any])
    # The types of django-stubs, which has no public names for them.
    _Names: TypeAlias = list[str] | tuple[str, ...] | tuple[()]
    _Column: TypeAlias = str | Callable[[_Model], str | bool]
    _Columns: TypeAlias = list[_Column[_Model]] | tuple[_Column[_Model], ...] | tuple[()]
    _Action: TypeAlias = Callable[[_Admin, HttpRequest, QuerySet[_Model]], HttpResponseBase | None]
    _Filter: TypeAlias = (
        type[ListFilter]
        | Field[Any, Any]
        | str
        | tuple[Field[Any, Any] | str, type[FieldListFilter]]
        | list[Field[Any, Any] | str | type[FieldListFilter]]
    )
    _Filters: TypeAlias = list[_Filter] | tuple[_Filter, ...] | tuple[()]
    _ChatAccountAdmin: TypeAlias = admin.ModelAdmin[ChatAccount]
    _LeaseAdmin: TypeAlias = admin.ModelAdmin[Lease]
    _DeadLetterAdmin: TypeAlias = admin.ModelAdmin[DeadLetter]
    _OutgoingMessageAdmin: TypeAlias = admin.ModelAdmin[OutgoingMessage]
else:  # a class of Django takes no arguments when the program runs
    _ChatAccountAdmin = _LeaseAdmin = _DeadLetterAdmin = _OutgoingMessageAdmin = admin.ModelAdmin

__all__ = ["ChatAccountAdmin", "DeadLetterAdmin", "LeaseAdmin", "OutgoingMessageAdmin"]


@admin.register(ChatAccount)
class ChatAccountAdmin(_ChatAccountAdmin):
    """Which user of the service belongs to which user of Django."""

    list_display: _Columns[ChatAccount] = ("uid", "user", "chat_id", "changed")
    search_fields: ClassVar[_Names] = ("uid", "=chat_id")
    raw_id_fields: ClassVar[_Names] = ("user",)
    readonly_fields: ClassVar[_Names] = ("fields_sent", "created", "changed")


class _NotAdded:
    """A page without a button "Add": the rows come from the listener."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody may."""
        return False


@admin.register(Lease)
class LeaseAdmin(_NotAdded, _LeaseAdmin):
    """Which process listens for which bot."""

    list_display: _Columns[Lease] = ("name", "holder", "until", "fencing")
    readonly_fields: ClassVar[_Names] = ("name", "holder", "until", "fencing")


@admin.register(DeadLetter)
class DeadLetterAdmin(_NotAdded, _DeadLetterAdmin):
    """What handlers have given up."""

    list_display: _Columns[DeadLetter] = (
        "at",
        "bot",
        "signal",
        "receiver",
        "attempts",
        "error",
        "is_marked",
    )
    list_filter: ClassVar[_Filters] = ("bot", "signal", "is_marked")
    search_fields: ClassVar[_Names] = ("receiver", "error")
    readonly_fields: ClassVar[_Names] = (
        "bot",
        "signal",
        "receiver",
        "event_on_lines",
        "error",
        "attempts",
        "at",
    )
    fields: ClassVar[list[str | _Names] | tuple[str | _Names, ...] | tuple[()] | None] = (
        *readonly_fields,
        "is_marked",
    )
    actions: Sequence[_Action[Self, DeadLetter] | str] | None = ("run_again",)

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
class OutgoingMessageAdmin(_OutgoingMessageAdmin):
    """Messages that the listener sends."""

    list_display: _Columns[OutgoingMessage] = (
        "created",
        "bot",
        "to_user",
        "to_dialog",
        "state",
        "attempts",
        "error",
    )
    list_filter: ClassVar[_Filters] = ("bot", "state")
    search_fields: ClassVar[_Names] = ("body", "message_id", "=to_user", "to_dialog")
    readonly_fields: ClassVar[_Names] = (
        "message_id",
        "state",
        "attempts",
        "error",
        "created",
        "sent_at",
    )
    actions: Sequence[_Action[Self, OutgoingMessage] | str] | None = ("send_again",)

    @admin.action(
        description="Send the selected messages that failed again", permissions=["change"]
    )
    def send_again(self, request: HttpRequest, queryset: QuerySet[OutgoingMessage]) -> None:
        """Let them wait again; the id stays, so what has arrived comes once."""
        state = OutgoingMessage.State
        waiting = queryset.filter(state=state.FAILED).update(state=state.WAITING, error="")
        level = messages.SUCCESS if waiting else messages.WARNING
        self.message_user(request, f"{waiting} wait again.", level)
