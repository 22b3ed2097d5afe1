"""A ConnectyCube on your own machine: REST and chat, no account.

It is the other side of the wire and shares no code with the client::

    with Emulator() as emulator:
        alice = emulator.add_user("alice", "secret")
        config = emulator.config()
"""

from .clock import EmulatorClock
from .coverage import Entry, coverage, coverage_text
from .emulator import Emulator
from .faults import Fault, Faults
from .loading import LoadReport

__all__ = [
    "Emulator",
    "EmulatorClock",
    "Entry",
    "Fault",
    "Faults",
    "LoadReport",
    "coverage",
    "coverage_text",
]
