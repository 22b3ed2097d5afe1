"""The core of the chat connection, without I/O: no socket, thread, clock or random source."""
