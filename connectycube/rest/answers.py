"""From a reply to JSON of the expected shape, or to the right error of the tree."""

from __future__ import annotations

import builtins
import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from attrs import field, frozen

from ..errors import (
    ApiAuthenticationError,
    ApiResponseError,
    ApiTimeoutError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
    ValidationError,
)
from ..models.fields import as_int
from ..models.page import Page
from .http import Reply
from .redact import redact_text

__all__ = ["Answer", "answer_of", "retry_after"]

Item = TypeVar("Item")

_MESSAGES = 20
_MESSAGE_CHARACTERS = 500
_ERRORS: Mapping[int, type[ApiResponseError]] = {
    400: ValidationError,
    401: ApiAuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: ValidationError,
    429: RateLimitError,
}


@frozen(kw_only=True)
class Answer:
    """What the service answered with success; ``data`` is the decoded JSON, None for an empty body."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    data: Any = field(repr=False)

    def object(self) -> dict[str, Any]:
        """Return the answer if it is a JSON object; raises UnexpectedResponseError otherwise."""
        if not isinstance(self.data, dict):
            raise self.unexpected(f"an object was expected, not {_shape(self.data)}")
        return self.data

    def page(self, read: Callable[[dict[str, Any]], Item]) -> Page[Item]:
        """Return the answer as a page, each item read by ``read``; what is no object is left out.

        Raises UnexpectedResponseError if there is no list of items: an empty page would say that
        nothing was found.
        """
        data = self.object()
        items = data.get("items")
        if not isinstance(items, builtins.list):
            raise self.unexpected(f"a list of items was expected, not {_shape(items)}")
        return Page(
            items=tuple([read(item) for item in items if isinstance(item, dict)]),
            total_entries=as_int(data.get("total_entries")),
            skip=_skipped(data),
            limit=as_int(data.get("limit", data.get("per_page"))),
        )

    def list(self, read: Callable[[dict[str, Any]], Item]) -> tuple[Item, ...]:
        """Return the answer as a tuple if it is a JSON list; what is no object in it is left out.

        Raises UnexpectedResponseError otherwise.
        """
        if not isinstance(self.data, builtins.list):
            raise self.unexpected(f"a list was expected, not {_shape(self.data)}")
        return tuple([read(item) for item in self.data if isinstance(item, dict)])

    def count(self) -> int:
        """Return the number in the answer to ``count=1``; raises UnexpectedResponseError without one."""
        items = self.object().get("items")
        number = as_int(items.get("count")) if isinstance(items, dict) else None
        if number is None:
            raise self.unexpected("a count was expected")
        return number

    def unexpected(self, what: str) -> UnexpectedResponseError:
        """Return the error that says how this answer differs from the documentation."""
        return UnexpectedResponseError(
            f"{self.method} {self.url} answered {self.status}, but {what}",
            method=self.method,
            url=self.url,
            status=self.status,
        )


def answer_of(reply: Reply, method: str, url: str, secrets: Collection[str]) -> Answer:
    """Decode a reply; ``url`` is redacted, ``secrets`` are masked in what the service says.

    Raises the ApiResponseError for its status, UnexpectedResponseError if a success is no JSON or not
    whole, ApiTimeoutError if a success was not whole in time.
    """
    if not 200 <= reply.status < 300:
        raise _refusal(reply, method, url, secrets)
    answer = Answer(method=method, url=url, status=reply.status, headers=reply.headers, data=None)
    if reply.fault == "late":
        late = f"{method} {url} answered {reply.status}, but not all of it came in time"
        raise ApiTimeoutError(late, method=method, url=url)
    if reply.fault:
        raise answer.unexpected(f"the answer is {reply.fault}")
    if not reply.body.strip():
        return answer
    data = _decoded(reply.body)
    if data is _NOT_JSON:
        raise answer.unexpected("the answer is not JSON")
    return Answer(method=method, url=url, status=reply.status, headers=reply.headers, data=data)


def _skipped(data: Mapping[str, Any]) -> int | None:
    """Return how many items came before this page, also where the service counts in pages."""
    page, size = as_int(data.get("current_page")), as_int(data.get("per_page"))
    if page is not None and size is not None:
        return (page - 1) * size
    return as_int(data.get("skip"))


_NOT_JSON = object()


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _shape(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", type(None): "nothing"}
    return names.get(type(value), "a number or boolean")


# --- refusals -----------------------------------------------------------------------------------


def _refusal(reply: Reply, method: str, url: str, secrets: Collection[str]) -> ApiResponseError:
    cls = _ERRORS.get(reply.status)
    messages: tuple[str, ...] = ()
    if 300 <= reply.status < 400:
        cls, note = UnexpectedResponseError, "a redirect, which is not followed"
    else:
        messages = _messages(reply.body, secrets)
        note = "; ".join(messages) or "the service did not say why"
    if cls is None:
        cls = ServerError if reply.status >= 500 else ApiResponseError
    return cls(
        f"{method} {url} answered {reply.status}: {note}",
        method=method,
        url=url,
        status=reply.status,
        messages=messages,
        retry_after=retry_after(reply.headers),
    )


def _messages(body: bytes, secrets: Collection[str]) -> tuple[str, ...]:
    data = _decoded(body)
    if isinstance(data, dict):
        told = data.get("errors", data.get("error", data.get("message")))
        texts = _texts(told)
    else:
        texts = iter(_plain_text(body) if data is _NOT_JSON else _texts(data))
    found: list[str] = []
    for text in texts:
        if len(found) == _MESSAGES:
            break
        found.append(redact_text(text, secrets)[:_MESSAGE_CHARACTERS])
    return tuple(found)


def _texts(told: object, name: str = "", depth: int = 4) -> Iterator[str]:
    """Yield the texts in ``{"base": ["…"]}``, ``{field: ["…"]}``, ``["…"]`` or ``"…"``."""
    if depth == 0:
        return
    if isinstance(told, str) and told.strip():
        yield f"{name}: {told}" if name else told
    elif isinstance(told, list):
        for entry in told:
            yield from _texts(entry, name, depth - 1)
    elif isinstance(told, dict):
        for field, entry in told.items():
            yield from _texts(entry, name if field == "base" else field, depth - 1)


def _plain_text(body: bytes) -> Iterator[str]:
    text = " ".join(body[: 2 * _MESSAGE_CHARACTERS].decode("utf-8", "replace").split())
    if text and not text.startswith("<"):  # a proxy's HTML page tells the reader nothing
        yield text


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After, seconds or a date (RFC 9110, 10.2.3); a date counts from the server's Date."""
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        moment = _unix_time(text)
        if moment is None:
            return None
        seconds = moment - (_unix_time(headers.get("Date", "")) or time.time())
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _unix_time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
