"""Filters as SQL, against what the operators mean."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator.api.query import Column, ListQuery, text, time
from connectycube.emulator.domain.api_error import ApiError
from connectycube.emulator.domain.values import integer

COLUMNS = {
    "number": Column("number", integer),
    "name": Column("name", text),
    "tag": Column("value", text, "EXISTS (SELECT 1 FROM json_each(tags) WHERE {})"),
}
WORDS = st.sampled_from(("", "a", "ab", "b", "ba"))
TAGS = st.lists(st.sampled_from(("x", "y", "z")), unique=True)
MEANINGS = {
    "eq": lambda field, wanted: field == wanted[0],
    "ne": lambda field, wanted: field != wanted[0],
    "lt": lambda field, wanted: field is not None and field < wanted[0],
    "lte": lambda field, wanted: field is not None and field <= wanted[0],
    "gt": lambda field, wanted: field is not None and field > wanted[0],
    "gte": lambda field, wanted: field is not None and field >= wanted[0],
    "in": lambda field, wanted: field in wanted,
    "nin": lambda field, wanted: field not in wanted,
    "all": lambda field, wanted: all(field == one for one in wanted),
}
OF_MANY = {
    "eq": lambda field, wanted: wanted[0] in field,
    "ne": lambda field, wanted: wanted[0] not in field,
    "in": lambda field, wanted: bool(set(field) & set(wanted)),
    "nin": lambda field, wanted: not set(field) & set(wanted),
    "all": lambda field, wanted: set(wanted) <= set(field),
    "ctn": lambda field, wanted: any(wanted[0] in one for one in field),
}
ONE_VALUE = ("eq", "ne", "lt", "lte", "gt", "gte", "ctn")


@pytest.fixture(scope="module")
def database():
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def parse(*parameters, **more):
    settings = {"columns": COLUMNS, "sortable": {"number": "number {}"}, "default_order": "name"}
    return ListQuery.parse(parameters, **{**settings, **more})


def holds(database, query, *, number=None, name=None, tags="[]"):
    """Whether a row with these fields fulfils the filters."""
    sql = f"SELECT count(*) FROM (SELECT ? AS number, ? AS name, ? AS tags) WHERE {query.where}"
    return bool(database.execute(sql, (number, name, tags, *query.values)).fetchone()[0])


def query_of(field, operator, wanted):
    values = wanted[:1] if operator in ONE_VALUE else wanted
    name = field if operator == "eq" else f"{field}[{operator}]"
    return parse((name, ",".join(str(value) for value in values)))


@given(
    st.sampled_from(sorted(MEANINGS)),
    st.none() | st.integers(-3, 3),
    st.lists(st.integers(-3, 3), min_size=1, max_size=3),
)
def test_filters_of_numbers_mean_what_they_say(database, operator, number, wanted):
    query = query_of("number", operator, wanted)
    assert holds(database, query, number=number) == MEANINGS[operator](number, wanted)


@given(
    st.sampled_from(sorted(MEANINGS)), st.none() | WORDS, st.lists(WORDS, min_size=1, max_size=3)
)
def test_filters_of_text_mean_what_they_say(database, operator, name, wanted):
    query = query_of("name", operator, wanted)
    assert holds(database, query, name=name) == MEANINGS[operator](name, wanted)


@given(st.sampled_from(sorted(OF_MANY)), TAGS, TAGS.filter(bool))
def test_filters_of_many_values_mean_what_they_say(database, operator, tags, wanted):
    written = "[" + ",".join(f'"{tag}"' for tag in tags) + "]"
    query = query_of("tag", operator, wanted)
    assert holds(database, query, tags=written) == OF_MANY[operator](tags, wanted)


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=5)), max_size=3))
def test_any_parameters_are_read_or_refused(parameters):
    try:
        query = parse(*parameters)
    except ApiError as refusal:
        assert refusal.status == 422
    else:
        assert query.limit >= 0


def test_parameters_that_repeat_are_all_true(database):
    query = parse(("number[gt]", "1"), ("number[lt]", "3"), ("name[]", "a"))
    assert holds(database, query, number=2, name="a")
    assert not holds(database, query, number=3, name="a")
    assert not holds(database, query, number=2, name="b")


def test_a_nested_field_has_a_column_of_its_own(database):
    def column(key):
        return Column(f"json_extract(tags, '$.\"{key}\"')", text)

    tags = '{"sub-key": "v"}'
    for parameter, expected in (
        (("tags[sub-key]", "v"), True),
        (("tags[sub-key][ne]", "v"), False),
        (("tags[other]", "v"), False),
    ):
        query = parse(parameter, nested={"tags": column})
        assert holds(database, query, tags=tags) is expected
    with pytest.raises(ApiError):
        parse(("tags[a'b]", "v"), nested={"tags": column})


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1700000000", 1_700_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14T22:13:20.123Z", 1_700_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000),
    ],
)
def test_times_are_seconds_or_iso(written, seconds):
    assert time(written) == seconds


@pytest.mark.parametrize("written", ["", "soon", "nan", "inf", "2023-13-01"])
def test_what_is_no_time_is_refused_by_the_filters_name(written):
    with pytest.raises(ApiError) as caught:
        parse(("sent[gt]", written), columns={"sent": Column("sent", time)})
    assert list(caught.value.errors) == ["sent"]


def test_order_and_page():
    query = parse(("sort_desc", "number"), ("limit", "7"), ("skip", "3"), ("count", "1"))
    assert (query.order, query.limit, query.skip, query.count) == ("number DESC", 7, 3, True)
    assert query.page([1], total_entries=9) == {
        "total_entries": 9,
        "skip": 3,
        "limit": 7,
        "items": [1],
    }
