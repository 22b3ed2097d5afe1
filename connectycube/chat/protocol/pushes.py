"""IQs that nobody here asked for: what the server pushes, and what others ask of us. (RFC 6120, 8.2.3.)"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from attrs import field, frozen

from ...models import LastActivity
from ...models.fields import as_int
from . import namespaces as ns
from .addresses import Addresses, bare
from .decoding import Delivery
from .nodes import children
from .roster import decode_roster_item

__all__ = ["Push", "decode_push"]


@frozen
class Push:
    """How an IQ is answered if it is a request, and the event it makes, if any.

    ``asked`` is the key of the remembered request without which nobody has a reason to send it.
    """

    accepted: bool
    delivery: Delivery | None = field(default=None)
    asked: Hashable | None = field(default=None)


def decode_push(iq: Any, addresses: Addresses, me: int) -> Push | None:
    """Decode an IQ that is no answer to a request of ours; None if it means nothing to us."""
    for payload in children(iq):
        decoder = KINDS.get((iq.attrs.get("type"), payload.name, payload.namespace))
        if decoder is not None:
            return decoder(iq, payload, addresses, me)
    return None


def _ping(iq: Any, payload: Any, addresses: Addresses, me: int) -> Push:
    return Push(accepted=True)


def _last_activity(iq: Any, payload: Any, addresses: Addresses, me: int) -> Push | None:
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


def _from_own_account(iq: Any, addresses: Addresses, me: int) -> bool:
    sender = iq.attrs.get("from")
    return sender is None or bare(sender).lower() in (addresses.user(me), addresses.host)


def _own_list(iq: Any, payload: Any, addresses: Addresses, me: int) -> Push:
    # A push in anybody else's name is a forgery (RFC 6121, 2.1.6; XEP-0016, 2.13).
    return Push(accepted=_from_own_account(iq, addresses, me))


def _contact_list(iq: Any, payload: Any, addresses: Addresses, me: int) -> Push:
    push = _own_list(iq, payload, addresses, me)
    changed = [decode_roster_item(item, addresses) for item in children(payload)]
    item = changed[0] if len(changed) == 1 else None  # RFC 6121, 2.1.6: exactly one
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


Decoder = Callable[[Any, Any, Addresses, int], Push | None]

KINDS: dict[tuple[str | None, str, str], Decoder] = {
    ("get", "ping", ns.PING): _ping,
    ("set", "query", ns.PRIVACY): _own_list,
    ("set", "query", ns.ROSTER): _contact_list,
    ("set", "query", ns.LAST_ACTIVITY): _last_activity,
    ("result", "query", ns.LAST_ACTIVITY): _last_activity,
}
"""What an IQ can be that nobody asked for, by its type and its first element."""
