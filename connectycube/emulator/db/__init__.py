"""The database and its statements: one file of SQLite, or memory."""
