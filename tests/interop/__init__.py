"""Independent witnesses: servers and clients that others wrote."""
