"""Plain messages, which are decoded in one pass, make the events that the table of kinds makes."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectycube.chat.protocol.addresses import Addresses
from connectycube.chat.protocol.decoding import Delivery, decode, summary
from connectycube.chat.protocol.message_trees import MessageTrees
from connectycube.chat.protocol.parser import StreamParser
from connectycube.chat.protocol.plain_messages import PlainMessages
from tests.bench import chat_material as material
from tests.fuzz.connection import Connection
from tests.support.parsers import shown
from tests.unit.chat.protocol.stanzas import ADDRESSES, ALICE, HEADER, ID, ROOM, chat, group, stanza
from tests.unit.chat.protocol.texts import texts

MARKED = "<markable xmlns='urn:xmpp:chat-markers:0'/>"
SIZE, MOST = 583, 12


def plain(xml, addresses=ADDRESSES, me=ALICE):
    trees = MessageTrees(HEADER).read(xml.encode(), 1)
    return None if trees is None else PlainMessages(addresses, me, MOST).read(trees[0], SIZE)


def check_alike(xml, me=ALICE):
    """Assert that a message, if it is plain, is decoded just as by the table; return whether it is plain."""
    found = plain(xml, Addresses(7, "chat.example"), me)
    if found is None:
        return False
    read = stanza(xml)
    read.size = SIZE
    decoded = decode(read, Addresses(7, "chat.example"), me)
    assert isinstance(decoded, Delivery)
    assert shown(found) == shown(decoded)
    return True


NAMES = st.sampled_from(
    [
        *("date_sent", "save_to_history", "dialog_id", "silent", "markable", "message_id"),
        *("topic", "x", "é", "moduleIdentifier", "attachments", "read"),
    ]
)
VALUES = (
    st.sampled_from(["", "0", "1", "true", "1633780800", "-5", "9" * 12, "5f1e", "1e3"]) | texts
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [*("id", "uid", "type", "url", "content-type", "size", "name", "width", "data", "x", "p:y")]
    ),
    VALUES,
    max_size=4,
)
SENDERS = st.sampled_from(
    [
        *("1002-7@chat.example/phone", "1001-7@chat.example/other", "1002-7@CHAT.example", ""),
        *(f"{ROOM}/1002", f"{ROOM}/1001", ROOM, "chat.example", "1002-8@chat.example", None),
    ]
)


def attributes_of(given):
    return "".join(
        [f" {name}={quoteattr(value)}" for name, value in given.items() if value is not None]
    )


@st.composite
def entries(draw):
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return f"<attachment{attributes_of(draw(ATTRIBUTES))} xmlns:p='urn:x'/>"
    name, text = draw(NAMES), escape(draw(VALUES))
    if kind == 1:
        return draw(
            st.sampled_from([f"<{name} xmlns='urn:x'>1</{name}>", f"<{name}><b/></{name}>"])
        )
    return f"<{name}>{text}</{name}>"


@st.composite
def parts(draw):
    kind = draw(st.integers(0, 9))
    if kind < 4:
        return f"<body>{escape(draw(texts))}</body>"
    if kind < 7:
        inner = "".join(draw(st.lists(entries(), max_size=6)))
        return draw(
            st.sampled_from(["<extraParams>", "<extraParams xmlns='jabber:client' a='b'> "])
        ) + (f"{inner}</extraParams>")
    odd = ["<thread>t</thread>", "<delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:00Z'/>"]
    odd += ["<body><b/></body>", "<extraParams xmlns='urn:x'><a>1</a></extraParams>", "a text"]
    return MARKED if kind < 9 else draw(st.sampled_from(odd))


@st.composite
def messages(draw):
    """Messages that are plain, or nearly."""
    attributes = {
        "from": draw(SENDERS),
        "to": draw(st.sampled_from(["1001-7@chat.example", "1003-7@chat.example/x", "", None])),
        "type": draw(
            st.sampled_from(["chat", "chat", "groupchat", "normal", "error", "headline", None])
        ),
        "id": draw(st.sampled_from([ID, ID, ID, "f" * 24, "F" * 24, "1", "", None])),
        "xml:lang": draw(st.sampled_from([None, "en"])),
    }
    names = draw(st.permutations(list(attributes)))
    head = attributes_of({name: attributes[name] for name in names})
    return f"<message{head}>{''.join(draw(st.lists(parts(), max_size=4)))}</message>"


@given(xml=messages(), me=st.sampled_from([1001, 1002]))
@example(xml=chat("<body>a</body><extraParams><attachment a='1'/></extraParams>"), me=1001)
@example(xml=chat("<body>a</body><extraParams/>" + MARKED), me=1001)
@example(xml=chat("<body/><body>b</body>"), me=1001)
def test_a_plain_message_is_decoded_as_the_table_decodes_it(xml, me):
    check_alike(xml, me)


COMPOSING = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
ARRIVING = st.one_of(
    messages(),
    st.sampled_from(
        [
            *(
                chat("<body>a</body>" + MARKED),
                group("<body>b</body>"),
                group("<body>c</body>", sender=1001),
            ),
            *(chat("<body>d</body>", "").replace(ID, "e" * 24), chat(COMPOSING).replace(ID, "2")),
            *(
                chat("<body>of this user</body>").replace("1002", "1001"),
                "<r xmlns='urn:xmpp:sm:3'/>",
            ),
            *("<presence from='1002-7@chat.example/a'/>", "reject", "lose"),
        ]
    ),
)


def outputs_of(arriving, patch, *, is_plain):
    """All that a connection reports and writes while this arrives."""
    if not is_plain:
        patch.setattr(PlainMessages, "read", lambda *_: None)
    connection = Connection()
    connection.login()
    connection.link_up("managed")
    for each in arriving:
        if each == "reject":
            rejected = [each for each in connection.deliveries if each.sequence is not None][-1:]
            if rejected and not connection.core.session.has_rejected:
                connection.core.session.reject(rejected)
        elif each == "lose":
            connection.lose()
            connection.wait()
            connection.link_up("managed")
        else:
            connection.feed(each)
    # As text, in which errors can be compared.
    reported = [repr(shown(each)) for each in connection.deliveries if each.sequence is not None]
    return reported, connection.written, connection.core.counters


@given(arriving=st.lists(ARRIVING, max_size=12))
def test_a_session_reports_plain_messages_as_it_reports_others(arriving):
    found = []
    for is_plain in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            found.append(outputs_of(arriving, patch, is_plain=is_plain))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "xml",
    [
        chat("<body>a text</body>"),
        chat(f"<body>a text</body>{MARKED}"),
        chat("<extraParams><attachment id='1' type='image'/></extraParams>"),
        chat("<body>a</body><extraParams><date_sent>1633780800</date_sent><x>y</x></extraParams>"),
        chat("<body>a</body><extraParams><markable>0</markable></extraParams>" + MARKED),
        group("<body>a</body>"),
        f"<message from='1001-7@chat.example/b' to='1002-7@chat.example' id='{ID}'><body>a</body></message>",
        material.message(5).decode(),
    ],
)
def test_what_nearly_all_clients_write_is_plain(xml):
    assert check_alike(xml)


@pytest.mark.parametrize(
    "xml",
    [
        chat("<body>a</body><delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:00Z'/>"),
        chat("<body>a</body><extraParams><a><b/></a></extraParams>"),
        chat("<extraParams><date_sent>1</date_sent></extraParams>"),
        chat("<body>a</body>").replace(ID, "1"),
        chat("<body>a</body>").replace("type='chat'", "type='error'"),
        chat("<body>a</body><extraParams>" + "<a/>" * MOST + "</extraParams>"),
        f"<message from='chat.example' id='{ID}'><body>a</body></message>",
    ],
)
def test_what_is_more_than_plain_is_left_to_the_table(xml):
    assert plain(xml) is None


def test_a_message_beyond_the_limits_is_refused_as_without_the_pass():
    refused = []
    for reads in (False, True):
        parser = StreamParser(stanza_bytes=10_000, stanza_depth=9, stanza_elements=MOST)
        if reads:
            parser.plain = PlainMessages(ADDRESSES, ALICE, MOST)
        items = []
        parser.feed(HEADER, items)
        parser.feed(
            chat("<body>a</body><extraParams>" + "<a/>" * MOST + "</extraParams>").encode(), items
        )
        refused.append((items[1].reason, items[1].size))
    assert refused[0] == refused[1]


def test_a_dropped_plain_message_is_named_in_the_log_without_its_text():
    words = summary(plain(chat("<body>a secret</body>")))
    assert ID in words and "1002" in words and "secret" not in words
