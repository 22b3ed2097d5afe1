"""A login to a chat server by hand: a blocking TLS socket, and no more of XMPP than the server asks for."""

from __future__ import annotations

import base64
import re
import socket
import ssl

__all__ = ["ByHand"]

_STREAM = (
    "<?xml version='1.0'?><stream:stream to='{host}' version='1.0' xmlns='jabber:client'"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
)


class ByHand:
    """One connection, logged in, with stanza management on. (XEP-0198.)"""

    def __init__(self, context: ssl.SSLContext, port: int, user: str, password: str) -> None:
        host = "localhost"
        raw = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.sock = context.wrap_socket(raw, server_hostname=host)
        self._data = b""
        header = _STREAM.format(host=host)
        self.ask(header, b"</stream:features>")
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>"
        self.ask(auth, b"<success[^>]*>")
        self.ask(header, b"</stream:features>")
        bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind>"
        self.ask(f"<iq type='set' id='bind'>{bind}</iq>", b"</iq>")
        self.ask("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", b"<enabled[^>]*>")
        self.ask("<presence/><r xmlns='urn:xmpp:sm:3'/>", b"<a [^>]*>")

    def ask(self, xml: str, answer: bytes) -> bytes:
        """Write something, and read until the answer is there."""
        self.sock.sendall(xml.encode())
        return self.read(answer)

    def read(self, answer: bytes) -> bytes:
        """Read until the answer is there, and forget all up to its end."""
        pattern = re.compile(answer)
        while not (found := pattern.search(self._data)):
            piece = self.sock.recv(65_536)
            assert piece, "the server ended the connection"
            self._data += piece
        self._data = self._data[found.end() :]
        return found[0]

    def close(self) -> None:
        """End the stream and the connection."""
        self.sock.sendall(b"</stream:stream>")
        self.sock.close()
