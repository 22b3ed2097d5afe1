"""Sockets: ports, HTTP listeners, TLS handshakes, CORS and the faults of HTTP."""
