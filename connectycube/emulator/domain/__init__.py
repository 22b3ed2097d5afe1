"""The rules of the service: users, dialogs, messages, files' owners; no socket, no thread, no stanza."""
