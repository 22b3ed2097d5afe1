"""Cuts functions off, as a signal's handler does that raises: after any of the calls that they make."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator
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
    after_call: dict[FrameType, bool] = {}

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if frame.f_code not in codes:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            if after_call.pop(frame, False):
                left -= 1
                if left == 0:
                    raise Cut
            after_call[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]] in _CALLS
        return trace

    before = sys.gettrace()
    # Python 3.12 traces no opcode unless a frame has asked for them before the tracing begins.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        run()
    except Cut:
        return True
    finally:
        sys.settrace(before)
    return False
