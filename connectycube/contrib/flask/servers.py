"""What the web server says of this process: how many requests it serves at once, and whether it ends.

WSGI has no word for the end of a server. gunicorn's worker is found through its handler of SIGTERM, which is
a method of it; uWSGI has a module of its own.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any

from connectycube._containers import AnyList

__all__ = ["is_ending", "most_streams"]


def is_ending() -> bool:
    """Whether the server has been told to end this process or to replace it, or was killed."""
    worker = _gunicorn_worker()
    if worker is None:
        return False
    # A worker whose parent is gone waits for its requests, and keeps the port from the next server.
    return not worker.alive or getattr(worker, "ppid", os.getppid()) != os.getppid()


def most_streams(environ: dict[str, Any]) -> int | None:
    """Return how many streams this process may keep open beside other requests; None: any number.

    Args:
        environ: The WSGI environment of a request.
    """
    if not environ.get("wsgi.multithread"):
        return 0  # one request at a time (PEP 3333)
    worker = _gunicorn_worker()
    threads = (
        worker.cfg.threads if worker is not None and _has_threads(worker) else _uwsgi_threads()
    )
    return None if threads is None else threads - 1


def _gunicorn_worker() -> Any:
    """Return the worker of gunicorn that this process is; None under another server."""
    handler = signal.getsignal(signal.SIGTERM)
    owner = getattr(handler, "__self__", None)
    return owner if hasattr(owner, "alive") and hasattr(owner, "cfg") else None


def _has_threads(worker: Any) -> bool:
    return bool(type(worker).__module__.endswith(".gthread"))


def _uwsgi_threads() -> int | None:
    if "uwsgi" not in sys.modules:
        return None
    threads: Any = importlib.import_module("uwsgi").opt.get("threads")
    if isinstance(threads, AnyList):  # the option was given more than once
        threads = threads[-1]
    return int(threads) if threads else None
