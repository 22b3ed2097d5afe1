"""The durable store serves one process at a time and loses nothing when the kernel writes no more."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from connectycube.chat.durable.records import Identity
from connectycube.chat.durable.store import DurableStore

ME = Identity(1, 5, "localhost")

SECOND = """
import sys
from connectycube import DurableStoreError
from connectycube.chat.durable.store import DurableStore
from connectycube.chat.durable.records import Identity
try:
    DurableStore(sys.argv[1], Identity(1, 5, "localhost")).close()
except DurableStoreError as error:
    print(error)
"""


def in_another_process(path: Path, code: str = SECOND) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout


def test_a_store_refuses_a_second_process_until_the_first_closes_it(tmp_path):
    path = tmp_path / "bot.db"
    with closing(DurableStore(str(path), ME)):
        told = in_another_process(path)
        assert str(path) in told
        assert "another process has it open" in told
    assert in_another_process(path) == ""


# The kernel refuses to let any file grow: as a full disk, but it can be had everywhere.
NO_MORE = """
import resource, sys
from connectycube import DurableStoreError, Message
from connectycube.chat.durable.store import DurableStore
from connectycube.chat.durable.records import Arrived, Identity

store = DurableStore(sys.argv[1], Identity(1, 5, "localhost"))
store.commit([Arrived(("c", 7, "before"), Message(body="x"))], (), None, None)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    for number in range(1_000):
        arrived = Arrived(("c", 7, f"m{number}"), Message(body="x" * 1_000))
        store.commit([arrived], (), None, None)
        print(f"m{number}")
except DurableStoreError as error:
    print(error)
"""


def test_a_failed_write_raises_and_every_committed_message_is_stored(tmp_path):
    path = tmp_path / "bot.db"
    *committed, told = in_another_process(path, NO_MORE).splitlines()
    assert "cannot be written" in told
    assert 0 < len(committed) < 1_000
    with closing(DurableStore(str(path), ME)) as store:
        assert [entry.key[2] for entry in store.inbox()] == ["before", *committed]
