"""Loopback guard: an emulator does not start if the environment names the hosted service.

A program under test that reads these variables would write to real users.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from connectycube.errors import ArgumentValueError

__all__ = ["check_environment"]

_ENDPOINTS = ("CONNECTYCUBE_API_URL", "CONNECTYCUBE_CHAT_HOST")
_HOSTED = "connectycube.com"


def check_environment(environment: Mapping[str, str]) -> None:
    """Raise ArgumentValueError if an endpoint variable names a host of the hosted service."""
    for name in _ENDPOINTS:
        host = _host(environment.get(name, ""))
        if host == _HOSTED or host.endswith(f".{_HOSTED}"):
            raise ArgumentValueError(
                f"{name} names the hosted service ({host}), so programs here would talk to it and not "
                "to the emulator: unset it first"
            )


def _host(text: str) -> str:
    text = text.strip()
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname
    except ValueError:
        return ""
    return (host or "").rstrip(".").lower()
