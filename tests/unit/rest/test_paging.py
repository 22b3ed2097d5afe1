"""Lists are read to their end while others write: nothing twice, and what stays is not left out."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.errors import ArgumentTypeError, ArgumentValueError
from connectycube.models import Message, Page
from connectycube.models.fields import EPOCH
from connectycube.rest.paging import a_page_size, by_id, messages_by_time, unrepeated

SIZES = st.integers(2, 25)
CHANGES = st.sampled_from(("none", "none", "front", "drop", "drop", "move"))


def pages_of(items, size, change=lambda items: None, limit=True):
    """Serve slices of a list that ``change`` may alter before each."""

    def fetch(position):
        change(items)
        return Page(items=tuple(items[position : position + size]), limit=size if limit else None)

    return fetch


@given(st.integers(0, 80), SIZES, st.booleans())
def test_a_list_at_rest_is_read_in_its_order(count, size, says_limit):
    fetch = pages_of(list(range(count)), size, limit=says_limit)
    assert list(unrepeated(fetch, lambda item: item, size)) == list(range(count))


@given(st.data(), st.integers(0, 80), SIZES, st.booleans())
def test_of_a_list_that_changes_nothing_is_repeated_and_what_stays_is_found(
    data, count, size, says_limit
):
    items = list(range(count))
    gone = set()
    steps = []

    def change(items):
        steps.append(1)
        if len(steps) > 40:
            return
        for _ in range(data.draw(st.integers(0, 2))):
            kind = data.draw(CHANGES)
            if kind == "front":
                items.insert(0, 1000 + len(steps) * 10 + len(items))
            elif kind == "drop" and items:
                gone.add(items.pop(data.draw(st.integers(0, len(items) - 1))))
            elif kind == "move" and items:
                items.insert(0, items.pop(data.draw(st.integers(0, len(items) - 1))))

    found = list(unrepeated(pages_of(items, size, change, says_limit), lambda item: item, size))
    assert len(found) == len(set(found))
    if size >= 8:  # smaller pages overlap by less than may move between two of them
        assert set(range(count)) - gone <= set(found)


def test_pages_are_asked_for_only_when_they_are_needed():
    asked = []

    def fetch(position):
        asked.append(position)
        return Page(items=tuple(range(position, position + 20)), limit=20)

    items = unrepeated(fetch, lambda item: item, 20)
    assert asked == []
    assert [next(items) for _ in range(20)] == list(range(20))
    assert asked == [0]
    assert next(items) == 20
    assert asked == [0, 10]


def test_more_removed_in_front_than_pages_overlap_is_noticed():
    items = list(range(100))
    calls = []

    def change(items):
        calls.append(1)
        if len(calls) == 2:
            del items[:35]

    found = list(unrepeated(pages_of(items, 20, change), lambda item: item, 20))
    assert sorted(found) == [*range(20), *range(35, 100)]


def test_what_moved_to_the_front_is_found_at_the_end():
    items = list(range(30))
    calls = []

    def change(items):
        calls.append(1)
        if len(calls) == 2:
            items.insert(0, items.pop(29))

    found = list(unrepeated(pages_of(items, 20, change), lambda item: item, 20))
    assert sorted(found) == list(range(30))
    assert found[-1] == 29


def test_a_service_that_ignores_positions_does_not_hold_us_for_ever():
    fetch = lambda position: Page(items=tuple(range(20)))  # noqa: E731
    assert list(unrepeated(fetch, lambda item: item, 20)) == list(range(20))
    history = tuple(message(number, 5) for number in range(20))
    stubborn = lambda second, position: Page(items=history)  # noqa: E731
    assert list(messages_by_time(stubborn, 20)) == list(history)


@pytest.mark.parametrize("value", [1, 0, 101, "5", None, True])
def test_what_is_no_page_size_is_refused(value):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match="page_size"):
        a_page_size(value)


# --- messages


def message(number, second):
    return Message(id=f"m{number}", date_sent=EPOCH + timedelta(seconds=second))


def history_of(messages, size, *, newest_first=False, change=None, limit=True):
    """Serve a history sorted by time, as the service does."""

    def fetch(second, position):
        if change is not None:
            change(messages)
        seconds = lambda entry: (entry.date_sent - EPOCH).total_seconds()  # noqa: E731
        found = sorted(messages, key=seconds, reverse=newest_first)
        if second is not None:
            found = [
                entry
                for entry in found
                if (seconds(entry) <= second if newest_first else seconds(entry) >= second)
            ]
        return Page(items=tuple(found[position : position + size]), limit=size if limit else None)

    return fetch


SECONDS = st.lists(st.integers(1, 12), max_size=80)


@given(SECONDS, SIZES, st.booleans(), st.booleans())
def test_a_history_at_rest_is_read_in_its_order(seconds, size, newest_first, says_limit):
    messages = [message(number, second) for number, second in enumerate(seconds)]
    found = list(
        messages_by_time(
            history_of(messages, size, newest_first=newest_first, limit=says_limit), size
        )
    )
    assert sorted(entry.id for entry in found) == sorted(entry.id for entry in messages)
    times = [entry.date_sent for entry in found]
    assert times == sorted(times, reverse=newest_first)


@given(st.data(), SECONDS, SIZES, st.booleans())
def test_of_a_history_that_changes_nothing_is_repeated_and_what_stays_is_found(
    data, seconds, size, newest_first
):
    messages = [message(number, second) for number, second in enumerate(seconds)]
    first = {entry.id for entry in messages}
    steps = []

    def change(messages):
        steps.append(1)
        if len(steps) > 40:
            return
        if data.draw(st.booleans()):
            messages.append(message(f"new{len(steps)}", 12 + len(steps)))
        if messages and data.draw(st.booleans()):
            first.discard(messages.pop(data.draw(st.integers(0, len(messages) - 1))).id)

    fetch = history_of(messages, size, newest_first=newest_first, change=change)
    found = [entry.id for entry in messages_by_time(fetch, size)]
    assert len(found) == len(set(found))
    assert first <= set(found)


def test_messages_without_a_date_or_an_id_are_yielded():
    items = (Message(id="a"), Message(), Message(id="b"))
    fetch = lambda second, position: Page(items=items, limit=10)  # noqa: E731
    assert list(messages_by_time(fetch, 10)) == list(items)


# --- by_id


@given(st.integers(0, 60), SIZES, st.lists(st.integers(0, 5), max_size=30))
def test_a_list_sorted_by_id_is_read_to_its_end_while_it_grows(count, size, growth):
    items, growing = list(range(1, count + 1)), iter(growth)

    def grow(items):
        items += range(len(items) + 1, len(items) + 1 + next(growing, 0))

    assert list(by_id(pages_of(items, size, grow), lambda item: item)) == items


def test_a_service_that_gives_the_same_page_for_ever_ends_it():
    assert list(by_id(lambda position: Page(items=(1, 2)), lambda item: item)) == [1, 2]


def test_nothing_is_asked_for_once_the_total_is_reached():
    asked = []

    def fetch(position):
        asked.append(position)
        return Page(items=(position + 1,), total_entries=2)

    assert list(by_id(fetch, lambda item: item)) == [1, 2] and asked == [0, 1]
