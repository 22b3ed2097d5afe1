"""Memory while a large file is uploaded from disk."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measuring import in_fresh_process, memory_growth
from tests.bench.registry import MEGABYTES, Row, topic
from tests.bench.service import Place, logged_in, service

_BYTES = 90_000_000
_WARM_UP = 100_000
_GOAL = 10.0


@topic("uploads")
def uploads() -> Sequence[Row]:
    """Upload one file of 90 MB."""
    with service() as place, tempfile.TemporaryDirectory() as folder:
        value = in_fresh_process(_growth, place, folder)
    name = f"memory, upload of {_BYTES // 1_000_000} MB"
    return [Row(name=name, peer="the start", value=value, goal=_GOAL, unit=MEGABYTES)]


def _growth(place: Place, folder: str) -> float:
    small, large = (_file(folder, size) for size in (_WARM_UP, _BYTES))
    with logged_in(place) as cube:
        return memory_growth(
            lambda: cube.files.upload(small), lambda: cube.files.upload(large, timeout=120)
        )


def _file(folder: str, size: int) -> Path:
    path = Path(folder, f"{size}.bin")
    with path.open("wb") as file:
        file.truncate(size)  # a hole: it costs no room on the disk
    return path
