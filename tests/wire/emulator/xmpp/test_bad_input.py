"""Whatever a client sends of rosters, lists and activity is answered, and the emulator goes on."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.emulator import Emulator
from tests.support.wire_client import CLIENT, Client

TEXTS = st.one_of(
    st.sampled_from(
        (
            *("", "1-1@localhost", "2-1@localhost/x", "muc.localhost/2", "@", "a@b/c", "x" * 2000),
            *("jid", "group", "subscription", "deny", "allow", "0", "1", "-1", "99999999999"),
            *("remove", "both", "none", "true", "false", "blocked", "\U0001f44b"),
        )
    ),
    st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), max_size=8),
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        (
            "jid",
            "name",
            "subscription",
            "ask",
            "type",
            "value",
            "action",
            "order",
            "user_jid",
            "enable",
        )
    ),
    TEXTS,
    max_size=5,
)
NAMES = st.sampled_from(
    (
        *("query", "list", "item", "group", "active", "default", "message", "iq", "presence-in"),
        *("subscribe", "mobile", "frob"),
    )
)
NAMESPACES = st.sampled_from(
    (
        *("jabber:iq:roster", "jabber:iq:privacy", "jabber:iq:last"),
        "https://connectycube.com/protocol/status_streaming",
        "http://tigase.org/protocol/mobile#v2",
    )
)


def element(name, attributes, children=()):
    written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{written}>{''.join(children)}</{name}>"


ELEMENTS = st.recursive(
    st.builds(element, NAMES, ATTRIBUTES),
    lambda inner: st.builds(element, NAMES, ATTRIBUTES, st.lists(inner, max_size=3)),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def client():
    with Emulator() as emulator:
        users = [emulator.add_user(name, "secret") for name in ("alice", "bob")]
        with Client(emulator) as one:
            yield one.log_in(users[0])


@settings(max_examples=80)
@given(
    kind=st.sampled_from(("get", "set")),
    to=st.sampled_from(("", "to='localhost'", "to='2-1@localhost'", "to='1-1@localhost'")),
    name=st.sampled_from(("query", "subscribe", "mobile")),
    namespace=NAMESPACES,
    attributes=ATTRIBUTES,
    children=st.lists(ELEMENTS, max_size=3),
)
def test_every_request_is_answered(client, kind, to, name, namespace, attributes, children):
    payload = element(name, {**attributes, "xmlns": namespace}, children)
    client.send(f"<iq type='{kind}' id='q' {to}>{payload}</iq>")
    answer = client.answer("q")
    assert answer.get("type") in ("result", "error")
    assert answer.find(f".//{CLIENT}error") is not None or answer.get("type") == "result"


@settings(max_examples=50)
@given(kind=TEXTS, to=TEXTS, children=st.lists(ELEMENTS, max_size=2))
def test_every_presence_leaves_the_stream_open(client, kind, to, children):
    client.send(element("presence", {"type": kind, "to": to}, children))
    client.sync()
