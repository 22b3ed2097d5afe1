"""Files, pushes, contacts, custom objects, deletions: the documented shapes, whole and damaged."""

import pytest
from hypothesis import given

from connectycube.models import (
    AddressBookResult,
    Contact,
    CustomObject,
    DeleteResult,
    File,
    PushEvent,
    PushSubscription,
)
from tests.support.damage import damaged

BLOB = {
    "blob": {
        "id": 8049,
        "uid": "9ad7",
        "content_type": "image/jpeg",
        "name": "Pets.jpg",
        "size": 70980,
        "created_at": "2018-08-02T07:52:51Z",
        "updated_at": "2018-08-02T07:52:51Z",
        "blob_status": "complete",
        "set_completed_at": "2018-08-02T07:52:51Z",
        "public": True,
        "blob_object_access": {
            "id": 46919,
            "expires": "2018-12-10T11:26:01Z",
            "object_access_type": "Write",
            "params": "https://s3.example/b?key=1",
            "dowload_url": "https://s3.example/d",
        },
    }
}
SUBSCRIPTION = {
    "subscription": {
        "id": 50,
        "notification_channel": {"name": "apns"},
        "device": {"udid": "d", "platform": {"name": "ios"}},
    }
}
EVENT = {
    "event": {
        "id": 8429,
        "event_type": "one_shot",
        "message": "payload=e30=",
        "date": None,
        "period": None,
        "name": None,
        "occured_count": 0,
        "created_at": "2018-12-06T11:31:23Z",
        "updated_at": "2018-12-06T11:31:23Z",
        "end_date": None,
        "active": True,
        "application_id": 1,
        "user_id": 271,
        "kind": "API",
        "environment": "development",
        "tag_query": None,
        "notification_channel": {"name": "apns"},
    }
}
CONTACT = {"phone": "61412675500", "name": "Dacia"}
UPLOADED = {"deleted": 2, "rejected": {"1": ["short"], "3": ["long"]}, "created": 25, "updated": 5}
RECORD = {
    "_id": "5c0d",
    "_parent_id": None,
    "age": 25,
    "created_at": 1544383884,
    "updated_at": 1544383884,
    "user_id": 47592,
    "permissions": {
        "read": {"access": "owner"},
        "update": {"access": "open_for_users_ids", "users_ids": ["51941"]},
    },
}
DELETED = {
    "SuccessfullyDeleted": {"ids": ["a"]},
    "WrongPermissions": {"ids": ["b"]},
    "NotFound": {"ids": ["c"]},
}
EXAMPLES = {
    File: BLOB,
    PushSubscription: SUBSCRIPTION,
    PushEvent: EVENT,
    Contact: CONTACT,
    AddressBookResult: UPLOADED,
    CustomObject: RECORD,
    DeleteResult: DELETED,
}


def test_a_file_is_read_bare_or_wrapped():
    file = File.from_json(BLOB)
    assert file == File.from_json(BLOB["blob"])
    assert (file.id, file.size, file.public, file.status) == (8049, 70980, True, "complete")
    assert file.completed_at == file.created_at
    assert file.download_url == "https://s3.example/d"
    assert file.extra == {}
    assert "s3.example" not in repr(file)


def test_an_event_is_read_with_what_no_field_claims():
    event = PushEvent.from_json(EVENT)
    assert event == PushEvent.from_json(EVENT["event"])
    assert (event.event_type, event.channel, event.active) == ("one_shot", "apns", True)
    assert event.extra["kind"] == "API"


def test_a_subscription_without_a_device_has_none():
    assert PushSubscription.from_json({"id": 1}).udid is None
    assert PushSubscription.from_json({"id": 1, "device": {"platform": "ios"}}).platform == "ios"


def test_rejections_are_found_by_place():
    assert AddressBookResult.from_json(UPLOADED).rejected == {1: ("short",), 3: ("long",)}
    assert AddressBookResult.from_json({}) == AddressBookResult()


def test_deletions_are_read_from_objects_and_from_lists():
    result = DeleteResult.from_json(DELETED)
    assert (result.deleted, result.not_permitted, result.not_found) == (("a",), ("b",), ("c",))
    assert DeleteResult.from_json({"NotFound": ["c"]}).not_found == ("c",)


@pytest.mark.parametrize("cls", EXAMPLES, ids=lambda cls: cls.__name__)
def test_a_damaged_one_is_read(cls):
    @given(damaged(EXAMPLES[cls]))
    def read(data):
        model = cls.from_json(data)
        for name in ("download_url", "udid", "platform"):
            getattr(model, name, None)
        repr(model)

    read()
