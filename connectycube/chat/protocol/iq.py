"""IQ: our requests that wait for answers, and the requests and pushes of others. (RFC 6120, 8.2.3.)"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from attrs import field, frozen

from ...errors import UnexpectedAnswerError
from ...models import LastActivity
from ...models._json import as_int
from . import namespaces as ns
from .addresses import Addresses, bare
from .decoding import Delivery, error_of
from .nodes import Node, child, children
from .roster import decode_roster_item

__all__ = ["Answer", "PendingRequests", "Push", "decode_push", "query_of"]

# --- our requests ---


class Answer:
    """The answer to a request: the caller's ``waiter`` with a ``node`` or an ``error``."""

    __slots__ = ("error", "node", "waiter")

    def __init__(
        self, waiter: object, node: Node | None = None, error: Exception | None = None
    ) -> None:
        self.waiter: Any = waiter
        self.node: Node | None = node
        self.error: Exception | None = error


class PendingRequests:
    """Our requests that have no answer yet, by id."""

    def __init__(self) -> None:
        self._pending: dict[str, tuple[frozenset[str | None], object]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, request_id: str, to: str | None, own_jid: str, waiter: object) -> None:
        """Remember a request; ``to`` is its recipient, None for the user's own account."""
        expected: set[str | None] = {to}
        if to is None:
            # A server answers with its own JID, with the JID of the account, or without a sender.
            expected |= {bare(own_jid), own_jid, own_jid.partition("@")[2].partition("/")[0]}
        elif "@" not in to:
            expected.add(None)
        self._pending[request_id] = (frozenset(expected), waiter)

    def answer(self, iq: Node) -> Answer | None:
        """Return the answer in ``iq``; None if it answers no request, or is not from its recipient."""
        request_id = iq.attrs.get("id", "")
        pending = self._pending.get(request_id)
        if pending is None or iq.attrs.get("from") not in pending[0]:
            return None
        del self._pending[request_id]
        if iq.attrs.get("type") == "error":
            return Answer(pending[1], error=error_of(child(iq, "error", ns.CLIENT)))
        return Answer(pending[1], node=iq)

    def answer_with(self, request_id: str, sender: str | None, error: Exception) -> Answer | None:
        """Answer a request of ours with an error of this package, if ``sender`` may answer it."""
        pending = self._pending.get(request_id)
        if pending is None or sender not in pending[0]:
            return None
        del self._pending[request_id]
        return Answer(pending[1], error=error)

    def forget(self, request_id: str) -> None:
        """Drop a request whose caller has stopped waiting."""
        self._pending.pop(request_id, None)

    def forget_waiter(self, waiter: object) -> None:
        """Drop the requests of a waiter, whose ids the caller does not know."""
        for request_id, (_, its_waiter) in tuple(self._pending.items()):
            if its_waiter is waiter:
                del self._pending[request_id]

    def fail(self, error: Exception) -> list[Answer]:
        """Return an answer with ``error`` for every request."""
        answers = [Answer(waiter, error=error) for _, waiter in self._pending.values()]
        self._pending.clear()
        return answers


def query_of(answer: Node, namespace: str) -> Node:
    """Return the ``<query/>`` of an answer; UnexpectedAnswerError if there is none."""
    found = child(answer, "query", namespace)
    if found is None:
        raise UnexpectedAnswerError(f"the server's answer has no <query/> of {namespace}")
    return found


# --- the requests of others ---


@frozen
class Push:
    """The meaning of an IQ that answers no request of ours."""

    accepted: bool
    """Whether it is answered with a result, if it is a request; otherwise with an error."""
    delivery: Delivery | None = field(default=None)
    """Its event, if it makes one."""
    asked: Hashable | None = field(default=None)
    """The key of the remembered request that it follows; without that request the IQ is ignored."""


def decode_push(iq: Node, addresses: Addresses, me: int) -> Push | None:
    """Decode an IQ that answers no request of ours; None if there is no decoder for it."""
    for payload in children(iq):
        decoder = PUSHES.get((iq.attrs.get("type"), payload.name, payload.namespace))
        if decoder is not None:
            return decoder(iq, payload, addresses, me)
    return None


def _ping(iq: Node, payload: Node, addresses: Addresses, me: int) -> Push:
    return Push(accepted=True)


def _last_activity(iq: Node, payload: Node, addresses: Addresses, me: int) -> Push | None:
    user_id = addresses.user_id(iq.attrs.get("from"))
    seconds = as_int(payload.attrs.get("seconds"))
    if user_id is None or seconds is None or seconds < 0:
        return None
    return Push(
        accepted=True,
        delivery=Delivery(
            signal="last_activity_changed",
            event=LastActivity(user_id=user_id, seconds=seconds),
            conversation=addresses.user(user_id),
            merge_key=("activity", str(user_id)),
        ),
        asked=("activity", str(user_id)),
    )


def _own_list(iq: Node, payload: Node, addresses: Addresses, me: int) -> Push:
    # A server pushes a list without a sender, or as the account itself. Any other sender is a forgery, also
    # another device of this account. (RFC 6121, 2.1.6; XEP-0016, 2.2.)
    sender = iq.attrs.get("from")
    return Push(accepted=sender is None or sender.lower() == addresses.user(me))


def _contact_list(iq: Node, payload: Node, addresses: Addresses, me: int) -> Push:
    push = _own_list(iq, payload, addresses, me)
    changed = [decode_roster_item(item, addresses) for item in children(payload)]
    # A push has exactly one item (RFC 6121, 2.1.6).
    item = changed[0] if len(changed) == 1 else None
    if not push.accepted or item is None:
        return push
    jid = addresses.user(item.user_id)
    return Push(
        accepted=True,
        delivery=Delivery(
            signal="contact_list_changed",
            event=item,
            conversation=jid,
            merge_key=("contact", jid),
        ),
    )


PushDecoder = Callable[[Node, Node, Addresses, int], Push | None]

PUSHES: dict[tuple[str | None, str, str], PushDecoder] = {
    ("get", "ping", ns.PING): _ping,
    ("set", "query", ns.PRIVACY): _own_list,
    ("set", "query", ns.ROSTER): _contact_list,
    ("set", "query", ns.LAST_ACTIVITY): _last_activity,
    ("result", "query", ns.LAST_ACTIVITY): _last_activity,
}
"""The decoders of IQs that answer no request, by type, element and namespace."""
