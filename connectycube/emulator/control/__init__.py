"""What a program does to a running emulator: its clock, its faults, and data put in by hand."""
