"""What the commands that show events as they come have in common: which events, and of which dialog."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from connectycube import Chat, ConnectyCube

__all__ = ["check_dialog", "show_events"]

_MESSAGES = ("message_received", "own_message_received")


def check_dialog(client: ConnectyCube, dialog: str | None) -> None:
    """Raise NotFoundError if there is no such dialog: it would be a silent wait forever.

    Args:
        client: A client with a session.
        dialog: The id of a dialog; None: all dialogs.
    """
    if dialog is not None:
        client.dialogs.get(dialog)


def show_events(
    chat: Chat,
    signals: Collection[str],
    dialog: str | None,
    show: Callable[[str, Any], None],
    **options: Any,
) -> None:
    """Have ``show(signal, event)`` called for each event, before the login.

    Args:
        chat: The chat.
        signals: The names of signals; none: those of messages.
        dialog: The id of the dialog whose events they are; None: of all.
        show: Called on a worker of the chat.
        options: More arguments of ``connect``, such as ``key``.
    """

    def connect(name: str) -> None:
        def receive(chat: Chat, event: Any) -> None:
            show(name, event)

        getattr(chat, name).connect(receive, where=where, **options)

    def is_of_dialog(event: object) -> bool:
        return getattr(event, "dialog_id", None) == dialog

    where = None if dialog is None else is_of_dialog
    for name in signals or _MESSAGES:
        connect(name)
