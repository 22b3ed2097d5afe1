"""What the listener writes is in a database of its own; accounts are where the users are."""

from __future__ import annotations

OF_LISTENER = ("lease", "deadletter", "outgoingmessage")


class Chats:
    """Sends three models of the application ``cube`` to the database ``chats``."""

    def db_for_read(self, model, **hints):
        """The database of a query."""
        meta = model._meta
        return "chats" if meta.app_label == "cube" and meta.model_name in OF_LISTENER else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        """The tables of the database ``chats`` are those three."""
        return (db == "chats") == (app_label == "cube" and model_name in OF_LISTENER)
