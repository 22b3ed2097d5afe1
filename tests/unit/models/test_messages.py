import json
from datetime import datetime, timezone
from xml.etree import ElementTree

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from connectycube import ConnectyCube, NotConnectedError, Response
from connectycube.chat.protocol.encoding import encode_message
from connectycube.errors import ArgumentTypeError, ArgumentValueError, ChatError
from connectycube.models import (
    Attachment,
    AttachmentType,
    CallbackFailure,
    ChatState,
    Dialog,
    DialogRef,
    File,
    Message,
    MessageEdit,
    MessageSent,
    StateChange,
    SystemMessage,
)
from connectycube.models.messages import RESERVED_NAMES, check_content, forwarded
from connectycube.testing import MockTransport
from tests.support.damage import damaged
from tests.support.examples import MESSAGE
from tests.support.inside import api_of


def test_a_message_is_read():
    place = DialogRef(id="d")
    message = Message.from_json(MESSAGE, dialog=place)
    assert (message.id, message.dialog_id, message.body) == (
        MESSAGE["_id"],
        MESSAGE["chat_dialog_id"],
        "How much is it?",
    )
    assert message.date_sent == datetime(2024, 12, 6, 15, 55, 46, tzinfo=timezone.utc)
    assert (message.sender_id, message.recipient_id, message.read) == (85, None, False)
    assert (message.read_ids, message.delivered_ids) == ((85,), (85, 86))
    assert message.custom == {"country": "Peru"}
    assert message.dialog is place
    assert [file.id for file in message.attachments] == ["3004", "24504"]
    assert (message.attachments[0].width, message.attachments[0].height) == (10, 20)


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ([{"id": "1"}, None, "x", {"id": "2"}], ["1", "2"]),
        ({"0": {"id": "1"}, "7": {"id": "2"}}, ["1", "2"]),
        (None, []),
        ("x", []),
    ],
)
def test_attachments_are_read_from_a_list_or_an_object(value, ids):
    message = Message.from_json({"attachments": value})
    assert [file.id for file in message.attachments] == ids


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
@pytest.mark.parametrize("value", [None, 1, "x", {"a": 1}])
def test_no_name_of_the_service_becomes_a_custom_parameter(name, value):
    message = Message.from_json({"_id": "m", "colour": "blue", name: value})
    assert message.custom == {"colour": "blue"}


@given(damaged(MESSAGE))
def test_a_damaged_message_is_read(data):
    Message.from_json(data)


# --- attachments that are sent


def test_an_attachment_is_sent_without_what_is_not_known():
    assert Attachment(type="image", uid="u", content_type="image/png").to_json() == {
        "type": "image",
        "id": "u",
        "uid": "u",
        "content-type": "image/png",
    }


def test_an_attachments_id_and_uid_stay_what_they_are_when_both_are_known():
    data = Attachment(id="1", uid="u").to_json()
    assert (data["id"], data["uid"]) == ("1", "u")


LEGAL = st.characters(codec="utf-8", exclude_categories=("Cc", "Cn"))
TEXTS = st.none() | st.text(LEGAL | st.sampled_from("%\t\n\r")) | st.just("50%25")
NUMBERS = st.none() | st.integers(0, 10**6) | st.floats(0, 1e8)


@given(
    st.builds(
        Attachment,
        extra=st.dictionaries(st.sampled_from(["colour", "größe"]), st.text(LEGAL), max_size=2),
        type=TEXTS,
        uid=TEXTS,
        id=TEXTS,
        url=TEXTS,
        content_type=TEXTS,
        name=TEXTS,
        data=TEXTS,
        size=NUMBERS,
        width=NUMBERS,
        height=NUMBERS,
        duration=NUMBERS,
    ).filter(lambda file: evolve(file, id=file.id or None, uid=file.uid or None) != Attachment())
)
def test_an_attachment_survives_the_way_to_the_service_and_back(file):
    back = Attachment.from_json(json.loads(json.dumps(file.to_json())))
    assert back.id == (file.id or file.uid or None)
    assert back.uid == (file.uid or file.id or None)
    for name in (
        "type",
        "url",
        "content_type",
        "name",
        "data",
        "size",
        "width",
        "height",
        "duration",
        "extra",
    ):
        assert getattr(back, name) == getattr(file, name)


