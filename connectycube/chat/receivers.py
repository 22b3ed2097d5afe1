"""Calling receivers, each on its own: what one raises does not reach the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from ..models import CallbackFailure
from .dispatcher import Dispatcher
from .shutdown import caused_by_exit
from .signals import Signal, name_of

__all__ = ["call_receivers"]

logger = logging.getLogger("connectycube.chat")


def call_receivers(
    chat: Any,
    signal: Signal,
    event: Any,
    callback_failed: Signal,
    dispatcher: Dispatcher,
    slow: float,
) -> bool:
    """Call every receiver of ``signal`` with ``event``, in order; whether there was one, and none raised.

    A receiver that raises is logged and reported to ``callback_failed``, whose own failures are only
    logged. What the exit of the interpreter cuts off is neither. One that takes longer than ``slow`` seconds
    is named in a warning.
    """
    called = raised = False
    for receiver in signal.receivers_for(chat):
        error = _call(receiver, chat, signal, event, dispatcher, slow)
        called = True
        if error is None:
            continue
        raised = True
        if signal is callback_failed or caused_by_exit(error):
            continue
        failure = CallbackFailure(
            receiver=name_of(receiver), signal=signal.name, event=event, error=error
        )
        for reporter in callback_failed.receivers_for(chat):
            _call(reporter, chat, callback_failed, failure, dispatcher, slow)
    return called and not raised


def _call(
    receiver: Callable[..., Any],
    chat: Any,
    signal: Signal,
    event: Any,
    dispatcher: Dispatcher,
    slow: float,
) -> BaseException | None:
    name = name_of(receiver)
    dispatcher.note_receiver(name)
    began = time.monotonic()
    try:
        receiver(chat, event)
    except BaseException as error:  # also SystemExit: it would end the worker, not the program
        if caused_by_exit(error):
            logger.debug("receiver %s of %s was cut off: %s", name, signal.name, error)
        else:
            logger.exception("receiver %s of %s raised", name, signal.name)
        return error
    finally:
        dispatcher.note_receiver(None)
        took = time.monotonic() - began
        if took > slow:
            logger.warning("receiver %s of %s took %.1f seconds", name, signal.name, took)
    return None
