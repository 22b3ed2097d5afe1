"""uWSGI: warnings about missing options without which the threads of a connection do not run."""

from __future__ import annotations

import logging
import sys
from typing import Any

__all__ = ["warn_about_uwsgi"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_HARMLESS = ("py-call-uwsgi-fork-hooks", "py-call-osafterfork", "lazy-apps", "lazy")
"""With one of these options a connection in the master does no harm to the workers."""


def warn_about_uwsgi(name: str) -> None:
    """Log a warning if uWSGI runs this process without an option that a connection needs."""
    uwsgi: Any = sys.modules.get("uwsgi")  # uWSGI puts it there; other processes cannot import it
    if uwsgi is None:
        return
    if not getattr(uwsgi, "has_threads", True):
        logger.warning(
            "%s: uWSGI runs without enable-threads, so nothing is received between two requests:"
            " set enable-threads = true",
            name,
        )
    if _will_fork(uwsgi) and not any(option in uwsgi.opt for option in _HARMLESS):
        logger.warning(
            "%s: uWSGI forks its workers beside the threads of this connection without Python's fork hooks,"
            " so a worker may hang: set py-call-uwsgi-fork-hooks = true, or log in to the chat in a worker",
            name,
        )


def _will_fork(uwsgi: Any) -> bool:
    """Whether the workers are still to be forked from this process."""
    is_worker, has_master = bool(uwsgi.worker_id()), bool(uwsgi.masterpid())
    return not is_worker and (has_master or int(uwsgi.numproc) > 1)
