"""FlaskCube: the extension, as an application uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from flask import Flask, Response, current_app, g, has_request_context, request
from werkzeug.exceptions import Forbidden, NotFound, Unauthorized

from connectycube import (
    ApiAuthenticationError,
    ApiError,
    ConnectyCube,
    DialogRef,
    Handling,
    Message,
    NotFoundError,
    PermissionDeniedError,
    User,
)
from connectycube._checks import check_int, check_number, check_str
from connectycube.errors import ArgumentTypeError

from ..common.offline import SENDER_ID, Outbox
from ..common.same_function import check_same_function
from ..common.sending import address_of, checked_message
from ..common.signal_names import check_signal
from . import testing
from .clients import Clients, Credentials
from .commands import group
from .conf import DEFAULTS, LOCMEM, PREFIX, read_settings
from .handlers import Handler, handler_of, this_app
from .position import Position
from .servers import most_streams
from .stream import (
    MOST_HISTORY,
    DialogReader,
    EventStream,
    come_back_later,
    first_blocks,
    is_temporary,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

    from ..common.offline import MessageFields
    from .clients import ClientCredentials

__all__ = ["FlaskCube"]

Function = TypeVar("Function", bound=Callable[..., Any])

_NAME = "connectycube"
_OPEN_CLIENTS = "_connectycube_clients"
_LONGEST_EVENT_ID = 8_000  # characters


class FlaskCube:
    """ConnectyCube in a Flask application: ``cube = FlaskCube()``, then ``cube.init_app(app)``.

    One extension may be registered on several applications. The parts that belong to one of them (``client``,
    ``send``, ``outbox`` …) need an application context, which requests, commands and handlers have. Every
    method may be called from any thread.

    Args:
        app: The application to register it on; None: ``init_app`` does later.

    Raises:
        RuntimeError: The application has such an extension already.
        ArgumentValueError: Keys ``CONNECTYCUBE_*`` of ``app.config`` are unknown or wrong.

    Example:
        >>> from flask import Flask
        >>> from connectycube.contrib.flask import FlaskCube
        >>> flask_cube = FlaskCube()
        >>> app = Flask("shop")
        >>> app.config.update(TESTING=True, CONNECTYCUBE_BACKEND="locmem")
        >>> flask_cube.init_app(app)
        >>> with app.app_context():
        ...     flask_cube.send(7, "Your order is ready").body
        'Your order is ready'
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._clients_of: WeakKeyDictionary[Flask, Clients] = WeakKeyDictionary()
        self._handlers: dict[tuple[str, str], Handler] = {}
        if app is not None:
            self.init_app(app)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {len(self._handlers)} handlers>"

    def init_app(self, app: Flask) -> None:
        """Register the extension on an application, whose configuration is complete; nothing is opened.

        Later changes of ``app.config`` are not noticed.

        Args:
            app: The application.

        Raises:
            RuntimeError: The application has such an extension already.
            ArgumentTypeError: ``app`` is no application.
            ArgumentValueError: Keys ``CONNECTYCUBE_*`` of ``app.config`` are unknown or wrong; the error has
                a sentence for each.
        """
        if not isinstance(app, Flask):
            raise ArgumentTypeError(f"app must be a Flask application, not {type(app).__name__}")
        if _NAME in app.extensions:
            raise RuntimeError(
                "A FlaskCube is registered on this application already: import and use that one"
            )
        settings = read_settings(app.config)
        for key, default in DEFAULTS.items():
            if f"{PREFIX}{key}" not in app.config:
                app.config[f"{PREFIX}{key}"] = default
        self._clients_of[app] = Clients(settings)
        app.extensions[_NAME] = self
        app.teardown_appcontext(_close_clients)
        app.cli.add_command(group)

    @property
    def _clients(self) -> Clients:
        """What the current application has in this process."""
        app = this_app()
        found = self._clients_of.get(app)
        if found is None:
            raise RuntimeError(
                "This FlaskCube is not registered on the current application: call init_app(app), or"
                f" use the one in app.extensions['{_NAME}']"
            )
        return found

    # --- clients ---

    @property
    def client(self) -> ConnectyCube:
        """The client of the application's user, one a process; the first use logs in to REST.

        Its chat is not connected: the listener does that, in a process of its own.

        Raises:
            RuntimeError: There is no application context.
            ArgumentValueError: CONNECTYCUBE_LOGIN, or another key that is needed, is missing.
            ApiError: The user could not log in.
        """
        return self._clients.bot(testing=current_app.testing)

    def client_for(self, **credentials: Unpack[ClientCredentials]) -> ConnectyCube:
        """Return a client that acts as a user; it is kept in ``g``, and closed with the application context.

        The same arguments return the same client within one context. Clients share their connections.

        Args:
            credentials: ``token`` (and ``user_id``, ``renew_session``) of a session that exists, so that
                nothing is sent; or the arguments of ``ConnectyCube.login()``, such as ``login`` and
                ``password``, or ``provider`` and ``token``. With CONNECTYCUBE_TOKEN_STORE all processes
                share these sessions.

        Returns:
            The client.

        Raises:
            RuntimeError: There is no application context.
            ArgumentTypeError, ArgumentValueError: An argument is wrong, or a key is missing.
            ApiAuthenticationError: The credentials are wrong.
            ApiError: The user could not log in.
        """
        wanted = Credentials(credentials)
        del credentials  # the frames of an error show no secret
        clients, kept = self._clients, _clients_in_g()
        for known, client in kept:
            if known == wanted:
                return client
        client = clients.user(wanted, testing=current_app.testing)
        kept.append((wanted, client))
        return client

    # --- handlers ---

    def on(
        self,
        signal: str,
        *,
        where: Callable[[Any], object] | None = None,
        key: str | None = None,
        handling: Handling | None = None,
    ) -> Callable[[Function], Function]:
        """Return a decorator: the listener calls the function as ``function(chat, event)``.

        Each call has an application context of its own, whose teardown sees the error that the function
        raises. The module with the function must be imported where the application is made.

        Args:
            signal: The name of a signal of the chat, such as "message_received".
            where: The function is called only for events for which ``where(event)`` is true.
            key: The handler's name; None: its module and qualified name. A handler replaces one of the same
                key; without a key two functions of the same name are an error.
            handling: When it runs again after an error; None: as CONNECTYCUBE_HANDLING says.

        Returns:
            The decorator, which returns the function.

        Raises:
            ArgumentTypeError, ArgumentValueError: There is no such signal; an argument is wrong; or the
                function cannot be called with ``(chat, event)``, or another one has its name.
        """
        check_signal(signal)

        def connected(function: Function) -> Function:
            handler = handler_of(function, signal, key, where, handling)
            if key is None:
                before = self._handlers.get((handler.signal, handler.name))
                check_same_function(handler, before, "give each its own name or key")
            self._handlers[handler.signal, handler.name] = handler
            return function

        return connected

    @property
    def handlers(self) -> list[Handler]:
        """The handlers, in the order in which they were written."""
        return list(self._handlers.values())

    # --- sending ---

    def send(
        self,
        to: Any,
        body: str | Message,
        *,
        as_client: ConnectyCube | None = None,
        **custom: str | int | float | bool | Mapping[str, Any],
    ) -> Message:
        """Send a message, and wake the pages that show its dialog.

        In the listener it goes over the chat, with the same id in each attempt of a handler; elsewhere it is
        one call of REST. In tests (``app.testing``) it is kept in ``outbox``.

        Args:
            to: A dialog (an id as a string, a Dialog, one of its messages), or a user (an id as an int, a
                User).
            body: The text; or a Message, with attachments and more.
            as_client: The client of the sender, such as ``cube.client_for(…)``; None: the application's user.
            custom: Custom parameters, by their names.

        Returns:
            The message as it was sent.

        Raises:
            RuntimeError: There is no application context.
            ArgumentTypeError, ArgumentValueError: An argument is wrong; nothing is sent.
            ConnectyCubeError: The message could not be sent.
        """
        if as_client is not None:
            _check_client("as_client", as_client)
        message = checked_message(body, custom, ("as_client",))
        return self._clients.send(to, message, as_client, testing=current_app.testing)

    # --- live pages ---

    def stream(
        self,
        dialog: str | DialogRef | Message,
        *,
        as_client: ConnectyCube,
        last_event_id: str | None = None,
        heartbeat: float = 15,
        history: int = 0,
    ) -> Response:
        """Return a response of server-sent events: the messages of a dialog, as they come.

        The first request asks, as the page's user, for the permission; only then is anything sent, at once.
        The browser's EventSource gets an event ``begin`` where it has to empty its list, and a ``message``
        for each message, with ``message.to_dict()`` as JSON. After a lost connection it goes on where it was,
        in any process. The stream ends when the server ends. It holds no application context, and closes a
        client of ``client_for`` at its end. With a server that serves one request at a time it ends after
        each look, and the browser comes back after a second.

        Args:
            dialog: The dialog.
            as_client: The client of the page's user.
            last_event_id: The id of the last event that the page has; None: the value of the header
                ``Last-Event-ID`` of the request, and without it the end of the dialog.
            heartbeat: Seconds of silence after which a comment is sent, so that proxies keep the connection.
            history: How many of the newest messages are sent where a page begins, 100 at most.

        Returns:
            The response.

        Raises:
            RuntimeError: There is no application context.
            ArgumentTypeError, ArgumentValueError: An argument is wrong.
            werkzeug.exceptions.HTTPException: The user may not read the dialog (403), it does not exist
                (404), or the session of ``as_client`` has ended (401); a browser then does not come back.
        """
        _check_client("as_client", as_client)
        check_number("heartbeat", heartbeat, least=0.1)
        check_int("history", history, least=0, most=MOST_HISTORY)
        dialog_id = address_of(dialog)
        if not isinstance(dialog_id, str):
            raise ArgumentTypeError("dialog must be a dialog with an id, not a user")
        clients = self._clients
        position = _position(last_event_id)
        reader = DialogReader(as_client, dialog_id, position or Position())
        goes_on = True
        try:
            first = first_blocks(reader, is_resumed=position is not None, history=history)
        except ApiError as error:
            _refuse(error)
            first, goes_on = come_back_later(), False
        environ = request.environ if has_request_context() else {}
        most = most_streams(environ)
        events = EventStream(
            reader=reader,
            first=first,
            history=history,
            bell=clients.bell,
            poll=clients.settings.stream_poll,
            heartbeat=heartbeat,
            goes_on=goes_on and (most is None or clients.bell.open_streams < most),
            owns_client=_take_from_g(as_client),
        )
        response = Response(events, mimetype="text/event-stream")
        # What reads the whole body, to compress or to measure it, would read forever.
        response.implicit_sequence_conversion = False
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # nginx hands each block on at once
        return response

    def end_streams(self) -> None:
        """End the streams of the current application in this process, for servers that do not tell their end.

        With gunicorn the streams end by themselves.

        Raises:
            RuntimeError: There is no application context.
        """
        self._clients.bell.end_streams()

    def close(self) -> None:
        """Close all that the current application has opened in this process.

        For scripts and tests that go on: the next use opens it again. A process that ends need not call it.

        Raises:
            RuntimeError: There is no application context.
        """
        self._clients.close()

    # --- tests ---

    @property
    def outbox(self) -> Outbox[testing.OutboxMessage]:
        """The messages that the current application has sent in tests, the oldest first.

        ``outbox.clear()`` empties it, ``outbox.fail_next(error)`` lets the next message fail.
        """
        return self._clients.outbox

    def deliver(
        self,
        body: object,
        sender: int | User = SENDER_ID,
        dialog: str | DialogRef | None = None,
        *,
        signal: str = "message_received",
        **fields: Unpack[MessageFields],
    ) -> list[testing.OutboxMessage]:
        """Call the handlers for a message in a test, on this thread, each in a context of its own.

        An error of a handler is raised here, and no handler runs again.

        Args:
            body: The text of the message; or a whole event, such as a Message or a MessageEdit.
            sender: The sender: an id, or a User.
            dialog: The dialog that it came from; None: the private dialog with the sender. An id is that of a
                group.
            signal: The signal of the event.
            fields: Other fields of the Message, such as ``custom``.

        Returns:
            The messages that the handlers sent, which are in ``outbox``, too.

        Raises:
            RuntimeError: There is no application context, or the backend is not ``locmem``.
            ArgumentTypeError, ArgumentValueError: An argument is wrong.
        """
        clients, name = self._clients, check_signal(signal)
        if clients.backend(testing=current_app.testing) != LOCMEM:
            raise RuntimeError(
                "deliver() is for tests: set app.testing = True, or CONNECTYCUBE_BACKEND = 'locmem'"
            )
        event = testing.event_of(body, sender, dialog, fields)
        app = this_app()
        handlers = [handler for handler in self.handlers if handler.signal == name]
        return testing.deliver(app, handlers, event, clients.outbox)


