"""CPU until a client is made, in a process of its own, beside that of importing requests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from tests.bench.measuring import quartiles
from tests.bench.registry import Row, topic

_ROUNDS = 9
_TIMES = "import time; began = time.process_time(); {}; print(time.process_time() - began)"
_OURS = "from connectycube import ConnectyCube; ConnectyCube(app_id=7, auth_key='key')"


@topic("imports")
def imports() -> Sequence[Row]:
    """Import the package and make a client, in turn with requests alone."""
    ratios = [_cpu_of(_OURS) / _cpu_of("import requests") for _ in range(_ROUNDS + 1)][1:]
    return [Row.of("import, and a client", "import requests", quartiles(ratios), 1.5)]


def _cpu_of(program: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _TIMES.format(program)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)
