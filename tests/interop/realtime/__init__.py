"""Real-time test cases that run unchanged against three servers; see ../README.md."""
