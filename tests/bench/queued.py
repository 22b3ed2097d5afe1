"""What an event holds in memory that waits for a slow receiver, beside the bytes of its stanza."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence

from tests.bench import chat_material as material
from tests.bench.chat_ours import ours
from tests.bench.registry import Row, topic

_MESSAGES = 5_000


@topic("queued")
def queued() -> Sequence[Row]:
    """Queue messages that no worker takes, and count what they hold."""
    stanzas = [material.message(number) for number in range(_MESSAGES)]
    with ours() as side:
        side.queue(stanzas[:100])
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        side.queue(stanzas[100:])
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        side.work()
    value = held / sum(map(len, stanzas[100:]))
    return [Row(name="a queued event", peer="its stanza's bytes", value=value, goal=2.0)]
