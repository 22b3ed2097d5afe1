"""Lists are read to their end while others write: nothing twice, and what stays is not left out."""

import itertools
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectycube import (
    ApiNetworkError,
    ArgumentTypeError,
    ArgumentValueError,
    Page,
    ResponseTooLargeError,
    UnexpectedResponseError,
    User,
)
from connectycube.rest._paging import Items, PageReader, Span, check_page_size
from tests.support.moving_lists import NOW, SECONDS, MovingService, changing, date_of

DAY = 86_400

BY_DATE = {
    "dialogs": lambda cube, size: cube.dialogs.iter(page_size=size),
    "dialogs, oldest first": lambda cube, size: cube.dialogs.iter(
        page_size=size, sort="last_message_date_sent"
    ),
    "messages": lambda cube, size: cube.messages.iter("d", page_size=size),
    "messages, newest first": lambda cube, size: cube.messages.iter(
        "d", page_size=size, sort="-date_sent"
    ),
}
BY_ID = {
    "occupants": lambda cube, size: cube.dialogs.iter_occupants("d", page_size=size),
    "users": lambda cube, size: cube.users.iter(tags="x"),
    "files": lambda cube, size: cube.files.iter(),
    "custom objects": lambda cube, size: cube.custom_objects.iter("c"),
}
LISTS = {**BY_DATE, **BY_ID}
SIZED = (*BY_DATE, "occupants")
all_lists = pytest.mark.parametrize("name", LISTS)
sized_lists = pytest.mark.parametrize("name", SIZED)


def read(service, name, size=100):
    """Read a list to its end and return the ids."""
    return [int(item.id) for item in LISTS[name](service.cube(), size)]


def service_of(count, **options):
    """Return a service with so many items, one a second."""
    service = MovingService(**options)
    service.add(*range(NOW - 10 * DAY, NOW - 10 * DAY + count))
    return service


def once(number, change):
    """Return a change that happens before this request, counted from 1."""
    requests = itertools.count(2)  # nothing changes before the first one

    def step(service):
        if next(requests) == number:
            change(service)

    return step


def is_whole(service, found):
    """Whether each item that stayed was found, and none twice."""
    return service.stayed <= set(found) and len(found) == len(set(found))


# --- lists at rest


@all_lists
@pytest.mark.parametrize("count", [0, 1, 2, 99, 100, 101, 195, 350])
@pytest.mark.parametrize("says_limit", [True, False], ids=["limit told", "limit not told"])
def test_a_list_at_rest_is_read_in_its_order(name, count, says_limit):
    service = service_of(count, says_limit=says_limit)
    found = read(service, name)
    newest_first = name in ("dialogs", "messages, newest first")
    assert found == sorted(service.stayed, reverse=newest_first)
    assert len(service.requests) <= 3 + count // 95


@sized_lists
@pytest.mark.parametrize("size", [1, 2, 3, 10, 99])
def test_a_page_has_as_many_items_as_were_asked_for(name, size):
    service = service_of(250)
    assert len(read(service, name, size)) == 250
    assert {int(request.params["limit"]) for request in service.requests} == {max(2, size)}


def test_pages_are_asked_for_only_when_they_are_needed():
    service = service_of(200)
    dialogs = service.cube().dialogs.iter()
    assert service.requests == []
    for _ in range(100):
        next(dialogs)
    assert len(service.requests) == 1
    next(dialogs)
    assert len(service.requests) == 2


@pytest.mark.parametrize("value", [0, -1, 101, "5", None, True])
def test_what_is_no_page_size_is_refused(value):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match="page_size"):
        check_page_size(value)


# --- lists that change


@settings(max_examples=100)
@given(
    name=st.sampled_from(sorted(LISTS)),
    size=st.integers(1, 100),
    pages=st.floats(0, 12),
    kinds=st.lists(st.sampled_from(SECONDS), min_size=1, unique=True),
    says_limit=st.booleans(),
    seed=st.integers(0, 2**32),
)
@example(name="dialogs", size=1, pages=12, kinds=list(SECONDS), says_limit=True, seed=1)
@example(
    name="messages, newest first", size=100, pages=3, kinds=list(SECONDS), says_limit=True, seed=2
)
def test_a_changing_list_gives_what_stays_exactly_once(name, size, pages, kinds, says_limit, seed):
    random, kinds = Random(seed), tuple(kinds)
    change = changing(random, kinds, redates=name.startswith("dialogs"))
    service = MovingService(change=change, says_limit=says_limit)
    service.add(*(date_of(random, kinds, NOW) for _ in range(min(400, int(pages * size)))))
    assert is_whole(service, read(service, name, size))
    stride = max(1.0, 0.95 * (size if name in SIZED else 100) - 1)
    assert len(service.requests) <= 12 + 4 * service.made / stride


