from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol.addresses import Addresses
from connectycube.chat.protocol.decoding import decode
from connectycube.chat.protocol.encoding import (
    RESERVED,
    encode_chat_state,
    encode_marker,
    encode_message,
)
from connectycube.chat.protocol.parser import MessageStanza, StreamParser
from connectycube.errors import ArgumentTypeError, ArgumentValueError, StanzaError
from connectycube.models import (
    Attachment,
    DialogRef,
    Message,
    MessageFailure,
    MessageStatus,
    Typing,
)
from connectycube.models.fields import EPOCH

from .texts import FORBIDDEN, texts

ADDRESSES = Addresses(7, "chat.example")
ALICE, BOB = 1001, 1002
FROM, TO = "1002-7@chat.example/phone", "1001-7@chat.example"
ID = "5f1e0a0b0c0d0e0f10111213"
NOON = datetime(2021, 10, 9, 12, 0, tzinfo=timezone.utc)
CLIENT = "{jabber:client}"
HEADER = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"


def stanza(xml: str | bytes) -> MessageStanza:
    items: list[Any] = []
    data = xml.encode() if isinstance(xml, str) else xml
    StreamParser(stanza_bytes=1_000_000, stanza_depth=64).feed(HEADER + data, items)
    assert len(items) == 2
    return items[1]


def read(xml: str | bytes, me: int = ALICE) -> Any:
    return decode(stanza(xml), ADDRESSES, me)


def event(xml: str, me: int = ALICE) -> Any:
    delivery = read(xml, me)
    assert delivery is not None
    return delivery.event


def relayed(data: bytes) -> bytes:
    """What Bob sent, as the server hands it to Alice."""
    assert data.startswith(b"<message ")
    return data.replace(b"<message ", f'<message from="{FROM}" '.encode(), 1)


def chat(content: str, attributes: str = "") -> str:
    return f"<message from='{FROM}' to='{TO}' type='chat' id='{ID}'{attributes}>{content}</message>"


def sendable(**changes: Any) -> Message:
    return Message(**{"id": ID, "body": "hi", "date_sent": NOON} | changes)


def element_of(data: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(data.replace(b"<message ", b'<message xmlns="jabber:client" ', 1))


# --- what we write, against protocol.md's words ---------------------------------------------------


def test_a_message_is_written_in_the_services_words() -> None:
    message = sendable(
        dialog_id="d1",
        body="a<b",
        custom={"quiet": 1, "flag": True, "nested": {"k": "v", "n": {"x": 1.5}}},
        attachments=(
            Attachment(type="image", uid="u1", size=123, width=10, content_type="image/png"),
        ),
    )
    assert encode_message(message, TO).decode() == (
        f'<message to="{TO}" type="chat" id="{ID}"><body>a&lt;b</body>'
        '<extraParams xmlns="jabber:client"><date_sent>1633780800</date_sent>'
        "<save_to_history>1</save_to_history><quiet>1</quiet><flag>true</flag>"
        "<nested><k>v</k><n><x>1.5</x></n></nested><dialog_id>d1</dialog_id>"
        '<attachment id="u1" uid="u1" type="image" content-type="image/png" size="123" width="10"/>'
        '</extraParams><markable xmlns="urn:xmpp:chat-markers:0"/></message>'
    )


def test_a_self_destroying_message_says_so_instead_of_being_saved() -> None:
    element = element_of(encode_message(sendable(destroy_after=30), TO))
    destroy = element.find("{urn:xmpp:message-destroy-after:0}destroy")
    assert destroy is not None and destroy.attrib == {"after": "30"}
    assert element.find(f"{CLIENT}extraParams/{CLIENT}save_to_history") is None


@pytest.mark.parametrize(("saved", "expected"), [(True, "1"), (False, None)])
def test_saving_to_history_is_said_or_left_out(saved: bool, expected: str | None) -> None:
    element = element_of(encode_message(sendable(save_to_history=saved), TO))
    assert element.findtext(f"{CLIENT}extraParams/{CLIENT}save_to_history") == expected


@pytest.mark.parametrize("markable", [True, False])
def test_markable_is_an_element_or_absent(markable: bool) -> None:
    element = element_of(encode_message(sendable(markable=markable), TO))
    assert (element.find("{urn:xmpp:chat-markers:0}markable") is not None) == markable


def test_a_body_is_always_written() -> None:
    assert element_of(encode_message(sendable(body=None), TO)).find(f"{CLIENT}body") is not None


def test_date_sent_is_in_seconds_whatever_the_zone() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    element = element_of(encode_message(sendable(date_sent=NOON.astimezone(east)), TO))
    assert element.findtext(f"{CLIENT}extraParams/{CLIENT}date_sent") == "1633780800"


@pytest.mark.parametrize("name", ["received", "displayed"])
def test_a_marker_is_written_in_the_services_words(name: str) -> None:
    assert encode_marker(name, "m&1", "d1", TO, "own1").decode() == (
        f'<message to="{TO}" type="chat" id="own1">'
        f'<{name} xmlns="urn:xmpp:chat-markers:0" id="m&amp;1"/>'
        '<extraParams xmlns="jabber:client"><dialog_id>d1</dialog_id></extraParams></message>'
    )
    assert b"extraParams" not in encode_marker(name, "m", None, TO, "own1")


@pytest.mark.parametrize("name", ["composing", "paused"])
def test_a_chat_state_is_written_in_the_services_words(name: str) -> None:
    assert encode_chat_state(name, TO).decode() == (
        f'<message to="{TO}" type="chat"><{name} xmlns="http://jabber.org/protocol/chatstates"/></message>'
    )


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"id": None}, ArgumentTypeError, "id must be a string"),
        ({"id": ""}, ArgumentValueError, "id must not be empty"),
        ({"id": "\x00"}, ArgumentValueError, "id holds U+0000 at position 0"),
        ({"body": 5}, ArgumentTypeError, "body must be a string, not int"),
        ({"body": "ab\x08"}, ArgumentValueError, "body holds U+0008 at position 2"),
        ({"body": "\ud83d"}, ArgumentValueError, "body holds U+D83D at position 0"),
        ({"date_sent": None}, ArgumentTypeError, "date_sent must be a datetime"),
        ({"date_sent": 1633780800}, ArgumentTypeError, "date_sent must be a datetime, not int"),
        ({"date_sent": datetime(2021, 1, 1)}, ArgumentValueError, "date_sent must be an aware"),
        ({"dialog_id": 5}, ArgumentTypeError, "dialog_id must be a string"),
        ({"save_to_history": 1}, ArgumentTypeError, "save_to_history must be a bool"),
        ({"markable": None}, ArgumentTypeError, "markable must be a bool"),
        ({"destroy_after": 0}, ArgumentValueError, "destroy_after must be at least 1"),
        ({"destroy_after": 1.5}, ArgumentTypeError, "destroy_after must be an int"),
        ({"custom": [1]}, ArgumentTypeError, "custom must be a mapping, not list"),
        ({"custom": {"a b": 1}}, ArgumentValueError, "custom has the key 'a b'"),
        ({"custom": {1: 1}}, ArgumentTypeError, "custom must have string keys, not int"),
        ({"custom": {"k": None}}, ArgumentTypeError, "custom['k'] must be a string"),
        ({"custom": {"k": ["v"]}}, ArgumentTypeError, "custom['k'] must be a string"),
        ({"custom": {"k": {"l": b""}}}, ArgumentTypeError, "custom['k']['l'] must be a string"),
        ({"custom": {"k": {"l": "\x1f"}}}, ArgumentValueError, "custom['k']['l'] holds U+001F"),
        ({"custom": {"k": {"": "v"}}}, ArgumentValueError, "custom['k'] has the key ''"),
        ({"attachments": ("u1",)}, ArgumentTypeError, "attachments[0] must be an Attachment"),
        (
            {"attachments": (Attachment(uid="a"), Attachment(name="\ufffe"))},
            ArgumentValueError,
            "attachments[1].name holds U+FFFE",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_by_field(
    changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        encode_message(sendable(**changes), TO)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names_cannot_be_custom_parameters_but_may_be_nested(name: str) -> None:
    with pytest.raises(ArgumentValueError, match=f"custom must not have the key '{name}'"):
        encode_message(sendable(custom={name: "x"}), TO)
    message = sendable(custom={"k": {name: "x"}})
    delivery = read(relayed(encode_message(message, TO)))
    assert delivery is not None and delivery.event.custom == {"k": {name: "x"}}
    assert delivery.event.attachments == ()


@given(FORBIDDEN)
def test_no_forbidden_character_gets_past_any_field(forbidden: str) -> None:
    for changes in (
        {"body": forbidden},
        {"dialog_id": forbidden},
        {"custom": {"k": forbidden}},
        {"custom": {forbidden: "v"}},
        {"attachments": (Attachment(data=forbidden),)},
    ):
        with pytest.raises(ArgumentValueError):
            encode_message(sendable(**changes), TO)


# --- there and back -----------------------------------------------------------------------------

keys = st.sampled_from(["k", "quiet", "größe", "x-1", "body", "attachments"])
params = st.dictionaries(
    keys,
    st.recursive(
        texts, lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3), max_leaves=6
    ),
    max_size=4,
)
present = st.one_of(st.none(), texts.filter(bool))
# Text that looks percent-encoded is decoded by the recipient, as the Flutter SDK encodes `data`.
data = st.one_of(st.none(), texts.filter(lambda text: "%" not in text))
attachments = st.builds(
    Attachment,
    id=present,
    uid=present,
    type=st.sampled_from([None, "image", "location"]),
    url=texts,
    content_type=st.sampled_from([None, "image/png"]),
    name=st.one_of(st.none(), texts),
    data=data,
    size=st.one_of(st.none(), st.integers(0, 2**53), st.floats(0, 1e15)),
    width=st.one_of(st.none(), st.integers(0, 2**31)),
    height=st.one_of(st.none(), st.integers(0, 2**31)),
    duration=st.one_of(st.none(), st.integers(0, 2**31)),
)
whole = st.builds(
    Message,
    id=st.from_regex("[0-9a-f]{24}", fullmatch=True),
    dialog_id=present,
    body=texts.filter(bool),
    date_sent=st.integers(-(10**10), 10**11).map(lambda second: EPOCH + timedelta(seconds=second)),
    custom=params,
    attachments=st.lists(attachments, max_size=3).map(tuple),
    markable=st.booleans(),
    save_to_history=st.booleans(),
    destroy_after=st.one_of(st.none(), st.integers(1, 10**6)),
)


def filled(attachment: Attachment) -> Attachment:
    """With id and uid standing for each other, as on the wire."""
    json = attachment.to_json()
    return Attachment.from_json(json)


@given(whole)
def test_the_recipient_reads_what_was_sent(message: Message) -> None:
    delivery = read(relayed(encode_message(message, TO)))
    assert delivery is not None
    assert delivery.signal == "message_received"
    assert delivery.key == ("1002-7@chat.example", BOB, message.id)
    got: Message = delivery.event
    for name in ("id", "dialog_id", "body", "date_sent", "custom", "markable", "destroy_after"):
        assert getattr(got, name) == getattr(message, name), name
    assert got.attachments == tuple(map(filled, message.attachments))
    assert got.save_to_history == (message.save_to_history and message.destroy_after is None)
    assert (got.sender_id, got.recipient_id, got.own, got.delayed) == (BOB, ALICE, False, False)
    assert got.dialog == DialogRef.private(BOB, message.dialog_id)


@given(whole)
def test_another_parser_reads_the_same_fields(message: Message) -> None:
    element = element_of(encode_message(message, TO))
    assert element.attrib == {"to": TO, "type": "chat", "id": message.id}
    assert (element.findtext(f"{CLIENT}body") or "") == message.body
    found = [dict(kid.attrib) for kid in element.iter(f"{CLIENT}attachment")]
    assert [one.get("data") for one in found] == [one.data for one in message.attachments]

    def nested(parent: ElementTree.Element) -> Any:
        return {k.tag[len(CLIENT) :]: nested(k) if len(k) else k.text or "" for k in parent}

    extra = element.find(f"{CLIENT}extraParams")
    assert extra is not None
    written = {key: value for key, value in nested(extra).items() if key not in RESERVED}
    assert written == message.custom


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_text_in_percent_encoded_places_makes_reading_raise(text: str) -> None:
    attachment = MessageStanza({"type": "chat", "from": FROM, "to": TO, "id": ID})
    attachment.attachments.append({"data": text, "size": text, "width": text})
    attachment.params.update(date_sent=text, dialog_id=text, save_to_history={"odd": text})
    assert decode(attachment, ADDRESSES, ALICE) is not None


# --- what we read, tolerantly -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("1633780800", NOON),
        ("1633780800.0", NOON),
        ("1633780800000", NOON),
        ("1633780800500.0", NOON + timedelta(milliseconds=500)),
        ("2021-10-09T12:00:00Z", NOON),
        ("soon", None),
        ("", None),
        ("<x>1</x>", None),
        ("9" * 400, None),
    ],
)
def test_date_sent_is_read_in_every_form_that_clients_write(
    sent: str, expected: datetime | None
) -> None:
    message = event(chat(f"<body>x</body><extraParams><date_sent>{sent}</date_sent></extraParams>"))
    assert message.date_sent == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("%7B%22x%22%3A%201%7D", '{"x": 1}'),
        ("caf%C3%A9", "café"),
        ("%C3%28", "\ufffd("),
        ("{&quot;x&quot;: &quot;100%&quot;}", '{"x": "100%"}'),
        ("100%", "100%"),
        ("100%zz", "100%zz"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_attachment_data_is_read_percent_encoded_or_plain(sent: str, expected: str) -> None:
    message = event(chat(f"<extraParams><attachment data='{sent}'/></extraParams>"))
    assert message.attachments[0].data == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("id='a'", Attachment(id="a", uid="a")),
        ("uid='a'", Attachment(id="a", uid="a")),
        ("id='a' uid='b'", Attachment(id="a", uid="b")),
        ("", Attachment()),
        (
            "size='12345.0' width='10.0' height='big' duration='7'",
            Attachment(size=12345.0, width=10, height=None, duration=7),
        ),
        ("type='video' color='red'", Attachment(type="video", extra={"color": "red"})),
    ],
)
def test_attachments_are_read_as_far_as_they_go(attributes: str, expected: Attachment) -> None:
    message = event(chat(f"<extraParams><attachment {attributes}/></extraParams>"))
    assert message.attachments == (expected,)