@pytest.mark.parametrize(
    "file", [{"uid": "u"}, {"id": "u"}, {"id": "u", "uid": "u"}, {"id": "", "uid": "u"}]
)
def test_id_and_uid_stand_for_each_other_in_history_too(file):
    assert Message.from_json({"attachments": [file]}).attachments == (Attachment(id="u", uid="u"),)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (5, "5"),
        (12.5, "12.5"),
        (True, "true"),
        ("", ""),
        ([1, "é", None], '[1, "é", null]'),
        ({"deep": {"n": 1, "nothing": None}}, {"deep": {"n": "1"}}),
        ({}, ""),
    ],
)
def test_parameters_in_history_are_texts_as_in_a_stanza(sent, read):
    message = Message.from_json({"k": sent, "gone": None})
    assert message.custom == {"k": read}


@pytest.mark.parametrize(
    ("sent", "read"), [(5, "5"), (True, "true"), ("", ""), ([1], "[1]"), ({"n": 1}, '{"n": 1}')]
)
def test_unknown_attributes_in_history_are_texts_as_in_a_stanza(sent, read):
    message = Message.from_json({"attachments": [{"k": sent, "gone": None}]})
    assert message.attachments == (Attachment(extra={"k": read}),)


@pytest.mark.parametrize(("written", "read"), [("0", False), (0, False), (1, True), (None, True)])
def test_history_says_whether_a_message_is_markable(written, read):
    message = Message.from_json({"markable": written})
    assert message.markable is read and message.custom == {}


def test_an_empty_body_and_the_recipient_zero_are_none():
    message = Message.from_json({"message": "", "recipient_id": 0})
    assert message == Message()


# --- messages that are sent


@pytest.mark.parametrize(
    "field",
    [
        {"dialog_id": "d"},
        {"sender_id": 999},
        {"recipient_id": 6},
        {"read": False},
        {"read_ids": (1,)},
        {"delivered_ids": (1,)},
        {"views_count": 1},
        {"reactions": {}},
        {"created_at": datetime.now(timezone.utc)},
        {"updated_at": datetime.now(timezone.utc)},
        {"delayed": True},
        {"recovered": True},
        {"redelivered": True},
        {"own": True},
    ],
)
def test_what_only_the_service_says_is_refused_by_name(field):
    name = next(iter(field))
    with pytest.raises(ArgumentValueError, match=rf"^message\.{name} is for the service to say"):
        check_content("message", Message(body="x", **field))


def test_a_message_that_was_received_may_be_passed_on():
    received = Message.from_json(MESSAGE, dialog=DialogRef(id="d"), own=True)
    assert check_content("message", received) is received


NAMESPACED = "http://www.w3.org/XML/1998/namespace lang"  # as a parser names xml:lang


@pytest.mark.parametrize("name", ["xmlns", "xml:lang", "xmlns:x", NAMESPACED, "a b", ""])
def test_a_name_that_xml_cannot_carry_is_left_out_when_it_is_passed_on(name):
    received = Message(
        body="x",
        sender_id=5,
        custom={name: "1", "a": {name: "2", "b": "3"}, "c": {name: "4"}},
        attachments=(
            Attachment(id="1", extra={name: "5", "d": "6"}),
            Attachment(extra={name: "7"}),
        ),
        dialog=DialogRef(id="d"),
    )
    content = check_content("message", received)
    assert content.custom == {"a": {"b": "3"}, "c": {}}
    assert content.attachments == (Attachment(id="1", extra={"d": "6"}),)
    assert (content.body, content.sender_id, content.dialog) == ("x", 5, DialogRef(id="d"))


