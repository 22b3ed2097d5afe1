"""Writes stanzas and streams after the rules of XMPP, with the words that the decoders know, in any place."""

from __future__ import annotations

from random import Random
from xml.sax.saxutils import escape, quoteattr

from tests.fuzz.target import NASTY

__all__ = ["FEATURES", "HEADER", "SUCCESS", "WORDS", "element", "stanza", "stanzas"]

HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='i' version='1.0'"
    " xmlns:stream='http://etherx.jabber.org/streams' from='chat.example'>"
)
FEATURES = (
    "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>"
    "</mechanisms></stream:features>"
)
SUCCESS = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"

_NAMESPACES = (
    *(["jabber:client"] * 4),
    *(
        "",
        "jabber:iq:last",
        "jabber:iq:privacy",
        "jabber:iq:roster",
        "jabber:x:delay",
        "urn:foreign",
    ),
    *(
        "urn:xmpp:carbons:2",
        "urn:xmpp:forward:0",
        "urn:xmpp:chat-markers:0",
        "urn:xmpp:delay",
        "urn:xmpp:ping",
    ),
    *(
        "urn:xmpp:message-correct:0",
        "urn:xmpp:message-delete:0",
        "urn:xmpp:message-destroy-after:0",
    ),
    *(
        "urn:xmpp:sm:3",
        "http://jabber.org/protocol/chatstates",
        "http://jabber.org/protocol/muc#user",
    ),
    *(
        "urn:ietf:params:xml:ns:xmpp-stanzas",
        "urn:ietf:params:xml:ns:xmpp-streams",
        "jabber:iq:last#activity",
    ),
    *(
        "urn:ietf:params:xml:ns:xmpp-bind",
        "urn:ietf:params:xml:ns:xmpp-session",
        "urn:ietf:params:xml:ns:xmpp-sasl",
    ),
)
_NAMES = (
    *(
        "body",
        "extraParams",
        "attachment",
        "dialog_id",
        "date_sent",
        "message_id",
        "moduleIdentifier",
        "k",
    ),
    *(
        "replace",
        "remove",
        "reactions",
        "reaction",
        "received",
        "sent",
        "displayed",
        "markable",
        "composing",
    ),
    *(
        "paused",
        "forwarded",
        "message",
        "delay",
        "x",
        "destroy",
        "error",
        "forbidden",
        "text",
        "status",
        "item",
    ),
    *(
        "actor",
        "reason",
        "query",
        "ping",
        "show",
        "subject",
        "presence",
        "iq",
        "list",
        "default",
        "active",
    ),
    *(
        "priority",
        "r",
        "a",
        "enabled",
        "resumed",
        "failed",
        "bind",
        "jid",
        "conflict",
        "save_to_history",
    ),
)
# Pairs that have a meaning together.
_KNOWN = (
    *(("body", "jabber:client"), ("extraParams", "jabber:client"), ("error", "jabber:client")),
    *(
        ("composing", "http://jabber.org/protocol/chatstates"),
        ("paused", "http://jabber.org/protocol/chatstates"),
    ),
    *(("received", "urn:xmpp:chat-markers:0"), ("displayed", "urn:xmpp:chat-markers:0")),
    *(("markable", "urn:xmpp:chat-markers:0"), ("replace", "urn:xmpp:message-correct:0")),
    *(
        ("remove", "urn:xmpp:message-delete:0"),
        ("reactions", "jabber:client"),
        ("delay", "urn:xmpp:delay"),
    ),
    *(
        ("x", "jabber:x:delay"),
        ("x", "http://jabber.org/protocol/muc#user"),
        ("query", "jabber:iq:roster"),
    ),
    *(("query", "jabber:iq:privacy"), ("query", "jabber:iq:last"), ("ping", "urn:xmpp:ping")),
    *(
        ("sent", "urn:xmpp:carbons:2"),
        ("received", "urn:xmpp:carbons:2"),
        ("forwarded", "urn:xmpp:forward:0"),
    ),
    *(
        ("destroy", "urn:xmpp:message-destroy-after:0"),
        ("forbidden", "urn:ietf:params:xml:ns:xmpp-stanzas"),
    ),
)
_JIDS = (
    *(
        "1001-7@chat.example",
        "1001-7@CHAT.example/desk",
        "1002-7@chat.example/phone",
        "1002-7@chat.example",
    ),
    *(
        "0-0@chat.example",
        "7_d1@muc.chat.example",
        "7_d1@muc.chat.example/1001",
        "7_d1@muc.chat.example/1002",
    ),
    *(
        "7_d1@muc.chat.example/bob",
        "7_@muc.chat.example/",
        "chat.example",
        "muc.chat.example",
        "@/",
        "",
    ),
)
_VALUES = (
    *(
        "",
        "true",
        "false",
        "1",
        "0",
        "-1",
        "1e999",
        "nan",
        "9" * 40,
        "9" * 5000,
        "²",
        "d1",
        "110",
        "307",
        "301",
    ),
    *(
        "1002",
        "1001",
        "SystemNotifications",
        "WebRTCVideoChat",
        "%C3%28",
        "2021-10-09T12:00:00Z",
        "away",
        "a b",
    ),
    *(
        "20211009T12:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "5f1e0a0b0c0d0e0f10111213",
    ),
    *(
        "\U0001f469\u200d\U0001f680",
        "é",
        "\n",
        " a ",
        "<&>\"'",
        "]]>",
        "\u2028",
        "allow",
        "deny",
        "both",
        "to",
    ),
)
_TYPES = (
    *(
        "chat",
        "groupchat",
        "headline",
        "error",
        "normal",
        "get",
        "set",
        "result",
        "unavailable",
        "odd",
    ),
    *("subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"),
)
_ATTRIBUTES = (
    *(
        "uid",
        "size",
        "data",
        "user_id",
        "message_id",
        "add",
        "remove",
        "last",
        "code",
        "seconds",
        "after",
    ),
    *(
        "jid",
        "nick",
        "stamp",
        "id",
        "type",
        "name",
        "value",
        "order",
        "action",
        "subscription",
        "ask",
        "role",
    ),
    *("affiliation", "h", "xml:lang", "from", "to"),
)

