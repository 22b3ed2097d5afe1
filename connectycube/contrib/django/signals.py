"""Django's signals for the events of a chat: one for each signal of :class:`connectycube.Chat`.

Each is sent by the listener, on a worker thread, with the class of the event as ``sender`` and the arguments
``chat``, ``event`` and ``bot`` (a name). A receiver that raises counts as a failed receiver: after a
transient error the receivers of the signal run again, from the first on. ``@on`` repeats the failed one
alone.
"""

from __future__ import annotations

from django.dispatch import Signal

from ..common.signal_names import SIGNAL_NAMES

__all__ = ["SIGNALS", "ChatSignal"]


class ChatSignal(Signal):
    """A signal of Django with the name of the chat's signal."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __repr__(self) -> str:
        return f"<ChatSignal {self.name}>"


SIGNALS = {name: ChatSignal(name) for name in SIGNAL_NAMES}
"""All of them by name; each is an attribute of this module, too."""
globals().update(SIGNALS)


def __getattr__(name: str) -> ChatSignal:  # for type checkers: globals() has them
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
