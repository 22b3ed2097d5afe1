"""Durable mode: what a connection has committed and not finished outlives its process."""
