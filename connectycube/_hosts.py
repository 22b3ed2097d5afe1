"""Names and addresses of this machine: which are trusted without TLS, and which the service may not name."""

from __future__ import annotations

import ipaddress
import socket

__all__ = ["is_loopback", "may_be_loopback"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_loopback(host: str) -> bool:
    """Whether a host is this machine for certain: ``localhost``, 127.0.0.0/8 or ::1.

    Other names, ``x.localhost`` among them, may have any address.
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # Some releases of Python count ::ffff:127.0.0.1 in: another spelling, as 127.1 is.
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def may_be_loopback(host: str) -> bool:
    """Whether a connection to a host could end at this machine, in any spelling that the system accepts.

    Names that only a look-up shows to be this machine are not found: TLS refuses them, because no
    authority issues a certificate for both.
    """
    name = host.lower().rstrip(".")
    if name in ("localhost", "ip6-localhost", "ip6-loopback") or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _address(text: str) -> _Address | None:
    """Return the address that a connection to ``text`` would use, also for ``127.1`` and ``2130706433``."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(text))
        except (OSError, ValueError):
            return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped
