"""What the messages we read mean: each kind, whoever wrote it and however badly."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol.decoding import Delivery, decode
from connectycube.chat.protocol.parser import MessageStanza
from connectycube.errors import StanzaError
from connectycube.models import Attachment, MessageFailure, MessageStatus, Typing

from .stanzas import ADDRESSES, ALICE, BOB, FROM, ID, NOON, TO, chat, event, read

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
    assert isinstance(delivery, Delivery)
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
    assert isinstance(delivery, Delivery) and delivery.signal == "message_received"
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
    assert isinstance(delivery, Delivery)
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
    assert isinstance(delivery, Delivery)
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
    assert isinstance(delivery, Delivery) and delivery.signal == "message_failed"
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


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_text_in_percent_encoded_places_makes_reading_raise(text: str) -> None:
    attachment = MessageStanza({"type": "chat", "from": FROM, "to": TO, "id": ID})
    attachment.attachments.append({"data": text, "size": text, "width": text})
    attachment.params.update(date_sent=text, dialog_id=text, save_to_history={"odd": text})
    assert decode(attachment, ADDRESSES, ALICE) is not None
