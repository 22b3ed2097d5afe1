"""The counts of stanzas in a session, which start again at 0 after 2^32 - 1. (XEP-0198, section 4.)"""

from __future__ import annotations

from ...errors import StreamProtocolError

__all__ = ["MODULUS", "WrongCountError", "is_before"]

MODULUS = 2**32
"""The number of different counts: 0 follows 0xFFFFFFFF."""


class WrongCountError(StreamProtocolError):
    """The server sent a count that is no number, or that cannot be: its next counts are wrong as well."""


def is_before(count: int, other: int) -> bool:
    """Whether ``count`` is earlier than ``other``: 1 to 2^31 - 1 stanzas before it.

    To compare the numbers would be wrong where a count starts again. 0xFFFFFFFF is before 1, because
    (1 - 0xFFFFFFFF) % 2^32 is 2. 1 is not before 0xFFFFFFFF, because (0xFFFFFFFF - 1) % 2^32 is 2^32 - 2,
    and a queue never holds that many stanzas.
    """
    return 0 < (other - count) % MODULUS < MODULUS // 2
