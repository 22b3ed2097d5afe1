"""Sockets: ports, listeners, TLS handshakes, and what they share."""
