"""Dialogs: private ones made, all of them listed and counted. (Guide: Dialogs.)"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from ..models import Dialog, DialogType, Page, User
from .arguments import Listing, a_text_filter, a_time_filter, a_type_filter, a_user_id, an_id_filter
from .transport import Transport

__all__ = ["DIALOGS", "Dialogs"]

_PATH = ("chat", "Dialog")

DIALOGS = Listing(
    fields={
        "id": ("_id", an_id_filter),
        "type": ("type", a_type_filter),
        "name": ("name", a_text_filter),
        "last_message_date_sent": ("last_message_date_sent", a_time_filter),
        "created_at": ("created_at", a_time_filter),
        "updated_at": ("updated_at", a_time_filter),
    },
    nested=("extensions",),
    sortable=("last_message_date_sent",),
)


class Dialogs:
    """The dialogs of the session's user; every method may be called from any thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create_private(self, user: int | User, *, timeout: float | None = None) -> Dialog:
        """Return the private dialog with a user, which the service makes if there is none.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, ValidationError, ApiError.
        Source: server API, "Create a dialog".
        """
        peer = a_user_id("user", user)
        body = {"type": int(DialogType.PRIVATE), "occupants_ids": [peer]}
        answer = self._transport.call("POST", _PATH, body=body, timeout=timeout)
        return evolve(self._read(answer.object()), peer_id=peer)

    def list(
        self,
        *,
        limit: int | None = None,
        skip: int | None = None,
        sort: str | None = None,
        timeout: float | None = None,
        **lookups: Any,
    ) -> Page[Dialog]:
        """Return one page of the user's dialogs.

        ``limit`` (the service takes 100 by default) and ``skip`` are numbers of dialogs; ``sort`` is
        "last_message_date_sent", with a minus for the newest first. Look-ups are fields with Django's
        words: id, type, name, last_message_date_sent, created_at, updated_at, extensions__<key>; each
        also with __lt, __lte, __gt, __gte, __ne, __in, __nin, __all, __contains. Times are aware
        datetimes or unix seconds, ``timeout`` seconds.

        Raises ArgumentTypeError, ArgumentValueError, ApiError.
        Source: server API, "Retrieve chat dialogs".
        """
        query = DIALOGS.query(lookups, limit=limit, skip=skip, sort=sort)
        return self._transport.call("GET", _PATH, query=query, timeout=timeout).page(self._read)

    def count(self, *, timeout: float | None = None, **lookups: Any) -> int:
        """Return how many dialogs ``list`` would find with these look-ups.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, ApiError.
        Source: server API, "Retrieve chat dialogs".
        """
        query = [*DIALOGS.query(lookups), ("count", 1)]
        return self._transport.call("GET", _PATH, query=query, timeout=timeout).count()

    def _read(self, data: dict[str, Any]) -> Dialog:
        session = self._transport.session
        return Dialog.from_json(data, me=session.user_id if session is not None else None)
