"""What a response means: JSON of the expected shape, or the right error of the tree."""

from __future__ import annotations

import codecs
import contextlib
import itertools
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from .. import models
from .._checks import MOST_INT
from .._containers import AnyDict, AnyList
from .._redact import peer_text, redact_url
from .._secrets import Secret
from ..errors import (
    ApiAuthenticationError,
    ApiResponseError,
    ApiTimeoutError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseTooLargeError,
    ServerError,
    UnexpectedResponseError,
    ValidationError,
)
from ..models._json import as_int
from ._http import Response

if TYPE_CHECKING:
    from ..models import Page

__all__ = [
    "check_response",
    "http_date",
    "read_count",
    "read_list",
    "read_object",
    "read_page",
    "read_record",
    "retry_after",
    "unexpected",
]


class _HasId(Protocol):
    @property
    def id(self) -> object: ...


Item = TypeVar("Item")
Record = TypeVar("Record", bound=_HasId)
Reader = Callable[[dict[str, object]], Item]

_NAMES_OF_WORDS = ("errors", "error", "message")
_NAMES_OF_REFUSALS = frozenset((*_NAMES_OF_WORDS, "success"))
_NAMES_IN_REFUSALS = {  # those of a page are of no use without its list
    *_NAMES_OF_WORDS,
    *("code", "status"),
    *("class_name", "current_page", "limit", "per_page", "skip"),
}
_DEEPEST = 12  # levels of lists and objects in errors
_BESIDE_MESSAGE = {"code", "error", "field", "message", "status", "type"}
_MESSAGES = 20
_PLAIN_BYTES = 65_536
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ERRORS: Mapping[int, type[ApiResponseError]] = {
    400: ValidationError,
    401: ApiAuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: ValidationError,
    429: RateLimitError,
}


# --- successes ----------------------------------------------------------------------------------


def check_response(response: Response, secrets: Collection[Secret] = ()) -> Response:
    """Return a response that is a whole success, and JSON if it has a body.

    Args:
        response: The response, with its request.
        secrets: Texts to mask in what the service says.

    Raises:
        ApiResponseError: The status is an error, or a success holds an error and nothing of use; a subclass
            says which.
        ResponseTooLargeError: A success is larger than the transport reads.
        UnexpectedResponseError: A success is not JSON or not whole, or the status is a redirect.
        ApiTimeoutError: A success was not whole in time.
    """
    if not 200 <= response.status < 300:
        raise _refusal(response, secrets)
    if response.fault == "late":
        method, url = _method_and_url(response)
        late = f"{method} {url} answered {response.status}, but not all of it came in time"
        raise ApiTimeoutError(late, method=method, url=url)
    if response.fault == "too large":
        received = f"the answer is too large, beyond {response.received:,} bytes: ask for less"
        raise unexpected(response, received, ResponseTooLargeError)
    if response.fault:
        raise unexpected(response, f"the answer is {response.fault}")
    try:
        data = response.json()
    except (ValueError, RecursionError):
        failure = unexpected(response, "the answer is not JSON")
    else:
        if not isinstance(data, AnyDict) or _NAMES_OF_REFUSALS.isdisjoint(data):
            return response  # as nearly always
        if not _is_refusal(data):
            return response
        failure = _refusal(response, secrets)
    raise failure


def read_object(response: Response) -> dict[str, object]:
    """Return the response's JSON object.

    Raises:
        UnexpectedResponseError: It is something else.
    """
    data = response.json()
    if isinstance(data, AnyDict):
        return data
    shape = _shape(data)
    del data  # it may repeat a secret
    raise unexpected(response, f"an object was expected, not {shape}")


def read_record(response: Response, read: Reader[Record]) -> Record:
    """Return the response as one record, read by ``read``.

    Raises:
        UnexpectedResponseError: It is no object, or has no id. A record of nothing would say that it exists.
    """
    record = read(read_object(response))
    if not record.id or (isinstance(record.id, int) and not 0 < record.id <= MOST_INT):
        kind = type(record).__name__
        del record  # it may repeat a secret
        raise unexpected(response, f"a {kind} with its id was expected")
    return record


def read_page(response: Response, read: Reader[Item], name: str = "items") -> Page[Item]:
    """Return the response as a page, each item read by ``read``; items that are no objects are left out.

    ``name`` is the service's name of the list.

    Raises:
        UnexpectedResponseError: There is no list of items. An empty page would say that nothing was found.
    """
    data = read_object(response)
    items = data.get(name)
    if not isinstance(items, AnyList):
        shape = _shape(items)
        del data, items  # it may repeat a secret
        raise unexpected(response, f"a list of items was expected, not {shape}")
    return models.Page(
        items=tuple([read(item) for item in items if isinstance(item, AnyDict)]),
        total_entries=as_int(data.get("total_entries")),
        skip=_skipped(data),
        limit=as_int(data.get("limit", data.get("per_page"))),
    )


def read_list(response: Response, read: Reader[Item]) -> tuple[Item, ...]:
    """Return the response's JSON list, each item read by ``read``; items that are no objects are left out.

    Raises:
        UnexpectedResponseError: It is something else.
    """
    shape = _shape(response.json())
    if shape != "a list":
        raise unexpected(response, f"a list was expected, not {shape}")
    return tuple([read(item) for item in response.json() if isinstance(item, AnyDict)])


def read_count(response: Response) -> int:
    """Return the number in a response to ``count=1``.

    Raises:
        UnexpectedResponseError: There is none.
    """
    number = _count_in(read_object(response).get("items"))
    if number is None:
        raise unexpected(response, "a count was expected")
    return number


def _count_in(items: object) -> int | None:
    return as_int(items.get("count")) if isinstance(items, AnyDict) else None


