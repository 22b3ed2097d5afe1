"""Never lost, never twice, on real sockets: random schedules of faults, and what long runs cost."""
