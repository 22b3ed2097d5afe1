"""MockTransport: REST responses from a test, without a socket, a thread or an emulator."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from attrs import define, evolve, field
from requests.structures import CaseInsensitiveDict

from connectycube import Request, Response
from connectycube._checks import check_callable
from connectycube.errors import (
    ApiConnectError,
    ApiError,
    ApiNetworkError,
    ApiTimeoutError,
    ArgumentTypeError,
    ArgumentValueError,
)

from .._containers import AnyDict

__all__ = ["Answer", "MockTransport", "UnmatchedRequestError"]

Handler = Callable[[Request], Response]

Answer = Response | Exception | type[Exception] | Handler
"""What a route answers: a Response, an exception to raise, or a function that returns a Response."""

_OF_APPLICATION = {"application_id", "auth_key", "nonce", "timestamp", "signature"}
_UNREACHABLE = (ConnectionRefusedError, socket.gaierror, ssl.SSLError)


class UnmatchedRequestError(AssertionError):
    """A MockTransport got a request without a route; the message names the request and the routes."""


class MockTransport:
    """Answers the REST requests of a client from routes, and records them; for unit tests.

    Give it to a client: ``ConnectyCube(app_id=1, auth_key="key", transport=MockTransport())``. Sessions,
    retries, rate limits and the mapping of responses to errors work above it as they do above the network.
    The default routes create a session (POST /session) and destroy it (DELETE /session); :meth:`add`
    replaces them.

    Several threads and several clients may use one MockTransport.

    Args:
        handler: Called with each request that no route matches; returns its Response. Without a handler
            such a request raises :class:`UnmatchedRequestError`.
        user_id: The id of the user in the sessions of the default route.

    Example:
        >>> transport = MockTransport(user_id=7)
        >>> transport.add("GET", "/users/7", Response(200, json={"user": {"id": 7, "login": "bob"}}))
        >>> with ConnectyCube(app_id=1, auth_key="key", transport=transport) as client:
        ...     user = client.login(login="bob", password="secret")
        ...     print(client.users.get(7).login)
        bob
    """

    def __init__(self, handler: Handler | None = None, *, user_id: int = 1) -> None:
        if handler is not None:
            _check_handler(handler)
        self._handler = handler
        self._user_id = user_id
        self._lock = threading.Lock()
        self._routes: list[_Route] = []
        self._requests: list[Request] = []
        self._sessions = 0
        self.add("POST", "/session", self._create_session)
        self.add("DELETE", "/session", Response(200))

    def add(self, method: str, path: str, *answers: Answer) -> None:
        """Answer requests with this method and path; the route that was added last comes first.

        Args:
            method: The HTTP method.
            path: The path of the URL, such as "/chat/Dialog", or a whole URL without its query; ``*`` stands
                for any text.
            answers: The answers to the requests, one after the other; the last one again and again. A
                Response; a function that is called with the Request and returns a Response; or an exception,
                which is raised. ``ConnectionResetError()``, ``TimeoutError()`` and other OSErrors reach the
                application as the ApiError of a broken network.

        Raises:
            ArgumentTypeError: An answer is something else, or cannot be called with a Request (a coroutine
                function cannot); or method or path is not a string.
            ArgumentValueError: There is no answer.
        """
        _check_text("method", method)
        _check_text("path", path)
        if not answers:
            raise ArgumentValueError("answers must not be empty")
        for answer in answers:
            _check_answer(answer)
        with self._lock:
            self._routes.insert(0, _Route(method.upper(), path, answers))

    @property
    def requests(self) -> tuple[Request, ...]:
        """All requests so far, in their order; the body of each is bytes or None."""
        with self._lock:
            return tuple(self._requests)

    def requests_to(self, method: str, path: str) -> tuple[Request, ...]:
        """Return the requests so far with this method and path, in their order.

        Args:
            method: The HTTP method.
            path: The path of the URL, such as "/chat/Dialog", or a whole URL without its query; ``*`` stands
                for any text.

        Returns:
            The requests; empty if there was none.

        Example:
            >>> transport = MockTransport()
            >>> transport.requests_to("POST", "/session")
            ()
        """
        route = _Route(method.upper(), path, ())
        return tuple(request for request in self.requests if route.matches(request))

    def send(self, request: Request) -> Response:
        """Answer one request; the client calls this, from any thread.

        Args:
            request: The request.

        Returns:
            The response of the route that matches, or of the handler.

        Raises:
            UnmatchedRequestError: No route matches, and there is no handler.
            ApiError: A route or handler raised it, or an OSError that stands for it.
            Exception: A route or handler raised it.
        """
        request = _recorded(request)
        answer = self._next_answer(request)
        try:
            response = _response_of(answer, request)
        except OSError as error:
            if isinstance(error, ApiError):
                raise
            failure = _network_error(request, error)
        else:
            return _streamed(request, response)
        raise failure

    def _next_answer(self, request: Request) -> Answer:
        with self._lock:
            self._requests.append(request)
            for route in self._routes:
                if route.matches(request):
                    return route.next_answer()
            known = ", ".join(route.name for route in reversed(self._routes))
        if self._handler is not None:
            return self._handler
        raise UnmatchedRequestError(
            f"MockTransport has no route for {request.method} {request.path} ({request.url}); "
            f"there are: {known}"
        )

    def _create_session(self, request: Request) -> Response:
        """Answer POST /session: a session of the user, or of the application alone."""
        body = request.json()
        with self._lock:
            self._sessions += 1
            number = self._sessions
        session: dict[str, Any] = {"id": number, "token": f"mock-token-{number}", "user_id": 0}
        if body.keys() - _OF_APPLICATION:
            names = body.get("user")
            known: dict[str, Any] = names if isinstance(names, AnyDict) else {}
            user = {
                name: value for name, value in known.items() if name not in ("password", "guest")
            }
            session |= {"user_id": self._user_id, "user": {**user, "id": self._user_id}}
        return Response(201, json={"session": session})


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} must be a string, not {type(value).__name__}")


def _check_handler(value: object) -> None:
    if not callable(value):
        kind = type(value).__name__
        raise ArgumentTypeError(f"handler must be a function of a Request, not {kind}")
    check_callable("handler", value, "request")


def _check_answer(value: object) -> None:
    if not isinstance(value, (Response, Exception)) and not callable(value):
        kind = type(value).__name__
        raise ArgumentTypeError(
            f"answers must be Responses, exceptions or functions of a Request, not {kind}"
        )
    if not isinstance(value, (Response, Exception, type)):
        check_callable("answer", value, "request")


@define
class _Route:
    method: str
    path: str
    answers: tuple[Answer, ...]
    calls: int = field(default=0)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def matches(self, request: Request) -> bool:
        target = request.path if self.path.startswith("/") else request.url.partition("?")[0]
        pattern = ".*".join(map(re.escape, self.path.split("*")))
        return request.method == self.method and re.fullmatch(pattern, target) is not None

    def next_answer(self) -> Answer:
        answer = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        return answer


def _recorded(request: Request) -> Request:
    """Return a request as a test wants to see it: its body read, its headers found in any case."""
    body = request.body
    if body is not None and not isinstance(body, bytes):
        body = b"".join(body)
    return evolve(request, body=body, headers=CaseInsensitiveDict(request.headers))


def _response_of(answer: Answer, request: Request) -> Response:
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, type):
        raise answer()
    response: object = answer(request)
    if not isinstance(response, Response):
        kind = type(response).__name__
        raise ArgumentTypeError(
            f"the function for {request.method} {request.path} must return a Response, not {kind}"
        )
    return response


def _streamed(request: Request, response: Response) -> Response:
    """Give the body of a success to the request's writer, if it has one."""
    if request.writer is None or not response.is_success:
        return response
    request.writer.begin({"Content-Length": str(len(response.body)), **response.headers})
    request.writer.write(response.body)
    return evolve(response, body=b"")


def _network_error(request: Request, error: OSError) -> ApiError:
    """Return the error that a real transport raises for such a failure."""
    kind: type[ApiError] = ApiNetworkError
    if isinstance(error, TimeoutError):
        kind = ApiTimeoutError
    elif isinstance(error, _UNREACHABLE):
        kind = ApiConnectError
    reason = str(error) or type(error).__name__
    text = f"{request.method} {request.url}: {reason}"
    return kind(text, method=request.method, url=request.url)
