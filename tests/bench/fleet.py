"""Many users in one process: memory, threads and CPU of a fleet, and of chats of their own."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from connectycube import Config, ConnectyCube, Fleet
from tests.bench.measuring import in_fresh_process, memory_growth
from tests.bench.registry import MEGABYTES, SECONDS, Row, topic
from tests.bench.service import Place, logged_in, service

_MEMBERS = 200
_SYSTEMS = Path("/etc/ssl/certs/ca-certificates.crt")
_GOAL_MEGABYTES, _GOAL_SECONDS = 40.0, 2.0


@topic("fleet")
def fleet() -> Sequence[Row]:
    """Log 200 users in, as a fleet and each with a chat of its own."""
    logins = [f"member{number}" for number in range(_MEMBERS)]
    with service(users=logins) as place, tempfile.TemporaryDirectory() as folder:
        config = _config(place, folder)
        alone = in_fresh_process(_chats, place, config, logins)
        together = in_fresh_process(_fleet, place, config, logins)
    rows = []
    for peer, figures, goals in (
        ("chats of their own", alone, (None, None, None)),
        ("a fleet", together, (_GOAL_MEGABYTES, 5.0, _GOAL_SECONDS)),
    ):
        units = (MEGABYTES, "threads", SECONDS)
        for unit, value, goal in zip(units, figures, goals, strict=True):
            name = f"{_MEMBERS} users, {unit}"
            rows.append(Row(name=name, peer=peer, value=value, goal=goal, unit=unit))
    return rows


def _config(place: Place, folder: str) -> Config:
    """Return a configuration with as many authorities as that of an application has."""
    known = Path(folder, "authorities.pem")
    ours = Path(str(place.config.ca_file)).read_text()
    known.write_text(ours + (_SYSTEMS.read_text() if _SYSTEMS.exists() else ""))
    return place.config.replace(ca_file=str(known))


def _chats(place: Place, config: Config, logins: Sequence[str]) -> tuple[float, float, float]:
    with ExitStack() as stack, ConnectyCube(config=config) as cube:

        def log_in() -> None:
            for login in logins:
                other = cube.for_user(login=login, password="secret")
                stack.callback(other.close)
                other.chat.login()

        return _figures(place, log_in)


def _fleet(place: Place, config: Config, logins: Sequence[str]) -> tuple[float, float, float]:
    with ConnectyCube(config=config) as cube:
        members = Fleet(cube, [{"login": login, "password": "secret"} for login in logins])
        try:
            return _figures(place, lambda: _all_ready(members))
        finally:
            members.close()


def _all_ready(members: Fleet) -> None:
    assert members.login() == ()


def _figures(place: Place, work: Callable[[], None]) -> tuple[float, float, float]:
    """Return the megabytes, the threads and the seconds of CPU that logging in takes."""

    def one_chat() -> None:
        with logged_in(place) as cube:
            cube.chat.login()

    seconds: list[float] = []

    def timed() -> None:
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)

    before = threading.active_count()
    megabytes = memory_growth(one_chat, timed)
    return megabytes, float(threading.active_count() - before), seconds[0]