def test_what_xml_forbids_is_replaced_in_what_is_passed_on():
    data = {
        "_id": "1",
        "message": "a\x00",
        "attachments": [{"name": "b\x07", "size": -1, "e": "\x01"}],
        "colour": "\x1f",
    }
    content = check_content("message", Message.from_json(data, dialog=DialogRef(id="d")))
    assert (content.body, content.custom) == ("a\ufffd", {"colour": "\ufffd"})
    (file,) = content.attachments
    assert file.to_json() == {"name": "b\ufffd", "size": "-1", "e": "\ufffd"}


ODD_NAMES = st.text(max_size=4)
ODD_TEXTS = st.text(max_size=4)
ODD_VALUES = st.recursive(
    ODD_TEXTS, lambda inner: st.dictionaries(ODD_NAMES, inner, max_size=2), max_leaves=4
)


@given(st.dictionaries(ODD_NAMES, ODD_VALUES, max_size=3))
def test_any_content_of_history_can_be_passed_on(custom):
    texts = {name: value for name, value in custom.items() if isinstance(value, str)}
    data = {**custom, "message": "".join(texts), "attachments": [texts]}
    content = check_content("message", Message.from_json(data, dialog=DialogRef(id="d")))
    content = evolve(content, id="64d0c1d2e3f405162738495a", date_sent=datetime.now(timezone.utc))
    ElementTree.fromstring(encode_message(forwarded(content), "5-7@chat.example"))


@pytest.mark.parametrize("name", ["xmlns", "xmlns:x", "xml:lang", NAMESPACED, "a b"])
@pytest.mark.parametrize("value", ["", "urn:x", "http://www.w3.org/2000/xmlns/"])
def test_a_name_that_xml_keeps_for_itself_is_refused_in_extra(name, value):
    with pytest.raises(ArgumentValueError, match=r"^attachments\[0\].extra has the key "):
        Attachment(uid="u", extra={name: value}).to_json("attachments[0]")


@pytest.mark.parametrize("field", ["size", "width", "height", "duration"])
def test_a_negative_measure_is_refused_and_of_others_extra(field):
    with pytest.raises(
        ArgumentValueError, match=rf"^attachment\.{field} must be at least 0, not -"
    ):
        Attachment(uid="u", **{field: -0.5}).to_json()
    assert Attachment(uid="u", **{field: 0}).to_json()[field] == 0
    read = Attachment.from_json({"uid": "u", field: "-1"})
    assert (getattr(read, field), read.extra) == (None, {field: "-1"})
    assert read.to_json()[field] == "-1"


def test_uploaded_files_become_attachments():
    file = File(uid="u", name="a.mp4", content_type="video/mp4", size=3)
    known = Attachment(uid="k")
    assert check_content("message", Message(attachments=(known, file))).attachments == (
        known,
        Attachment(type="video", uid="u", name="a.mp4", content_type="video/mp4", size=3),
    )


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [("image/png", "image"), ("audio/ogg", "audio"), ("text/plain", "file"), (None, "file")],
)
def test_the_type_of_an_attachment_is_that_of_the_file(content_type, kind):
    assert Attachment.from_file(File(uid="u", content_type=content_type)).type == kind


@pytest.mark.parametrize("value", [None, b"x", {"body": "x"}])
def test_what_is_no_message_is_refused_by_name(value):
    with pytest.raises(ArgumentTypeError, match=r"^message must be a string or a Message"):
        check_content("message", value)


def test_what_is_no_attachment_is_refused_by_its_position():
    with pytest.raises(ArgumentTypeError, match=r"^message\.attachments\[1\] must be an Att"):
        check_content("message", Message(attachments=(Attachment(uid="u"), "v")))


# --- misspelt arguments among custom parameters


def client():
    cube = ConnectyCube(app_id=1, auth_key="k", transport=MockTransport())
    cube.login(login="ann", password="p")
    return cube


