"""The examples of the server documentation, page by page, with values of our own.

Each module holds two tables in the order of its page. ``EXAMPLES``: what is called, what that sends, what
the service answers, and what is read. ``EXEMPT``: the name of an example and why it is not, or not to the
letter, what the client does. A name is the heading of the section, with a word behind a colon where a
section has several. The documentation's ``curl -X GET -d`` puts into a body what belongs into the query.
"""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from attrs import field, frozen

from connectycube import ConnectyCube
from connectycube.models._json import EPOCH

APP_ID = 7
AUTH_KEY = "the-auth-key-5ec4e7c0de"
ADMIN_KEY = "the-admin-key-5ec4e7c0de"
TOKEN = "the-token-5ec4e7c0de"
ME = 4101
STORAGE = "https://storage.example"
"""Stands for the address of the storage, which is known once a test runs."""


@frozen(kw_only=True)
class Request:
    """What must be sent; ``authorization`` is the header that says who asks, or None."""

    method: str
    path: str
    query: list = field(factory=list)
    body: Any = None
    form: list | None = None
    authorization: str | None = "CB-Token"


@frozen(kw_only=True)
class Raw:
    """An answer that is no JSON."""

    status: int = 200
    headers: tuple = ()
    content: bytes = b""


@frozen(kw_only=True)
class Refused:
    """What is raised in place of a result."""

    error: type
    messages: tuple


@frozen
class Table:
    """The examples of a page, where one module has several pages."""

    EXAMPLES: tuple
    EXEMPT: dict = field(factory=dict)


@frozen(kw_only=True)
class Example:
    """A documented request and its answer.

    ``sends`` and ``answers`` (JSON, None for an empty body, or Raw) are lists where the one call carries
    out the examples that ``also`` names as well. ``shows`` are properties of what is read, which stand for
    keys deeper in it. ``needs`` are the paths of keys without which the answer
    would be useless. ``is_strict``: any odd value makes the answer useless, as what is left out is missed.
    """

    name: str
    call: Callable[[ConnectyCube], Any]
    sends: Request | list
    answers: Any
    reads: Any
    status: int = 200
    also: tuple = ()
    shows: dict = field(factory=dict)
    needs: tuple = ()
    is_strict: bool = False

    @property
    def names(self):
        return (self.name, *self.also)

    @property
    def requests(self):
        return self.sends if isinstance(self.sends, list) else [self.sends]

    @property
    def replies(self):
        return self.answers if isinstance(self.sends, list) else [self.answers]


def without(shape, *names):
    return {name: value for name, value in shape.items() if name not in names}


def utc(*moment):
    return datetime(*moment, tzinfo=timezone.utc)


def unix(seconds):
    return EPOCH + timedelta(seconds=seconds)
