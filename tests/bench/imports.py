"""CPU until a client is made, and until its first call, in a process of its own, beside that of requests.

Both sides find what they import compiled, as they do everywhere but in the first process after an
installation: each process takes the bytecode of one folder, and the round that fills it does not count.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from tests.bench.measuring import quartiles
from tests.bench.registry import Row, topic
from tests.bench.service import logged_in, service

_ROUNDS = 9
_TIMES = "import time\nbegan = time.process_time()\n{}\nprint(time.process_time() - began)"
_OURS = "from connectycube import ConnectyCube; ConnectyCube(app_id=7, auth_key='key')"
_OUR_CALL = (
    "from connectycube import ConnectyCube\n"
    "cube = ConnectyCube(app_id=7, auth_key='key', api_url={url!r}, ca_file={ca_file!r})\n"
    "assert cube.with_token({token!r}).users.get({user}).login"
)
_THEIR_CALL = (
    "import requests\n"
    "session = requests.Session()\n"
    "session.headers['CB-Token'] = {token!r}\n"
    "session.verify = {ca_file!r}\n"
    "assert session.get('{url}/users/{user}').json()['user']['login']"
)


@topic("imports")
def imports() -> Sequence[Row]:
    """Import the package and make a client, in turn with requests alone; then the same up to a first call."""
    with tempfile.TemporaryDirectory() as folder, service() as place, logged_in(place) as cube:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        values = {
            "url": place.config.api_url,
            "ca_file": place.config.ca_file,
            "token": cube.session.token,
            "user": place.bob,
        }
        call, their_call = _OUR_CALL.format(**values), _THEIR_CALL.format(**values)
        return [
            _row(
                _OURS,
                "import requests",
                environment,
                "import, and a client",
                "import requests",
                1.5,
            ),
            _row(call, their_call, environment, "… and the first call", "the same with requests"),
        ]


def _row(
    ours: str,
    theirs: str,
    environment: Mapping[str, str],
    name: str,
    peer: str,
    goal: float | None = None,
) -> Row:
    ratios = [_cpu_of(ours, environment) / _cpu_of(theirs, environment) for _ in range(_ROUNDS + 1)]
    return Row.of(name, peer, quartiles(ratios[1:]), goal)


def _cpu_of(program: str, environment: Mapping[str, str]) -> float:
    command = [sys.executable, "-c", _TIMES.format(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)
