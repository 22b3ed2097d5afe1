from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.errors import ArgumentTypeError, ArgumentValueError
from connectycube.models import DialogType, Message, User
from connectycube.rest._query import IDS_PER_REQUEST, chunked
from connectycube.rest.custom_objects import CUSTOM_OBJECTS
from connectycube.rest.dialogs import DIALOGS
from connectycube.rest.messages import MESSAGES

LIMA = timezone(timedelta(hours=-5))


# --- look-ups


@pytest.mark.parametrize(
    ("lookups", "pairs"),
    [
        ({}, []),
        ({"id": "m"}, [("_id", "m")]),
        ({"id": Message(id="m")}, [("_id", "m")]),
        ({"id__in": ["a", "b"]}, [("_id[in]", "a,b")]),
        ({"id__in": iter(["a"])}, [("_id[in]", "a")]),
        ({"body__contains": "a,b"}, [("message[ctn]", "a,b")]),
        ({"date_sent__gt": 10.5}, [("date_sent[gt]", 10)]),
        ({"date_sent__gte": 10.5}, [("date_sent[gte]", 10)]),
        ({"date_sent__lt": 10.5}, [("date_sent[lt]", 11)]),
        ({"date_sent__lte": 10.5}, [("date_sent[lte]", 11)]),
        ({"updated_at__gt": datetime(2024, 1, 1, tzinfo=LIMA)}, [("updated_at[gt]", 1704085200)]),
        ({"updated_at__gt": 1_704_085_200_999}, [("updated_at[gt]", 1_704_085_200)]),
        ({"date_sent__lte": 1_704_085_200_001}, [("date_sent[lte]", 1_704_085_201)]),
        ({"date_sent": 1_704_085_200_000}, [("date_sent", 1_704_085_200)]),
        ({"sender_id__nin": [5, User(id=6)]}, [("sender_id[nin]", "5,6")]),
        ({"sender_id__ne": 5}, [("sender_id[ne]", 5)]),
        ({"attachments_type__all": ("image",)}, [("attachments.type[all]", "image")]),
    ],
)
def test_message_lookups_in_the_services_words(lookups, pairs):
    assert MESSAGES.query(lookups) == pairs


@pytest.mark.parametrize(
    ("lookups", "pairs"),
    [
        ({"type": DialogType.GROUP}, [("type", 2)]),
        ({"type__in": [2, DialogType.PRIVATE]}, [("type[in]", "2,3")]),
        ({"name__contains": "x"}, [("name[ctn]", "x")]),
        ({"extensions__location": "Lima"}, [("extensions[location]", "Lima")]),
        ({"extensions__location__ne": "Lima"}, [("extensions[location][ne]", "Lima")]),
        (
            {"extensions": {"location": "Lima", "size__in": ["1", "2"]}},
            [("extensions[location]", "Lima"), ("extensions[size][in]", "1,2")],
        ),
        ({"extensions__in__in": ["a"]}, [("extensions[in][in]", "a")]),
        ({"last_message_date_sent__lte": 5}, [("last_message_date_sent[lte]", 5)]),
    ],
)
def test_dialog_lookups_in_the_services_words(lookups, pairs):
    assert DIALOGS.query(lookups) == pairs


@pytest.mark.parametrize(
    ("lookups", "cls", "words"),
    [
        ({"colour": "red"}, ArgumentTypeError, "colour is no argument"),
        ({"id__like": "x"}, ArgumentTypeError, "id__like has no such look-up"),
        ({"id__in__ne": "x"}, ArgumentTypeError, "id__in__ne has no such look-up"),
        ({"id__": "x"}, ArgumentTypeError, "id__ has no such look-up"),
        ({"id__in": "abc"}, ArgumentTypeError, "id__in must be a list"),
        ({"id__in": []}, ArgumentValueError, "id__in must not be empty"),
        ({"id__in": ["a,b"]}, ArgumentValueError, "id__in is not an id"),
        ({"id": None}, ArgumentTypeError, "id must be a string"),
        ({"body__in": ["a,b"]}, ArgumentValueError, "body__in must not hold a comma"),
        ({"body": 5}, ArgumentTypeError, "body must be a string"),
        ({"sender_id": 10**5000}, ArgumentValueError, "sender_id must be at most"),
        ({"date_sent": "today"}, ArgumentTypeError, "date_sent must be an aware"),
        ({"date_sent__gt": datetime(2024, 1, 1)}, ArgumentValueError, "date_sent__gt is a naive"),
        ({"sender_id": "5"}, ArgumentTypeError, "sender_id must be an int"),
    ],
)
def test_wrong_lookups_are_refused_by_name(lookups, cls, words):
    with pytest.raises(cls, match=words):
        MESSAGES.query(lookups)


