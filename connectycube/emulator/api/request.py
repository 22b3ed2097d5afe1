"""Request and Response of the REST API, without any HTTP library."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from attrs import field, frozen

from connectycube._containers import AnyDict, AnyList

from ..domain.api_error import ApiError
from ..domain.identity_endpoint import Answer

__all__ = ["Request", "Response"]

# Bounds of a body: the emulator answers one request after the other, so a slow one delays all clients.
_MOST_FIELDS = 10_000
_DEEPEST = 100
_MOST_VALUES = 250_000
_FORM = "application/x-www-form-urlencoded"


@frozen(kw_only=True)
class Request:
    """A request of a client. Names of headers are in lower case; ``query`` is the text after ``?``.

    ``scheme`` is http or https. ``answer`` is that of the custom identity provider, if the request needs it.
    """

    method: str
    path: str
    query: str = ""
    scheme: str = "http"
    headers: Mapping[str, str] = field(factory=AnyDict, repr=False)
    body: bytes = field(default=b"", repr=False)
    answer: Answer | None = None

    def parameters(self) -> list[tuple[str, str]]:
        """Return the names and values of the query, and of the body of a GET, decoded, in their order.

        (The documentation's examples send the parameters of a GET in the body, ``curl -X GET -d``.)
        """
        query = _pairs(self.query, "query string")
        return [*query, *self._body_parameters()] if self.method == "GET" else query

    def _body_parameters(self) -> list[tuple[str, str]]:
        body = self.body.strip()
        if body.startswith(b"{"):
            return [pair for name, value in self.json().items() for pair in _flat(name, value)]
        # Whatever the content type: an example sends a form as application/json.
        return self._form_pairs()

    def json(self) -> dict[str, Any]:
        """Return the body as an object; a form counts as one, and no body as an empty one."""
        if not self.body.strip():
            return {}
        content_type = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type == _FORM and not self.body.lstrip().startswith(b"{"):
            return self._form()
        if self.body.count(b",") > _MOST_VALUES:
            raise ApiError(413, f"The body has more than {_MOST_VALUES} values")
        try:
            value = json.loads(self.body, parse_constant=_no_constant)
            # A lone surrogate or a number like 1e999 could not be written into an answer.
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError) as error:
            raise ApiError(400, f"The body is not JSON: {error}") from None
        if not isinstance(value, AnyDict):
            raise ApiError(400, f"The body must be a JSON object, not {type(value).__name__}")
        return value

    def _form(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, value in self._form_pairs():
            _put(result, name, value)
        return result

    def _form_pairs(self) -> list[tuple[str, str]]:
        try:
            return _pairs(self.body.strip().decode("ascii"), "form")
        except UnicodeDecodeError as error:
            raise ApiError(400, f"The form is malformed: {error}") from None


def _pairs(text: str, what: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except (UnicodeDecodeError, ValueError) as error:
        raise ApiError(400, f"The {what} is malformed: {error}") from None


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Write a value of JSON as a query does: {"id": {"in": [1, 2]}} is id[in][]=1&id[in][]=2."""
    if isinstance(value, AnyDict):
        for key, inner in value.items():
            yield from _flat(f"{name}[{key}]", inner)
    elif isinstance(value, AnyList):
        for inner in value:
            yield from _flat(f"{name}[]", inner)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _put(target: dict[str, Any], name: str, value: str) -> None:
    # user[login]=x becomes {"user": {"login": "x"}}.
    outer, bracket, rest = name.partition("[")
    if not bracket:
        target[name] = value
        return
    if rest.count("[") > _DEEPEST:
        raise ApiError(400, f"The form nests {outer[:100]!r} deeper than {_DEEPEST}")
    for inner in rest.rstrip("]").split("]["):
        step = target.setdefault(outer, {})
        if not isinstance(step, AnyDict):
            raise ApiError(400, f"The form gives {outer} both as a value and as an object")
        target, outer = step, inner
    target[outer] = value


@frozen(kw_only=True)
class Response:
    """An answer; ``content`` is written as JSON, None as an empty body."""

    status: int = 200
    content: Any = None
    headers: Mapping[str, str] = field(factory=AnyDict)

    @classmethod
    def refused(cls, refusal: ApiError) -> Response:
        """Return the answer to a refused request."""
        return cls(
            status=refusal.status, content={"errors": refusal.errors}, headers=refusal.headers
        )

    def body(self) -> bytes:
        """Return the content's bytes."""
        if self.content is None:
            return b""
        return json.dumps(self.content, ensure_ascii=False).encode("utf-8", "replace")
