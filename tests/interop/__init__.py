"""Referees: servers and clients that others wrote."""