@pytest.mark.parametrize(
    ("lookups", "words"),
    [
        ({"type": 9}, "type must be one of <DialogType.BROADCAST: 1>, <DialogType"),
        ({"type__in": [2, 9]}, "type__in must be one of"),
        ({"extensions__": "x"}, "extensions__ is no argument"),
        ({"extensions": "x"}, "extensions must be a mapping"),
        ({"extensions": {}}, "extensions must be a mapping"),
        ({"extensions": {5: "x"}}, "a key of extensions must be"),
        ({"extensions": {"": "x"}}, "a key of extensions"),
        ({"extensions": {"size": 5}}, "extensions__size must be"),
    ],
)
def test_wrong_dialog_lookups_are_refused_by_name(lookups, words):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=words):
        DIALOGS.query(lookups)


def test_paging_and_order_in_the_services_words():
    query = MESSAGES.query({}, limit=10, skip=0, sort="-date_sent")
    assert query == [("limit", 10), ("skip", 0), ("sort_desc", "date_sent")]
    assert MESSAGES.query({}, sort="date_sent") == [("sort_asc", "date_sent")]


@pytest.mark.parametrize(
    ("options", "cls", "words"),
    [
        ({"limit": 0}, ArgumentValueError, "limit"),
        ({"limit": "5"}, ArgumentTypeError, "limit"),
        ({"limit": True}, ArgumentTypeError, "limit"),
        ({"skip": -1}, ArgumentValueError, "skip"),
        ({"skip": 1.0}, ArgumentTypeError, "skip"),
        ({"sort": "name"}, ArgumentValueError, "sort"),
        ({"sort": "--date_sent"}, ArgumentValueError, "sort"),
        ({"sort": ""}, ArgumentValueError, "sort"),
        ({"sort": 1}, ArgumentTypeError, "sort"),
    ],
)
def test_wrong_paging_is_refused_by_name(options, cls, words):
    with pytest.raises(cls, match=f"^{words} "):
        MESSAGES.query({}, **options)


@given(st.floats(0, 4e9))
def test_a_fraction_of_a_second_never_narrows_what_is_found(seconds):
    ((_, low),) = MESSAGES.query({"updated_at__gte": seconds})
    ((_, high),) = MESSAGES.query({"updated_at__lte": seconds})
    assert low <= seconds <= high < low + 2


# --- lists of ids


@given(st.lists(st.integers(0, 500), unique=True, max_size=300))
def test_id_pieces_hold_all_ids_within_the_limit_and_no_single_rest(numbers):
    ids = [str(number) for number in numbers]
    pieces = list(chunked(ids))
    assert [each for piece in pieces for each in piece] == ids
    assert all(len(piece) <= IDS_PER_REQUEST for piece in pieces)
    assert len(ids) == 1 or all(len(piece) > 1 for piece in pieces)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *(("limits", "did you mean limit"), ("sorts", "did you mean sort")),
        *(("groupBy", "did you mean group_by"), ("timeuot", "did you mean timeout")),
        *(("limit", "limit is no argument"), ("count", "count is no argument")),
        ("sort_asc", "sort_asc is no argument"),
    ],
)
def test_a_misspelt_argument_is_no_field_of_the_application(name, words):
    with pytest.raises(ArgumentTypeError, match=words) as caught:
        CUSTOM_OBJECTS.query({name: 5})
    assert f"{name}__in=[…] looks up a field" in str(caught.value)
    assert CUSTOM_OBJECTS.query({f"{name}__in": [5]}) == [(f"{name}[in]", "5")]


@pytest.mark.parametrize("name", ["country", "counter", "sortable", "name", "limit_of_age", "kids"])
def test_a_field_that_resembles_an_argument_is_looked_up(name):
    assert CUSTOM_OBJECTS.query({name: 5}) == [(name, 5)]
    with pytest.raises(ArgumentValueError, match=f"{name} must be at least"):
        CUSTOM_OBJECTS.query({name: -(10**5000)})
