"""What a GUI toolkit has to offer: a way to have a function called on its thread."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Post"]

Post = Callable[[Callable[[], object]], object]
"""``post(function)`` has ``function()`` called on the GUI thread soon, in the order of the calls.

It may be called on any thread, and returns at once. It may raise when the window is gone. If it has a method
``call_when_destroyed(function)``, that function is called when the window is destroyed.
"""
