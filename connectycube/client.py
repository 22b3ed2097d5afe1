"""ConnectyCube: one user's view of the service, over REST and in real time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from functools import partial, wraps
from importlib import import_module
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from . import models, rest
from ._checks import check_callable, check_int, check_str, keywords_only, takes
from ._deadline import Deadline
from ._forks import register_before_fork
from ._not_copied import NotCopied
from ._secrets import Secret, check_secret, confined, hides
from .config import Config, ConfigFields, check_field_names
from .errors import ArgumentTypeError, ArgumentValueError
from .rest._api import Api
from .rest._http import HttpTransport
from .rest._session import ApplicationRenewal
from .rest.sessions import OTHER_WORDS, SECRET_ARGUMENTS, Credentials, Sessions, check_login

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

    from .chat import Chat, History
    from .chat.shared import Shared
    from .rest._shared_session import SharedSessions

__all__ = ["ConnectyCube"]

_Part = TypeVar("_Part")

RenewSession = (
    Callable[["models.Session"], "models.Session | str | None"]
    | Callable[["models.Session", "ConnectyCube"], "models.Session | str | None"]
)
"""The application's renewal of a session, with or without a client to make the new one."""

_MOST_ON_A_PAGE = 100
_LATER_MODULES = (
    *("._search", "._shared_session", ".address_book", ".admin", ".calls", ".custom_objects"),
    *(".dialogs", ".files", ".meetings", ".messages", ".push", ".users"),
)
"""The modules below ``rest`` that are imported when a client uses them first."""
_AT_ONCE = 0.001  # seconds: the least that a call over REST takes for a time-out


def _made_once(make: Callable[[ConnectyCube], _Part]) -> Callable[[ConnectyCube], _Part]:
    """Make a part of a client at its first use; from then on return the same part."""
    name = make.__name__

    @wraps(make)
    def part(client: ConnectyCube) -> _Part:
        found: _Part | None = client._parts.get(name)
        if found is None:
            # Of two threads that get here at once one wins; a lock might be held across a fork.
            made: _Part = client._parts.setdefault(name, make(client))
            return made
        return found

    return part


def _import_rest() -> None:
    """Import all modules of REST."""
    for module in _LATER_MODULES:
        import_module(f".rest{module}", __package__)


class _ModulesOfChildren:
    """Imports all modules of REST before a fork, whichever the parent has used.

    A fork in the middle of another thread's import leaves a module in the child that is never whole: a thread
    that uses it waits forever. Also, the children of a web server share what its master has imported.
    """

    def _before_fork(self) -> None:
        _import_rest()
        if f"{__package__}.chat" in sys.modules:  # perhaps not whole yet
            import_module(".chat", __package__)


_modules_of_children = _ModulesOfChildren()
register_before_fork(_modules_of_children)