@pytest.mark.parametrize("count", [1, 5, 20])
@sized_lists
def test_a_list_that_grows_as_fast_as_it_is_read_is_read(name, count):
    def grow(service):
        if len(service.requests) < 100:
            service.add(*[service.now] * count)

    service = service_of(60, change=grow)
    assert is_whole(service, read(service, name, 20))


@all_lists
@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize(
    ("size", "gone"), [(2, 1), (10, 5), (20, 10), (50, 10), (100, 5), (100, 10), (100, 110)]
)
def test_items_that_go_in_front_hide_no_other(name, number, size, gone):
    newest_first = name in ("dialogs", "messages, newest first")

    def go(service):
        service.remove(*service.ordered(newest_first=newest_first)[:gone])

    service = service_of(6 * size, change=once(number, go))
    found = read(service, name, size)
    assert is_whole(service, found)
    assert len(found) >= 6 * size - max(0, gone - size)


@sized_lists
def test_who_deletes_everything_that_was_read_reads_all(name):
    service = service_of(100)
    count = 0
    for item in LISTS[name](service.cube(), 10):
        service.remove(next(entry for entry in service.entries if entry.id == int(item.id)))
        count += 1
    assert count == 100 and len(service.requests) <= 45


@sized_lists
def test_items_of_one_second_are_told_apart_by_their_ids(name):
    service = MovingService(change=once(4, lambda service: service.remove(*service.entries[:25])))
    service.add(*[NOW - 5 * DAY] * 130)
    assert is_whole(service, read(service, name, 10))


# --- dates


@pytest.mark.parametrize("name", BY_DATE)
@pytest.mark.parametrize("kinds", [("milliseconds",), SECONDS, ("seconds", "milliseconds")])
def test_dates_of_every_kind_are_read_to_the_end(name, kinds):
    service = MovingService()
    for number in range(350):
        service.add(date_of(Random(number), kinds[number % len(kinds) :][:1], NOW))
    assert is_whole(service, read(service, name))
    assert len(service.requests) <= 9


@pytest.mark.parametrize("sort", ["date_sent", "-date_sent"])
def test_pages_of_messages_begin_at_a_date_and_not_far_behind(sort):
    service = service_of(1_000)
    list(service.cube().messages.iter("d", sort=sort, page_size=20))
    assert max(int(request.params.get("skip", 0)) for request in service.requests) == 0
    bounds = {name for request in service.requests for name in request.params if "[" in name}
    assert bounds == {"date_sent[lte]" if sort.startswith("-") else "date_sent[gte]"}


def test_a_service_that_filters_not_as_it_sorts_is_read_by_positions():
    service = service_of(250, filters=False)
    assert is_whole(service, read(service, "messages", 20))


# --- dialogs that move


@pytest.mark.parametrize("how", ["behind a page that is known", "and one is removed meanwhile"])
def test_more_put_in_front_than_a_page_holds_hides_no_item(how):
    def now(service, entries):
        for number, entry in enumerate(entries):
            entry.date = service.now + number

    def move(service):
        ordered = service.ordered(newest_first=True)
        if (
            how == "behind a page that is known"
        ):  # the last dialog, and then those that were read first
            now(service, [ordered[-1], *ordered[:25]])
        else:
            now(service, ordered[-21:])

    moves = once(3, move)
    goes = once(5, lambda service: service.remove(service.ordered(newest_first=True)[0]))

    def change(service):
        moves(service)
        if how != "behind a page that is known":
            goes(service)

    service = service_of(100, change=change)
    assert is_whole(service, read(service, "dialogs", 20))


