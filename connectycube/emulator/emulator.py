"""Emulator: starts and stops the service, and lets a program fill, change and inspect it."""

from __future__ import annotations

import os
import secrets
import shutil
import ssl
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import trustme

from connectycube._checks import check_int, check_str
from connectycube._secrets import confined
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from .control.clock import EmulatorClock, SystemClock
from .control.exchanges import Exchanges
from .control.faults import Faults
from .control.loader import Loader, LoadReport, read_document
from .db.data_folder import claim_folder
from .domain.pushes import Push
from .domain.times import Clock
from .net.access import Access, read_origins
from .net.loopback_guard import check_environment
from .net.ports import Ports, origin
from .remote.server import CONTROL_HOST, CONTROL_PATH
from .remote.verbs import ControlApi
from .service import Running, Service
from .settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

    from connectycube.config import Config, ConfigFields

    from .control.seeder import UserFields
    from .settings import SwitchValues

__all__ = ["Emulator"]

T = TypeVar("T")

_CALL_SECONDS = 10.0
_FILL_SECONDS = 300.0  # for calls that add many messages


class Emulator:
    """A ConnectyCube for one application: REST and files over HTTP and HTTPS, chat over TLS and WebSocket.

    Nothing happens before ``start()`` or ``with``. Every method may be called from any thread. A method
    that needs the running service raises RuntimeError while the service is not running, and when it does
    not answer within 10 seconds (``add_messages`` and ``load``: 300 seconds).

    Args:
        app_id: The application's id.
        auth_key: The application's authorization key.
        auth_secret: The application's authorization secret; session requests may be signed with it.
        admin_key: The key of the Administration API; a random one by default.
        domain: The XMPP domain of the chat server.
        host: The address to listen on. Other machines can connect to an address that is not loopback.
        api_port: The port of the REST API over HTTP; 0, here and below, takes a free port.
        chat_port: The port of the chat server over TLS.
        storage_port: The port of the storage bucket over HTTP.
        websocket_port: The port of the chat server over WebSocket.
        https_port: The port of the REST API over HTTPS.
        storage_https_port: The port of the storage bucket over HTTPS.
        control_port: The port of the control API, always on 127.0.0.1.
        ui_port: The port of the page with which people look at the emulator, on 127.0.0.1 as well; None, the
            default, for no page.
        control_token: The token that requests to the control API must have; a random one by default.
        allow_origins: The origins of web pages that may use the emulator, such as
            ``"https://app.example"``, besides the pages of this machine and of ``host``. A host in
            them is also a name under which the emulator may be reached.
        data: The folder to keep the state in: a new or an empty one, or one of an earlier run. It outlives
            a kill of the process, and one emulator at a time may use it. Without it the state is in memory,
            and the bytes of files are in a temporary folder until the emulator stops.
        clock: An object with ``time()``, which returns unix seconds; the machine's clock by default.
        **behaviour: Switches, such as ``room_echo=False``; ``connectycube.emulator.SWITCHES`` lists them.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentValueError: An argument has a value that is not allowed.

    Example:
        >>> from connectycube.emulator import Emulator
        >>> with Emulator() as emulator:
        ...     alice = emulator.add_user("alice", "a password")
        ...     with ConnectyCube(config=emulator.config()) as cube:
        ...         print(cube.login(login="alice", password="a password").id == alice)
        True
    """

    @confined
    def __init__(
        self,
        *,
        app_id: int = 1,
        auth_key: str = "key",
        auth_secret: str | None = None,
        admin_key: str | None = None,
        domain: str = "localhost",
        host: str = "127.0.0.1",
        api_port: int = 0,
        chat_port: int = 0,
        storage_port: int = 0,
        websocket_port: int = 0,
        https_port: int = 0,
        storage_https_port: int = 0,
        control_port: int = 0,
        ui_port: int | None = None,
        control_token: str | None = None,
        allow_origins: Iterable[str] = (),
        data: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
        **behaviour: Unpack[SwitchValues],
    ) -> None:
        self._settings = Settings(
            app_id=app_id,
            auth_key=auth_key,
            auth_secret=auth_secret,
            domain=domain,
            admin_key=secrets.token_urlsafe(24) if admin_key is None else admin_key,
            **behaviour,
        )
        self._host = check_str("host", host)
        self._access = Access.of(self._host, domain, read_origins(allow_origins))
        self._ports = Ports(
            api=api_port,
            chat=chat_port,
            storage=storage_port,
            websocket=websocket_port,
            https=https_port,
            storage_https=storage_https_port,
            control=control_port,
            ui=ui_port,
        )
        self._control_token = (
            secrets.token_urlsafe(24)
            if control_token is None
            else check_str("control_token", control_token)
        )
        self._data = None if data is None else _path(data)
        self._clock = EmulatorClock(clock or SystemClock(), self._advance)
        self._faults = Faults(self._on_its_thread)
        self._exchanges = Exchanges()
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._authority: trustme.CA | None = None
        self._directory: str | None = None

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> Emulator:
        """Start the service and wait until it accepts connections; do nothing if it runs already.

        After ``stop()`` it starts on the same ports and with the same certificate authority. Without
        ``data`` its state is empty again.

        Returns:
            This emulator.

        Raises:
            OSError: A port is taken, or another emulator uses the data.
            ArgumentValueError: The folder ``data`` is not an emulator's, its data is damaged or not that of
                an emulator of this release and application, or
                CONNECTYCUBE_API_URL or CONNECTYCUBE_CHAT_HOST in the environment names the hosted service.
        """
        check_environment(os.environ)
        with self._lock:
            if self._running is None:
                context = self._make_certificate()
                try:
                    data = None if self._data is None else claim_folder(self._data)
                    self._running = Running(
                        self._settings,
                        self._clock,
                        self._faults,
                        self._exchanges,
                        self._host,
                        self._ports,
                        context,
                        data or os.path.dirname(self.ca_file),
                        data is not None,
                        (ControlApi(self), self._control_token),
                        self._access,
                    )
                except BaseException:
                    self._remove_certificate()
                    raise
                self._ports = self._running.ports  # a later start listens on the same ports
        return self

    def stop(self) -> None:
        """Stop the service; do nothing if it does not run.

        Chat clients get the stream error system-shutdown. The call returns within a few seconds, and
        leaves no thread, socket or file but those of ``data``.
        """
        with self._lock:
            # None first: calls of other threads get "not running" from now on.
            running, self._running = self._running, None
            if running is not None:
                try:
                    running.stop()
                finally:
                    self._remove_certificate()

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = f"{self.api_url} chat {self.chat_port}" if self._running else "not running"
        return f"<Emulator app {self.app_id}: {state}>"

    def _make_certificate(self) -> ssl.SSLContext:
        if self._authority is None:
            self._authority = trustme.CA()
        names = dict.fromkeys((self._settings.domain, self._host, "localhost", "127.0.0.1", "::1"))
        certificate = self._authority.issue_cert(*(name for name in names if name != "0.0.0.0"))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]  # or one of pyOpenSSL
        if self._directory is None:
            self._directory = tempfile.mkdtemp(prefix="connectycube-emulator-")
            # A program may end without stop().
            weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        else:
            os.mkdir(self._directory, 0o700)
        self._authority.cert_pem.write_to_path(self.ca_file)
        return context

    def _remove_certificate(self) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    # --- addresses --------------------------------------------------------------------------------

    @property
    def app_id(self) -> int:
        """The application's id."""
        return self._settings.app_id

    @property
    def auth_key(self) -> str:
        """The application's authorization key."""
        return self._settings.auth_key

    @property
    def auth_secret(self) -> str | None:
        """The application's authorization secret, if it has one."""
        return self._settings.auth_secret

    @property
    def admin_key(self) -> str:
        """The key of the Administration API."""
        return self._settings.admin_key

    @property
    def domain(self) -> str:
        """The chat server's domain."""
        return self._settings.domain

    @property
    def host(self) -> str:
        """The address that the servers listen on."""
        return self._host

    @property
    def api_port(self) -> int:
        """The port of the REST API; 0 before the first start, unless a port was given."""
        return self._ports.api

    @property
    def chat_port(self) -> int:
        """The port of the chat server; 0 before the first start, unless a port was given."""
        return self._ports.chat

    @property
    def api_url(self) -> str:
        """The address of the REST API."""
        return origin("http", self._host, self.api_port)

    @property
    def https_port(self) -> int:
        """The port of the REST API over HTTPS; 0 before the first start, unless a port was given."""
        return self._ports.https

    @property
    def https_url(self) -> str:
        """The address of the REST API over HTTPS; clients have to trust ``ca_file``."""
        return origin("https", self._host, self.https_port)

    @property
    def websocket_port(self) -> int:
        """The port of the chat server's WebSocket; 0 before the first start, unless a port was given."""
        return self._ports.websocket

    @property
    def websocket_url(self) -> str:
        """The address of the chat server's WebSocket, which is not encrypted. (RFC 7395.)"""
        return origin("ws", self._host, self.websocket_port)

    @property
    def storage_port(self) -> int:
        """The port of the storage bucket; 0 before the first start, unless a port was given."""
        return self._ports.storage

    @property
    def storage_url(self) -> str:
        """The address of the storage bucket, where files are uploaded and downloaded."""
        return origin("http", self._host, self.storage_port)

    @property
    def storage_https_port(self) -> int:
        """The port of the storage bucket over HTTPS; 0 before the first start, unless a port was given."""
        return self._ports.storage_https

    @property
    def control_port(self) -> int:
        """The port of the control API; 0 before the first start, unless a port was given."""
        return self._ports.control

    @property
    def control_url(self) -> str:
        """The address of the control API, with which programs in other languages control the emulator."""
        return f"{origin('http', CONTROL_HOST, self.control_port)}{CONTROL_PATH}"

    @property
    def control_token(self) -> str:
        """The token that requests to the control API must have."""
        return self._control_token

    @property
    def ui_port(self) -> int | None:
        """The port of the page; 0 before the first start, unless a port was given; None without a page."""
        return self._ports.ui

    @property
    def ui_url(self) -> str | None:
        """The address of the page, with the control token behind ``#``; None without a page."""
        if self.ui_port is None:
            return None
        return f"{origin('http', CONTROL_HOST, self.ui_port)}/#{self.control_token}"

    @property
    def ca_file(self) -> str:
        """The file with the certificate authority that clients have to trust.

        The file exists while the emulator runs.

        Raises:
            RuntimeError: The emulator has not been started.
        """
        if self._directory is None:
            raise RuntimeError("the emulator has not been started")
        return os.path.join(self._directory, "ca.pem")

    @confined
    def config(self, **overrides: Unpack[ConfigFields]) -> Config:
        """Return a Config for clients of this emulator; they verify its certificate.

        Args:
            **overrides: Fields of the Config that replace the emulator's, or are added to them.

        Returns:
            The Config.

        Raises:
            RuntimeError: The emulator has not been started.
        """
        from connectycube.config import Config

        values: dict[str, Any] = {
            "app_id": self.app_id,
            "auth_key": self.auth_key,
            "auth_secret": self.auth_secret,
            "admin_key": self.admin_key,
            "api_url": self.api_url,
            "chat_host": self.domain,
            "chat_port": self.chat_port,
            "ca_file": self.ca_file,
        }
        fields: dict[str, Any] = {**values, **overrides}
        return Config(**fields)

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which ``Config.from_env()`` finds this emulator.

        Returns:
            Values by name.

        Raises:
            RuntimeError: The emulator has not been started.
        """
        secret = {} if self.auth_secret is None else {"CONNECTYCUBE_AUTH_SECRET": self.auth_secret}
        return {
            "CONNECTYCUBE_APP_ID": str(self.app_id),
            "CONNECTYCUBE_AUTH_KEY": self.auth_key,
            **secret,
            "CONNECTYCUBE_ADMIN_KEY": self.admin_key,
            "CONNECTYCUBE_API_URL": self.api_url,
            "CONNECTYCUBE_CHAT_HOST": self.domain,
            "CONNECTYCUBE_CHAT_PORT": str(self.chat_port),
            "CONNECTYCUBE_CA_FILE": self.ca_file,
        }

    def reset(self) -> None:
        """Delete users, sessions, dialogs, files and all other state; ids start at 1 again.

        Every chat connection ends with the stream error system-shutdown, every token becomes unknown,
        every fault ends, the clock shows real time again, and the switches are those of the start. The
        ports stay open.

        Raises:
            RuntimeError: The emulator is not running.
        """
        self._call(lambda service: service.reset())

    # --- switches, time and faults ----------------------------------------------------------------

    @property
    def switches(self) -> dict[str, Any]:
        """The value of each switch by name."""
        return self._settings.switches()

    def set_switches(self, **values: Unpack[SwitchValues]) -> None:
        """Set switches, all or none, also while the emulator runs; ``reset()`` takes it back.

        A connection keeps the bounds of stanzas and of unsent data that were set when it began.

        Args:
            **values: Values by the names of the switches.

        Raises:
            ArgumentTypeError: A value has the wrong type.
            ArgumentValueError: There is no such switch, or a value is not allowed.
        """
        self._on_its_thread(lambda: self._settings.change(values))

    @property
    def clock(self) -> EmulatorClock:
        """The emulator's own time, which ``clock.advance(seconds)`` moves forward.

        The clock works while the emulator is stopped, too.
        """
        return self._clock

    @property
    def faults(self) -> Faults:
        """The faults, started with ``faults.rate_limit(retry_after=2, times=3)`` and the like.

        Faults can be started before the emulator, and stay on when it stops.
        """
        return self._faults

    @property
    def exchanges(self) -> Exchanges:
        """The log of requests, answers and stanzas, which ``exchanges.record()`` begins."""
        return self._exchanges

    def _on_its_thread(self, work: Callable[[], None]) -> None:
        if self._running is None:
            work()
        else:
            self._call(lambda service: work())

    def _advance(self, seconds: float) -> None:
        if self._running is None:
            self._clock.move(seconds)
        else:
            self._call(lambda service: service.advance(seconds))

    @confined
    def add_user(self, login: str, password: str, **fields: Unpack[UserFields]) -> int:
        """Add a user.

        Args:
            login: The login, 3 to 70 characters.
            password: The password.
            **fields: Other fields of a sign-up, such as ``full_name`` and ``email``.

        Returns:
            The user's id.

        Raises:
            ArgumentValueError: The service would refuse the sign-up; the text names the field.
            RuntimeError: The emulator is not running.
        """
        wanted = {**fields, "login": login, "password": password}
        return self._call(lambda service: service.seeder.user(wanted))

    def add_dialog(
        self,
        kind: str,
        owner_id: int,
        occupants_ids: Iterable[int] = (),
        *,
        admins_ids: Iterable[int] = (),
        name: str | None = None,
        description: str | None = None,
        photo: str | None = None,
    ) -> str:
        """Add a dialog.

        A private dialog has one occupant besides the owner, and no name. If the two users have a private
        dialog already, no other is made.

        Args:
            kind: "private", "group", "public", "broadcast" or "meeting".
            owner_id: The owner's user id.
            occupants_ids: The user ids of the other occupants.
            admins_ids: The user ids of the admins, at most five; they become occupants, too.
            name: The name; required unless the dialog is private.
            description: The description.
            photo: The photo, as applications store it.

        Returns:
            The dialog's id.

        Raises:
            ArgumentTypeError: An argument has the wrong type.
            ArgumentValueError: A user does not exist, or the arguments do not fit the kind.
            RuntimeError: The emulator is not running.
        """
        return self._call(
            lambda service: service.seeder.dialog(
                kind,
                owner_id,
                occupants_ids,
                admins_ids=admins_ids,
                name=name,
                description=description,
                photo=photo,
            )
        )

    def add_messages(self, dialog_id: str, messages: Iterable[Mapping[str, Any]]) -> list[str]:
        """Add messages to a dialog's history, all or none; no client is told.

        The service handles no request until it returns, which is some seconds for 100,000 messages.

        Args:
            dialog_id: The dialog's id.
            messages: Mappings, in the order of the history. Each has ``sender_id`` and may have
                ``message``, ``date_sent`` (unix seconds), ``attachments``, ``custom`` (parameters by
                name), ``read_ids`` (ids of the users that have read the message) and ``_id``.

        Returns:
            The ids of the messages.

        Raises:
            ArgumentTypeError: A message has a value of the wrong type; the text names its place.
            ArgumentValueError: A message has a wrong value, or an id that is in use.
            RuntimeError: The emulator is not running.
        """
        return self._call(
            lambda service: service.seeder.messages(dialog_id, messages), _FILL_SECONDS
        )

    def load(self, source: str | os.PathLike[str] | Mapping[str, Any]) -> LoadReport:
        """Add the users, dialogs and messages of a JSON document, all or nothing.

        Args:
            source: The path of a JSON file, or its content as a mapping.

        Returns:
            The new ids, by login and by name.

        Raises:
            OSError: The file cannot be read.
            ArgumentTypeError: A value has the wrong type; the text names its place in the document.
            ArgumentValueError: A value is wrong, or the file is not JSON; the text names the place.
            RuntimeError: The emulator is not running.
        """
        where, document = read_document(source)

        def load(service: Service) -> LoadReport:
            with service.store.database.transaction():
                return Loader(service.seeder).load(document)

        try:
            return self._call(load, _FILL_SECONDS)
        except (ArgumentTypeError, ArgumentValueError) as error:
            raise type(error)(f"{where}{error}") from None

    def add_broadcast_dialog(
        self,
        name: str,
        owner_id: int,
        *,
        admins_ids: Sequence[int] = (),
        description: str | None = None,
        photo: str | None = None,
    ) -> str:
        """Add a broadcast dialog, as the admin panel of the service does.

        Every user may read the dialog; the owner and the admins may write.

        Args:
            name: The name.
            owner_id: The owner's user id.
            admins_ids: The user ids of the admins.
            description: The description.
            photo: The photo, as applications store it.

        Returns:
            The dialog's id.

        Raises:
            ArgumentTypeError: An id is no int.
            ArgumentValueError: A user does not exist.
            RuntimeError: The emulator is not running.
        """
        texts = {"name": name, "description": description, "photo": photo}
        return self._call(
            lambda service: service.seeder.broadcast_dialog(owner_id, admins_ids, texts)
        )

    def kick(
        self,
        dialog_id: str,
        user_id: int,
        *,
        actor_id: int | None = None,
        reason: str | None = None,
    ) -> bool:
        """Remove a user from a dialog's room (status 307).

        The user stays in the dialog and may join the room again.

        Args:
            dialog_id: The id of a group, public or broadcast dialog.
            user_id: The user to remove.
            actor_id: The user in whose name it happens; the dialog's owner by default.
            reason: A text for the room.

        Returns:
            Whether the user was in the room.

        Raises:
            ArgumentValueError: There is no such dialog, or it is private and has no room.
            RuntimeError: The emulator is not running.
        """
        return self._call(
            lambda service: service.expel(dialog_id, user_id, actor_id, reason, ban=False)
        )

    def ban(
        self,
        dialog_id: str,
        user_id: int,
        *,
        actor_id: int | None = None,
        reason: str | None = None,
    ) -> bool:
        """Remove a user from a dialog and its room, and keep the user out (status 301).

        Until ``unban`` the user cannot join the room, write or receive in it; no call of REST changes that.

        Args:
            dialog_id: The id of a group, public or broadcast dialog.
            user_id: The user to ban.
            actor_id: The user in whose name it happens; the dialog's owner by default.
            reason: A text for the room.

        Returns:
            Whether the user was in the room.

        Raises:
            ArgumentValueError: There is no such dialog, or it is private and has no room.
            RuntimeError: The emulator is not running.
        """
        return self._call(
            lambda service: service.expel(dialog_id, user_id, actor_id, reason, ban=True)
        )

    def unban(self, dialog_id: str, user_id: int) -> bool:
        """End a ban; the user does not become an occupant of the dialog again.

        Args:
            dialog_id: The dialog's id.
            user_id: The user's id.

        Returns:
            Whether the user was banned.

        Raises:
            RuntimeError: The emulator is not running.
        """
        return self._call(lambda service: service.hub.occupancy.unban(dialog_id, user_id))

    def send_message(
        self, dialog_id: str, sender_id: int, body: str, custom: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a message in the name of a user, who need not be connected; the others receive it.

        Args:
            dialog_id: The dialog's id.
            sender_id: The user's id.
            body: The text.
            custom: Custom parameters by name.

        Returns:
            The stored message, with the fields of the REST API.

        Raises:
            ArgumentTypeError: An argument has the wrong type.
            ArgumentValueError: There is no such dialog, or the user may not write in it.
            RuntimeError: The emulator is not running.
        """
        check_str("body", body)
        if custom is not None and not isinstance(custom, Mapping):
            raise ArgumentTypeError("custom must be a mapping")
        given = dict(custom or {})
        return self._call(lambda service: service.send_message(dialog_id, sender_id, body, given))

    def users(self) -> list[dict[str, Any]]:
        """Return all users.

        Returns:
            The users by id, each with the fields of the REST API.

        Raises:
            RuntimeError: The emulator is not running.
        """
        return self._call(lambda service: service.inspector.users())

    def dialogs(self) -> list[dict[str, Any]]:
        """Return all dialogs.

        Returns:
            The dialogs by id, each with the fields of the REST API as its owner sees them.

        Raises:
            RuntimeError: The emulator is not running.
        """
        return self._call(lambda service: service.inspector.dialogs())

    def save(self) -> dict[str, Any]:
        """Return users, dialogs and messages as a document that ``load`` adds to another emulator.

        The document has hashes in place of passwords. It has no sessions, files, devices, custom objects or
        contacts, and nothing that deleted users have written or owned. Guests become users.

        Returns:
            The document.

        Raises:
            RuntimeError: The emulator is not running.
        """
        return self._call(lambda service: service.document(), _FILL_SECONDS)

    def messages(self, dialog_id: str, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the stored messages of a dialog, without marking them as read.

        Args:
            dialog_id: The dialog's id.
            limit: How many at most, the newest; None for all.

        Returns:
            The messages in the order of their arrival, each with the fields of the REST API.

        Raises:
            ArgumentTypeError: ``limit`` is no whole number.
            ArgumentValueError: ``limit`` is less than 1.
            RuntimeError: The emulator is not running.
        """
        if limit is not None:
            check_int("limit", limit, least=1)
        return self._call(lambda service: service.inspector.messages(dialog_id, limit))

    def private_dialog(self, user_id: int, other_id: int) -> str | None:
        """Return the id of the private dialog of two users.

        Args:
            user_id: One user's id.
            other_id: The other user's id.

        Returns:
            The dialog's id, or None if the two have no private dialog.

        Raises:
            ArgumentTypeError, ArgumentValueError: An id is no int, or has more than 64 bits.
            RuntimeError: The emulator is not running.
        """
        check_int("user_id", user_id)
        check_int("other_id", other_id)

        def read(service: Service) -> str | None:
            row = service.conversations.store.private_dialog(user_id, other_id)
            return None if row is None else str(row["id"])

        return self._call(read)

    def sessions(self, user_id: int | None = None) -> list[dict[str, Any]]:
        """Return the chat sessions, those that wait to be resumed included.

        Args:
            user_id: The user whose sessions to return; None for all users.

        Returns:
            A dict for each session: ``user_id``, ``resource``, ``connected`` (False while the session
            waits to be resumed) and ``available`` (whether it has sent presence).

        Raises:
            RuntimeError: The emulator is not running.
        """
        return self._call(
            lambda service: [
                {
                    "user_id": session.user_id,
                    "resource": session.resource,
                    "connected": session.link is not None,
                    "available": session.presence is not None,
                }
                for session in service.hub.sessions(user_id)
            ]
        )

    def cut(self, user_id: int | None = None, resource: str | None = None) -> int:
        """Reset chat connections, as a network failure does; their sessions can be resumed.

        When the call returns, the emulator has noted the loss of the links.

        Args:
            user_id: The user whose connections to reset; None for all users.
            resource: The resource whose connection to reset; None for all resources.

        Returns:
            The number of connections.

        Raises:
            RuntimeError: The emulator is not running.
        """
        return self._call(lambda service: service.hub.cut(user_id, resource))

    def forget_sessions(self, user_id: int | None = None) -> int:
        """Drop the chat sessions that wait to be resumed, as a restart of the server does.

        An attempt to resume such a session fails with item-not-found and without ``h``.

        Args:
            user_id: The user whose sessions to drop; None for all users.

        Returns:
            The number of sessions.

        Raises:
            RuntimeError: The emulator is not running.
        """
        return self._call(lambda service: service.hub.forget_sessions(user_id))

    @property
    def reset_emails(self) -> list[str]:
        """The addresses to which the service would have sent an email that resets a password."""
        return self._call(lambda service: list(service.accounts.reset_emails))

    @property
    def pushes(self) -> list[Push]:
        """The push notifications that the service would have sent, oldest first."""
        return self._call(lambda service: service.pushes.sent)

    def _call(self, work: Callable[[Service], T], seconds: float = _CALL_SECONDS) -> T:
        running = self._running
        if running is None:
            raise RuntimeError("the emulator is not running")
        return running.call(work, seconds)


def _path(data: str | os.PathLike[str]) -> str:
    """Return the absolute path of ``data``: the program may change its folder before the start."""
    text = check_str("data", os.fspath(data))
    if "\0" in text:
        raise ArgumentValueError("data must be the path of a folder, and has a NUL character")
    return os.path.abspath(text)