class ConnectyCube(NotCopied):
    """One user of a ConnectyCube application; every method may be called from any thread.

    Make it with ``app_id``, ``auth_key`` and other fields of :class:`Config`, with ``config=``, or with
    :meth:`from_env`. Nothing is sent and no thread starts before the first call. As a context manager it
    closes itself.

    Args:
        config: The configuration; or give its fields as keyword arguments.
        renew_session: A function that renews a session which has ended. It is called with the old
            Session, in the thread of the call that noticed the end, and returns a new token, a Session,
            or None (then it may have called ``login``). If it needs a second argument, it gets a client
            without a session, with the same configuration and connections, so that it can
            ``return client.sessions.create(…)``. Without the function a session of :meth:`login` is
            created again with the same credentials.
        transport: The object that sends the REST requests: any one with a method ``send(request)``, such as
            ``connectycube.testing.MockTransport``. By default they go over the network. The client does not
            close a transport that it was given.
        fields: The fields of Config, instead of ``config``.

    Raises:
        ArgumentTypeError: An argument has the wrong type, is missing or does not exist; the error names
            it.
        ArgumentValueError: An argument has a wrong value; the error names it.

    Example:
        >>> with ConnectyCube.from_env() as cube:
        ...     user = cube.login(login="alice", password="a password")
        ...     with cube.chat as chat:
        ...         handle = chat.send_private(bob_id, "Hello")
        ...         print(handle.result().body)
        Hello
    """

    @confined
    @keywords_only("ConnectyCube(app_id=…, auth_key=…)")
    def __init__(
        self,
        *,
        config: Config | None = None,
        renew_session: RenewSession | None = None,
        transport: HttpTransport | None = None,
        **fields: Unpack[ConfigFields],
    ) -> None:
        self._config = _config_of(config, fields)
        self._shared: SharedSessions | None = None
        if self._config.token_store is not None:
            from .rest._shared_session import SharedSessions

            self._shared = SharedSessions(self._config)
        self._become(renew_session, transport)

    def _become(
        self,
        renew_session: RenewSession | None,
        transport: HttpTransport | None,
        shared: SharedSessions | None = None,
    ) -> None:
        """Make what all parts use; the sessions of ``shared`` are those of all processes."""
        renewal = _with_client(renew_session, self._sibling)
        self._api = Api(self._config, renew_session=renewal, transport=transport)
        self._sessions = Sessions(self._api, shared)
        self._fleet_part: Shared | None = None
        self._parts: dict[str, Any] = {}

    @classmethod
    @confined
    def from_env(
        cls,
        *,
        renew_session: RenewSession | None = None,
        transport: HttpTransport | None = None,
        **overrides: Unpack[ConfigFields],
    ) -> ConnectyCube:
        """Make a client from the CONNECTYCUBE_* environment variables.

        The variables are CONNECTYCUBE_APP_ID and _AUTH_KEY (required), _AUTH_SECRET, _API_URL, _CHAT_HOST,
        _CHAT_PORT and _CA_FILE. An empty variable counts as absent.

        Args:
            renew_session: A function that renews a session which has ended: it is called with the old
                Session, and returns a new token, a Session or None.
            transport: The object that sends the REST requests, by ``send(request)``; by default they go over
                the network.
            overrides: Fields of Config, which take precedence over the variables.

        Returns:
            The client, without a session.

        Raises:
            ArgumentValueError: A variable is missing or wrong; the error names it.
            ArgumentTypeError: A field of ``overrides`` has the wrong type; the error names it.
        """
        config = Config.from_env(**overrides)
        return cls(config=config, renew_session=renew_session, transport=transport)

    def __repr__(self) -> str:
        user = self.user
        who = f"user {user.id}" if user is not None else "no user"
        return f"<ConnectyCube app {self._config.app_id} at {self._config.api_url}, {who}>"

    @property
    def config(self) -> Config:
        """The configuration: credentials, endpoints, time-outs and bounds."""
        return self._config

    # --- the session ----------------------------------------------------------------------------

    @property
    def session(self) -> models.Session | None:
        """The current REST session, or None."""
        return self._api.session

    @property
    def user(self) -> models.User | None:
        """The user of the current session, as of its creation, or None."""
        session = self._api.session
        return _user_of(session) if session is not None else None

    @hides(*SECRET_ARGUMENTS)
    @keywords_only("cube.login(login=…, password=…)", **OTHER_WORDS)
    def login(
        self,
        *,
        login: str | None = None,
        email: str | None = None,
        password: str | None = None,
        provider: str | None = None,
        token: str | None = None,
        secret: str | None = None,
        project_id: str | None = None,
        access_token: str | None = None,
        guest: bool = False,
        full_name: str | None = None,
        timeout: float | None = None,
    ) -> models.User:
        """Create a session of a user, and use it from now on. (Server API: Create session token.)

        There are three ways to name the user: ``login`` or ``email`` with a ``password``; a ``provider``
        with its keys; or ``guest``. An earlier session of this client is replaced, and stays alive at the
        service. When the service ends the session, the next call creates another one with the same
        credentials; not for guests, who would be somebody else.

        Args:
            login: The user's login.
            email: The user's e-mail address, instead of the login.
            password: The user's password. With the provider "custom_identity" it is the one that the
                identity provider wants, if any.
            provider: "facebook" (needs token), "twitter" (token, secret), "firebase_phone" or
                "firebase_email" (project_id, access_token), or "custom_identity" (token).
            token: The token that the provider gave the user.
            secret: The secret that belongs to a token of Twitter.
            project_id: The id of the Firebase project.
            access_token: The access token of Firebase.
            guest: True creates a new user who lives for a day.
            full_name: The name of a guest.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The user.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiAuthenticationError: The credentials are wrong.
            ApiError: The call failed; a subclass says how.
        """
        if provider is None and not guest and login is None and email is None:
            check_login()  # which says what to give
        session = self._sessions.create(
            login=login,
            email=email,
            password=password,
            provider=provider,
            token=token,
            secret=secret,
            project_id=project_id,
            access_token=access_token,
            guest=guest,
            full_name=full_name,
            timeout=timeout,
        )
        return _user_of(session) or models.User()

    @hides(*SECRET_ARGUMENTS, known=Credentials.__annotations__)
    def for_user(
        self,
        *,
        renew_session: RenewSession | None = None,
        shared_as: str | None = None,
        **credentials: Unpack[Credentials],
    ) -> ConnectyCube:
        """Return another client, logged in as another user, which shares this client's connections.

        This client's session stays as it is. Closing the other client leaves the connections open.

        With ``Config.token_store`` the session is one that a process of the application has made with the
        same credentials, if it is still alive; then nothing is sent, and ``user`` has the id alone. A session
        that has ended is renewed by one process for all. ``logout`` ends the session for all of them.

        Args:
            renew_session: A function that renews a session of the other client: it is called with the old
                Session, and returns a new token, a Session or None. Without it a session is created again
                with the same credentials.
            shared_as: The name of the user's session in the token store, for a user whose credentials are
                others at each login, as a provider's token is. Each call with the name gets the session; its
                credentials are not compared. Without ``Config.token_store`` it has no effect.
            credentials: Arguments of ``login()``: ``login`` or ``email`` with ``password``, or ``provider``
                with its keys, or ``guest``.

        Returns:
            The client. Close it when it is no longer needed; this client stays open.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiAuthenticationError: The credentials are wrong.
            ClientClosedError: This client was closed.
            ApiError: The call failed; a subclass says how.
        """
        shared = self._shared
        if shared_as is not None:
            name = check_str("shared_as", shared_as)
            shared = None if shared is None else shared.under(name)
        other = self._sibling(renew_session, shared)
        other.login(**credentials)
        return other

    @hides("token")
    def with_token(
        self,
        token: str,
        *,
        user_id: int | None = None,
        renew_session: RenewSession | None = None,
    ) -> ConnectyCube:
        """Return another client for a session that exists already, which shares this client's connections.

        Nothing is sent.

        Args:
            token: The token of the session.
            user_id: The id of its user, if it is known. Otherwise the service is asked for it once it is
                needed: by the chat, and for the ``peer_id`` of private dialogs.
            renew_session: A function that renews the session: it is called with the old Session, and returns
                a new token, a Session or None. Without it the end of the session is an
                ApiAuthenticationError.

        Returns:
            The client.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ClientClosedError: This client was closed.
        """
        secret = check_secret("token", token)
        if user_id is not None:
            check_int("user_id", user_id, least=1)
        other = self._sibling(renew_session)
        other._api.adopt(models.Session(token=secret.open(), user_id=user_id))
        return other

    def _sibling(
        self,
        renew_session: RenewSession | None = None,
        shared: SharedSessions | None = None,
    ) -> ConnectyCube:
        """Return a client without a session, which shares this client's connections."""
        self._api.check_open()
        other = type(self).__new__(type(self))
        other._config, other._shared = self._config, self._shared
        other._become(renew_session, self._api.transport, shared)
        return other

    def _member(self, renew_session: RenewSession | None) -> ConnectyCube:
        """Return a client without a session for a member of a fleet; its sessions are in the token store."""
        return self._sibling(renew_session, self._shared)

    def logout(self, *, timeout: float | None = None) -> None:
        """End the session at the service, and the chat connection; nothing happens if there is no session.

        The chat ends first, as by ``chat.logout()``; its receivers stay connected. The session's token is its
        password, so it could not connect again. (Server API: Destroy session.)

        Args:
            timeout: Seconds for the end of the session; by default those of ``Config.timeouts``. The chat
                has ``Timeouts.logout`` for its own.

        Raises:
            ApiError: The call failed, and the session stays.
        """
        chat: Chat | None = self._parts.get("chat")
        if chat is not None:
            chat.logout()
        self._sessions.destroy(timeout=timeout)

    # --- what the service offers ----------------------------------------------------------------

    @property
    def sessions(self) -> Sessions:
        """Sessions: create, info, destroy."""
        return self._sessions

    @property
    @_made_once
    def users(self) -> rest.Users:
        """Users: create, update, delete, reset_password, get, get_by, list, iter, online, online_count."""
        return rest.Users(self._api)

    @property
    @_made_once
    def dialogs(self) -> rest.Dialogs:
        """Dialogs: create, list, change and delete them; occupants, admins, notifications."""
        return rest.Dialogs(self._api)

    @property
    @_made_once
    def messages(self) -> rest.Messages:
        """Messages: list, create, change and delete them; unread counts and reactions."""
        return rest.Messages(self._api)

    @property
    @_made_once
    def files(self) -> rest.Files:
        """Files: upload, download, get, list, iter, update, delete, private_url, public_url."""
        return rest.Files(self._api)

    @property
    @_made_once
    def push(self) -> rest.Push:
        """Push notifications: subscribe, subscriptions, unsubscribe, send_event."""
        return rest.Push(self._api)

    @property
    @_made_once
    def address_book(self) -> rest.AddressBook:
        """The address book: upload, get, registered_users."""
        return rest.AddressBook(self._api)

    @property
    @_made_once
    def custom_objects(self) -> rest.CustomObjects:
        """Custom objects: create, get, list, iter, count, update, delete, permissions."""
        return rest.CustomObjects(self._api)

    @property
    @_made_once
    def meetings(self) -> rest.Meetings:
        """Meetings: create, get, list, iter, update, delete, recordings; their media are not for this SDK."""
        return rest.Meetings(self._api)

    @property
    @_made_once
    def calls(self) -> rest.Calls:
        """Calls: reject one that a push notification has announced."""
        return rest.Calls(self._api)

    @property
    @_made_once
    def admin(self) -> rest.Admin:
        """The Administration API, with ``Config.admin_key``: dialogs, messages, users, statistics."""
        return rest.Admin(self._api)

    def report_user(
        self, user: int | models.User, reason: str, *, timeout: float | None = None
    ) -> models.CustomObject:
        """Report a user to the moderators. (Guide: Moderation, Report user.)

        A report is a record of class UserReports, which the application must have.

        Args:
            user: The user, as an id or a User.
            reason: The reason, as free text.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The record of the report.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: The application has no class UserReports.
            ApiError: The call failed; a subclass says how.
        """
        return self.custom_objects.report_user(user, reason, timeout=timeout)

    def report_message(
        self, message: str | models.Message, reason: str, *, timeout: float | None = None
    ) -> models.CustomObject:
        """Report a message to the moderators. (Guide: Moderation, Report message.)

        A report is a record of class MessageReports, which the application must have.

        Args:
            message: The message, as an id or a Message.
            reason: The reason, as free text.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The record of the report.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: The application has no class MessageReports.
            ApiError: The call failed; a subclass says how.
        """
        return self.custom_objects.report_message(message, reason, timeout=timeout)

    def search(
        self,
        text: str,
        *,
        dialogs: str | models.DialogRef | Iterable[str | models.DialogRef] | None = None,
        start: datetime | float | None = None,
        end: datetime | float | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> models.SearchResult:
        """Find dialogs by their name and messages by their body, with the users concerned.

        (Server API: Global search.)

        Args:
            text: The text to look for, as it is written; the service wants at least five characters.
            dialogs: The dialogs to look into, at most ten; None for all.
            start: The newer end of the time span, as an aware datetime or unix seconds. The two ends may
                be given in either order; the service allows three months between them.
            end: The older end of the time span; it may be given alone.
            limit: The largest number of results, at most 100.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialogs, messages and users that were found.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ValidationError: The service refuses the text or the time span.
            ApiError: The call failed; a subclass says how.
        """
        from .rest._search import search

        return search(
            self._api,
            text,
            dialogs=dialogs,
            start=start,
            end=end,
            limit=limit,
            timeout=timeout,
        )

    # --- real time ------------------------------------------------------------------------------

    @property
    @_made_once
    def chat(self) -> Chat:
        """The real-time connection of this user; created on first use, connected by ``chat.login()``."""
        from .chat import Chat

        # Before there are threads of a chat. A fork without hooks in the middle of an import by one of them
        # would leave a child that waits forever.
        _import_rest()
        return Chat(
            self._config,
            session_credentials=self._chat_credentials,
            history=self._history(),
            look_up_dialog=self._look_up_dialog,
            check_open=self._api.check_open,
            shared=self._fleet_part,
        )

    def _chat_credentials(
        self, refused: Secret | None = None, timeout: float | None = None
    ) -> tuple[models.User, Secret]:
        """Return the session's user and its token, which is a password for the chat.

        The session is renewed, if it can be, when it has expired or its token is the ``refused`` one.
        ``timeout`` is seconds.
        """
        if timeout is not None:
            timeout = max(timeout, _AT_ONCE)
        session = self._sessions.identify(refused=refused, timeout=timeout)
        if session is None or not session.user_id or session.token is None:
            raise ArgumentValueError(
                "there is no session of a user: call cube.login(login=…, password=…) first, or"
                " chat.login(user_id, password)"
            )
        return _user_of(session) or models.User(id=session.user_id), Secret(session.token)

    def _history(self) -> History:
        """Return the functions with which the chat reads history."""
        from .chat import History

        # The chat repeats the requests for a gap itself: the end of its session must end the waits.
        api = self._api.without_retries()
        dialogs = rest.Dialogs(api)
        return History(
            stored_ids=self._stored_ids,
            service_time=api.service_time,
            ask_time=partial(dialogs.list, limit=1),
            changed_dialogs=dialogs.changed,
            messages=rest.Messages(api).changed,
            latest=self._latest_messages,
        )

    def _look_up_dialog(self, dialog_id: str, timeout: float | None) -> models.Dialog:
        """Return the user's dialog with that id; ``timeout`` is seconds."""
        if timeout is not None:
            timeout = max(timeout, _AT_ONCE)
        return self.dialogs.get(dialog_id, timeout=timeout)

    def _latest_messages(self, dialog: models.DialogRef, count: int) -> list[models.Message]:
        """Return the newest messages of a dialog, the oldest first; none is marked as read."""
        dialog = self._with_id(dialog)
        if count <= _MOST_ON_A_PAGE:
            newest = iter(
                self.messages.list(dialog, limit=count, sort="-date_sent", mark_as_read=False)
            )
        else:
            newest = self.messages.iter(dialog, sort="-date_sent", mark_as_read=False)
        return [*islice(newest, count)][::-1]

    def _with_id(self, dialog: models.DialogRef) -> models.DialogRef:
        """Return the dialog with its id, which a private one of real time may lack."""
        if dialog.id is None and dialog.peer_id is not None:
            return self.dialogs.create_private(dialog.peer_id)
        return dialog

    def _stored_ids(self, dialog: models.DialogRef, ids: Collection[str]) -> set[str]:
        """Return those of the message ids that the dialog's history holds."""
        return self.messages.stored_ids(self._with_id(dialog).id or "", ids)

    # --- the end --------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connections, also that of the chat; every later call raises ClientClosedError.

        The session stays alive at the service: :meth:`logout` ends it. May be called from any thread, and
        more than once.
        """
        self._close(Deadline(self.config.timeouts.logout))

    def _close(self, deadline: Deadline) -> None:
        self._end_chat(deadline)
        self._api.close()
        # Another thread may have logged in before the close; from now on none can.
        self._end_chat(deadline)

    def _end_chat(self, deadline: Deadline) -> None:
        chat: Chat | None = self._parts.get("chat")
        if chat is not None:
            chat.destroy(timeout=deadline.remaining())

    def __enter__(self) -> ConnectyCube:
        self._api.check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _config_of(config: object, fields: ConfigFields) -> Config:
    if config is not None:
        if not isinstance(config, Config):
            raise ArgumentTypeError(f"config must be a Config, not {type(config).__name__}")
        if fields:
            raise ArgumentTypeError(f"give config or {', '.join(sorted(fields))}, and not both")
        return config
    check_field_names(fields)
    for name in ("app_id", "auth_key"):
        if name not in fields:
            raise ArgumentTypeError(f"{name} is missing")
    return Config(**fields)


def _with_client(
    renew_session: RenewSession | None, new_client: Callable[[], ConnectyCube]
) -> ApplicationRenewal | None:
    """Return a renewal that takes the session alone, as the REST API knows no clients."""
    if not callable(renew_session) or takes(renew_session, 1) or not takes(renew_session, 2):
        return cast("ApplicationRenewal | None", renew_session)  # the REST API checks it
    check_callable("renew_session", renew_session, "session", "client")
    renew = cast(
        "Callable[[models.Session, ConnectyCube], models.Session | str | None]", renew_session
    )
    return lambda session: renew(session, new_client())


def _user_of(session: models.Session) -> models.User | None:
    if session.user is not None:
        return session.user
    return models.User(id=session.user_id) if session.user_id else None