def unexpected(
    response: Response,
    difference: str,
    cls: type[ApiResponseError] = UnexpectedResponseError,
) -> ApiResponseError:
    """Return the error that says how a response differs from the documentation."""
    method, url = _method_and_url(response)
    return cls(
        f"{method} {url} answered {response.status}, but {difference}",
        method=method,
        url=url,
        status=response.status,
    )


def _method_and_url(response: Response) -> tuple[str, str]:
    request = response.request
    return ("", "") if request is None else (request.method, redact_url(request.url))


def _skipped(data: Mapping[str, object]) -> int | None:
    """Return how many items came before this page, also where the service counts in pages."""
    page, size = as_int(data.get("current_page")), as_int(data.get("per_page"))
    if page is not None and size is not None:
        return (page - 1) * size
    return as_int(data.get("skip"))


_NOT_JSON = object()


def _json_of(response: Response) -> object:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return _NOT_JSON


def _shape(value: object) -> str:
    names: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "a string",
        type(None): "nothing",
    }
    return names.get(type(value), "a number or boolean")


# --- refusals -----------------------------------------------------------------------------------


def _is_refusal(data: Mapping[str, object]) -> bool:
    """Tell whether the body of a success is a refusal: it says an error, and holds nothing of use."""
    says_error = data.get("success") is False or any(
        any(_texts(data.get(name))) for name in _NAMES_OF_WORDS
    )
    # A custom object may have fields of these names, and a message has a "message": each has an id.
    return says_error and not any(
        value for name, value in data.items() if name not in _NAMES_IN_REFUSALS
    )


def _refusal(response: Response, secrets: Collection[Secret]) -> ApiResponseError:
    method, url = _method_and_url(response)
    status = response.status
    cls = ValidationError if status < 300 else _ERRORS.get(status)
    messages: tuple[str, ...] = ()
    if 300 <= status < 400:
        cls, note = UnexpectedResponseError, "a redirect, which is not followed"
    else:
        messages = _messages(response, secrets)
        note = peer_text("; ".join(messages)) or "the service did not say why"
    if cls is None:
        cls = ServerError if status >= 500 else ApiResponseError
    return cls(
        f"{method} {url} answered {status}: {note}",
        method=method,
        url=url,
        status=status,
        messages=messages,
        retry_after=retry_after(response.headers),
    )


def _messages(response: Response, secrets: Collection[Secret]) -> tuple[str, ...]:
    data = _json_of(response)
    if isinstance(data, AnyDict):
        found = (list(_texts(data.get(name))) for name in _NAMES_OF_WORDS)
        texts = iter(next(filter(None, found), ()))
    elif data is _NOT_JSON:
        texts = _plain_text(response.body)
    else:
        texts = _texts(data)
    first = itertools.islice(texts, _MESSAGES)
    return tuple([peer_text(text, secrets) for text in first])


def _texts(errors: object, name: str = "", depth: int = _DEEPEST) -> Iterator[str]:
    """Yield the texts in ``{"base": ["…"]}``, ``{field: ["…"]}``, ``["…"]`` or ``"…"``, also nested.

    A field within a field is told as ``user.login``, and ``{"field": …, "message": …}`` is one text.
    """
    if depth == 0:
        return
    if isinstance(errors, str) and errors.strip():
        yield f"{name}: {errors}" if name else errors
    elif isinstance(errors, AnyList):
        for entry in errors:
            yield from _texts(entry, name, depth - 1)
    elif isinstance(errors, AnyDict):
        if isinstance(errors.get("message"), str) and errors.keys() <= _BESIDE_MESSAGE:
            errors = {str(errors.get("field") or "base"): errors["message"]}
        for field, entry in errors.items():
            whole = f"{name}.{field}" if name else field
            yield from _texts(entry, name if field == "base" else whole, depth - 1)


def _plain_text(body: bytes) -> Iterator[str]:
    body = body[:_PLAIN_BYTES]
    encoding = "utf-16" if body.startswith(_UTF_16) else "utf-8-sig"
    text = _storage_words(body) or _on_one_line(body.decode(encoding, "replace"))
    if text and not text.startswith("<"):  # a proxy's HTML page tells the reader nothing
        yield text


def _storage_words(body: bytes) -> str:
    """Return code and message of an error of the storage; empty for anything else.

    (Amazon S3, "Error responses".) No document type is read, so nothing in the body can grow.
    """
    path: list[str] = []
    found = {"Code": "", "Message": ""}

    def begin(name: str, _: object) -> None:
        path.append(name.rpartition(":")[2])

    def add(data: str) -> None:
        if len(path) == 2 and path[0] == "Error" and path[1] in found:
            found[path[1]] += data

    def refuse(*_: object) -> None:
        raise ValueError("a document type")

    from xml.parsers import expat

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, lambda _: path.pop()
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = add, refuse
    with contextlib.suppress(
        ValueError, expat.ExpatError
    ):  # what was found before the fault is told
        parser.Parse(body.lstrip(b" \t\r\n"), True)
    return ": ".join(filter(None, map(_on_one_line, found.values())))


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


# --- headers ------------------------------------------------------------------------------------


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After, seconds or a date (RFC 9110, 10.2.3); a date counts from the server's Date."""
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        moment = http_date(text)
        if moment is None:
            return None
        now = http_date(headers.get("Date", ""))
        seconds = moment.timestamp() - (time.time() if now is None else now.timestamp())
    return max(0.0, seconds) if math.isfinite(seconds) else None


def http_date(text: str) -> datetime | None:
    """Read a date of HTTP (RFC 9110, 5.6.7); None for anything else."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo is not None else None
