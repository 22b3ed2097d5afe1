"""The client of this process: made and logged in at its first use, and again in a forked child."""

from __future__ import annotations

import os
import threading

from connectycube import ArgumentValueError, ConnectyCube

__all__ = ["client"]

_lock = threading.Lock()
_made: dict[int, ConnectyCube] = {}
"""The client, by the process that has made it: Celery's pool forks."""


def client() -> ConnectyCube:
    """Return the client of this process, with a REST session of the user of CONNECTYCUBE_LOGIN.

    The application's keys are in the other variables of the environment. All threads share the client; the
    session is renewed by itself.

    Returns:
        The client.

    Raises:
        ArgumentValueError: CONNECTYCUBE_LOGIN, CONNECTYCUBE_PASSWORD or another variable is missing.
        ApiError: The login failed; a later call tries again.
    """
    with _lock:
        found = _made.get(os.getpid())
        if found is None:
            found = _logged_in()
            _made.clear()
            _made[os.getpid()] = found
        return found


def _logged_in() -> ConnectyCube:
    login, password = (os.environ.get(f"CONNECTYCUBE_{name}") for name in ("LOGIN", "PASSWORD"))
    if not login or not password:
        raise ArgumentValueError(
            "CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD must be set: tasks answer as that user"
        )
    made = ConnectyCube.from_env()
    try:
        made.login(login=login, password=password)
    except BaseException:
        made.close()
        raise
    return made


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.Lock()))
