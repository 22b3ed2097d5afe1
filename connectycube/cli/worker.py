"""Run the workers of a module, each in a process of its own, until SIGTERM or Ctrl-C.

MODULE:WORKER names a Worker of connectycube.contrib.relay: "shop.chat:worker" is the name "worker" in
shop/chat.py, looked for in the current folder first. A process that dies is replaced.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from importlib import import_module
from typing import Any

from connectycube import ArgumentTypeError, ArgumentValueError
from connectycube.contrib.relay import Children, Worker, end_with_parent

__all__ = ["add_arguments", "run"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("worker", metavar="MODULE:WORKER")
    parser.add_argument(
        *("-c", "--concurrency"), type=_count, default=1, metavar="N", help="processes: 1"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Work until a signal; return 0."""
    if not logging.getLogger().handlers:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(process)d %(message)s")
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # the relay says it in one line
    worker = find_worker(arguments.worker)  # also here, so that a wrong name is said once
    if arguments.concurrency == 1:
        if arguments.child:
            end_with_parent(worker.stop)
        # The parent ends its children after a Ctrl-C in a terminal, which reaches all of them.
        worker.run(() if arguments.child else _SIGNALS)
        return 0
    command = [sys.executable, "-m", "connectycube", "worker", arguments.worker, "--child"]
    children = Children(command, arguments.concurrency)

    def stop(*_: object) -> None:
        children.stop()

    for number in _SIGNALS:
        signal.signal(number, stop)
    children.run()
    return 0


def find_worker(name: str) -> Worker:
    """Return the worker of MODULE:WORKER; raises ArgumentTypeError and ArgumentValueError."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ArgumentValueError(f"write MODULE:WORKER, such as shop.chat:worker, not {name!r}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ArgumentValueError(f"there is no module {error.name}") from None
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ArgumentValueError(f"module {module_name} has no {attribute}")
        found = getattr(found, part)
    if not isinstance(found, Worker):
        raise ArgumentTypeError(f"{name} is a {type(found).__name__}, and no Worker")
    return found
