"""The calls of the Administration API: with its key, and without a session; and its lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from .._checks import check_str
from .._containers import AnyList
from .._secrets import Secret
from ..errors import ArgumentValueError
from ..models import Page
from ..models._json import as_int
from ._api import Api, Query
from ._http import Response
from ._keyset import Keyed, KeysetReader
from ._paging import Items, check_page_size
from ._query import QuerySchema, check_id_filter
from ._response import read_object, read_page, unexpected

__all__ = ["AdminApi", "AdminList"]

Item = TypeVar("Item", bound=Keyed)

_HEADER = "CB-Administration-API-Key"
_NO_KEY = (
    "there is no key of the Administration API: set CONNECTYCUBE_ADMIN_KEY, or give Config(admin_key=…); the"
    " key is in the admin panel of the application"
)


class AdminApi:
    """The Administration API of one application; every method may be called from any thread.

    Args:
        api: The REST API, whose configuration has the key.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def check_key(self) -> None:
        """Raise ArgumentValueError if the configuration has no key."""
        if self._api.config.admin_key is None:
            raise ArgumentValueError(_NO_KEY)

    def call(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        query: Query = (),
        body: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Make one call and return its response, a success that is JSON or empty.

        Args:
            method: The HTTP method.
            path: The segments of the path behind ``admin``.
            query: The pairs of the query.
            body: What to send as JSON, or None.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentValueError: The configuration has no key; nothing was sent.
            ApiError: The call failed; a subclass says how.
        """
        self.check_key()
        return self._api.call(
            method,
            ("admin", *path),
            query=query,
            body=body,
            headers={_HEADER: Secret(self._api.config.admin_key)},
            timeout=timeout,
            session="none",
        )

    def url(self, path: tuple[str, ...]) -> str:
        """Return the URL of a call, for errors."""
        return self._api.url(("admin", *path))


class AdminList(Generic[Item]):
    """One list of the Administration API.

    Args:
        api: The Administration API.
        path: The path of the list behind ``admin``.
        schema: What the list can be asked for.
        read: Decodes an item.
    """

    def __init__(
        self,
        api: AdminApi,
        path: tuple[str, ...],
        schema: QuerySchema,
        read: Callable[[dict[str, object]], Item],
    ) -> None:
        self._api = api
        self._path = path
        self._schema = schema
        self._read = read

    def page(
        self, lookups: Mapping[str, object], timeout: float | None, **place: Any
    ) -> Page[Item]:
        """Return one page; ``place`` is its limit, skip and sort."""
        query = self._schema.query(lookups, **place)
        response = self._api.call("GET", self._path, query=query, timeout=timeout)
        return read_page(response, self._read)

    def count(self, lookups: Mapping[str, object], timeout: float | None) -> int:
        """Return how many items match: each page says it."""
        query = self._schema.query(lookups, limit=1)
        response = self._api.call("GET", self._path, query=query, timeout=timeout)
        total = as_int(read_object(response).get("total_entries"))
        if total is None:
            raise unexpected(response, "the number of all entries was expected")
        return total

    def items(
        self,
        lookups: Mapping[str, object],
        timeout: float | None,
        *,
        after: object,
        sort: object,
        page_size: object,
    ) -> Iterator[Item]:
        """Return an iterator of all items that match, in the order of their ids; arguments are checked now.

        Args:
            lookups: The look-ups.
            timeout: Seconds for each page.
            after: The id, or the item, to begin behind; None for the whole list.
            sort: "id" or "-id".
            page_size: The number of items on a page.
        """
        self._api.check_key()
        if check_str("sort", sort) not in ("id", "-id"):
            raise ArgumentValueError(f"sort must be 'id' or '-id', not {sort!r}")
        order, is_descending = str(sort), sort == "-id"
        bound = "id__lt" if is_descending else "id__gt"
        if bound in lookups:
            raise ArgumentValueError(f"{bound} is given as after=… in an iteration")
        self._schema.query(lookups)

        def fetch(last: str | None, limit: int) -> Page[Item]:
            behind = {} if last is None else {bound: last}
            query = self._schema.query({**lookups, **behind}, limit=limit, sort=order)
            response = self._api.call("GET", self._path, query=query, timeout=timeout)
            page = read_page(response, self._read)
            items = read_object(response)["items"]
            if isinstance(items, AnyList) and len(page) != len(items):
                raise unexpected(response, "one of the items is no object")
            return page

        reader = KeysetReader(
            fetch,
            check_page_size(page_size),
            url=self._api.url(self._path),
            after=None if after is None else check_id_filter("after", after, ""),
            is_descending=is_descending,
        )
        return Items([reader])
