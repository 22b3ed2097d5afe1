"""Cuts functions off, as a signal's handler does that raises: after any of the calls that they make."""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

_CALLS = ("CALL", "CALL_FUNCTION", "CALL_METHOD", "CALL_FUNCTION_KW", "CALL_FUNCTION_EX", "CALL_KW")


class Cut(KeyboardInterrupt):
    """What the handler raises."""


def cut_at_each_call(run: Callable[[], Any], *functions: Any) -> Iterator[bool]:
    """Call ``run()`` again and again, and raise Cut in these functions: after the first call, the second, …

    After each round it yields whether the round was cut off; the last one was not. The interpreter looks for
    signals after each call, so these are the places at which one is noticed.
    """
    codes = {function.__code__ for function in functions}
    number, was_cut = 0, True
    while was_cut:
        number += 1
        was_cut = _cut_at(number, run, codes)
        yield was_cut


def _cut_at(number: int, run: Callable[[], Any], codes: set[CodeType]) -> bool:
    left = number
    thread = threading.get_ident()
    after_call: dict[FrameType, bool] = {}

    def step(frame: FrameType, offset: int) -> None:
        nonlocal left
        if threading.get_ident() != thread:
            return
        if after_call.pop(frame, False):
            left -= 1
            if left == 0:
                raise Cut
        after_call[frame] = dis.opname[frame.f_code.co_code[offset]] in _CALLS

    try:
        with _each_step(step, codes):
            run()
    except Cut:
        return True
    return False


_Step = Callable[[FrameType, int], None]

if sys.version_info >= (3, 12):
    # sys.settrace tells of the instructions of some frames only: which ones depends on the release.
    @contextmanager
    def _each_step(step: _Step, codes: set[CodeType]) -> Iterator[None]:
        """Call ``step(frame, offset)`` before each instruction of these codes."""
        monitoring = sys.monitoring
        tool, event = monitoring.OPTIMIZER_ID, monitoring.events.INSTRUCTION
        monitoring.use_tool_id(tool, "cutting")
        monitoring.register_callback(
            tool, event, lambda code, offset: step(sys._getframe(1), offset)
        )
        for code in codes:
            monitoring.set_local_events(tool, code, event)
        try:
            yield
        finally:
            for code in codes:
                monitoring.set_local_events(tool, code, monitoring.events.NO_EVENTS)
            monitoring.register_callback(tool, event, None)
            monitoring.free_tool_id(tool)

else:

    @contextmanager
    def _each_step(step: _Step, codes: set[CodeType]) -> Iterator[None]:
        """Call ``step(frame, offset)`` before each instruction of these codes."""

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            if frame.f_code not in codes:
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            if event == "opcode":
                step(frame, frame.f_lasti)
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(before)
