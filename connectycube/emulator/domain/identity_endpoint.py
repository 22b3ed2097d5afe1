"""HttpIdentityProvider: a custom identity provider at a URL, with the mappings of the dashboard.

(Guide "External authentication via Custom Identity Provider": endpoint, request and response parameters.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from attrs import Attribute, field, frozen

from connectycube._checks import check_http_url, check_number, check_one_of, check_str
from connectycube._containers import AnyDict, AnyMapping
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from .api_error import ApiError

__all__ = ["Answer", "AnswerNeeded", "HttpIdentityProvider", "Question", "provider_error"]

_VARIABLE = re.compile(r"#\{([^{}]*)\}")
_VARIABLES = ("login", "password")
_USER_FIELDS = (
    *("uid", "login", "email", "full_name", "phone", "website", "avatar", "custom_data"),
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HEADER = re.compile(r"([!-~]([ -~]*[!-~])?)?")
_NOT_JSON = "the response is no JSON object"


@frozen(kw_only=True)
class Question:
    """The request to an identity provider for one login; ``body`` is a form, or None."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: str | None = field(repr=False)
    timeout: float


@frozen(kw_only=True)
class Answer:
    """What an identity provider answered: a response, or ``failure``, why there is none."""

    status: int = 0
    body: bytes = field(default=b"", repr=False)
    failure: str | None = None


class AnswerNeeded(Exception):
    """A request cannot be answered before its question is; then it is handled again, with the answer.

    The emulator answers one request after the other, so none of them may wait for another server.
    """

    def __init__(self, question: Question) -> None:
        super().__init__("an identity provider must be asked first")
        self.question = question


def _check_texts(instance: object, attribute: Attribute[Any], value: object) -> None:
    name = attribute.name
    if not isinstance(value, AnyMapping):
        raise ArgumentTypeError(f"{name} must be a mapping of texts, not {type(value).__name__}")
    for key, text in value.items():
        check_str(f"a key of {name}", key)
        check_str(f"{name}[{key!r}]", text, empty=True)


def _check_url(instance: object, attribute: Attribute[str], value: str) -> None:
    # Its query may hold a key of the provider.
    parts = check_http_url("identity_provider", value)
    if parts.username or parts.password or parts.fragment:
        raise ArgumentValueError(
            "identity_provider must hold neither credentials nor a fragment: give headers"
        )
    # The text itself, as urlsplit() drops some characters.
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ArgumentValueError("identity_provider must have other characters percent-encoded")


def _check_method(instance: object, attribute: Attribute[str], value: object) -> None:
    check_one_of("method", value, ("GET", "POST"))


def _check_headers(instance: object, attribute: Attribute[Any], value: Mapping[str, str]) -> None:
    for name, text in value.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER.fullmatch(text):
            raise ArgumentValueError(f"headers: {name!r} or its value cannot be in a header")


def _check_request(instance: object, attribute: Attribute[Any], value: Mapping[str, str]) -> None:
    for text in value.values():
        for name in _VARIABLE.findall(text):
            if name not in _VARIABLES:
                known = " and ".join(f"#{{{each}}}" for each in _VARIABLES)
                raise ArgumentValueError(f"request knows {known}, and not #{{{name}}}")


def _check_response(instance: object, attribute: Attribute[Any], value: Mapping[str, str]) -> None:
    if "uid" not in value:
        raise ArgumentValueError('response must say where uid is, such as {"uid": "#{user.id}"}')
    for name in value:
        if name not in _USER_FIELDS:
            raise ArgumentValueError(
                f"response: {name!r} is no field of a user; there are {', '.join(_USER_FIELDS)}"
            )


def _check_timeout(instance: object, attribute: Attribute[float], value: object) -> None:
    check_number("timeout", value, least=0.001)


