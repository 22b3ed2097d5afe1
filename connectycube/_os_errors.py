"""The operating system's text for an error."""

from __future__ import annotations

__all__ = ["reason_of"]


def reason_of(error: OSError) -> str:
    """Return the operating system's text for an error; never an empty one."""
    return error.strerror or str(error) or type(error).__name__