DIALOG = DialogRef.private(5, "5f1e0a0b0c0d0e0f10111213")
CALLS = {
    "messages.create": lambda cube, **more: cube.messages.create(DIALOG, "x", **more),
    "send_message": lambda cube, **more: cube.chat.send_message(DIALOG, "x", **more),
    "send_private": lambda cube, **more: cube.chat.send_private(5, "x", **more),
    "reply": lambda cube, **more: cube.chat.reply(Message(dialog=DIALOG), "x", **more),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("more", "meant", "may_be_custom"),
    [
        ({"custon": {}}, "custom", True),
        ({"time_out": 5}, "timeout", True),
        ({"attachements": []}, "attachments", True),
        ({"attachment": None}, "attachments", False),
        ({"colour": "blue", "slient": True}, "silent", True),
        ({"destroyAfter": 5}, r"(destroy_after=…|chat\.send_message)", True),
    ],
)
def test_a_misspelt_argument_is_no_custom_parameter(call, more, meant, may_be_custom):
    *_, name = more
    with pytest.raises(ArgumentTypeError, match=rf"^{name} is no argument of .*{meant}") as caught:
        CALLS[call](client(), **more)
    assert call in str(caught.value)
    assert (f"custom={{'{name}': …}} sends it as it is" in str(caught.value)) is may_be_custom


@pytest.mark.parametrize("call", CALLS)
def test_custom_takes_a_name_that_looks_misspelt(call):
    cube = client()
    answer = Response(201, json={"_id": "m", "slient": "1"})
    api_of(cube).transport.add("POST", "/chat/Message", answer)
    try:
        CALLS[call](cube, custom={"slient": 1}, customer="ann")
    except NotConnectedError:
        assert call != "messages.create"


# --- uploaded files and what is shown ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "type"),
    [
        ("image/png", AttachmentType.IMAGE),
        ("audio/ogg", AttachmentType.AUDIO),
        ("video/mp4", AttachmentType.VIDEO),
        ("text/plain", AttachmentType.FILE),
        (None, AttachmentType.FILE),
    ],
)
def test_an_uploaded_file_can_be_attached(content_type, type):
    file = File(uid="u1", name="a.bin", content_type=content_type, size=5)
    place = Attachment(type=AttachmentType.LOCATION, data="here")
    message = Message(body="look", attachments=[file, place])
    assert message.attachments == (Attachment.from_file(file), place)
    assert message.attachments[0].type == type and message.attachments[0].uid == "u1"
    assert Message.from_dict(message.to_dict()) == message


def test_a_file_that_was_not_uploaded_cannot_be_attached():
    with pytest.raises(ArgumentValueError, match="not been uploaded"):
        Message(attachments=[File(name="a.png")])


def test_the_repr_of_a_message_is_short_and_without_its_content():
    message = Message(
        id="m1",
        dialog_id="d1",
        body="my secret",
        sender_id=6,
        custom={"pin": "my secret"},
        attachments=(Attachment(data="my secret"),),
        read_ids=tuple(range(1_000)),
        reactions={"own": ["my secret"]},
        dialog=Dialog(id="d1", last_message="my secret"),
        own=True,
    )
    assert repr(message) == "Message(id='m1', dialog_id='d1', sender_id=6, own=True)"
    sent = MessageSent(message_id="m1", dialog=DialogRef(id="d1"), message=message)
    edit = MessageEdit(user_id=6, message_id="m1", body="my secret", dialog=DialogRef(id="d1"))
    system = SystemMessage(id="m1", sender_id=6, body="my secret", custom={"a": "my secret"})
    failure = CallbackFailure(receiver="r", signal="s", event=message, error=ValueError())
    for event in (sent, edit, system, failure, message.dialog):
        assert "secret" not in repr(event) and len(repr(event)) < 200
    assert repr(system) == "SystemMessage(id='m1', sender_id=6)"


def test_the_repr_of_an_event_is_bounded():
    change = StateChange(
        state=ChatState.CLOSED, previous=ChatState.READY, reason=ChatError("x" * 100_000)
    )
    assert len(repr(change)) < 500
