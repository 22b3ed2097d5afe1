"""The names of the chat's signals, which handlers are written for."""

from __future__ import annotations

from connectycube._checks import nearest
from connectycube.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["SIGNAL_NAMES", "check_signal"]

SIGNAL_NAMES = (
    *("state_changed", "callback_failed", "receiver_gave_up"),
    *("message_received", "own_message_received", "message_sent", "message_failed"),
    *("message_delivered", "message_read", "message_edited", "message_deleted", "reaction_changed"),
    *("stanza_refused", "recovery_failed", "recovery_finished", "typing_started", "typing_stopped"),
    *("system_message_received", "system_message_failed", "occupant_joined", "occupant_left"),
    *("room_left", "last_activity_changed", "contact_requested", "contact_confirmed"),
    *("contact_rejected", "contact_cancelled", "contact_list_changed", "presence_changed"),
)


def check_signal(signal: object) -> str:
    """Return the name of a signal, or raise an error that names the nearest one."""
    if not isinstance(signal, str):
        text = (
            'a function: write @on("message_received")'
            if callable(signal)
            else type(signal).__name__
        )
        raise ArgumentTypeError(f"signal must be the name of a signal, not {text}")
    if signal not in SIGNAL_NAMES:
        raise ArgumentValueError(f"signal {signal!r} is unknown: {nearest(signal, SIGNAL_NAMES)}")
    return signal
