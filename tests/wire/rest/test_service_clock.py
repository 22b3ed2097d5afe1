"""The service's clock, whatever this machine's clocks say."""

from __future__ import annotations

import threading
from datetime import datetime, timezone

import pytest

from connectycube.errors import ApiError
from connectycube.rest import _service_clock
from connectycube.rest._service_clock import ServiceClock
from tests.support.scripted_http import answer

MOMENT = datetime(2001, 1, 1, 10, 0, 0, tzinfo=timezone.utc)
DATE = ("Date", "Mon, 01 Jan 2001 10:00:00 GMT")


@pytest.fixture
def elapse(monkeypatch):
    """Let the time that passes be what the test says."""
    passed = [50.0]
    monkeypatch.setattr(_service_clock, "_elapsed", lambda: passed[0])

    def elapse(seconds):
        passed[0] += seconds

    return elapse


def test_before_the_service_has_told_the_time_it_is_not_known(elapse):
    clock = ServiceClock()
    assert clock.time() is None
    clock.note(None)
    assert clock.time() is None


def test_it_goes_on_from_what_the_service_said_last(elapse):
    clock = ServiceClock()
    clock.note(MOMENT)
    elapse(2.5)
    assert clock.time() == MOMENT.timestamp() + 2.5
    clock.note(None)  # an answer without a date says nothing
    assert clock.time() == MOMENT.timestamp() + 2.5
    clock.note(MOMENT)
    assert clock.time() == MOMENT.timestamp()


def test_what_it_counts_goes_forward():
    clock = ServiceClock()
    clock.note(MOMENT)
    before = clock.time()
    assert before is not None and MOMENT.timestamp() <= before <= clock.time()


def test_the_transport_keeps_it_from_the_answers_of_the_api(api, server, elapse):
    assert api.service_time() is None
    server.play(answer(200, {}, headers=[DATE]))
    api.call("GET", ("users",))
    elapse(7)
    assert api.service_time() == MOMENT.timestamp() + 7


@pytest.mark.parametrize("headers", [[], [("Date", "yesterday")], [("Date", "")]])
def test_a_date_that_is_missing_or_cannot_be_read_changes_nothing(api, server, elapse, headers):
    server.play(answer(200, {}, headers=[DATE]), answer(200, {}, headers=headers))
    api.call("GET", ("users",))
    api.call("GET", ("users",))
    assert api.service_time() == MOMENT.timestamp()


def test_a_refusal_tells_the_time_as_well(api, server, elapse):
    server.play(answer(422, {"errors": {"base": ["no"]}}, headers=[DATE]))
    with pytest.raises(ApiError):
        api.call("GET", ("users",))
    assert api.service_time() == MOMENT.timestamp()


def test_any_thread_may_note_and_ask(elapse):
    clock = ServiceClock()
    times = set()

    def use():
        for _ in range(500):
            clock.note(MOMENT)
            times.add(clock.time())

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert times == {MOMENT.timestamp()}
