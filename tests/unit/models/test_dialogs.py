from datetime import datetime, timezone

import pytest
from hypothesis import given

from connectycube.models import Dialog, DialogRef, DialogType
from tests.support.damage import damaged
from tests.support.examples import DIALOG


def test_a_dialog_is_read():
    dialog = Dialog.from_json({**DIALOG, "new": 1}, me=85)
    assert (dialog.id, dialog.type, dialog.peer_id) == (DIALOG["_id"], DialogType.PRIVATE, 86)
    assert dialog.occupants_ids == (85, 86)
    assert dialog.pinned_messages_ids == ("5c0e7a13e588ce6b6f3ebf80",)
    assert dialog.last_message_date_sent == datetime(2024, 12, 6, 15, 46, 40, tzinfo=timezone.utc)
    assert dialog.permissions == {"allow_preview": True}
    assert dialog.is_muted is False
    assert dialog.extra == {"new": 1}


@pytest.mark.parametrize(
    ("change", "me"),
    [({"type": 2}, 85), ({"occupants_ids": [85]}, 85), ({"occupants_ids": [1, 2]}, 85), ({}, None)],
)
def test_the_peer_is_none_where_nobody_can_tell(change, me):
    assert Dialog.from_json({**DIALOG, **change}, me=me).peer_id is None


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1, DialogType.BROADCAST), ("2", DialogType.GROUP), (5, DialogType.MEETING), (None, None)],
)
def test_the_type_is_read_from_the_services_number(value, kind):
    dialog = Dialog.from_json({"type": value})
    assert (dialog.type, dialog.extra) == (kind, {})


@pytest.mark.parametrize("value", [9, 0, "x", [], {"a": 1}])
def test_a_type_that_is_unknown_is_none_and_kept(value):
    dialog = Dialog.from_json({"type": value})
    assert (dialog.type, dialog.extra) == (None, {"type": value})


def test_a_dialog_is_a_reference():
    assert isinstance(Dialog.from_json(DIALOG), DialogRef)
    assert DialogRef.private(5, "d") == DialogRef(id="d", type=DialogType.PRIVATE, peer_id=5)


@given(damaged(DIALOG))
def test_a_damaged_dialog_is_read(data):
    Dialog.from_json(data, me=85)
