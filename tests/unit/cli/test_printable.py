"""Dates of other people, in the time zone of this machine."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from connectycube.cli.printable import local_time

PATTERN = "%Y-%m-%d %H:%M"
LAST = datetime(9999, 12, 31, 23, 59, tzinfo=timezone.utc)
FIRST = datetime(1, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def zone(monkeypatch):
    """Return a function that sets the time zone."""

    def set_to(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_to
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "at", "shown"),
    [
        ("EAST-9", datetime(2026, 11, 30, 20, 0, tzinfo=timezone.utc), "2026-12-01 05:00"),
        ("EAST-9", LAST, "9999-12-31 23:59"),
        ("WEST+9", LAST, "9999-12-31 14:59"),
        ("WEST+9", FIRST, "1-01-01 00:00"),
    ],
)
def test_a_date_is_local_where_the_calendar_has_it(zone, name, at, shown):
    zone(name)
    assert local_time(at, PATTERN).lstrip("0") == shown


def test_a_date_of_another_zone_is_local_too(zone):
    zone("EAST-9")
    at = datetime(2026, 11, 30, 20, 0, tzinfo=timezone(timedelta(hours=2)))
    assert local_time(at, PATTERN) == "2026-12-01 03:00"


def test_no_date_is_an_empty_text():
    assert local_time(None, PATTERN) == ""


class _OfWindows(datetime):
    def astimezone(self, tz=None):
        raise OSError(22, "Invalid argument")


def test_a_date_without_a_local_time_is_shown_as_it_is():
    at = _OfWindows(1969, 12, 31, 23, 59, tzinfo=timezone.utc)
    assert local_time(at, PATTERN) == "1969-12-31 23:59"
