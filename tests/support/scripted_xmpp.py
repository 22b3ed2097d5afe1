"""A scripted XMPP server: its scripts play the parts of a login (RFC 6120, XEP-0198), or all of them.

    def script(conn: XmppConnection) -> None:
        conn.log_in()
        conn.send("<message>")
        conn.reset()

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        ...
    assert server.saw_no_credentials("password")

A script plays the parts of a login itself where a test is about one of them.
"""

from __future__ import annotations

import base64
import re

from tests.support.scripted import Connection, ScriptedServer

DOMAIN = "localhost"
STREAM_HEADER = (
    "<?xml version='1.0'?><stream:stream from='localhost' id='s1' version='1.0' "
    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)
PLAIN = (
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
)
BIND = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
STREAM_MANAGEMENT = "<sm xmlns='urn:xmpp:sm:3'/>"

_ENCODED = re.compile(rb"[A-Za-z0-9+/]{4,}={0,2}")


class XmppConnection(Connection):
    """A client's connection whose script can play the server's side of a login."""

    def open_stream(self, features: str) -> None:
        """Wait for the client's stream header; answer with ours and ``features``."""
        self.expect("<stream:stream[^>]*>")
        self.send(f"{STREAM_HEADER}<stream:features>{features}</stream:features>")

    def authenticate(self) -> str:
        """Take SASL PLAIN and succeed; return the client's user name."""
        encoded = self.expect("<auth [^>]*>([^<]*)</auth>")[1]
        self.send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        return base64.b64decode(encoded).split(b"\0")[1].decode()

    def bind(self, user: str) -> str:
        """Bind the resource that the client asks for, or one of ours; return the full JID."""
        request = self.expect("<iq [^>]*>.*?</iq>")[0].decode()
        asked = re.search("<resource>([^<]*)</resource>", request)
        jid = f"{user}@{DOMAIN}/{asked[1] if asked else f'resource{self.number}'}"
        self.send(
            f"<iq type='result' id='{_attribute(request, 'id')}'>"
            f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{jid}</jid></bind></iq>"
        )
        return jid

    def log_in(self, *, stream_management: bool = True) -> str:
        """Play a whole login until the client has bound; return its full JID.

        With stream management, it is offered, ``<enable/>`` awaited and answered as resumable.
        """
        self.open_stream(PLAIN)
        user = self.authenticate()
        self.open_stream(BIND + (STREAM_MANAGEMENT if stream_management else ""))
        jid = self.bind(user)
        if stream_management:
            self.expect("<enable [^>]*urn:xmpp:sm:3[^>]*>")
            self.send(f"<enabled xmlns='urn:xmpp:sm:3' id='sm{self.number}' resume='true'/>")
        return jid

    def take_presence(self) -> None:
        """Await the client's presence and answer the requests behind it, after which it is ready."""
        self.expect("<presence")
        for namespace in ("urn:xmpp:carbons:2", "jabber:iq:roster"):
            request = self.expect(f"<iq [^>]*>[^>]*{namespace}.*?</iq>")[0].decode()
            self.send(f"<iq type='result' id='{_attribute(request, 'id')}'/>")


class ScriptedXmppServer(ScriptedServer):
    """Play a script that speaks XMPP, and know whether a client gave its password away."""

    connection_class = XmppConnection

    def saw_no_credentials(self, *secrets: str) -> bool:
        """Whether no client sent ``<auth``, or one of ``secrets`` plainly or within base64."""
        seen = self.received
        decoded = [_decoded(match[0]) for match in _ENCODED.finditer(seen)]
        found = [
            secret for secret in secrets for text in [seen, *decoded] if secret.encode() in text
        ]
        return b"<auth" not in seen and not found


def _attribute(element: str, name: str) -> str:
    """Return an attribute of the first tag in ``element``."""
    found = re.search(rf"""\s{name}=(['"])(.*?)\1""", element)
    if not found:
        raise AssertionError(f"no {name} in {element}")
    return found[2]


def _decoded(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4))
    except ValueError:
        return b""
