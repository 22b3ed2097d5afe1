"""The path of a request as a template, for metrics and traces: ``/chat/Dialog/{id}``."""

from __future__ import annotations

__all__ = ["template_of"]

_WORDS = frozenset(
    {
        *("session", "login", "users", "v2", "external", "online", "password", "reset"),
        *("by_login", "by_email", "by_phone", "by_full_name", "by_tags", "by_facebook_id"),
        *("by_twitter_id", "phone"),
        *("chat", "Dialog", "dialog", "admins", "subscribe", "occupants", "notifications"),
        *("clearHistory", "Message", "unread", "system", "reactions", "search"),
        *("blobs", "complete", "download", "object"),
        *("address_book", "registered_users", "subscriptions", "events"),
        *("data", "multi", "by_criteria"),
        *("admin", "list", "messages", "user", "stats", "dialogs"),
        *("sent-total", "sent-per-day", "created-total", "created-per-day"),
        *("meetings", "recordings", "calls", "reject"),
    }
)
"""The words of the API's paths. Every other part is taken for an id, so that templates stay few."""
_BEHIND = {"data": "{class}", "external": "{id}", "user": "{id}", "recordings": "{id}"}
"""What stands behind these words, even if it looks like a word of the API."""


def template_of(url: str, base: str) -> str | None:
    """Return the path of a URL below ``base``, with ids replaced; None if it is not below."""
    if not url.startswith(f"{base}/"):
        return None
    parts: list[str] = []
    for part in url[len(base) + 1 :].partition("?")[0].split("/"):
        before = _BEHIND.get(parts[-1]) if parts else None
        parts.append(before or (part if part in _WORDS else "{id}"))
    return "/" + "/".join(parts)
