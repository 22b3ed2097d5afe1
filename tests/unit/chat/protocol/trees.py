"""Hypothesis strategies for stanzas nobody should send: known words in every wrong place."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from hypothesis import strategies as st


def _one_of(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


NAMES = _one_of(
    "body extraParams attachment dialog_id date_sent message_id moduleIdentifier k replace remove"
    " reactions reaction received sent displayed markable composing paused forwarded message delay x"
    " destroy error forbidden text status item actor reason query ping show subject"
)
NAMESPACES = st.sampled_from(
    (
        *(["jabber:client"] * 6),
        "",
        "http://jabber.org/protocol/chatstates",
        "http://jabber.org/protocol/muc#user",
        "jabber:iq:last",
        "jabber:iq:privacy",
        "jabber:iq:roster",
        "urn:foreign",
        "urn:ietf:params:xml:ns:xmpp-stanzas",
        "urn:xmpp:carbons:2",
        "urn:xmpp:chat-markers:0",
        "urn:xmpp:delay",
        "urn:xmpp:forward:0",
        "urn:xmpp:message-correct:0",
        "urn:xmpp:message-delete:0",
        "urn:xmpp:message-destroy-after:0",
        "urn:xmpp:ping",
    )
)
JIDS = st.sampled_from(
    (
        "1001-7@chat.example",
        "1001-7@CHAT.example/desk",
        "1002-7@chat.example/phone",
        "1002-7@chat.example",
        "0-0@chat.example",
        "7_d1@muc.chat.example",
        "7_d1@muc.chat.example/1001",
        "7_d1@muc.chat.example/1002",
        "7_d1@muc.chat.example/bob",
        "7_@muc.chat.example/",
        "chat.example",
        "@/",
        "",
    )
)
VALUES = st.sampled_from(
    (
        *("", "true", "false", "1", "0", "-1", "1e999", "nan", "9" * 40, "²", "d1", "110", "307"),
        *(
            "1002",
            "SystemNotifications",
            "WebRTCVideoChat",
            "%C3%28",
            "2021-10-09T12:00:00Z",
            "away",
        ),
    )
)
TYPES = _one_of(
    "chat groupchat headline error normal get set result subscribe unavailable subscribed odd"
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "from": JIDS,
        "to": JIDS,
        "type": TYPES,
        "id": VALUES,
        **dict.fromkeys(
            (
                *("uid", "size", "data", "user_id", "message_id", "add", "remove", "last"),
                *("code", "seconds", "after", "jid", "nick"),
            ),
            VALUES,
        ),
    },
)


def _write(name: str, namespace: str, attributes: dict[str, str], content: list[str]) -> str:
    written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name} xmlns={quoteattr(namespace)}{written}>{''.join(content)}</{name}>"


ELEMENTS = st.recursive(
    st.builds(_write, NAMES, NAMESPACES, ATTRIBUTES, st.lists(VALUES, max_size=1)),
    lambda inner: st.builds(
        _write, NAMES, NAMESPACES, ATTRIBUTES, st.lists(inner | VALUES, max_size=4)
    ),
    max_leaves=12,
)


def odd_stanzas(*names: str) -> st.SearchStrategy[str]:
    """Stanzas with one of these names, as XML that says every namespace itself."""
    return st.builds(
        _write,
        st.sampled_from(names),
        st.just("jabber:client"),
        ATTRIBUTES,
        st.lists(ELEMENTS, max_size=5),
    )


def carbons(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """These, wrapped as copies of what another device of user 1001 sent or received."""
    return st.builds(
        lambda kind, content: (
            "<message xmlns='jabber:client' from='1001-7@chat.example'>"
            f"<{kind} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>{content}"
            f"</forwarded></{kind}></message>"
        ),
        st.sampled_from(["sent", "received"]),
        inner,
    )
