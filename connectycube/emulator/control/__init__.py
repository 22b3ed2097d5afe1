"""Control of a running emulator: its clock and timers, its faults, and the data that a program adds."""
