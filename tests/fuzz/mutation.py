"""Damages bytes: what is inserted comes from a list of words, so that a parser gets past its first check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

__all__ = ["LONGEST", "Mutator", "pieces_of"]

LONGEST = 5_000
"""The most bytes of an input that a mutation returns; a longer one costs time and shows nothing new."""
_MOST_PIECES = 200
_SIZES = (1, 3, 20, *(200, 200, 200), *(10_000, 10_000, 10_000))
_FEW = 16  # bytes that one step deletes or repeats at most, mostly


class Mutator:
    """Makes new inputs of others; everything follows from ``random``."""

    def __init__(self, random: Random, words: Sequence[bytes]) -> None:
        self._random = random.random
        self._words = words
        self._steps: tuple[Callable[[bytes, int, int, bytes], bytes], ...] = (
            lambda data, start, end, word: data[:start] + word + data[start:],
            lambda data, start, end, word: data[:start] + word + data[end:],
            lambda data, start, end, word: data[:start] + data[end:],
            lambda data, start, end, word: data[:end] + data[start:],
            lambda data, start, end, word: (
                data[:end] + data[start:end] * self._below(8) + data[end:]
            ),
            self._change_byte,
        )

    def _below(self, number: int) -> int:
        return int(self._random() * number)

    def mutate(self, data: bytes, other: bytes = b"") -> bytes:
        """Return ``data`` with a few damages, perhaps with a part of ``other``."""
        if other and self._random() < 0.2:
            data = data[: self._below(len(data) + 1)] + other[self._below(len(other) + 1) :]
        while True:
            start = self._below(len(data) + 1)
            end = min(
                len(data), start + 1 + self._below(_FEW if self._random() < 0.9 else len(data))
            )
            word = self._words[self._below(len(self._words))]
            data = self._steps[self._below(len(self._steps))](data, start, end, word)
            if self._random() < 0.5:
                return data[:LONGEST]

    def _change_byte(self, data: bytes, start: int, end: int, word: bytes) -> bytes:
        return data[:start] + bytes((self._below(256),)) + data[start + 1 :]


def pieces_of(data: bytes, random: Random) -> list[bytes]:
    """Cut ``data`` as a network may: into pieces of a few bytes, of one byte, or not at all."""
    most = max(random.choice(_SIZES), len(data) // _MOST_PIECES)
    pieces = []
    start = 0
    while start < len(data):
        size = 1 + int(random.random() * most)
        pieces.append(data[start : start + size])
        start += size
    return pieces
