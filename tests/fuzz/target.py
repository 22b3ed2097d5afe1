"""What a target is: code that takes any bytes, and says what they came to."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence
from pathlib import Path
from random import Random
from types import TracebackType

__all__ = ["NASTY", "Target"]

CORPUS = Path(__file__).with_name("corpus")

NASTY = (
    *(
        b"\0",
        b"\xff",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x92",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\x01",
    ),
    *(
        b"-1",
        b"0",
        b"1",
        b"4294967295",
        b"4294967296",
        b"9" * 20,
        b"9" * 5000,
        b"1e999",
        b"NaN",
        b"-0.0",
    ),
    *(
        b"true",
        b"null",
        b"%00",
        b"%",
        b"\\u0000",
        b"\\ud800",
        "é".encode(),
        "²".encode(),
        "\u2028".encode(),
    ),
    *(
        b"'",
        b'"',
        b"\r\n",
        b"\n",
        b" ",
        b"",
        b"x" * 300,
        b"0001-01-01T00:00:00+14:00",
        b"9999-12-31",
    ),
)
"""What decoders of all kinds stumble over."""


class Target:
    """One place where bytes of others enter; a subclass says how.

    ``seeds()`` are good inputs, from ``corpus/NAME/``. ``make()`` writes a new one after the rules of the
    format, or nearly. ``run()`` gives an input to the code under test and returns what it came to, in few
    words: an input with new words is kept and mutated again. An exception of ``run()`` is a finding.
    """

    name = ""
    words: Sequence[bytes] = NASTY
    share = 1.0
    """The part of the time that it gets, beside the other targets."""
    mutations = 0.7
    """The part of the inputs that are mutated: few where a single wrong byte ends everything."""
    over_sockets = False

    def __enter__(self) -> Target:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def seeds(self) -> list[bytes]:
        """Return the inputs of the repository, in the order of their names."""
        return _corpus(self.name)

    def make(self, random: Random) -> bytes:
        """Return a new input, which is mostly right."""
        return random.choice(self.seeds())

    def run(self, data: bytes) -> Hashable:
        """Give ``data`` to the code under test; return what it came to."""
        raise NotImplementedError

    def settle(self) -> None:
        """Check what can only be seen after many inputs."""


@functools.cache
def _corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
