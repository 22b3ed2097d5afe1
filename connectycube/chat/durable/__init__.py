"""Durable mode: the unfinished work of a connection outlives its process."""
