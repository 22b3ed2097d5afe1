"""Requests with one answer each: whether the server lives, and the occupants of a room. (XEP-0199, 0045.)"""

from __future__ import annotations

import time

from .._deadline import Deadline
from .driver import Driver
from .protocol import namespaces as ns
from .protocol.addresses import Addresses
from .protocol.iq import query_of
from .protocol.nodes import children

__all__ = ["online_occupants", "ping"]


def ping(driver: Driver, host: str, deadline: Deadline) -> float:
    """Ask the server for an answer and return the seconds until it arrived."""
    asked = time.monotonic()
    driver.request("get", host, f'<ping xmlns="{ns.PING}"/>', deadline)
    return time.monotonic() - asked


def online_occupants(
    driver: Driver, addresses: Addresses, dialog_id: str, deadline: Deadline
) -> tuple[int, ...]:
    """Return the ids of the users who are in the room of a dialog now."""
    payload, room = f'<query xmlns="{ns.DISCO_ITEMS}"/>', addresses.room(dialog_id)
    query = query_of(driver.request("get", room, payload, deadline), ns.DISCO_ITEMS)
    nicks = [addresses.occupant(item.attrs.get("jid", "")) for item in children(query)]
    return tuple(dict.fromkeys(nick for nick in nicks if nick is not None))
