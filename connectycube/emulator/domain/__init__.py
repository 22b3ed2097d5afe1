"""The rules of the service for users, dialogs, messages and the rest, without sockets and stanzas."""
