"""Reading a list by ids: each item once, to the end, or an error that says why not."""

from __future__ import annotations

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from connectycube.errors import ResponseTooLargeError, ServerError, UnexpectedResponseError
from connectycube.models import Page
from connectycube.rest._keyset import KeysetReader
from connectycube.rest._paging import Items

URL = "https://api.example/admin/list"


@frozen
class Item:
    id: str | None


def ids(*numbers):
    return [f"{number:024x}" for number in numbers]


class Service:
    """A list that answers as documented, but for ``most`` items a page."""

    def __init__(self, found, *, most=100, is_descending=False):
        self.found = set(found)
        self.most = most
        self.is_descending = is_descending
        self.asked = []

    def __call__(self, last, limit):
        self.asked.append((last, limit))
        behind = [
            each
            for each in sorted(self.found, reverse=self.is_descending)
            if last is None or (each < last if self.is_descending else each > last)
        ]
        return Page(items=tuple(map(Item, behind[: min(limit, self.most)])))


def read(fetch, page_size=100, **options):
    reader = KeysetReader(fetch, page_size, url=URL, **options)
    return [item.id for item in Items([reader])]


@pytest.mark.parametrize("is_descending", [False, True])
@given(numbers=st.sets(st.integers(0, 10**6), max_size=40), page_size=st.integers(1, 9))
def test_each_item_comes_once_in_order(is_descending, numbers, page_size):
    service = Service(ids(*numbers), is_descending=is_descending)
    found = read(service, page_size, is_descending=is_descending)
    assert found == sorted(ids(*numbers), reverse=is_descending)


@given(
    numbers=st.sets(st.integers(0, 1000), min_size=1, max_size=30),
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 1000)), max_size=30),
)
def test_what_others_add_and_delete_hides_nothing_else(numbers, changes):
    service = Service(ids(*numbers), most=3)
    pending = iter(changes)
    touched = set(ids(*(number for _, number in changes)))

    def fetch(last, limit):
        page = service(last, limit)
        is_new, number = next(pending, (True, None))
        if number is not None:
            (service.found.add if is_new else service.found.discard)(ids(number)[0])
        return page

    found = read(fetch, 3)
    assert found == sorted(set(found))
    assert set(ids(*numbers)) - touched <= set(found)


def test_an_iteration_begins_behind_an_id():
    service = Service(ids(*range(9)))
    assert read(service, 2, after=ids(5)[0]) == ids(6, 7, 8)
    assert service.asked[0] == (ids(5)[0], 2)


def test_a_page_that_is_shorter_than_asked_for_is_no_end():
    assert read(Service(ids(*range(10)), most=3)) == ids(*range(10))


@pytest.mark.parametrize("size", [2, 1])
def test_a_page_that_repeats_is_an_error_and_no_endless_loop(size):
    same = Page(items=tuple(map(Item, ids(1, 2)[:size])))
    reader = Items([KeysetReader(lambda last, limit: same, 2, url=URL)])
    assert [next(reader).id for _ in range(size)] == ids(1, 2)[:size]
    with pytest.raises(UnexpectedResponseError, match="ignores the order or the bound of _id"):
        next(reader)


@pytest.mark.parametrize("order", [(2, 1), (1, 1), (1, 3, 2)])
def test_a_page_out_of_order_is_an_error_before_any_of_it_is_yielded(order):
    page = Page(items=tuple(map(Item, ids(*order))))
    with pytest.raises(UnexpectedResponseError, match="does not lie behind"):
        next(KeysetReader(lambda last, limit: page, 9, url=URL))


@pytest.mark.parametrize("missing", [None, ""])
def test_an_item_without_an_id_is_an_error(missing):
    page = Page(items=(Item(missing),))
    with pytest.raises(UnexpectedResponseError, match="has no id"):
        next(KeysetReader(lambda last, limit: page, 9, url=URL))


def test_after_an_error_the_next_step_asks_again():
    service, failures = Service(ids(*range(6))), iter([False, True, True, False, True])

    def fetch(last, limit):
        if next(failures, False):
            raise ServerError("busy", method="GET", url=URL, status=503)
        return service(last, limit)

    items, found, errors = Items([KeysetReader(fetch, 2, url=URL)]), [], 0
    while len(found) < 6:
        try:
            found.append(next(items).id)
        except ServerError:
            errors += 1
    assert (found, errors) == (ids(*range(6)), 3)


def test_a_page_that_is_too_large_is_asked_for_in_halves():
    service = Service(ids(*range(20)))

    def fetch(last, limit):
        if limit > 3:
            raise ResponseTooLargeError("too large", method="GET", url=URL, status=200)
        return service(last, limit)

    assert read(fetch, 16) == ids(*range(20))
    assert {limit for _, limit in service.asked} == {2}


def test_one_item_that_is_too_large_is_an_error():
    def fetch(last, limit):
        raise ResponseTooLargeError("too large", method="GET", url=URL, status=200)

    with pytest.raises(ResponseTooLargeError):
        read(fetch, 4)
