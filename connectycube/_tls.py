"""The one TLS policy, for REST and chat alike."""

from __future__ import annotations

import os
import ssl
from typing import Any

from ._os_errors import reason_of
from ._secrets import confined
from .errors import ArgumentValueError

__all__ = [
    "alert_behind",
    "client_context",
    "load_client_certificate",
    "refusal_words",
    "shared_context",
    "tls_words",
]

# OpenSSL, "X509_STORE_CTX_get_error": the authority is not known. Of other causes ca_file is no cure.
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21, 27)

# The alerts with which a server refuses a client certificate, as OpenSSL names them. (RFC 8446, 6.2.)
_ALERTS = {
    "ALERT_CERTIFICATE_REQUIRED": "the server wants a client certificate: give client_cert",
    "ALERT_HANDSHAKE_FAILURE": "handshake failure (the server may want another client_cert)",
    "ALERT_CERTIFICATE_EXPIRED": "the server refused client_cert: it has expired, or is not valid yet",
    "ALERT_CERTIFICATE_REVOKED": "the server refused client_cert: it was revoked",
    "ALERT_UNSUPPORTED_CERTIFICATE": "the server refused client_cert: it is of the wrong kind",
    "ALERT_BAD_CERTIFICATE": "the server refused client_cert",
    "ALERT_CERTIFICATE_UNKNOWN": "the server refused client_cert",
    "ALERT_ACCESS_DENIED": "the server refused client_cert: access denied",
    "ALERT_UNKNOWN_CA": "the server refused client_cert: it does not know its authority",
}


_MOST_SHARED = 16  # contexts of different files that are kept
_shared: dict[tuple[type[ssl.SSLContext], str | None], tuple[object, ssl.SSLContext]] = {}
"""The contexts of this process, by class and ca_file, each with what its files were when they were read.

By the class of the contexts, because gevent replaces ssl.SSLContext, and a context of the class before calls
itself forever.
"""


def shared_context(ca_file: str | None) -> ssl.SSLContext:
    """Return the context of this process for a ca_file, made at the first call; nobody may change it.

    To read the system's authorities takes 30 ms and 900 kB, so that all connections share them. A file that
    has changed is read again. Raises ArgumentValueError as :func:`client_context` does.
    """
    # If two threads get here at once, each makes one; a lock might be held across a fork.
    key = (ssl.SSLContext, ca_file)
    now = _version(*((ca_file, None) if ca_file is not None else _system_authorities()))
    version, context = _shared.get(key, (None, None))
    if context is None or version != now:
        context = client_context(ca_file)
        if len(_shared) >= _MOST_SHARED:
            _shared.pop(next(iter(tuple(_shared))), None)
        _shared[key] = (now, context)
    return context


def _version(*paths: str | None) -> object:
    """Return what tells whether files have changed; None for one that cannot be looked at."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            state = os.stat(path) if path is not None else None
        except OSError:
            state = None
        found.append((state.st_ino, state.st_size, state.st_mtime_ns) if state else None)
    return tuple(found)


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that verifies the certificate chain and the host name, with TLS 1.2 or newer.

    ``ca_file`` (PEM) replaces the system's certificate authorities. Raises ArgumentValueError if it
    cannot be read.
    """
    folder = None
    if ca_file is None:
        ca_file, folder = _system_authorities()
    try:
        context = ssl.create_default_context(cafile=ca_file, capath=folder)
    except OSError as error:  # ssl.SSLError is one
        raise ArgumentValueError(
            f"ca_file holds no certificates that can be read: {ca_file!r} ({reason_of(error)})"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525, 6.3: only names in subjectAltName count
    return context


def _system_authorities() -> tuple[str | None, str | None]:
    """Return OpenSSL's own file and folder of authorities, whatever SSL_CERT_FILE and SSL_CERT_DIR say."""
    paths = ssl.get_default_verify_paths()
    file, folder = paths.openssl_cafile, paths.openssl_capath
    return file if os.path.isfile(file) else None, folder if os.path.isdir(folder) else None


@confined
def load_client_certificate(
    context: ssl.SSLContext, cert: str, key: str | None, password: str | None
) -> None:
    """Let a context prove the client's identity with a certificate. (RFC 8446, 4.4.2.)

    Raises ArgumentValueError that names the field of Config which is wrong.
    """
    asked = False

    def ask() -> str:  # without it, OpenSSL would ask on the terminal
        nonlocal asked
        asked = True
        return password or ""

    try:
        context.load_cert_chain(cert, key, ask)
    except (OSError, ValueError) as error:  # ValueError: the password is too long
        raise ArgumentValueError(_fault(error, cert, key, password, asked=asked)) from None


def _fault(
    error: OSError | ValueError, cert: str, key: str | None, password: str | None, *, asked: bool
) -> str:
    """Return which field is wrong, and why: OpenSSL says neither which file nor what it wanted of it."""
    field, file = ("client_cert", cert) if key is None else ("client_key", key)
    unreadable = _unreadable("client_cert", cert) or _unreadable(field, file)
    if unreadable is not None:
        return unreadable
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return f"{field} is not the private key of client_cert: {file!r}"
    if asked:
        if password is None:
            return f"client_key_password is missing: the private key in {field} is encrypted"
        return f"client_key_password is wrong for the private key in {field}: {file!r}"
    hint = " (or give client_key)" if key is None else ""
    return f"{field} holds no private key that can be read: {file!r}{hint}"


def _unreadable(field: str, file: str) -> str | None:
    """Return why a file cannot be read, or holds no certificate if it should; None if it is fine."""
    try:
        with open(file, "rb"):
            pass
    except OSError as error:
        return f"{field} cannot be read: {file!r} ({reason_of(error)})"
    if field == "client_cert":
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
        except OSError:
            return f"client_cert holds no certificate that can be read: {file!r}"
    return None


def refusal_words(error: ssl.SSLCertVerificationError) -> str:
    """Return why a certificate was refused, and what to do where its authority is not known."""
    words = str(error.verify_message)
    if error.verify_code in _UNKNOWN_AUTHORITY:
        words += " (a private authority's certificate goes into ca_file, or CONNECTYCUBE_CA_FILE)"
    return words


def tls_words(error: ssl.SSLError) -> str:
    """Return why TLS failed; an alert about the client certificate names the field of Config."""
    reason = error.reason or ""
    for alert, words in _ALERTS.items():
        if reason.endswith(alert):
            return words
    return reason or reason_of(error)


def alert_behind(error: ssl.SSLError, sock: Any) -> OSError:
    """Return the alert that has arrived on a connection which cannot be written to, or else the error.

    In TLS 1.3 a server refuses a client certificate after the handshake, when the client may be writing
    already: then the alert says why, and the error of writing does not.
    """
    try:
        sock.recv(1)
    except ssl.SSLError as alert:
        if "ALERT" in (alert.reason or ""):
            alert.__context__ = None  # the error of writing is not its cause
            return alert
    except (OSError, ValueError):
        pass
    return error
