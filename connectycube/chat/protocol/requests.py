"""IQ requests that wait for their answers, matched by id and sender. (RFC 6120, 8.2.3.)"""

from __future__ import annotations

from typing import Any

from ...errors import StanzaError
from . import namespaces as ns
from .addresses import bare
from .nodes import child

__all__ = ["Answer", "PendingRequests", "error_of"]


class Answer:
    """The answer to a request: the caller's ``waiter`` with a ``node`` or an ``error``."""

    __slots__ = ("error", "node", "waiter")

    def __init__(self, waiter: Any, node: Any = None, error: Exception | None = None) -> None:
        self.waiter = waiter
        self.node = node
        self.error = error


class PendingRequests:
    """The requests under way; whoever gives up on one says so with ``forget``."""

    def __init__(self) -> None:
        self._pending: dict[str, tuple[frozenset[str | None], Any]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, request_id: str, to: str | None, own_jid: str, waiter: Any) -> None:
        """Remember a request: ``to`` is whom it went to, None for one's own account."""
        expected: set[str | None] = {to}
        if to is None:
            # A server answers in its own name, in the account's name, or without a name.
            expected |= {bare(own_jid), own_jid, own_jid.partition("@")[2].partition("/")[0]}
        elif "@" not in to:
            expected.add(None)
        self._pending[request_id] = (frozenset(expected), waiter)

    def answer(self, iq: Any) -> Answer | None:
        """Return the caller's answer if ``iq`` is one that somebody waits for, from the right sender."""
        request_id = iq.attrs.get("id")
        pending = self._pending.get(request_id)
        if pending is None or iq.attrs.get("from") not in pending[0]:
            return None
        del self._pending[request_id]
        if iq.attrs.get("type") == "error":
            return Answer(pending[1], error=error_of(child(iq, "error", ns.CLIENT)))
        return Answer(pending[1], node=iq)

    def forget(self, request_id: str) -> None:
        """Nobody waits for that answer any more."""
        self._pending.pop(request_id, None)

    def fail(self, error: Exception) -> list[Answer]:
        """End every request with ``error``."""
        answers = [Answer(waiter, error=error) for _, waiter in self._pending.values()]
        self._pending.clear()
        return answers


def error_of(node: Any | None) -> StanzaError:
    """Read a stanza's error element, tolerating a missing or empty one. (RFC 6120, 8.3.)"""
    if node is None:
        return StanzaError("refused without a reason", condition="undefined-condition")
    reason = next((kid for kid in node.kids if kid is not None and kid.name != "text"), None)
    condition = reason.name if reason is not None else "undefined-condition"
    words = next((kid for kid in node.kids if kid is not None and kid.name == "text"), None)
    text = words.getData() if words is not None and words.getData() else None
    code = node.attrs.get("code", "")
    return StanzaError(
        f"refused: {condition}" + (f" ({text[:200]})" if text else ""),
        condition=condition,
        type=node.attrs.get("type"),
        text=text,
        code=int(code) if code.isascii() and code.isdigit() and len(code) < 6 else None,
    )
