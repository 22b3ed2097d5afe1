"""Ports: the port of each server of the emulator, and its address as a URL."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen, validators

from connectycube._checks import check_int

__all__ = ["Ports", "origin"]


def _port(instance: object, attribute: Attribute[int], value: Any) -> None:
    check_int(f"{attribute.name}_port", value, least=0, most=65535)


@frozen(kw_only=True)
class Ports:
    """The port of each server; 0 stands for a free port until the server listens, None for no server."""

    api: int = field(validator=_port)
    chat: int = field(validator=_port)
    storage: int = field(validator=_port)
    websocket: int = field(validator=_port)
    https: int = field(validator=_port)
    storage_https: int = field(validator=_port)
    control: int = field(validator=_port)
    ui: int | None = field(validator=validators.optional(_port))


def origin(scheme: str, host: str, port: int) -> str:
    """Return the URL, up to the port, of a server that listens on ``host``."""
    # A server listens on 0.0.0.0, but no client connects to that address.
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"
