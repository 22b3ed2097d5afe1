"""XML namespaces of the elements this package reads and writes."""

from __future__ import annotations

BIND = "urn:ietf:params:xml:ns:xmpp-bind"
CHAT_MARKERS = "urn:xmpp:chat-markers:0"
CHAT_STATES = "http://jabber.org/protocol/chatstates"
CLIENT = "jabber:client"
DELAY = "urn:xmpp:delay"
DELAY_LEGACY = "jabber:x:delay"
DESTROY_AFTER = "urn:xmpp:message-destroy-after:0"
PING = "urn:xmpp:ping"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
SESSION = "urn:ietf:params:xml:ns:xmpp-session"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
STREAM = "http://etherx.jabber.org/streams"
STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
STREAM_MANAGEMENT = "urn:xmpp:sm:3"
