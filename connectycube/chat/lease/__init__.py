"""Leases: of several listeners of one user only the one that holds the lease is connected."""