def _check_client(name: str, value: object) -> None:
    if not isinstance(value, ConnectyCube):
        raise ArgumentTypeError(
            f"{name} must be a ConnectyCube, such as cube.client_for(…), not {type(value).__name__}"
        )


def _position(last_event_id: str | None) -> Position | None:
    """Return where a page was; None if it begins."""
    text = last_event_id
    if text is None:
        text = request.headers.get("Last-Event-ID") if has_request_context() else None
    elif text:
        check_str("last_event_id", text)
    # What is none of ours comes from the network, and is no error of the application.
    return Position.parse(text) if text and len(text) <= _LONGEST_EVENT_ID else None


def _refuse(error: ApiError) -> None:
    """Answer with the status that says why; return if the browser should come back."""
    if isinstance(error, PermissionDeniedError):
        raise Forbidden("this user may not read the dialog") from error
    if isinstance(error, NotFoundError):
        raise NotFound("there is no such dialog") from error
    if isinstance(error, ApiAuthenticationError):
        raise Unauthorized("the session of this user has ended") from error
    if not is_temporary(error):
        raise error


# --- clients in g -----------------------------------------------------------------------------------


def _clients_in_g() -> list[tuple[Credentials, ConnectyCube]]:
    if _OPEN_CLIENTS not in g:
        setattr(g, _OPEN_CLIENTS, [])
    found: list[tuple[Credentials, ConnectyCube]] = getattr(g, _OPEN_CLIENTS)
    return found


def _take_from_g(client: ConnectyCube) -> bool:
    """Leave a client to a stream, which outlives the context; False: it is not one of ``client_for``."""
    kept = _clients_in_g()
    left = [entry for entry in kept if entry[1] is not client]
    is_taken = len(left) < len(kept)
    kept[:] = left
    return is_taken


def _close_clients(error: BaseException | None) -> None:
    for _, client in g.pop(_OPEN_CLIENTS, ()):
        client.close()
