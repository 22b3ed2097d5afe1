"""The database, on disk or in memory, and the statements on its tables."""
