"""How a command of click fails: a sentence, and its exit status."""

from __future__ import annotations

__all__ = ["Failure"]


class Failure(Exception):
    """A sentence for the user of the command, without a traceback.

    Args:
        text: What is wrong, and what to do.
        status: The exit status of the command.
    """

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status