WORDS = (
    *NASTY,
    *(
        b"<",
        b">",
        b"&",
        b"/",
        b"/>",
        b"</",
        b"]]>",
        b"<![CDATA[",
        b"<!--",
        b"-->",
        b"<?x ?>",
        b"<0>",
        b"<a:b/>",
    ),
    *(
        b"&lt;",
        b"&#0;",
        b"&#xD800;",
        b"&#x1F469;",
        b"&x;",
        b"<a>" * 100,
        b"</a>" * 100,
        b"<a/>" * 100,
    ),
    *(
        b"<message>",
        b"<message from='7_d1@muc.chat.example/1002' type='groupchat'>",
        b"<presence",
        b"<iq ",
    ),
    *(b"</message>", b"</presence>", b"</iq>", b"</body>", b"</stream:stream>", b"<stream:error>"),
    b"<!DOCTYPE a [<!ENTITY b 'cc'><!ENTITY d '&b;&b;&b;'>]><a>&d;</a>",
    *(
        b"<r xmlns='urn:xmpp:sm:3'/>",
        b"<a xmlns='urn:xmpp:sm:3' h='1'/>",
        b"<a xmlns='urn:xmpp:sm:3' h='x'/>",
    ),
    *(f' xmlns="{namespace}"'.encode() for namespace in _NAMESPACES),
    *(f" {name}='{value}'".encode() for name in ("from", "to") for value in _JIDS),
    *(f" type='{kind}'".encode() for kind in _TYPES),
    *(f"<{name}>".encode() for name in _NAMES),
    *(f"<{name} xmlns='{namespace}'/>".encode() for name, namespace in _KNOWN),
    *(value.encode() for value in _VALUES),
    *(HEADER.encode(), FEATURES.encode(), SUCCESS.encode()),
)


def element(random: Random, depth: int = 3) -> str:
    """Write an element with known names, in a known or in any namespace."""
    choice = random.choice
    name, namespace = (
        choice(_KNOWN) if random.random() < 0.6 else (choice(_NAMES), choice(_NAMESPACES))
    )
    prefix = f" xmlns={quoteattr(namespace)}" if random.random() < 0.9 else ""
    if name == "forwarded" and random.random() < 0.8:
        return f"<{name}{prefix}>{stanza(random, depth - 1)}</{name}>"
    return f"<{name}{prefix}{_attributes(random)}>{_content(random, depth)}</{name}>"


def _attributes(random: Random) -> str:
    names = {random.choice(_ATTRIBUTES) for _ in range(int(random.random() * 3))}
    return "".join(f" {name}={quoteattr(_value(random, name))}" for name in sorted(names))


def _value(random: Random, name: str) -> str:
    if name in ("from", "to", "jid") and random.random() < 0.9:
        return random.choice(_JIDS)
    return random.choice(_TYPES if name == "type" and random.random() < 0.9 else _VALUES)


def _content(random: Random, depth: int) -> str:
    parts = []
    while random.random() < 0.55:
        if depth and random.random() < 0.6:
            parts.append(element(random, depth - 1))
        else:
            parts.append(escape(random.choice(_VALUES)))
    return "".join(parts)


def stanza(random: Random, depth: int = 3) -> str:
    """Write a stanza, which says its namespace itself."""
    name = random.choice(("message", "message", "message", "presence", "iq"))
    written = f"<{name} xmlns='jabber:client'"
    for attribute in ("from", "to", "type", "id"):
        if random.random() < 0.8:
            written += f" {attribute}={quoteattr(_value(random, attribute))}"
    inner = (
        "".join(element(random, depth) for _ in range(int(random.random() * 4))) if depth else ""
    )
    return f"{written}>{inner}</{name}>"


def stanzas(random: Random) -> str:
    """Write a few stanzas, as a server sends them one after the other."""
    return "".join(stanza(random) for _ in range(1 + int(random.random() ** 3 * 6)))
