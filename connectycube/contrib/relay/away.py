"""How long a part of the relay waits before it tries a broker again that is away."""

from __future__ import annotations

import random

__all__ = ["away_seconds"]

_SECONDS = 1.0


def away_seconds() -> float:
    """Return the seconds until the next attempt, at random, so that not all attempts come at once."""
    return _SECONDS * (0.5 + random.random())