@frozen(kw_only=True)
class HttpIdentityProvider:
    """A custom identity provider at a URL, as the dashboard of the service configures one.

    Only this URL is asked: redirects count as errors. A response has at most 64 kB.

    Args:
        url: The endpoint, http or https. A query is kept.
        method: "GET" sends the parameters in the query, "POST" as a form.
        headers: Headers of the request, such as a key of the provider.
        request: The parameters: ``#{login}`` and ``#{password}`` in their values stand for the texts that the
            client sent.
        response: For fields of the user, where they are in the response, such as ``"#{user.id}"``. ``uid``
            is required; the others are ``login``, ``email``, ``full_name``, ``phone``, ``website``,
            ``avatar`` and ``custom_data``.
        timeout: Seconds for the whole response.

    Raises:
        ArgumentTypeError: An argument has the wrong type; the error names it.
        ArgumentValueError: An argument has a wrong value; the error names it.

    Example:
        >>> from connectycube.emulator import Emulator, HttpIdentityProvider
        >>> provider = HttpIdentityProvider(
        ...     url="https://shop.example/me", response={"uid": "#{user.id}", "login": "#{user.name}"}
        ... )
        >>> emulator = Emulator(identity_provider=provider)
    """

    url: str = field(validator=_check_url, repr=False)
    method: str = field(default="GET", validator=_check_method)
    headers: Mapping[str, str] = field(
        factory=AnyDict, validator=[_check_texts, _check_headers], repr=False
    )
    request: Mapping[str, str] = field(
        factory=lambda: {"token": "#{login}"}, validator=[_check_texts, _check_request]
    )
    response: Mapping[str, str] = field(
        factory=lambda: {"uid": "#{uid}"}, validator=[_check_texts, _check_response]
    )
    timeout: float = field(default=10.0, validator=_check_timeout)

    def question(self, login: str, password: str | None) -> Question:
        """Return the request that asks for the user with this login."""
        given = {"login": login, "password": password or ""}
        parameters = urlencode(
            {
                name: _VARIABLE.sub(lambda found: given[found[1]], text)
                for name, text in self.request.items()
            },
            errors="replace",
        )
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        body = None
        url = self.url
        if self.method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = parameters
        elif parameters:
            url += ("&" if urlsplit(url).query else "?") + parameters
        return Question(
            method=self.method,
            url=url,
            headers={**headers, **self.headers},
            body=body,
            timeout=self.timeout,
        )

    def identity(self, answer: Answer) -> dict[str, Any]:
        """Return the fields of the user in an answer; the user must have ``uid``, which is checked later.

        Raises:
            ApiError: The provider refused the user, or there is no such answer.
        """
        if answer.failure is not None:
            raise provider_error(answer.failure)
        if not 200 <= answer.status < 300:
            raise provider_error(str(answer.status))
        try:
            data = json.loads(answer.body, parse_constant=_no_constant)
            # A lone surrogate could not be written into an answer.
            json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise provider_error(_NOT_JSON) from None
        if not isinstance(data, AnyDict):
            raise provider_error(_NOT_JSON)
        found = {name: _filled(text, data) for name, text in self.response.items()}
        return {name: value for name, value in found.items() if value is not None}


def provider_error(error: str) -> ApiError:
    """Return the answer to a login that the identity provider refused, or could not answer."""
    return ApiError(422, f"Custom Identity Provider responded with an error = {error}")


def _filled(text: str, data: Mapping[str, Any]) -> Any:
    """Return the value of a template; None if the response lacks a part of it."""
    whole = _VARIABLE.fullmatch(text)
    if whole is not None:
        return _at(whole[1], data)
    values = [_at(path, data) for path in _VARIABLE.findall(text)]
    if any(value is None or isinstance(value, (dict, list)) for value in values):
        return None
    texts = iter(value if isinstance(value, str) else json.dumps(value) for value in values)
    return _VARIABLE.sub(lambda _: next(texts), text)


def _at(path: str, data: Any) -> Any:
    for name in path.split("."):
        if not isinstance(data, AnyDict):
            return None
        data = data.get(name)
    return data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
