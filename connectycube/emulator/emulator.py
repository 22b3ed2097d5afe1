"""Emulator: starts and stops the service, and is the hand that reaches into it from a program."""

from __future__ import annotations

import os
import shutil
import ssl
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import trustme

from connectycube._checks import check_str
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from .control.clock import EmulatorClock, SystemClock
from .control.faults import Faults
from .control.loader import Loader, LoadReport, read_document
from .domain.conversations import BROADCAST, PRIVATE
from .domain.pushes import Push
from .domain.times import Clock
from .net.loopback_guard import check_environment
from .net.ports import Ports, origin
from .service import Running, Service
from .settings import Settings

if TYPE_CHECKING:
    from connectycube.config import Config

__all__ = ["Emulator"]

T = TypeVar("T")

_CALL_SECONDS = 10.0
_FILL_SECONDS = 300.0


class Emulator:
    """A ConnectyCube for one application: REST and files over HTTP and HTTPS, chat over TLS and WebSocket.

    Its state is in memory, but for files' bytes, which are in a temporary folder until it stops; with
    ``data``, a folder, it is there, outlives a kill of the process, and belongs to one emulator at a time.
    A port of 0 takes a free one. The other keyword arguments are fields of ``Settings``. Nothing happens
    before ``start()`` or ``with``. Every method may be called from any thread; those that reach into the
    running service raise RuntimeError while it is not running.
    """

    def __init__(
        self,
        *,
        app_id: int = 1,
        auth_key: str = "key",
        auth_secret: str | None = None,
        domain: str = "localhost",
        host: str = "127.0.0.1",
        api_port: int = 0,
        chat_port: int = 0,
        storage_port: int = 0,
        websocket_port: int = 0,
        https_port: int = 0,
        storage_https_port: int = 0,
        data: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
        **behaviour: Any,
    ) -> None:
        self._settings = Settings(
            app_id=app_id,
            auth_key=auth_key,
            auth_secret=auth_secret,
            domain=domain,
            **behaviour,
        )
        self._host = check_str("host", host)
        self._ports = Ports(
            api=api_port,
            chat=chat_port,
            storage=storage_port,
            websocket=websocket_port,
            https=https_port,
            storage_https=storage_https_port,
        )
        self._data = None if data is None else check_str("data", os.fspath(data))
        self._clock = EmulatorClock(clock or SystemClock(), self._advance)
        self._faults = Faults(self._on_its_thread)
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._authority: trustme.CA | None = None
        self._directory: str | None = None

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> Emulator:
        """Start the service and return when it accepts connections; nothing if it runs already.

        After ``stop()`` it starts on the same ports, with the same certificate authority and, without
        ``data``, empty. Raises OSError when a port is taken or another emulator has the data, and
        ArgumentValueError when the data cannot be read or CONNECTYCUBE_API_URL or
        CONNECTYCUBE_CHAT_HOST in the environment name the hosted service.
        """
        check_environment(os.environ)
        with self._lock:
            if self._running is None:
                context = self._make_certificate()
                try:
                    if self._data is not None:
                        os.makedirs(self._data, 0o700, exist_ok=True)
                    self._running = Running(
                        self._settings,
                        self._clock,
                        self._faults,
                        self._host,
                        self._ports,
                        context,
                        self._data or os.path.dirname(self.ca_file),
                        self._data is not None,
                    )
                except BaseException:
                    self._remove_certificate()
                    raise
                self._ports = self._running.ports
        return self

    def stop(self) -> None:
        """Stop the service: clients get a system-shutdown stream error. Nothing if it does not run.

        Returns within a few seconds; no thread, socket or file is left.
        """
        with self._lock:
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
        certificate.configure_cert(context)
        if self._directory is None:
            self._directory = tempfile.mkdtemp(prefix="connectycube-emulator-")
            # for programs that end without stop()
            weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        else:
            os.mkdir(self._directory, 0o700)
        self._authority.cert_pem.write_to_path(self.ca_file)
        return context

    def _remove_certificate(self) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    # --- where it is ------------------------------------------------------------------------------

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
    def domain(self) -> str:
        """The chat server's domain."""
        return self._settings.domain

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._host

    @property
    def api_port(self) -> int:
        """The port of the REST API; 0 before the first start unless one was given."""
        return self._ports.api

    @property
    def chat_port(self) -> int:
        """The port of the chat server; 0 before the first start unless one was given."""
        return self._ports.chat

    @property
    def api_url(self) -> str:
        """The address of the REST API."""
        return origin("http", self._host, self.api_port)

    @property
    def https_port(self) -> int:
        """The port of the REST API over HTTPS; 0 before the first start unless one was given."""
        return self._ports.https

    @property
    def https_url(self) -> str:
        """The address of the REST API over HTTPS; clients have to trust ``ca_file``."""
        return origin("https", self._host, self.https_port)

    @property
    def websocket_port(self) -> int:
        """The port of the chat server's WebSocket; 0 before the first start unless one was given."""
        return self._ports.websocket

    @property
    def websocket_url(self) -> str:
        """The address of the chat server's WebSocket, which is not encrypted. (RFC 7395.)"""
        return origin("ws", self._host, self.websocket_port)

    @property
    def storage_port(self) -> int:
        """The port of the storage bucket; 0 before the first start unless one was given."""
        return self._ports.storage

    @property
    def storage_url(self) -> str:
        """The address of the storage bucket: files are uploaded to and downloaded from it."""
        return origin("http", self._host, self.storage_port)

    @property
    def storage_https_port(self) -> int:
        """The port of the storage bucket over HTTPS; 0 before the first start unless one was given."""
        return self._ports.storage_https

    @property
    def ca_file(self) -> str:
        """The file with the certificate authority that clients have to trust; it exists while running."""
        if self._directory is None:
            raise RuntimeError("the emulator has not been started")
        return os.path.join(self._directory, "ca.pem")

    def config(self, **overrides: Any) -> Config:
        """Return a Config that points here, certificate verification on."""
        from connectycube.config import Config

        values: dict[str, Any] = {
            "app_id": self.app_id,
            "auth_key": self.auth_key,
            "auth_secret": self.auth_secret,
            "api_url": self.api_url,
            "chat_host": self.domain,
            "chat_port": self.chat_port,
            "ca_file": self.ca_file,
        }
        return Config(**{**values, **overrides})

    def environment(self) -> dict[str, str]:
        """Return the variables that ``Config.from_env()`` reads."""
        secret = {} if self.auth_secret is None else {"CONNECTYCUBE_AUTH_SECRET": self.auth_secret}
        return {
            "CONNECTYCUBE_APP_ID": str(self.app_id),
            "CONNECTYCUBE_AUTH_KEY": self.auth_key,
            **secret,
            "CONNECTYCUBE_API_URL": self.api_url,
            "CONNECTYCUBE_CHAT_HOST": self.domain,
            "CONNECTYCUBE_CHAT_PORT": str(self.chat_port),
            "CONNECTYCUBE_CA_FILE": self.ca_file,
        }

    def reset(self) -> None:
        """Forget users, sessions, dialogs, files and everything else; ids start anew.

        Every chat connection ends with the stream error system-shutdown, every token is unknown, every
        fault is over, the clock shows real time again. The ports stay open.
        """
        self._call(lambda service: service.reset())

    # --- reaching in ------------------------------------------------------------------------------

    @property
    def clock(self) -> EmulatorClock:
        """The emulator's own time, which ``clock.advance(seconds)`` moves; it outlives a stop."""
        return self._clock

    @property
    def faults(self) -> Faults:
        """What goes wrong: ``faults.rate_limit(retry_after=2, times=3)`` and others; they outlive a stop."""
        return self._faults

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

    def add_user(self, login: str, password: str, **fields: Any) -> int:
        """Make a user and return the id; ``fields`` are those of a sign-up (full_name, email, …).

        Raises ArgumentValueError, which names the field, for what the service would refuse.
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
        """Make a dialog of a kind ("private", "group", "public", "broadcast") and return the id.

        The owner and the admins are occupants too. A private one has a single other occupant and no
        name; if the two have their dialog already, that is it.
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
        """Put messages into a dialog's history, all or none, and return their ids; nobody is told.

        Each is a mapping with ``sender_id`` and, if wanted, ``message``, ``date_sent`` (unix seconds),
        ``attachments``, ``custom`` (parameters), ``read_ids`` (who has read it) and ``_id``. They are in
        the order given. The service does nothing else meanwhile: some seconds for 100,000.
        """
        return self._call(
            lambda service: service.seeder.messages(dialog_id, messages), _FILL_SECONDS
        )

    def load(self, source: str | os.PathLike[str] | Mapping[str, Any]) -> LoadReport:
        """Put in users, dialogs and messages from a JSON file or its content, all or nothing.

        Returns the new ids by login and by name. Raises ArgumentValueError or ArgumentTypeError, which
        name the place in the file, and OSError when it cannot be read.
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
        """Make a broadcast dialog, as the admin panel does, and return the id.

        Every user may read it; the owner and the admins may write.
        """

        def add(service: Service) -> str:
            conversations = service.conversations
            conversations.check_users([owner_id, *admins_ids])
            dialog = conversations.add_dialog(
                BROADCAST,
                owner_id,
                [owner_id],
                admins=admins_ids,
                name=name,
                description=description,
                photo=photo,
            )
            return str(dialog["id"])

        return self._call(add)

    def kick(
        self,
        dialog_id: str,
        user_id: int,
        *,
        actor_id: int | None = None,
        reason: str | None = None,
    ) -> bool:
        """Put a user out of a dialog's room (status 307); return False for one who was not in it.

        The user stays in the dialog and may join again. The actor is the dialog's owner unless
        ``actor_id`` names another user. Raises ValueError for a dialog without a room.
        """
        return self._expel(dialog_id, user_id, actor_id, reason, ban=False)

    def ban(
        self,
        dialog_id: str,
        user_id: int,
        *,
        actor_id: int | None = None,
        reason: str | None = None,
    ) -> bool:
        """Put a user out of a dialog and its room (status 301); return False for one who was not in the room.

        The user neither joins, writes nor receives there again before ``unban``, whatever is done over
        REST. Otherwise like ``kick``.
        """
        return self._expel(dialog_id, user_id, actor_id, reason, ban=True)

    def unban(self, dialog_id: str, user_id: int) -> bool:
        """Take a ban back; return False if there was none. The user is not put into the dialog again."""
        return self._call(lambda service: service.hub.occupancy.unban(dialog_id, user_id))

    def _expel(
        self, dialog_id: str, user_id: int, actor_id: int | None, reason: str | None, *, ban: bool
    ) -> bool:
        def expel(service: Service) -> bool:
            dialog = service.conversations.store.dialog(dialog_id)
            if dialog is None or dialog["type"] == PRIVATE:
                raise ArgumentValueError(
                    f"dialog_id must be that of a dialog with a room, not {dialog_id!r}"
                )
            return service.chat_server.expel(
                dialog,
                user_id,
                actor=dialog["user_id"] if actor_id is None else actor_id,
                reason=reason,
                ban=ban,
            )

        return self._call(expel)

    def messages(self, dialog_id: str) -> list[dict[str, Any]]:
        """Return a dialog's stored messages in the order they arrived, with the names REST gives them.

        Reading marks nothing as read.
        """

        def read(service: Service) -> list[dict[str, Any]]:
            conversations = service.conversations
            return [
                conversations.json.messages([row], row["sender_id"])[0]
                for row in conversations.store.messages(dialog_id)
            ]

        return self._call(read)

    def private_dialog(self, user_id: int, other_id: int) -> str | None:
        """Return the id of the private dialog of two users, None if there is none yet."""

        def read(service: Service) -> str | None:
            row = service.conversations.store.private_dialog(user_id, other_id)
            return None if row is None else str(row["id"])

        return self._call(read)

    def sessions(self, user_id: int | None = None) -> list[dict[str, Any]]:
        """Return the chat sessions of a user, or all: user_id, resource, connected, available.

        A session that is not connected waits to be resumed.
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

    def cut(self, user_id: int | None = None) -> int:
        """Reset the chat connections of a user, or all; return how many.

        Sessions stay and can be resumed. When this returns, the emulator knows the links as lost.
        """
        return self._call(lambda service: service.hub.cut(user_id))

    def forget_sessions(self, user_id: int | None = None) -> int:
        """Drop the chat sessions that wait to be resumed, of a user or all; return how many.

        As after a restart of the server: a resumption fails with item-not-found and without ``h``.
        """
        return self._call(lambda service: service.hub.forget(user_id))

    @property
    def reset_emails(self) -> list[str]:
        """The addresses that emails with a link to reset a password would have been sent to."""
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
