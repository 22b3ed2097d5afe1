"""The one TLS policy, for REST and chat alike."""

from __future__ import annotations

import ssl

from ._os_errors import reason_of
from .errors import ArgumentValueError

__all__ = ["client_context"]


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that verifies the certificate chain and the host name, with TLS 1.2 or newer.

    ``ca_file`` (PEM) replaces the system's certificate authorities. Raises ArgumentValueError if it
    cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ArgumentValueError(
            f"ca_file holds no certificates that can be read: {ca_file!r} ({reason_of(error)})"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
