"""What we write: the service's words, what is refused, and that the recipient reads what was sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol import encoding
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.encoding import (
    SYSTEM_NOTIFICATIONS,
    encode_chat_state,
    encode_deletion,
    encode_edit,
    encode_iq,
    encode_join,
    encode_leave,
    encode_marker,
    encode_message,
    encode_system_message,
)
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from connectycube.models import (
    Attachment,
    DialogRef,
    Message,
    MessageDeletion,
    MessageEdit,
    SystemMessage,
)
from connectycube.models._json import EPOCH
from connectycube.models.messages import RESERVED_NAMES
from tests.unit.chat.protocol.stanzas import (
    ALICE,
    BOB,
    CLIENT,
    ID,
    NOON,
    ROOM,
    ROOM_ID,
    TO,
    carbon,
    element_of,
    read,
    relayed,
    sendable,
)
from tests.unit.chat.protocol.texts import FORBIDDEN, texts

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
        '<attachment type="image" id="u1" uid="u1" content-type="image/png" size="123" width="10"/>'
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
def test_markable_is_an_element_or_a_parameter_for_history(markable: bool) -> None:
    element = element_of(encode_message(sendable(markable=markable), TO))
    assert (element.find("{urn:xmpp:chat-markers:0}markable") is not None) == markable
    parameter = element.findtext(f"{CLIENT}extraParams/{CLIENT}markable")
    assert parameter == (None if markable else "0")


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


def test_to_a_room_only_the_type_differs() -> None:
    message = sendable(dialog_id="d1", custom={"k": "v"})
    to_room = encode_message(message, ROOM, "groupchat")
    to_user = encode_message(message, TO)
    assert to_room == to_user.replace(
        f'to="{TO}" type="chat"'.encode(), f'to="{ROOM}" type="groupchat"'.encode()
    )
    assert encode_chat_state("composing", ROOM, "groupchat").decode() == (
        f'<message to="{ROOM}" type="groupchat">'
        '<composing xmlns="http://jabber.org/protocol/chatstates"/></message>'
    )


@pytest.mark.parametrize(("is_last", "said"), [(True, "true"), (False, "false")])
def test_an_edit_is_written_in_the_services_words(is_last: bool, said: str) -> None:
    assert encode_edit("m&1", "a<b", is_last, "d1", TO, "chat", "own1").decode() == (
        f'<message to="{TO}" type="chat" id="own1"><body>a&lt;b</body>'
        f'<replace xmlns="urn:xmpp:message-correct:0" id="m&amp;1" last="{said}"/>'
        '<extraParams xmlns="jabber:client"><dialog_id>d1</dialog_id></extraParams></message>'
    )


def test_a_deletion_is_written_in_the_services_words() -> None:
    assert encode_deletion("m&1", "d1", ROOM, "groupchat", "own1").decode() == (
        f'<message to="{ROOM}" type="groupchat" id="own1">'
        '<remove xmlns="urn:xmpp:message-delete:0" id="m&amp;1"/>'
        '<extraParams xmlns="jabber:client"><dialog_id>d1</dialog_id></extraParams></message>'
    )


def test_a_system_message_is_written_in_the_services_words() -> None:
    custom = {"k": "a<b", "n": 5, "deep": {"attachment": True, "moduleIdentifier": "x"}}
    assert encode_system_message(custom, TO, "own1").decode() == (
        f'<message to="{TO}" type="headline" id="own1"><body></body>'
        '<extraParams xmlns="jabber:client"><moduleIdentifier>SystemNotifications</moduleIdentifier>'
        "<k>a&lt;b</k><n>5</n><deep><attachment>true</attachment>"
        "<moduleIdentifier>x</moduleIdentifier></deep></extraParams></message>"
    )


def test_a_join_asks_for_no_room_history_and_a_leave_says_unavailable() -> None:
    assert encode_join(ROOM, ALICE, "own1").decode() == (
        f'<presence to="{ROOM}/1001" id="own1"><x xmlns="http://jabber.org/protocol/muc">'
        '<history maxstanzas="0"/></x></presence>'
    )
    assert encode_leave(ROOM, ALICE).decode() == (
        f'<presence to="{ROOM}/1001" type="unavailable"/>'
    )


def test_a_request_goes_to_somebody_or_to_ones_own_account() -> None:
    assert encode_iq("get", "a&b", "<p/>", "own1") == (
        b'<iq type="get" id="own1" to="a&amp;b"><p/></iq>'
    )
    assert encode_iq("set", None, "<p/>", "own1") == b'<iq type="set" id="own1"><p/></iq>'


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"message_id": ""}, ArgumentValueError, "message id must not be empty"),
        ({"message_id": 5}, ArgumentTypeError, "message id must be a string"),
        ({"message_id": "\x00"}, ArgumentValueError, "message id holds U+0000"),
        ({"dialog_id": ""}, ArgumentValueError, "dialog_id must not be empty"),
        ({"dialog_id": "\ufffe"}, ArgumentValueError, "dialog_id holds U+FFFE"),
        ({"body": None}, ArgumentTypeError, "body must be a string"),
        ({"body": ""}, ArgumentValueError, "body must not be empty"),
        ({"body": "a\x01"}, ArgumentValueError, "body holds U+0001 at position 1"),
        ({"is_last": 1}, ArgumentTypeError, "is_last must be a bool"),
    ],
)
def test_an_edit_that_cannot_be_sent_is_refused_by_argument(
    values: dict[str, Any], error: type[Exception], words: str
) -> None:
    good: dict[str, Any] = {"message_id": "m", "body": "b", "is_last": True, "dialog_id": "d"}
    with pytest.raises(error) as caught:
        encode_edit(**(good | values), to=TO, kind="chat", own_id="own1")
    assert str(caught.value).startswith(words)
    if values.keys() <= {"message_id", "dialog_id"}:
        with pytest.raises(error, match=words.replace("+", r"\+")):
            encode_deletion(
                **({"message_id": "m", "dialog_id": "d"} | values),
                to=TO,
                kind="chat",
                own_id="own1",
            )


@pytest.mark.parametrize(
    ("custom", "error", "words"),
    [
        (None, ArgumentTypeError, "custom must be a mapping, not NoneType"),
        ({"moduleIdentifier": "x"}, ArgumentValueError, "custom must not have the key"),
        ({"attachment": "x"}, ArgumentValueError, "custom must not have the key"),
        ({"k": {"a:b": "x"}}, ArgumentValueError, r"custom['k'] has the key 'a:b'"),
        ({"k": "\x00"}, ArgumentValueError, "custom['k'] holds U+0000"),
        ({"k": [1]}, ArgumentTypeError, "custom['k'] must be a string"),
    ],
)
def test_a_system_message_that_cannot_be_sent_is_refused_by_parameter(
    custom: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        encode_system_message(custom, TO, "own1")
    assert str(caught.value).startswith(words)


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
        ({"silent": 1}, ArgumentTypeError, "silent must be a bool"),
        ({"destroy_after": 0}, ArgumentValueError, "destroy_after must be at least 1"),
        ({"destroy_after": 1.5}, ArgumentTypeError, "destroy_after must be an int"),
        ({"custom": [1]}, ArgumentTypeError, "custom must be a mapping, not list"),
        ({"custom": None}, ArgumentTypeError, "custom must be a mapping, not NoneType"),
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
        *(
            ({"attachments": (Attachment(**fields),)}, error, f"attachments[0]{words}")
            for fields, error, words in [
                ({}, ArgumentValueError, " is empty"),
                ({"url": 5}, ArgumentTypeError, ".url must be a string, not int"),
                ({"width": "5"}, ArgumentTypeError, ".width must be a number, not str"),
                ({"duration": True}, ArgumentTypeError, ".duration must be a number, not bool"),
                ({"size": math.nan}, ArgumentValueError, ".size must be finite"),
                ({"size": -1}, ArgumentValueError, ".size must be at least 0"),
                ({"size": 10**5000}, ArgumentValueError, ".size must be finite"),
                ({"extra": {"a b": "x"}}, ArgumentValueError, ".extra has the key 'a b'"),
                ({"extra": {"uid": "x"}}, ArgumentValueError, ".extra must not have the key"),
                ({"extra": {"k": ["x"]}}, ArgumentTypeError, ".extra['k'] must be a string"),
                ({"extra": {"k": math.inf}}, ArgumentValueError, ".extra['k'] must be finite"),
                ({"extra": "k"}, ArgumentTypeError, ".extra must be a mapping, not str"),
            ]
        ),
        ({"custom": {"k": math.inf}}, ArgumentValueError, "custom['k'] must be finite"),
        ({"custom": {"k": 10**5000}}, ArgumentValueError, "custom['k'] must be finite"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_field(
    changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        encode_message(sendable(**changes), TO)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_reserved_names_cannot_be_custom_parameters_but_may_be_nested(name: str) -> None:
    with pytest.raises(ArgumentValueError, match=f"custom must not have the key '{name}'"):
        encode_message(sendable(custom={name: "x"}), TO)
    message = sendable(custom={"k": {name: "x"}})
    delivery = read(relayed(encode_message(message, TO)))
    assert isinstance(delivery, Delivery) and delivery.event.custom == {"k": {name: "x"}}
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


TEXTS = st.sampled_from(["map.png", "", 'a"b', "a&b", "<", ">", "a\nb", "a\tb", "\r", "5%", "é 🚀"])
FIELDS: dict[str, Any] = dict.fromkeys(
    ("type", "id", "uid", "url", "content_type", "name", "data"), TEXTS
)
for measure in ("size", "width", "height"):
    FIELDS[measure] = st.none() | st.integers(0, 2**60)
FIELDS["duration"] = st.none() | st.floats(0, 99)
USUAL: dict[str, Any] = dict.fromkeys(("type", "id", "uid", "url", "name"), st.none() | TEXTS)
USUAL |= dict.fromkeys(("size", "duration"), st.sampled_from([None, 0, 5, 2**53 - 1, 2**53]))


def says_something(attachment: Attachment) -> bool:
    return evolve(attachment, id=attachment.id or None, uid=attachment.uid or None) != Attachment()


@given(st.builds(Attachment, **FIELDS) | st.builds(Attachment, **USUAL).filter(says_something))
def test_an_attachment_is_written_as_its_json_says(attachment: Attachment) -> None:
    data = encode_message(sendable(attachments=(attachment,)), TO)
    (element,) = element_of(data).iter(f"{CLIENT}attachment")
    assert list(element.attrib.items()) == [
        (name, str(value)) for name, value in attachment.to_json().items()
    ]


def test_an_attachment_with_one_name_has_it_under_both() -> None:
    for attachment in (Attachment(id="a"), Attachment(uid="a")):
        data = encode_message(sendable(attachments=(attachment,)), TO)
        assert b'<attachment id="a" uid="a"/>' in data


def test_an_empty_name_of_an_attachment_is_none() -> None:
    for names in ({"uid": ""}, {"id": ""}, {"id": "", "uid": ""}):
        data = encode_message(sendable(attachments=(Attachment(url="u", **names),)), TO)
        assert b'<attachment url="u"/>' in data
        with pytest.raises(ArgumentValueError, match=r"attachments\[0\] is empty"):
            encode_message(sendable(attachments=(Attachment(**names),)), TO)


def test_any_mapping_may_hold_the_parameters() -> None:
    message = sendable(custom=MappingProxyType({"k": MappingProxyType({"n": 1})}))
    assert b"<k><n>1</n></k>" in encode_message(message, TO)


def test_each_message_has_its_own_date() -> None:
    moments = [EPOCH, NOON, NOON, NOON + timedelta(seconds=1), NOON]
    written = [encode_message(sendable(date_sent=moment), TO) for moment in moments]
    dates = [element_of(data).findtext(f".//{CLIENT}date_sent") for data in written]
    noon = 1633780800
    assert dates == [str(date) for date in (0, noon, noon, noon + 1, noon)]


@pytest.mark.parametrize(("length", "remembered"), [(256, 1), (257, 0)])
def test_long_addresses_and_ids_are_not_remembered(length: int, remembered: int) -> None:
    caches = (encoding._around, encoding._usual_dialog_param)
    for cache in caches:
        cache.cache_clear()
    encode_message(sendable(dialog_id="d" * length), "t" * length)
    assert [cache.cache_info().currsize for cache in caches] == [remembered] * 2


# --- there and back -----------------------------------------------------------------------------

keys = st.sampled_from(["k", "quiet", "größe", "x-1", "body", "files"])
params = st.dictionaries(
    keys,
    st.recursive(
        texts, lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3), max_leaves=6
    ),
    max_size=4,
)
present = st.one_of(st.none(), texts.filter(bool))
data = st.one_of(st.none(), texts, st.sampled_from(["50%25", "%", "100%", "%zz", "%C3%28", "%00"]))
numbers = st.one_of(st.none(), st.integers(0, 2**53), st.floats(0, 1e15))
attachments = st.builds(
    Attachment,
    extra=st.dictionaries(st.sampled_from(["colour", "größe", "x-1"]), texts, max_size=2),
    id=present,
    uid=present,
    type=st.sampled_from([None, "image", "location"]),
    url=texts,
    content_type=st.sampled_from([None, "image/png"]),
    name=st.one_of(st.none(), texts),
    data=data,
    size=numbers,
    width=numbers,
    height=numbers,
    duration=numbers,
).filter(lambda attachment: attachment != Attachment())
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
    silent=st.booleans(),
    destroy_after=st.one_of(st.none(), st.integers(1, 10**6)),
)


def filled(attachment: Attachment) -> Attachment:
    """With id and uid standing for each other, as on the wire."""
    json = attachment.to_json()
    return Attachment.from_json(json)


def assert_same(got: Message, message: Message) -> None:
    """That ``got`` says what ``message`` said, where it was not relayed by a room."""
    for name in ("id", "body", "date_sent", "custom", "markable", "destroy_after", "silent"):
        assert getattr(got, name) == getattr(message, name), name
    assert got.attachments == tuple(map(filled, message.attachments))
    assert got.save_to_history == (message.save_to_history and message.destroy_after is None)
    assert not got.delayed


def through_a_stream(data: bytes) -> Any:
    return read(data)


def through_a_received_carbon(data: bytes) -> Any:
    return read(carbon(data))


PATHS = pytest.mark.parametrize("path", [through_a_stream, through_a_received_carbon])


@PATHS
@given(message=whole)
def test_the_recipient_reads_what_was_sent(path: Callable[[bytes], Any], message: Message) -> None:
    delivery = path(relayed(encode_message(message, TO)))
    assert isinstance(delivery, Delivery)
    assert delivery.signal == "message_received"
    assert delivery.key == ("1002-7@chat.example", BOB, message.id)
    assert delivery.is_carbon == (path is through_a_received_carbon)
    got: Message = delivery.event
    assert_same(got, message)
    assert got.dialog_id == message.dialog_id
    assert (got.sender_id, got.recipient_id, got.own) == (BOB, ALICE, False)
    assert got.dialog == DialogRef.private(BOB, message.dialog_id)


@PATHS
@given(message=whole)
def test_a_room_reads_what_was_sent(path: Callable[[bytes], Any], message: Message) -> None:
    delivery = path(relayed(encode_message(message, ROOM, "groupchat"), f"{ROOM}/{BOB}"))
    assert isinstance(delivery, Delivery)
    assert (delivery.signal, delivery.conversation) == ("message_received", ROOM)
    assert delivery.key == (ROOM, BOB, message.id)
    got: Message = delivery.event
    assert_same(got, message)
    assert (got.sender_id, got.recipient_id, got.own) == (BOB, None, False)
    assert got.dialog == DialogRef.room(ROOM_ID)
    assert got.dialog_id == ROOM_ID, "whatever the sender claimed"


@given(whole)
def test_my_other_device_reads_what_was_sent_as_my_own(message: Message) -> None:
    data = relayed(encode_message(message, "1002-7@chat.example"), f"{TO}/desk")
    delivery = read(carbon(data, "sent"))
    assert isinstance(delivery, Delivery)
    assert (delivery.conversation, delivery.is_carbon) == ("1002-7@chat.example", True)
    got: Message = delivery.event
    assert_same(got, message)
    assert (got.sender_id, got.recipient_id, got.own) == (ALICE, BOB, True)
    assert got.dialog == DialogRef.private(BOB, message.dialog_id)


@given(
    message_id=texts.filter(bool),
    dialog_id=texts.filter(bool),
    body=texts.filter(bool),
    is_last=st.booleans(),
)
def test_the_recipient_reads_edits_and_deletions_as_they_were_made(
    message_id: str, dialog_id: str, body: str, is_last: bool
) -> None:
    edit = read(relayed(encode_edit(message_id, body, is_last, dialog_id, TO, "chat", ID)))
    assert edit.event == MessageEdit(
        user_id=BOB,
        message_id=message_id,
        body=body,
        dialog=DialogRef.private(BOB, dialog_id),
        is_last=is_last,
    )
    deletion = read(relayed(encode_deletion(message_id, dialog_id, TO, "chat", ID)))
    assert deletion.event == MessageDeletion(
        user_id=BOB, message_id=message_id, dialog=DialogRef.private(BOB, dialog_id)
    )
    assert edit.key == deletion.key == ("1002-7@chat.example", BOB, ID)


@given(params, st.none() | texts.filter(bool))
def test_the_recipient_reads_a_system_message_as_it_was_made(
    custom: dict[str, Any], body: str | None
) -> None:
    delivery = read(relayed(encode_system_message(custom, TO, "own1", body)))
    assert delivery.event == SystemMessage(
        id="own1", sender_id=BOB, recipient_id=ALICE, body=body, custom=custom
    )
    assert SYSTEM_NOTIFICATIONS not in repr(delivery.event)


@given(whole)
def test_another_parser_reads_the_same_fields(message: Message) -> None:
    element = element_of(encode_message(message, TO))
    assert element.attrib == {"to": TO, "type": "chat", "id": message.id}
    assert (element.findtext(f"{CLIENT}body") or "") == message.body
    found = [dict(kid.attrib) for kid in element.iter(f"{CLIENT}attachment")]
    written = [one.get("data") for one in found]
    assert [one and unquote(one) for one in written] == [one.data for one in message.attachments]

    def nested(parent: ElementTree.Element) -> Any:
        return {k.tag[len(CLIENT) :]: nested(k) if len(k) else k.text or "" for k in parent}

    extra = element.find(f"{CLIENT}extraParams")
    assert extra is not None
    custom = {key: value for key, value in nested(extra).items() if key not in RESERVED_NAMES}
    assert custom == message.custom
