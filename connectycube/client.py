"""ConnectyCube: one user's view of the service, over REST and in real time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import attrs

from ._checks import check_int, check_str
from .config import Config
from .errors import ArgumentTypeError, ArgumentValueError
from .models import CustomObject, DialogRef, Message, SearchResult, Session, User
from .rest._api import Api
from .rest._http import HttpTransport
from .rest._search import search
from .rest._session import ApplicationRenewal
from .rest.address_book import AddressBook
from .rest.custom_objects import CustomObjects
from .rest.dialogs import Dialogs
from .rest.files import Files
from .rest.messages import Messages
from .rest.push import Push
from .rest.sessions import Sessions
from .rest.users import Users

if TYPE_CHECKING:
    from .chat import Chat, History

__all__ = ["ConnectyCube"]

_AT_ONCE = 0.001  # seconds: the least that a call over REST takes for a time-out


class ConnectyCube:
    """One user of a ConnectyCube application; every method may be called from any thread.

    Make it with ``app_id``, ``auth_key`` and other fields of :class:`Config`, with ``config=``, or with
    :meth:`from_env`. Nothing is sent and no thread starts before the first call. It is a context manager
    that closes.

    ``renew_session`` is called when the session has ended, in the thread of the call that noticed, with
    the old Session; it returns a new token, a Session, or None (then it may have called ``login``). Without
    it a session of :meth:`login` is made again with the same credentials.

    Raises ArgumentTypeError and ArgumentValueError, naming the argument.
    """

    def __init__(
        self,
        *,
        config: Config | None = None,
        renew_session: ApplicationRenewal | None = None,
        transport: HttpTransport | None = None,
        **fields: Any,
    ) -> None:
        self._config = _config_of(config, fields)
        self._become(Api(self._config, renew_session=renew_session, transport=transport))

    def _become(self, api: Api) -> None:
        self._api = api
        self._sessions = Sessions(self._api)
        self._users = Users(self._api)
        self._dialogs = Dialogs(self._api)
        self._messages = Messages(self._api)
        self._files = Files(self._api)
        self._push = Push(self._api)
        self._address_book = AddressBook(self._api)
        self._custom_objects = CustomObjects(self._api)
        self._chat: Chat | None = None
        self._first_chat: dict[str, Chat] = {}

    @classmethod
    def from_env(
        cls,
        *,
        renew_session: ApplicationRenewal | None = None,
        transport: HttpTransport | None = None,
        **overrides: Any,
    ) -> ConnectyCube:
        """Make a client from the CONNECTYCUBE_* variables; fields of Config take precedence.

        ``renew_session`` is the same as for the class itself.

        Raises ArgumentValueError that names the variable which is missing or wrong.
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
    def session(self) -> Session | None:
        """The current REST session, or None."""
        return self._api.session

    @property
    def user(self) -> User | None:
        """The user of the current session, as of its creation, or None."""
        session = self._api.session
        return _user_of(session) if session is not None else None

    def login(
        self,
        *,
        login: str | None = None,
        email: str | None = None,
        password: str | None = None,
        provider: str | None = None,
        guest: bool = False,
        full_name: str | None = None,
        timeout: float | None = None,
        **keys: str,
    ) -> User:
        """Create a session of a user, and return the user.

        The user is named by ``login`` or ``email`` with ``password``; by ``provider`` with its keys (see
        :meth:`Sessions.create <connectycube.rest.sessions.Sessions.create>`); or is a ``guest``, made for
        a day, with a ``full_name``. An earlier session is replaced, and stays alive at the service.
        ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, ApiAuthenticationError for a wrong password, ApiError.
        Source: server API, "Create session token".
        """
        if provider is None and not guest and login is None and email is None:
            raise ArgumentValueError("give login or email with password, a provider, or guest=True")
        session = self._sessions.create(
            login=login,
            email=email,
            password=password,
            provider=provider,
            guest=guest,
            full_name=full_name,
            timeout=timeout,
            **keys,
        )
        return _user_of(session) or User()

    def for_user(
        self, *, renew_session: ApplicationRenewal | None = None, **credentials: Any
    ) -> ConnectyCube:
        """Return another client that shares this one's connections, logged in with ``credentials``.

        The arguments are those of :meth:`login`, and ``renew_session``. This client's session stays as it
        is; closing the other one leaves the connections open.

        Raises what :meth:`login` raises.
        """
        other = self._sibling(renew_session)
        other.login(**credentials)
        return other

    def with_token(
        self,
        token: str,
        *,
        user_id: int | None = None,
        renew_session: ApplicationRenewal | None = None,
    ) -> ConnectyCube:
        """Return another client that shares this one's connections, with a session that exists already.

        Nothing is sent. ``user_id`` spares the question to the service that the chat would need.
        Without ``renew_session`` the end of the session is a ApiAuthenticationError.

        Raises ArgumentTypeError, ArgumentValueError.
        """
        check_str("token", token)
        if user_id is not None:
            check_int("user_id", user_id, least=1)
        other = self._sibling(renew_session)
        other._api.adopt(Session(token=token, user_id=user_id))
        return other

    def _sibling(self, renew_session: ApplicationRenewal | None) -> ConnectyCube:
        other = type(self).__new__(type(self))
        other._config = self._config
        transport = self._api.transport
        other._become(Api(self._config, renew_session=renew_session, transport=transport))
        return other

    def logout(self, *, timeout: float | None = None) -> None:
        """End the session at the service; nothing happens if there is none.

        ``timeout`` is seconds. Raises ApiError, and the session stays.
        Source: server API, "Destroy session".
        """
        self._sessions.destroy(timeout=timeout)

    # --- what the service offers ----------------------------------------------------------------

    @property
    def sessions(self) -> Sessions:
        """Sessions: create, info, destroy, destroy_others."""
        return self._sessions

    @property
    def users(self) -> Users:
        """Users: create, update, delete, reset_password, get, get_by, list, iter."""
        return self._users

    @property
    def dialogs(self) -> Dialogs:
        """Dialogs: made, listed, changed, deleted; occupants, admins, notifications."""
        return self._dialogs

    @property
    def messages(self) -> Messages:
        """Messages: listed, made, changed, deleted; unread counts and reactions."""
        return self._messages

    @property
    def files(self) -> Files:
        """Files: upload, download, get, list, iter, update, delete, private_url, public_url."""
        return self._files

    @property
    def push(self) -> Push:
        """Push notifications: subscribe, subscriptions, unsubscribe, send_event."""
        return self._push

    @property
    def address_book(self) -> AddressBook:
        """The address book: upload, get, registered_users."""
        return self._address_book

    @property
    def custom_objects(self) -> CustomObjects:
        """Custom objects: create, get, list, iter, count, update, delete, permissions."""
        return self._custom_objects

    def report_user(
        self, user: int | User, reason: str, *, timeout: float | None = None
    ) -> CustomObject:
        """Report a user to the moderators: a record of class UserReports, which the application has.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Guide: Moderation, "Report user".
        """
        return self._custom_objects.report_user(user, reason, timeout=timeout)

    def report_message(
        self, message: str | Message, reason: str, *, timeout: float | None = None
    ) -> CustomObject:
        """Report a message to the moderators: a record of class MessageReports, which the application has.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Guide: Moderation, "Report message".
        """
        return self._custom_objects.report_message(message, reason, timeout=timeout)

    def search(
        self,
        text: str,
        *,
        dialogs: str | DialogRef | Iterable[str | DialogRef] | None = None,
        start: datetime | float | None = None,
        end: datetime | float | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> SearchResult:
        """Find dialogs by their name and messages by their body, with the users concerned.

        The service looks for ``text``, of five characters at least, as it is written; in at most ten
        ``dialogs``; between ``start`` and ``end``, which are three months apart at most. These are aware
        datetimes or unix seconds, in either order: the service calls the newer one the start. The older
        one alone is ``end``. ``limit`` is at most 100 results, ``timeout`` seconds.

        Raises ArgumentTypeError, ArgumentValueError, ValidationError, ApiError.
        Source: server API, "Global search".
        """
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
    def chat(self) -> Chat:
        """The real-time connection of this user; made on first use, connected by ``chat.login()``."""
        if self._chat is None:
            from .chat import Chat

            made = Chat(
                self._config,
                session_credentials=self._chat_credentials,
                history=self._history(),
            )
            # Of two threads that get here at once one wins; a lock might be held across a fork.
            self._chat = self._first_chat.setdefault("chat", made)
        return self._chat

    def _chat_credentials(
        self, refused: str | None = None, timeout: float | None = None
    ) -> tuple[User, str]:
        """Return the session's user and its token, which is a password for the chat.

        The session is renewed, where it can be, if it has expired or its token is the ``refused`` one.
        ``timeout`` is seconds.
        """
        if timeout is not None:
            timeout = max(timeout, _AT_ONCE)
        session = self._sessions.identify(refused=refused, timeout=timeout)
        if session is None or not session.user_id or session.token is None:
            raise ArgumentValueError(
                "user_id and password are needed: there is no session of a user (or call login() first)"
            )
        return _user_of(session) or User(id=session.user_id), session.token

    def _history(self) -> History:
        """Return what the chat may ask of history."""
        from .chat import History

        return History(
            stored_ids=self._stored_ids,
            service_time=self._api.service_time,
            ask_time=self._ask_time,
            changed_dialogs=self._dialogs.changed,
            messages=self._messages.changed,
        )

    def _ask_time(self) -> None:
        self._dialogs.list(limit=1)

    def _stored_ids(self, dialog: DialogRef, ids: Collection[str]) -> set[str]:
        """Return those of the message ids that the dialog's history holds."""
        if dialog.id is None and dialog.peer_id is not None:
            dialog = self._dialogs.create_private(dialog.peer_id)
        return self._messages.stored_ids(dialog.id or "", ids)

    # --- the end --------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connections, the chat's too. The session stays alive: see :meth:`logout`."""
        if self._chat is not None:
            self._chat.destroy()
        self._api.close()

    def __enter__(self) -> ConnectyCube:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _config_of(config: object, fields: dict[str, Any]) -> Config:
    if config is not None:
        if not isinstance(config, Config):
            raise ArgumentTypeError(f"config must be a Config, not {type(config).__name__}")
        if fields:
            raise ArgumentTypeError(f"give config or {', '.join(sorted(fields))}, and not both")
        return config
    known = {entry.name for entry in attrs.fields(Config)}
    for name in fields:
        if name not in known:
            raise ArgumentTypeError(f"{name} is no field of Config")
    for name in ("app_id", "auth_key"):
        if name not in fields:
            raise ArgumentTypeError(f"{name} is missing")
    return Config(**fields)


def _user_of(session: Session) -> User | None:
    if session.user is not None:
        return session.user
    return User(id=session.user_id) if session.user_id else None