@pytest.mark.parametrize(
    ("stanza_id", "param", "expected"),
    [
        (ID, "server", ID),
        ("rkqwkwzy4p", "server", "server"),
        ("rkqwkwzy4p", None, "rkqwkwzy4p"),
        (None, "server", "server"),
        (None, None, None),
        (ID.upper(), "server", "server"),
    ],
)
def test_the_id_is_the_stanzas_or_the_one_history_knows(
    stanza_id: str | None, param: str | None, expected: str | None
) -> None:
    attributes = f" id='{stanza_id}'" if stanza_id else ""
    inner = f"<extraParams><message_id>{param}</message_id></extraParams>" if param else ""
    delivery = read(
        f"<message from='{FROM}' type='chat'{attributes}><body>x</body>{inner}</message>"
    )
    assert delivery is not None
    assert delivery.event.id == expected
    assert (delivery.key is None) == (expected is None)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<body>x</body>", {"body": "x", "dialog_id": None, "markable": False, "custom": {}}),
        # ejabberd puts the body behind everything else
        (
            "<extraParams><dialog_id>d</dialog_id></extraParams><markable xmlns='urn:xmpp:chat-markers:0'/>"
            "<body>x</body>",
            {"body": "x", "dialog_id": "d", "markable": True},
        ),
        (
            "<body>x</body><delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:00Z'/>",
            {"delayed": True},
        ),
        ("<body>x</body><x xmlns='jabber:x:delay' stamp='20211009T12:00:00'/>", {"delayed": True}),
        ("<body>x</body><composing xmlns='http://jabber.org/protocol/chatstates'/>", {"body": "x"}),
        ("<body>x</body><active xmlns='http://jabber.org/protocol/chatstates'/>", {"body": "x"}),
        ("<body/><extraParams><k>v</k></extraParams>", {"body": "", "custom": {"k": "v"}}),
        ("<extraParams><attachment uid='u'/></extraParams>", {"body": None}),
        (
            "<body>x</body><extraParams><save_to_history>1</save_to_history></extraParams>",
            {"save_to_history": True},
        ),
        ("<body>x</body>", {"save_to_history": False}),
        (
            "<body>x</body><destroy xmlns='urn:xmpp:message-destroy-after:0' after='9'/>",
            {"destroy_after": 9},
        ),
        (
            "<body>x</body><destroy xmlns='urn:xmpp:message-destroy-after:0' after='?'/>",
            {"destroy_after": None},
        ),
        (
            "<body>x</body><extraParams><dialog_id/><date_sent><a>1</a></date_sent></extraParams>",
            {"dialog_id": None},
        ),
        (
            "<body>x</body><extraParams><moduleIdentifier>M</moduleIdentifier></extraParams>",
            {"custom": {}},
        ),
    ],
)
def test_messages_of_every_client_and_server_are_read(
    content: str, expected: dict[str, Any]
) -> None:
    delivery = read(chat(content))
    assert delivery is not None and delivery.signal == "message_received"
    assert {name: getattr(delivery.event, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("sender", "to", "expected"),
    [
        (FROM, TO, (BOB, ALICE, False, BOB)),
        (FROM, None, (BOB, ALICE, False, BOB)),
        # from another device of mine
        (f"{TO}/phone", "1002-7@chat.example", (ALICE, BOB, True, BOB)),
        (None, "1002-7@chat.example", (ALICE, BOB, True, BOB)),
        (f"{TO}/phone", TO, (ALICE, ALICE, True, ALICE)),
    ],
)
def test_a_message_belongs_to_the_dialog_with_the_other_user(
    sender: str | None, to: str | None, expected: tuple[object, ...]
) -> None:
    pairs = "".join(f" {k}='{v}'" for k, v in (("from", sender), ("to", to)) if v)
    delivery = read(f"<message{pairs} type='chat' id='{ID}'><body>x</body></message>")
    assert delivery is not None
    message = delivery.event
    assert (
        message.sender_id,
        message.recipient_id,
        message.own,
        message.dialog.peer_id,
    ) == expected
    assert delivery.conversation == f"{message.dialog.peer_id}-7@chat.example"


MARKER, STATE = "urn:xmpp:chat-markers:0", "http://jabber.org/protocol/chatstates"


@pytest.mark.parametrize(
    ("content", "signal", "expected"),
    [
        (
            f"<received xmlns='{MARKER}' id='m'/>",
            "message_delivered",
            MessageStatus(user_id=BOB, message_id="m"),
        ),
        (
            f"<displayed xmlns='{MARKER}' id='m'/><extraParams><dialog_id>d</dialog_id></extraParams>",
            "message_read",
            MessageStatus(user_id=BOB, message_id="m", dialog_id="d"),
        ),
        (
            f"<body/><received xmlns='{MARKER}' id='m'/>",
            "message_delivered",
            MessageStatus(user_id=BOB, message_id="m"),
        ),
        (f"<composing xmlns='{STATE}'/>", "typing_started", Typing(user_id=BOB)),
        (f"<paused xmlns='{STATE}'/>", "typing_stopped", Typing(user_id=BOB)),
        (f"<body></body><composing xmlns='{STATE}'/>", "typing_started", Typing(user_id=BOB)),
    ],
)
def test_markers_and_chat_states_are_events_of_their_own(
    content: str, signal: str, expected: Any
) -> None:
    delivery = read(chat(content))
    assert delivery is not None
    assert (delivery.signal, delivery.event) == (signal, expected)
    assert delivery.conversation == "1002-7@chat.example"
    assert (delivery.merge_key is not None) == isinstance(expected, Typing)
    assert delivery.key is None


@pytest.mark.parametrize(
    "xml",
    [
        chat(""),
        chat("<body/>"),
        chat("<subject>only</subject>"),
        chat(f"<received xmlns='{MARKER}'/>"),
        chat(f"<received xmlns='{MARKER}' id=''/>"),
        chat("<active xmlns='http://jabber.org/protocol/chatstates'/>"),
        chat("<body xmlns='urn:foreign'>x</body>"),
        f"<message from='{FROM}' to='{TO}'><body>no type</body></message>",
        f"<message from='{FROM}' to='{TO}' type='normal'><body>x</body></message>",
        f"<message from='{FROM}' to='{TO}' type='headline'><body>x</body></message>",
        "<message from='7_d@muc.chat.example/1002' type='chat'><body>a whisper</body></message>",
        "<message from='7_d@muc.chat.example/bob' type='groupchat'><body>x</body></message>",
        "<message from='7_d@muc.chat.example' type='groupchat'><body>the room's own</body></message>",
        f"<message from='{FROM}' type='groupchat'><body>no room</body></message>",
        "<message from='chat.example' type='chat'><body>of the server</body></message>",
        "<message from='1002-7@other.example' type='chat'><body>foreign</body></message>",
        "<message from='bob@chat.example' type='chat'><body>no user</body></message>",
        f"<message from='1002-7@other.example' type='chat'><received xmlns='{MARKER}' id='m'/></message>",
        f"<message from='bob@chat.example' type='chat'><composing xmlns='{STATE}'/></message>",
        f"<message from='{TO}/phone' to='somebody@else' type='chat'><body>x</body></message>",
        "<message/>",
    ],
)
def test_what_means_nothing_is_not_understood(xml: str) -> None:
    assert read(xml) == "not_understood"


STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"


@pytest.mark.parametrize(
    ("content", "condition", "text"),
    [
        (f"<error type='cancel'><gone xmlns='{STANZAS}'/></error>", "gone", None),
        (
            f"<body>mine</body><error type='auth' code='403'><forbidden xmlns='{STANZAS}'/>"
            f"<text xmlns='{STANZAS}'>blocked</text></error>",
            "forbidden",
            "blocked",
        ),
        ("<error code='503'><text>x</text></error>", "undefined-condition", "x"),
        ("<body>mine</body>", "undefined-condition", None),
        (f"<received xmlns='{MARKER}' id='m'/>", "undefined-condition", None),
    ],
)
def test_an_error_is_a_failure_that_names_the_message(
    content: str, condition: str, text: str | None
) -> None:
    extra = "<extraParams><dialog_id>d</dialog_id></extraParams>"
    delivery = read(f"<message from='{FROM}' type='error' id='{ID}'>{extra}{content}</message>")
    assert delivery is not None and delivery.signal == "message_failed"
    failure: MessageFailure = delivery.event
    assert isinstance(failure.error, StanzaError)
    assert (failure.message_id, failure.dialog_id, failure.user_id) == (ID, "d", BOB)
    assert (failure.condition, failure.text) == (condition, text)
    assert delivery.conversation == "1002-7@chat.example"
    assert delivery.merge_key is None


@pytest.mark.parametrize("sender", ["", "from='chat.example'", "from='somebody@else/x'"])
def test_an_error_may_come_from_anybody_or_nobody(sender: str) -> None:
    failure = event(f"<message {sender} type='error'/>")
    assert (failure.message_id, failure.user_id) == (None, None)
