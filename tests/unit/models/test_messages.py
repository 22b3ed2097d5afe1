import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.models import Attachment, DialogRef, Message
from tests.support.damage import damaged
from tests.support.examples import MESSAGE


def test_a_message_is_read():
    place = DialogRef(id="d")
    message = Message.from_json(MESSAGE, dialog=place)
    assert (message.id, message.dialog_id, message.body) == (
        MESSAGE["_id"],
        MESSAGE["chat_dialog_id"],
        "How much is it?",
    )
    assert message.date_sent == datetime(2024, 12, 6, 15, 55, 46, tzinfo=timezone.utc)
    assert (message.sender_id, message.recipient_id, message.read) == (85, 0, False)
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


TEXTS = st.none() | st.text(st.characters(codec="utf-8"))
NUMBERS = st.none() | st.integers(0, 10**6)


@given(
    st.builds(
        Attachment,
        type=TEXTS,
        uid=TEXTS,
        id=TEXTS,
        url=TEXTS,
        content_type=TEXTS,
        name=TEXTS,
        data=TEXTS,
        size=st.none() | st.floats(0, 1e8),
        width=NUMBERS,
        height=NUMBERS,
        duration=NUMBERS,
    )
)
def test_an_attachment_survives_the_way_to_the_service_and_back(file):
    back = Attachment.from_json(json.loads(json.dumps(file.to_json())))
    assert back.id == (file.id or file.uid)
    assert back.uid == (file.uid or file.id)
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
    ):
        assert getattr(back, name) == getattr(file, name)