@pytest.mark.parametrize("lookups", [{}, {"last_message_date_sent__gte": 1}])
def test_what_has_moved_is_asked_for_by_date_at_the_end(lookups):
    def move(service):
        service.ordered()[0].date = service.now

    service = service_of(30, change=once(2, move))
    found = [int(dialog.id) for dialog in service.cube().dialogs.iter(page_size=20, **lookups)]
    assert is_whole(service, found)
    assert found[-1] == 1
    last = service.requests[-1].params
    operator = "gt" if lookups else "gte"
    assert NOW - DAY <= int(last[f"last_message_date_sent[{operator}]"]) < NOW - DAY + 10
    assert last["sort_asc"] == "last_message_date_sent"


def test_one_page_of_dialogs_costs_one_request():
    service = service_of(99)
    assert len(read(service, "dialogs")) == 99 and len(service.requests) == 1


# --- services that do not keep to it


@pytest.mark.parametrize("limit", [20, None])
def test_a_service_that_ignores_positions_ends_in_an_error(limit):
    asked = []

    def fetch(span):
        asked.append(span)
        return Page(items=tuple((n, None, n) for n in range(20)), limit=limit)

    items = Items([PageReader(fetch, 20, url="https://there/list")])
    assert [next(items) for _ in range(20)] == list(range(20))
    with pytest.raises(UnexpectedResponseError, match=r"https://there/list .*ignores them"):
        next(items)
    assert len(asked) < 20


def test_a_service_that_gives_an_arbitrary_order_ends():
    random = Random(7)

    def fetch(span):
        return Page(items=tuple((n, None, n) for n in random.sample(range(50), 20)), limit=20)

    with pytest.raises(UnexpectedResponseError, match="nothing new"):
        list(Items([PageReader(fetch, 20, url="u")]))


def test_one_short_page_for_every_position_is_the_whole_list():
    fetch = lambda span: Page(items=tuple((n, None, n) for n in range(5)))  # noqa: E731
    assert list(Items([PageReader(fetch, 20, url="u")])) == list(range(5))


@all_lists
def test_a_service_with_smaller_pages_is_read_to_its_end(name):
    service = service_of(230, most=30)
    assert is_whole(service, read(service, name))


def test_items_without_an_id_are_yielded():
    rows = (("a", None, 1), (None, None, 2), (None, None, 3), ("b", None, 4), ("c", None, 5))
    fetch = lambda span: Page(items=rows[span.position :][: span.limit], limit=span.limit)  # noqa: E731
    assert list(Items([PageReader(fetch, 4, url="u")])) == [1, 2, 3, 4, 5]


# --- failures


def test_the_same_page_of_items_without_keys_is_read_once():
    page = Page(items=((None, None, User(login="ann")), (None, None, User())))
    pages = PageReader(lambda span: page, 2, url="u")
    assert next(pages) == (User(login="ann"), User())
    with pytest.raises(UnexpectedResponseError, match="nothing new"):
        next(pages)


def failing(fetch, *numbers):
    """Return ``fetch`` that fails at the requests with these numbers, from 1."""
    requests = itertools.count(1)

    def step(span):
        if next(requests) in numbers:
            raise ApiNetworkError("down", method="GET", url="u")
        return fetch(span)

    return step


def numbers_up_to(count):
    """Return a fetch of these numbers."""
    return lambda span: Page(
        items=tuple((n, n, n) for n in range(count)[span.position :][: span.limit]),
        limit=span.limit,
    )


def test_after_an_error_the_next_step_asks_for_the_page_again():
    items = Items([PageReader(failing(numbers_up_to(50), 1, 3, 4), 20, url="u")])
    found, errors = [], 0
    while True:
        try:
            found.append(next(items))
        except ApiNetworkError:
            errors += 1
        except StopIteration:
            break
    assert found == list(range(50)) and errors == 3


def test_pages_that_are_too_large_are_asked_for_in_halves():
    asked = []

    def fetch(span):
        asked.append(span.limit)
        if span.limit > 30:
            raise ResponseTooLargeError("too large", method="GET", url="u", status=200)
        return numbers_up_to(90)(span)

    assert list(Items([PageReader(fetch, 100, url="u")])) == list(range(90))
    assert asked[:3] == [100, 50, 25] and set(asked[3:]) == {25}


def test_two_items_that_are_too_large_are_an_error():
    def fetch(span):
        raise ResponseTooLargeError("too large", method="GET", url="u", status=200)

    with pytest.raises(ResponseTooLargeError):
        next(Items([PageReader(fetch, 100, url="u")]))


def test_a_span_counts_from_the_beginning_of_the_list():
    assert Span(5, 10).start is None
