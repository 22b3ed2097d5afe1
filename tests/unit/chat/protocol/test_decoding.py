"""What the messages we read mean: each kind, whoever wrote it and however badly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube import Chat, Config
from connectycube.chat.protocol.addresses import Addresses
from connectycube.chat.protocol.decoding import (
    Delivery,
    Unreported,
    decode,
    decode_refused,
    summary,
)
from connectycube.chat.protocol.parser import MessageStanza, RefusedElement
from connectycube.errors import StanzaError
from connectycube.models import (
    Attachment,
    DialogRef,
    MessageDeletion,
    MessageEdit,
    MessageFailure,
    MessageStatus,
    ReactionChange,
    RefusedStanza,
    SystemMessage,
    Typing,
)
from tests.support.inside import signals_of
from tests.unit.chat.protocol.stanzas import (
    ADDRESSES,
    ALICE,
    BOB,
    FROM,
    ID,
    NOON,
    ROOM,
    ROOM_ID,
    TO,
    carbon,
    chat,
    event,
    group,
    item,
    read,
    stanza,
)
from tests.unit.chat.protocol.trees import carbons, odd_stanzas

GIVEN = "f" * 24  # an id that the service has given to a message

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
        ("%C3%28", "%C3%28"),
        ("%00", "%00"),
        ("50%2525", "50%25"),
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
            "size='12345.0' width='10.0' height='big' duration='12.5'",
            Attachment(size=12345.0, width=10, duration=12.5, extra={"height": "big"}),
        ),
        ("type='video' color='red'", Attachment(type="video", extra={"color": "red"})),
    ],
)
def test_attachments_are_read_as_far_as_they_go(attributes: str, expected: Attachment) -> None:
    message = event(chat(f"<extraParams><attachment {attributes}/></extraParams>"))
    assert message.attachments == (expected,)


@pytest.mark.parametrize("kind", ["", " type=''", " type='normal'", " type='foreign'"])
def test_a_message_without_a_known_type_is_a_normal_message(kind: str) -> None:
    message = event(
        f"<message from='{FROM}' to='{TO}' id='{ID}'{kind}><body>hello</body></message>"
    )
    assert (message.id, message.body, message.sender_id) == (ID, "hello", BOB)
    assert message.dialog == DialogRef.private(BOB)


@pytest.mark.parametrize("kind", ["", " type='normal'", " type='chat'", " type='headline'"])
@pytest.mark.parametrize("sender", ["chat.example", "Chat.Example/announce"])
def test_an_announcement_of_the_server_is_a_system_message_of_no_user(
    sender: str, kind: str
) -> None:
    delivery = read(f"<message from='{sender}' id='a'{kind}><body>Restart at noon</body></message>")
    assert (delivery.signal, delivery.conversation) == ("system_message_received", "chat.example")
    assert delivery.event == SystemMessage(id="a", recipient_id=ALICE, body="Restart at noon")


@pytest.mark.parametrize("namespace", ["", "jabber:client", "urn:foreign"])
@pytest.mark.parametrize("wrap", [chat, lambda content: carbon(chat(content))])
def test_parameters_are_read_whatever_their_namespace(
    wrap: Callable[[str], str], namespace: str
) -> None:
    inner = (
        f"<attachment xmlns='{namespace}' type='photo' id='546464654'/><c xmlns='{namespace}'>v</c>"
    )
    for outer in ("jabber:client", namespace):
        message = event(wrap(f"<extraParams xmlns='{outer}'>{inner}</extraParams>"))
        assert [(file.type, file.id) for file in message.attachments] == [("photo", "546464654")]
        assert message.custom == {"c": "v"}


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        ("<delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:00Z'/>", NOON),
        ("<delay xmlns='urn:xmpp:delay' stamp='2021-10-09T14:00:00.000+02:00'/>", NOON),
        ("<x xmlns='jabber:x:delay' stamp='20211009T12:00:00'/>", NOON),
        (
            "<x xmlns='jabber:x:delay' stamp='20201009T12:00:00'/>"
            "<delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:00Z'/>",
            NOON,
        ),
        ("<delay xmlns='urn:xmpp:delay' stamp='yesterday'/>", None),
        ("<delay xmlns='urn:xmpp:delay'/>", None),
    ],
)
def test_the_delay_stamp_is_the_date_of_a_message_without_one(
    delay: str, expected: datetime | None
) -> None:
    message = event(chat(f"<body>x</body>{delay}"))
    assert (message.date_sent, message.delayed) == (expected, True)
    dated = "<extraParams><date_sent>1633694400</date_sent></extraParams>"
    assert event(chat(f"<body>x</body>{dated}{delay}")).date_sent == NOON - timedelta(days=1)


@pytest.mark.parametrize("name", ["composing", "paused"])
def test_typing_that_the_server_has_stored_is_outdated(name: str) -> None:
    delay = "<delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:00Z'/>"
    assert read(chat(f"<{name} xmlns='{STATE}'/>{delay}")) == "outdated"


@pytest.mark.parametrize(
    ("stanza_id", "param", "expected"),
    [
        (ID, GIVEN, ID),
        ("rkqwkwzy4p", GIVEN, GIVEN),
        ("rkqwkwzy4p", "1", "1"),
        ("rkqwkwzy4p", None, "rkqwkwzy4p"),
        (None, GIVEN, GIVEN),
        (None, None, None),
        (ID.upper(), GIVEN, GIVEN),
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
    assert (delivery.key is not None) == (expected in (ID, GIVEN))
    assert (delivery.content is None) == (delivery.key is not None)


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
        ("<body/><extraParams><k>v</k></extraParams>", {"body": None, "custom": {"k": "v"}}),
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
        f"<message from='{FROM}' to='{TO}' type='headline'><body>x</body></message>",
        "<message from='7_d@muc.chat.example/1002' type='chat'><body>a whisper</body></message>",
        "<message from='7_d@muc.chat.example/bob' type='groupchat'><body>x</body></message>",
        "<message from='7_d@muc.chat.example' type='groupchat'><body>the room's own</body></message>",
        f"<message from='{FROM}' type='groupchat'><body>no room</body></message>",
        "<message from='chat.example' type='chat'><subject>no body</subject></message>",
        "<message from='other.example'><body>of another server</body></message>",
        f"<message from='{FROM}' type='headline'><body>news</body></message>",
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
    failure = event(f"<message {sender} id='{ID}' type='error'/>")
    assert (failure.message_id, failure.user_id) == (ID, None)


@pytest.mark.parametrize("attributes", [f"from='{FROM}'", f"from='{FROM}' id=''"])
def test_an_error_without_an_id_is_about_typing_and_no_failure(attributes: str) -> None:
    assert read(f"<message {attributes} type='error'/>") == "refused"


# --- rooms ----------------------------------------------------------------------------------------


def test_a_rooms_message_is_its_occupants_in_the_dialog_of_the_room() -> None:
    content = "<body>x</body><extraParams><dialog_id>elsewhere</dialog_id></extraParams>"
    delivery = read(group(content))
    assert (delivery.signal, delivery.conversation) == ("message_received", ROOM)
    assert delivery.key == (ROOM, BOB, ID)
    message = delivery.event
    assert (message.sender_id, message.recipient_id, message.own) == (BOB, None, False)
    assert message.dialog == DialogRef.room(ROOM_ID)
    assert message.dialog_id == ROOM_ID, "the room knows better than the sender"


def test_what_the_room_reflects_of_this_user_is_own() -> None:
    delivery = read(group("<body>x</body>", ALICE))
    assert (delivery.event.sender_id, delivery.event.own) == (ALICE, True)
    assert delivery.key == (ROOM, ALICE, ID)


def test_a_rooms_history_is_delayed() -> None:
    message = event(
        group("<body>x</body><delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:00Z'/>")
    )
    assert message.delayed


@pytest.mark.parametrize(
    "content",
    [
        "<body>x</body>",
        "<subject>of the room</subject>",
        f"<received xmlns='{MARKER}' id='m'/>",
        f"<composing xmlns='{STATE}'/>",
        "<replace xmlns='urn:xmpp:message-correct:0' id='m'/><body>x</body>",
        "<remove xmlns='urn:xmpp:message-delete:0' id='m'/>",
    ],
)
@pytest.mark.parametrize("sender", [None, "bob", "", "1002x"], ids=repr)
def test_a_rooms_own_words_and_strange_nicks_are_not_understood(
    content: str, sender: str | None
) -> None:
    assert read(group(content, sender)) == "not_understood"


@pytest.mark.parametrize(
    "content",
    [
        "<body>x</body>",
        f"<received xmlns='{MARKER}' id='m'/>",
        f"<composing xmlns='{STATE}'/>",
        "<replace xmlns='urn:xmpp:message-correct:0' id='m'/><body>x</body>",
        "<remove xmlns='urn:xmpp:message-delete:0' id='m'/>",
    ],
)
@pytest.mark.parametrize("kind", [" type='chat'", " type='normal'", ""])
def test_an_occupants_whisper_is_not_for_the_room_and_is_not_understood(
    content: str, kind: str
) -> None:
    xml = f"<message from='{ROOM}/1002' to='{TO}'{kind} id='{ID}'>{content}</message>"
    assert read(xml) == "not_understood"


@pytest.mark.parametrize(
    ("content", "signal", "expected"),
    [
        (
            f"<received xmlns='{MARKER}' id='m'/><extraParams><dialog_id>x</dialog_id></extraParams>",
            "message_delivered",
            MessageStatus(user_id=BOB, message_id="m", dialog_id=ROOM_ID),
        ),
        (
            f"<displayed xmlns='{MARKER}' id='m'/>",
            "message_read",
            MessageStatus(user_id=BOB, message_id="m", dialog_id=ROOM_ID),
        ),
        (
            f"<composing xmlns='{STATE}'/>",
            "typing_started",
            Typing(user_id=BOB, dialog_id=ROOM_ID),
        ),
        (f"<paused xmlns='{STATE}'/>", "typing_stopped", Typing(user_id=BOB, dialog_id=ROOM_ID)),
    ],
)
def test_room_markers_and_chat_states_belong_to_the_occupant_and_dialog(
    content: str, signal: str, expected: Any
) -> None:
    delivery = read(group(content))
    assert (delivery.signal, delivery.event, delivery.conversation) == (signal, expected, ROOM)
    assert read(group(content, ALICE)) == "own_echoes"


def test_typing_is_merged_for_each_user_in_each_dialog() -> None:
    keys = [
        read(xml).merge_key
        for xml in (
            group(f"<composing xmlns='{STATE}'/>"),
            group(f"<composing xmlns='{STATE}'/>", 1003),
            chat(f"<composing xmlns='{STATE}'/>"),
        )
    ]
    assert len(set(keys)) == 3 and None not in keys
    assert read(group(f"<paused xmlns='{STATE}'/>")).merge_key == keys[0]


# --- edits, deletions, reactions ------------------------------------------------------------------

EDIT = "<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='m'/>"
DELETION = "<remove xmlns='urn:xmpp:message-delete:0' id='m'/>"
IN_D = "<extraParams><dialog_id>d</dialog_id></extraParams>"


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            chat(EDIT + IN_D),
            MessageEdit(
                user_id=BOB, message_id="m", body="new", dialog=DialogRef.private(BOB, "d")
            ),
        ),
        (
            group(EDIT + IN_D),
            MessageEdit(user_id=BOB, message_id="m", body="new", dialog=DialogRef.room(ROOM_ID)),
        ),
        (
            group(EDIT, ALICE),
            MessageEdit(
                user_id=ALICE,
                message_id="m",
                body="new",
                dialog=DialogRef.room(ROOM_ID),
                own=True,
            ),
        ),
        (
            chat("<replace xmlns='urn:xmpp:message-correct:0' id='m' last='1'/>"),
            MessageEdit(
                user_id=BOB, message_id="m", body="", dialog=DialogRef.private(BOB), is_last=True
            ),
        ),
        (
            chat(DELETION + IN_D),
            MessageDeletion(user_id=BOB, message_id="m", dialog=DialogRef.private(BOB, "d")),
        ),
        (
            group("<body>fallback</body>" + DELETION),
            MessageDeletion(user_id=BOB, message_id="m", dialog=DialogRef.room(ROOM_ID)),
        ),
        (
            group(DELETION, ALICE),
            MessageDeletion(
                user_id=ALICE, message_id="m", dialog=DialogRef.room(ROOM_ID), own=True
            ),
        ),
    ],
)
def test_edits_and_deletions_say_who_changed_what_in_which_dialog(xml: str, expected: Any) -> None:
    delivery = read(xml)
    edited = isinstance(expected, MessageEdit)
    assert delivery.signal == ("message_edited" if edited else "message_deleted")
    assert delivery.event == expected
    assert delivery.event.dialog_id == expected.dialog.id
    assert delivery.key == (delivery.conversation, expected.user_id, ID)
    assert delivery.merge_key is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("true", True),
        ("1", True),
        ("false", False),
        ("0", False),
        ("", None),
        ("TRUE", None),
        ("maybe", None),
    ],
)
def test_whether_the_edited_message_was_the_last_is_read_or_unknown(
    said: str, expected: bool | None
) -> None:
    edit = event(chat(f"<replace xmlns='urn:xmpp:message-correct:0' id='m' last='{said}'/>"))
    assert edit.is_last is expected


def test_changes_without_an_id_of_their_own_cannot_be_told_apart() -> None:
    assert read(f"<message from='{FROM}' type='chat'>{EDIT}</message>").key is None
    assert read(f"<message from='{FROM}' type='chat'>{DELETION}</message>").key is None


@pytest.mark.parametrize("name", ["replace", "remove"])
@pytest.mark.parametrize("attribute", ["", "id=''", "last='true'"])
def test_a_change_that_names_no_message_is_not_understood(name: str, attribute: str) -> None:
    namespace = {"replace": "urn:xmpp:message-correct:0", "remove": "urn:xmpp:message-delete:0"}
    xml = f"<body>x</body><{name} xmlns='{namespace[name]}' {attribute}/>"
    assert read(chat(xml)) == read(group(xml)) == "not_understood"


OF_BOB = "user_id='1002' message_id='m'"
OF_MINE = "user_id='1001' message_id='m'"


def reactions(kids: str, attributes: str = "user_id='1003' message_id='m'") -> str:
    return f"<reactions {attributes}>{kids}</reactions>"


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            chat(reactions("<reaction type='👍' add='true'/>", OF_BOB) + IN_D),
            ReactionChange(user_id=1002, message_id="m", dialog_id="d", added=("👍",)),
        ),
        (
            chat(
                reactions(
                    "<reaction type='a' add='true'/><reaction type='b' remove='true'/>"
                    "<reaction type='c' add='true'/><reaction type='d' add='false'/>"
                    "<reaction type='' add='true'/><reaction add='true'/><reaction type='e'/>",
                    OF_BOB,
                )
            ),
            ReactionChange(user_id=1002, message_id="m", added=("a", "c"), removed=("b",)),
        ),
        (
            group(reactions("<reaction type='a' remove='true'/>"), None),
            ReactionChange(user_id=1003, message_id="m", dialog_id=ROOM_ID, removed=("a",)),
        ),
        (
            f"<message>{reactions('', OF_MINE)}{IN_D}</message>",
            ReactionChange(user_id=1001, message_id="m", dialog_id="d", own=True),
        ),
        (
            f"<message type='headline'>{reactions('')}</message>",
            None,  # system messages have no reactions
        ),
        (
            f"<message>{reactions('')}{IN_D}</message>",
            ReactionChange(user_id=1003, message_id="m", dialog_id="d"),
        ),
    ],
)
def test_reactions_say_who_added_and_removed_which(xml: str, expected: Any) -> None:
    delivery = read(xml)
    if expected is None:
        assert delivery == "not_understood"
    else:
        assert (delivery.signal, delivery.event) == ("reaction_changed", expected)
        assert delivery.merge_key is None


@pytest.mark.parametrize(
    "attributes", ["", "user_id='1'", "message_id='m'", "user_id='x' message_id='m'"]
)
def test_reactions_of_nobody_or_to_nothing_are_not_understood(attributes: str) -> None:
    assert read(chat(reactions("<reaction type='a' add='true'/>", attributes))) == "not_understood"


@pytest.mark.parametrize(
    ("sender", "is_believed"),
    [
        ("", True),
        ("from='chat.example'", True),
        ("from='1003-7@chat.example'", True),
        ("from='1003-7@chat.example/phone'", True),
        (f"from='7_{ROOM_ID}@muc.chat.example'", True),
        (f"from='7_{ROOM_ID}@muc.chat.example/1003'", True),
        ("from='666-7@chat.example/phone'", False),
        ("from='01003-7@chat.example/phone'", False),
        (f"from='7_{ROOM_ID}@muc.chat.example/666'", False),
        (f"from='7_{ROOM_ID}@muc.chat.example/alice'", False),
        ("from='elsewhere.example'", False),
        ("from='muc.chat.example'", False),
        ("from='1003-8@chat.example'", False),
    ],
)
@pytest.mark.parametrize("kind", ["", "type='chat'", "type='groupchat'"])
def test_a_reaction_is_that_of_its_sender(sender: str, is_believed: bool, kind: str) -> None:
    delivery = read(f"<message {sender} {kind}>{reactions('')}</message>")
    assert (delivery != "forged") is is_believed


# --- system messages and calls --------------------------------------------------------------------


def headline(module: str, content: str = "", sender: str = FROM, to: str = TO) -> str:
    return (
        f"<message from='{sender}' to='{to}' type='headline' id='{ID}'>{content}<extraParams>"
        f"<moduleIdentifier>{module}</moduleIdentifier><k>v</k><n><x>1</x></n></extraParams></message>"
    )


def test_a_system_message_has_every_parameter_but_the_name_of_its_module() -> None:
    delivery = read(headline("SystemNotifications", "<body>hello</body>"))
    assert delivery.signal == "system_message_received"
    assert delivery.event == SystemMessage(
        id=ID, sender_id=BOB, recipient_id=ALICE, body="hello", custom={"k": "v", "n": {"x": "1"}}
    )
    assert delivery.conversation == "1002-7@chat.example"
    assert event(headline("SystemNotifications", "<body/>")).body is None


def test_a_system_message_of_mine_is_news_only_if_it_is_for_me() -> None:
    to_me = headline("SystemNotifications", sender=f"{TO}/desk")
    assert event(to_me).sender_id == ALICE
    to_bob = headline("SystemNotifications", sender=f"{TO}/desk", to="1002-7@chat.example")
    assert read(carbon(to_bob, "sent")) == "own_echoes"


@pytest.mark.parametrize(
    "xml",
    [
        headline("Other"),
        headline(""),
        headline("<deep>SystemNotifications</deep>"),
        headline("SystemNotifications", sender="chat.example"),
        headline("SystemNotifications", sender=ROOM),
        headline("SystemNotifications").replace(f"from='{FROM}' ", ""),
        "<message type='headline'/>",
    ],
)
def test_headlines_that_are_no_system_messages_are_not_understood(xml: str) -> None:
    assert read(xml) == "not_understood"


@pytest.mark.parametrize("sender", [FROM, "chat.example", f"{TO}/desk"])
def test_the_signalling_of_calls_is_counted_as_such(sender: str) -> None:
    assert read(headline("WebRTCVideoChat", sender=sender)) == "calls"
    assert read(carbon(headline("WebRTCVideoChat", sender=sender))) == "calls"


# --- carbons --------------------------------------------------------------------------------------


def test_what_bob_sent_to_another_device_is_his_message_to_me() -> None:
    delivery = read(carbon(chat("<body>x</body>")))
    assert (delivery.signal, delivery.is_carbon) == ("message_received", True)
    assert (delivery.event.sender_id, delivery.event.recipient_id) == (BOB, ALICE)
    assert delivery.key == read(chat("<body>x</body>")).key, "so that the two are one"
    assert delivery.size > len("<body>x</body>")


def sent(content: str) -> bytes:
    bob = "1002-7@chat.example"
    inner = f"<message from='{TO}/desk' to='{bob}' type='chat' id='{ID}'>{content}</message>"
    return carbon(inner, "sent")


def test_what_my_other_device_sent_to_bob_is_own_in_the_dialog_with_bob() -> None:
    delivery = read(sent("<body>x</body>"))
    message = delivery.event
    assert (message.sender_id, message.recipient_id, message.own) == (ALICE, BOB, True)
    assert message.dialog == DialogRef.private(BOB)
    assert delivery.conversation == "1002-7@chat.example"


@pytest.mark.parametrize(
    ("content", "signal", "when_own"),
    [
        (f"<received xmlns='{MARKER}' id='m'/>", "message_delivered", "own_echoes"),
        (f"<displayed xmlns='{MARKER}' id='m'/>", "message_read", "own_echoes"),
        (f"<composing xmlns='{STATE}'/>", "typing_started", "own_echoes"),
        (f"<paused xmlns='{STATE}'/>", "typing_stopped", "own_echoes"),
        (EDIT, "message_edited", "message_edited"),
        (DELETION, "message_deleted", "message_deleted"),
        (reactions("", OF_BOB), "reaction_changed", "forged"),
    ],
)
def test_carbons_of_every_kind_are_read_as_what_they_carry(
    content: str, signal: str, when_own: str
) -> None:
    delivery = read(carbon(chat(content)))
    assert (delivery.signal, delivery.is_carbon) == (signal, True)
    assert delivery.event == event(chat(content))
    own = read(sent(content))
    if when_own in ("own_echoes", "forged"):
        assert own == when_own
    else:
        assert (own.signal, own.is_carbon) == (when_own, True)
        assert own.event.own


@pytest.mark.parametrize("kind", ["sent", "received"])
@pytest.mark.parametrize(
    "sender",
    [FROM, "1002-7@chat.example", "chat.example", f"{TO}/desk", "1001-7@other.example", ""],
)
def test_a_carbon_in_any_other_name_than_my_accounts_is_forged(kind: str, sender: str) -> None:
    assert read(carbon(chat("<body>x</body>"), kind, sender)) == "forged"


@pytest.mark.parametrize("sender", [TO, TO.upper(), None])
def test_a_carbon_comes_from_my_own_account_or_without_a_name(sender: str | None) -> None:
    assert isinstance(read(carbon(chat("<body>x</body>"), "received", sender)), Delivery)


@pytest.mark.parametrize("kind", ["sent", "received"])
def test_a_carbon_of_a_carbon_is_nothing(kind: str) -> None:
    inner = carbon(chat("<body>x</body>"), kind)
    assert read(carbon(inner)) == "not_understood"
    forged = carbon(chat("<body>x</body>"), kind, FROM)
    assert read(carbon(forged)) == "not_understood"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<forwarded xmlns='urn:xmpp:forward:0'/>",
        "<forwarded xmlns='urn:xmpp:forward:0'><presence/></forwarded>",
        "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='urn:foreign'/></forwarded>",
        "<forwarded xmlns='urn:foreign'><message><body>x</body></message></forwarded>",
        f"<message from='{FROM}' type='chat'><body>x</body></message>",
        "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded>",
    ],
)
def test_a_carbon_without_a_message_is_not_understood(content: str) -> None:
    xml = (
        f"<message from='{TO}'><received xmlns='urn:xmpp:carbons:2'>{content}</received></message>"
    )
    assert read(xml) == "not_understood"


def test_a_body_beside_a_carbon_is_not_read() -> None:
    data = carbon(chat("<body>inside</body>")).replace(
        b"<received", b"<body>out</body><received", 1
    )
    assert event(data.decode()).body == "inside"


def test_a_failure_on_another_device_is_no_failure_of_this_connection() -> None:
    error = f"<message from='{FROM}' to='{TO}/desk' type='error' id='{ID}'/>"
    assert read(error).signal == "message_failed"
    assert read(carbon(error)) == "own_echoes"


# --- whatever comes -------------------------------------------------------------------------------


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_text_in_percent_encoded_places_makes_reading_raise(text: str) -> None:
    attachment = MessageStanza({"type": "chat", "from": FROM, "to": TO, "id": ID})
    attachment.attachments.append({"data": text, "size": text, "width": text})
    attachment.params.update(date_sent=text, dialog_id=text, save_to_history={"odd": text})
    assert decode(attachment, ADDRESSES, ALICE) is not None


UNREPORTED = set(get_args(Unreported))
SIGNALS = {signal.name for signal in signals_of(Chat(Config(app_id=7, auth_key="k")))}


@given(st.one_of(odd_stanzas("message"), carbons(odd_stanzas("message"))))
def test_no_message_makes_reading_raise(xml: str) -> None:
    decoded = read(xml)
    if isinstance(decoded, Delivery):
        assert decoded.signal in SIGNALS
        assert decoded.size > 0
        assert decoded.conversation is None or "/" not in decoded.conversation
        assert decoded.key is None or decoded.key[0] == decoded.conversation
    else:
        assert decoded in UNREPORTED


SENDERS = st.sampled_from(
    [
        None,
        "",
        "1001-7@chat.example",
        "1002-7@CHAT.example/a",
        "7_d1@muc.chat.example/1001",
        "x@y",
        "1002",
    ]
)


@given(
    st.lists(
        st.tuples(
            *(SENDERS, SENDERS, st.sampled_from([None, "chat", "groupchat"])),
            *(st.sampled_from([None, "", "d1", {"a": "b"}]), st.sampled_from([1001, 1002])),
        ),
        max_size=12,
    )
)
def test_what_is_remembered_of_senders_changes_nothing(messages):
    remembering = Addresses(7, "chat.example")
    for sender, to, kind, dialog_id, me in messages:
        given = {"from": sender, "to": to, "type": kind}
        stanza = MessageStanza({key: value for key, value in given.items() if value is not None})
        stanza.body = "a text"
        stanza.params = {} if dialog_id is None else {"dialog_id": dialog_id}
        found = [decode(stanza, each, me) for each in (remembering, Addresses(7, "chat.example"))]
        assert repr(found[0]) == repr(found[1])


def test_what_is_remembered_of_senders_is_bounded():
    addresses = Addresses(7, "chat.example")
    for number in range(1, 3_000):
        stanza = MessageStanza({"from": f"{number}-7@chat.example"})
        stanza.body = "a text"
        assert decode(stanza, addresses, 5_000).event.sender_id == number
    assert len(addresses.origins) <= 1_000


def test_long_names_of_senders_are_not_remembered():
    addresses = Addresses(7, "chat.example")
    for place in ("from", "to", "dialog_id"):
        stanza = MessageStanza({"from": "1002-7@chat.example"})
        stanza.body = "a text"
        if place == "dialog_id":
            stanza.params[place] = "d" * 10_000
        else:
            stanza.attributes[place] = f"1002-7@chat.example/{'r' * 10_000}"
        assert decode(stanza, addresses, 5_000).event.sender_id == 1002
    assert not addresses.origins


# --- each field by itself -------------------------------------------------------------------------

PARAMS = "<extraParams xmlns='jabber:client'>"
MARKABLE = "<markable xmlns='urn:xmpp:chat-markers:0'/>"
DELAY = "<delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:00Z'/>"


def params(inside: str) -> str:
    return f"{PARAMS}{inside}</extraParams>"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", {"silent": False, "markable": False, "save_to_history": False, "delayed": False}),
        (MARKABLE, {"markable": True, "delayed": False, "date_sent": None}),
        (params("<silent>1</silent>"), {"silent": True}),
        (params("<silent>0</silent>"), {"silent": False}),
        (params("<markable>0</markable>") + MARKABLE, {"markable": False}),
        (params("<markable>1</markable>"), {"markable": True}),
        (params("<save_to_history>1</save_to_history>"), {"save_to_history": True}),
        (DELAY, {"delayed": True, "date_sent": NOON}),
        (
            "<destroy xmlns='urn:xmpp:message-destroy-after:0' after='5'/>",
            {"destroy_after": 5, "delayed": False},
        ),
        (params("<dialog_id>d1</dialog_id>"), {"dialog_id": "d1"}),
        (params("<dialog_id/>"), {"dialog_id": None}),
        (params("<dialog_id><x>1</x></dialog_id>"), {"dialog_id": None}),
    ],
)
def test_each_field_of_a_message_is_read(content: str, expected: dict[str, Any]) -> None:
    found = event(chat(f"<body>hi</body>{content}"))
    assert {name: getattr(found, name) for name in expected} == expected
    assert (found.sender_id, found.recipient_id, found.own) == (BOB, ALICE, False)


def test_an_event_takes_room_for_each_of_its_parameters() -> None:
    for content in ("<body>hi</body>", "<moduleIdentifier>SystemNotifications</moduleIdentifier>"):
        kind = "headline" if "module" in content else "chat"
        inside = content if kind == "chat" else params(content)
        xml = chat(inside + params("<a>1</a><b>2</b>")).replace("'chat'", f"'{kind}'")
        found = stanza(xml)
        assert read(xml).size == found.size + 150 * found.entries > found.size + 150


def test_a_system_message_without_a_recipient_is_for_this_user() -> None:
    inside = params("<moduleIdentifier>SystemNotifications</moduleIdentifier>")
    found = event(f"<message from='{FROM}' type='headline' id='{ID}'>{inside}</message>")
    assert (found.sender_id, found.recipient_id) == (BOB, ALICE)


def test_a_groupchat_message_of_no_room_is_not_understood() -> None:
    for sender in (FROM, f"1002-7@chat.example/{BOB}"):
        xml = f"<message from='{sender}' to='{TO}' type='groupchat' id='{ID}'><body>x</body></message>"
        assert read(xml) == "not_understood"


def test_the_dialog_of_a_failure_is_the_room_or_the_one_it_names() -> None:
    named = params("<dialog_id>d1</dialog_id>") + "<error type='cancel'/>"
    for sender, dialog_id in ((ROOM, ROOM_ID), (FROM, "d1")):
        xml = f"<message from='{sender}' to='{TO}' type='error' id='{ID}'>{named}</message>"
        assert event(xml).dialog_id == dialog_id


def test_messages_with_ids_that_are_not_unique_differ_by_id_text_and_date() -> None:
    def content(own_id: str = "1", body: str = "hi", date: int = 5) -> Any:
        inside = f"<body>{body}</body>" + params(f"<date_sent>{date}</date_sent>")
        delivery = read(chat(inside).replace(ID, own_id))
        assert delivery.key is None
        return delivery.content

    assert content() == content()
    assert len({content(), content("2"), content(body="ho"), content(date=6)}) == 4


def test_changes_with_ids_that_are_not_unique_differ_by_id_and_date() -> None:
    def content(own_id: str = "1", stamp: str = "2021-10-09T12:00:00Z", id_: str = "m") -> Any:
        delay = f"<delay xmlns='urn:xmpp:delay' stamp='{stamp}'/>"
        inside = f"<remove xmlns='urn:xmpp:message-delete:0' id='{id_}'/>{delay}"
        delivery = read(chat(inside).replace(ID, own_id))
        assert delivery.key is None and delivery.is_delayed
        return delivery.content

    assert content() == content()
    later = content(stamp="2021-10-09T12:00:01Z")
    assert len({content(), content("2"), later, content(id_="n")}) == 4


# --- what is said of a stanza that makes no event -------------------------------------------------


def refused(name: str, **attributes: str) -> RefusedElement:
    found = {key.rstrip("_"): value for key, value in attributes.items()}
    return RefusedElement(f"jabber:client {name}", found, "it is too large", 123)


def test_a_refused_stanza_is_reported_with_its_sender() -> None:
    delivery = decode_refused(refused("message", from_=FROM, id="m"), ADDRESSES)
    assert delivery.event == RefusedStanza(
        kind="message",
        id="m",
        sender=FROM,
        user_id=BOB,
        dialog_id=None,
        size=123,
        reason="it is too large",
    )
    assert (delivery.signal, delivery.conversation) == ("stanza_refused", "1002-7@chat.example")
    assert delivery.merge_key == ("stanza_refused", "1002-7@chat.example")


def test_a_refused_stanza_of_a_room_is_its_occupants() -> None:
    found = decode_refused(refused("presence", from_=f"{ROOM}/{BOB}"), ADDRESSES).event
    assert (found.dialog_id, found.user_id) == (ROOM_ID, BOB)
    found = decode_refused(refused("presence", from_=ROOM), ADDRESSES).event
    assert (found.dialog_id, found.user_id) == (ROOM_ID, None)


def test_a_refused_stanza_of_an_unknown_sender_is_reported() -> None:
    delivery = decode_refused(refused("iq"), ADDRESSES)
    assert (delivery.event.sender, delivery.event.user_id) == (None, None)
    assert (delivery.conversation, delivery.merge_key) == (None, ("stanza_refused", ""))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (refused("iq", type="set"), "iq of type set from None with it is too large"),
        (
            stanza(chat("<body>secret</body><a xmlns='u'/>")),
            f"message of type chat from {FROM} with body, u a",
        ),
        (stanza(f"<message from='{FROM}'/>"), f"message of type None from {FROM} with nothing"),
        (item("<iq type='get' id='i'><q xmlns='u'/></iq>"), "iq of type get from None with u q"),
        (read(chat("<body>secret</body>")), f"message {ID} of user {BOB} in 1002-7@chat.example"),
    ],
)
def test_a_stanza_is_described_without_its_text(found: Any, words: str) -> None:
    assert summary(found) == words
