"""A service whose lists change between any two requests: items come, go, and get other dates.

It is a transport for ``ConnectyCube(transport=…)``: no socket, no thread. Lists are sorted as the service's
database sorts them: by the number that a date is, seconds or milliseconds, without a date first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from email.utils import formatdate
from random import Random
from typing import Any

from attrs import define, field

from connectycube import ConnectyCube, Request, Response

NOW = 1_700_000_000
SECONDS = ("seconds", "equal", "milliseconds", "missing", "future")

Change = Callable[["MovingService"], None]


@define(eq=False)
class Entry:
    """One item of the list."""

    id: int
    date: int | None
    updated_at: int = NOW - 10_000

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Where it is in ascending order."""
        return (self.date is not None, self.date or 0, self.id)


@define(eq=False)
class MovingService:
    """The service; ``change(service)`` is called before each answer about the list."""

    change: Change = lambda service: None
    most: int = 100
    """The largest page."""
    says_limit: bool = True
    filters: bool = True
    """Whether lists are filtered by date."""
    entries: list[Entry] = field(factory=list)
    requests: list[Request] = field(factory=list)
    now: int = NOW
    stayed: set[int] = field(factory=set)
    """The items that have existed since the beginning."""
    served: set[int] = field(factory=set)
    """The items that were on any page."""
    made: int = 0

    # --- what befalls the list ---

    def add(self, *dates: int | None) -> None:
        """Add items, as others do while the list is read."""
        for date in dates:
            self.made += 1
            self.entries.append(Entry(self.made, date, self.now))

    def remove(self, *entries: Entry) -> None:
        """Remove items."""
        for entry in entries:
            self.entries.remove(entry)
            self.stayed.discard(entry.id)

    def ordered(self, *, newest_first: bool = False) -> list[Entry]:
        """Return the items by date."""
        return sorted(self.entries, key=lambda entry: entry.rank, reverse=newest_first)

    # --- the transport ---

    def cube(self) -> ConnectyCube:
        """Return a client of this service; all items that there are now count as there from the start."""
        self.stayed = {entry.id for entry in self.entries}
        cube = ConnectyCube(app_id=1, auth_key="k", transport=self)
        return cube.with_token("t", user_id=7)

    def send(self, request: Request) -> Response:
        """Answer a request for a page."""
        if self.requests:
            self.change(self)
        self.requests.append(request)
        self.now += 1
        return Response(
            json=self._answer(request), headers={"Date": formatdate(self.now, usegmt=True)}
        )

    def _answer(self, request: Request) -> dict[str, Any]:
        params = request.params
        entries = self._matching(params)
        if "/blobs" in request.path:
            size, page = int(params["per_page"]), int(params["page"])
            span = slice((page - 1) * size, page * size)
            extra = {"current_page": page, "per_page": size, "total_entries": len(entries)}
        else:
            skip = int(params.get("skip", params.get("offset", 0)))
            size = min(int(params["limit"]), self.most)
            span = slice(skip, skip + size)
            extra = {"limit": size, "skip": skip}
        found = entries[span]
        self.served |= {entry.id for entry in found}
        return {
            **(extra if self.says_limit else {}),
            "items": [self._item(request, one) for one in found],
        }

    def _matching(self, params: dict[str, str]) -> list[Entry]:
        entries = list(self.entries)
        for name, value in params.items() if self.filters else ():
            attribute, _, operator = name.rstrip("]").partition("[")
            attribute = {"date_sent": "date", "last_message_date_sent": "date"}.get(
                attribute, attribute
            )
            if operator in _COMPARE and attribute in ("date", "updated_at"):
                entries = [
                    e for e in entries if _COMPARE[operator](getattr(e, attribute), int(value))
                ]
        if params.get("sort_asc", params.get("sort_desc")) in (
            "date_sent",
            "last_message_date_sent",
        ):
            return sorted(entries, key=lambda entry: entry.rank, reverse="sort_desc" in params)
        return sorted(entries, key=lambda entry: entry.id)

    def _item(self, request: Request, entry: Entry) -> dict[str, Any]:
        if "/blobs" in request.path:
            return {"blob": {"id": entry.id}}
        if "/chat/Message" in request.path:
            return {"_id": f"{entry.id}", "date_sent": entry.date, "updated_at": entry.updated_at}
        if request.path.endswith("/chat/Dialog"):
            return {"_id": f"{entry.id}", "type": 2, "last_message_date_sent": entry.date}
        return {"id": entry.id, "_id": f"{entry.id}"}


_COMPARE: dict[str, Callable[[int | None, int], bool]] = {
    "gte": lambda date, bound: date is not None and date >= bound,
    "gt": lambda date, bound: date is not None and date > bound,
    "lte": lambda date, bound: date is not None and date <= bound,
}


def date_of(random: Random, kinds: tuple[str, ...], now: int) -> int | None:
    """Return a date of one of the kinds, as a sender may have written it."""
    kind, past = random.choice(kinds), now - 86_400 * random.randint(2, 400)
    dates = {
        "seconds": past,
        "equal": NOW - 86_400 * 3,
        "milliseconds": past * 1000 + random.randrange(1000),
        "missing": None,
        "future": now + random.randint(1, 10**8),
        "now": now,
        "now in milliseconds": now * 1000,
    }
    return dates[kind]


def changing(random: Random, kinds: tuple[str, ...], *, redates: bool, bursts: int = 3) -> Change:
    """Return a change that does up to three things at a time, and ``bursts`` times many at once.

    Dates change as in the service: a new message makes a dialog one of the newest.
    """
    left = itertools.count()
    steps = itertools.count()

    def change(service: MovingService) -> None:
        if next(steps) > 60:
            return
        for _ in range(random.randint(0, 3)):
            is_burst = random.random() < 0.15 and next(left) < bursts
            count = random.choice((5, 20, 90, 100, 120)) if is_burst else 1
            _befall(random, service, kinds, count, redates)

    return change


def _befall(
    random: Random, service: MovingService, kinds: tuple[str, ...], count: int, redates: bool
) -> None:
    what = random.choice(("add", "remove", "remove in front", "redate"))
    if what == "add":
        service.add(*(date_of(random, (*kinds, "now"), service.now) for _ in range(count)))
    elif what == "remove":
        service.remove(*random.sample(service.entries, min(count, len(service.entries))))
    elif what == "remove in front":
        service.remove(*service.ordered(newest_first=random.random() < 0.5)[:count])
    elif redates:
        for entry in random.sample(service.entries, min(count, len(service.entries))):
            new = date_of(random, ("now", "now", "now in milliseconds", "future"), service.now)
            if (entry.date or 0) < (new or 0):
                entry.date = new
