"""The operating system's text for an error."""

from __future__ import annotations

import os
import sys

__all__ = ["error_of", "reason_of"]


def reason_of(error: OSError) -> str:
    """Return the operating system's text for an error; never an empty one."""
    return error.strerror or str(error) or type(error).__name__


def error_of(code: int) -> OSError:
    """Return the error with a number of the operating system, as a socket has it."""
    if sys.platform == "win32":  # strerror() does not know the numbers of its sockets
        from ctypes import FormatError

        return OSError(code, FormatError(code).strip())
    return OSError(code, os.strerror(code))
