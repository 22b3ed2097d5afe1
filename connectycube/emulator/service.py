"""Service: the parts of a running emulator, the servers in front of them, and the thread they run on."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from attrs import evolve

from connectycube.errors import ArgumentValueError

from .api import Api
from .api.http import HttpServer
from .control.clock import EmulatorClock
from .control.exchanges import Exchanges
from .control.faults import Faults
from .control.inspector import Inspector
from .control.saver import Saver
from .control.seeder import Seeder
from .control.timers import Timers
from .db.changes import Changes
from .db.data_folder import BUCKET, DATABASE
from .db.database import Database
from .db.store import Store
from .domain.accounts import Accounts
from .domain.address_book import AddressBook
from .domain.api_error import ApiError
from .domain.conversations import PRIVATE, Conversations, NewMessage
from .domain.events import Events
from .domain.meetings import Meetings
from .domain.pushes import Pushes
from .domain.records import Records
from .domain.rest_sessions import RestSessions
from .domain.roles import Action
from .net.access import Access
from .net.bounds import Bounds, most_connections, quiet_accept
from .net.listener import Listener
from .net.ports import Ports, origin
from .remote.feed import Feed
from .remote.page import PageServer
from .remote.server import CONTROL_HOST, ControlServer
from .remote.verbs import ControlApi
from .settings import Settings
from .storage import Bucket, BucketServer, Files
from .xmpp import ChatServer, TcpServer, WebSocketServer
from .xmpp.hub import Hub

__all__ = ["Running", "Service"]

T = TypeVar("T")

_LOOPBACK_ALONE = ("control", "ui")
_START_SECONDS = 10.0
_STOP_SECONDS = 5.0


class Service:
    """The parts of a running service; to be used on the thread of its loop alone.

    ``control`` is the control API and its token; ``access`` decides about the requests of browsers. ``data``
    is the folder of the state: the bytes of files are in ``bucket``, everything else is in ``state.db``. If
    ``persistent`` is False the database is in memory.
    """

    def __init__(
        self,
        settings: Settings,
        clock: EmulatorClock,
        faults: Faults,
        exchanges: Exchanges,
        context: ssl.SSLContext,
        data: str,
        persistent: bool,
        control: tuple[ControlApi, str],
        access: Access,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._settings = settings
        self._initial_switches = settings.switches()
        self._clock = clock
        self._data = data
        self._faults = faults
        self._exchanges = exchanges
        self.timers: Timers = Timers(loop, clock)
        path = os.path.join(data, DATABASE)
        self.store: Store = Store(path if persistent else ":memory:", settings.state_bytes)
        faults.user_with_login = self._user_with_login
        try:
            self._make_parts()
        except sqlite3.Error as error:
            self.store.close()
            raise ArgumentValueError(f"{path} is damaged: {error}. Move it away") from error
        except BaseException:
            self.store.close()
            raise
        changes = Changes(self.store.database)
        self.feed: Feed = Feed(control[0].emulator, changes, lambda: self.inspector)
        bounds = Bounds(most_connections(settings.connections), lambda: settings.handshake_seconds)
        self._rest = [
            HttpServer(
                self.api,
                clock,
                self.timers,
                faults,
                access,
                bounds,
                settings=settings,
                exchanges=exchanges,
                context=tls,
            )
            for tls in (None, context)
        ]
        self._storage = [
            BucketServer(
                self.bucket,
                self.timers,
                faults,
                access,
                bounds,
                clock=clock,
                exchanges=exchanges,
                context=tls,
            )
            for tls in (None, context)
        ]
        self.tcp: TcpServer = TcpServer(self.chat_server, context, bounds)
        self.websocket: WebSocketServer = WebSocketServer(self.chat_server, access, bounds)
        self._servers: dict[str, Listener | TcpServer] = {
            "api": self._rest[0],
            "chat": self.tcp,
            "storage": self._storage[0],
            "websocket": self.websocket,
            "https": self._rest[1],
            "storage_https": self._storage[1],
            "control": ControlServer(*control, self.feed, self.timers, bounds),
            "ui": PageServer(*control, self.feed, self.timers, bounds),
        }

    def _make_parts(self) -> None:
        settings, clock, database = self._settings, self._clock, self.store.database
        _check_application(database, settings)
        self.pushes: Pushes = Pushes(database, clock)
        self.accounts: Accounts = Accounts(self.store, settings, clock)
        self.sessions: RestSessions = RestSessions(self.store, settings, clock, self.accounts)
        self.conversations: Conversations = Conversations(self.store, settings, clock)
        self.seeder: Seeder = Seeder(self.accounts, self.conversations)
        self.inspector: Inspector = Inspector(self.accounts, self.conversations)
        self.hub: Hub = Hub(
            settings,
            clock,
            self.store,
            self.accounts,
            self.conversations,
            self.pushes,
            self.timers,
            self._faults,
            self._exchanges,
        )
        self.chat_server: ChatServer = ChatServer(self.hub)
        self.bucket: Bucket = Bucket(
            os.path.join(self._data, BUCKET), clock, database, lambda: settings.files_bytes
        )
        address_book = AddressBook(database)
        self.api: Api = Api(
            store=self.store,
            accounts=self.accounts,
            sessions=self.sessions,
            conversations=self.conversations,
            chat=self.chat_server,
            pushes=self.pushes,
            events=Events(database, clock, self.pushes, settings.app_id),
            files=Files(database, clock, self.bucket),
            address_book=address_book,
            records=Records(database, clock),
            meetings=Meetings(database, self.conversations),
            online=self._online,
        )
        self.accounts.on_delete(self.pushes.forget_user)
        self.accounts.on_delete(address_book.forget_user)
        self.accounts.on_delete(self.conversations.store.forget_user)
        self.accounts.on_delete(self.chat_server.forget_user)

    def reset(self) -> None:
        """Delete all state, end every connection and fault; the servers get new parts."""
        # Faults first, so that none delays the end of a stream. Connections end before the tables are
        # emptied, because the end of a session writes to them.
        self._faults.stop_all()
        urls = self.bucket.urls
        self.hub.shut_down("The emulator was reset")
        self.store.database.wipe()
        self.timers.rewind()
        self._settings.change(self._initial_switches)
        self._make_parts()
        self.bucket.urls = urls
        for rest in self._rest:
            rest.api = self.api
        for storage in self._storage:
            storage.bucket = self.bucket
        self.tcp.serve(self.chat_server)
        self.websocket.server = self.chat_server
        self._exchanges.clear()
        self.feed.was_reset()

    def document(self) -> dict[str, Any]:
        """Return users, dialogs and messages as a document."""
        return Saver(self.accounts, self.conversations).document()

    def send_message(
        self, dialog_id: str, sender_id: int, body: str, custom: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Store a message in the name of a user, and deliver it; return it."""
        try:
            dialog = self.conversations.dialog_for(sender_id, dialog_id, Action.WRITE)
        except ApiError as refusal:
            raise ArgumentValueError(refusal.sentence) from None
        draft = NewMessage(body=body, custom=custom)
        stored = self.conversations.add_message(dialog, sender_id, draft)
        assert stored is not None
        (row,) = self.conversations.store.messages_with([stored["id"]])
        self.chat_server.send_to_chat(dialog, row, markable=True)
        (message,) = self.inspector.messages_with([stored["id"]])
        return message

    def expel(
        self, dialog_id: str, user_id: int, actor_id: int | None, reason: str | None, *, ban: bool
    ) -> bool:
        """Remove a user from a dialog's room; return whether the user was in it."""
        dialog = self.conversations.store.dialog(dialog_id)
        if dialog is None or dialog["type"] == PRIVATE:
            raise ArgumentValueError(
                f"dialog_id must be that of a dialog with a room, not {dialog_id!r}"
            )
        actor = dialog["user_id"] if actor_id is None else actor_id
        return self.chat_server.expel(dialog, user_id, actor=actor, reason=reason, ban=ban)

    def _user_with_login(self, login: str) -> int | None:
        user = self.store.user_by("login", login)
        return None if user is None else int(user["id"])

    def advance(self, seconds: float) -> None:
        """Move the clock forward; timers run, and guests and sessions expire."""
        self.timers.advance(seconds)
        self.sessions.end_expired()

    def _online(self) -> list[int]:
        sessions = self.hub.sessions()
        return sorted({session.user_id for session in sessions if session.link is not None})

    async def start(self, host: str, ports: Ports) -> Ports:
        """Start to listen; return the ports, free ones in place of 0."""
        started = evolve(
            ports,
            **{
                name: await _started(
                    server,
                    f"{name}_port",
                    CONTROL_HOST if name in _LOOPBACK_ALONE else host,
                    getattr(ports, name),
                )
                for name, server in self._servers.items()
                if getattr(ports, name) is not None
            },
        )
        self.bucket.urls = {
            "http": origin("http", host, started.storage),
            "https": origin("https", host, started.storage_https),
        }
        return started

    async def stop(self) -> None:
        """End every connection, stop listening and close the state."""
        try:
            self.hub.shut_down("The emulator stops")
        finally:  # no socket stays open, even if a handler fails
            try:
                await asyncio.gather(*(server.stop() for server in self._servers.values()))
            finally:
                self.store.close()


async def _started(server: Listener | TcpServer, name: str, host: str, port: int) -> int:
    """Let a server listen; return its port. The error for a port that is taken names its option."""
    try:
        return await server.start(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        taken = OSError(f"{name} {port} is in use by another program: give another one, or 0")
        taken.errno = error.errno
        raise taken from None


class Running:
    """One run of the service: its loop and the thread of the loop."""

    def __init__(
        self,
        settings: Settings,
        clock: EmulatorClock,
        faults: Faults,
        exchanges: Exchanges,
        host: str,
        ports: Ports,
        context: ssl.SSLContext,
        data: str,
        persistent: bool,
        control: tuple[ControlApi, str],
        access: Access,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        quiet_accept(self._loop)
        self._thread = threading.Thread(target=self._run, name="connectycube-emulator", daemon=True)
        try:
            self._service = Service(
                settings,
                clock,
                faults,
                exchanges,
                context,
                data,
                persistent,
                control,
                access,
                self._loop,
            )
        except BaseException:
            self._loop.close()
            raise
        self._thread.start()
        try:
            start = asyncio.run_coroutine_threadsafe(self._service.start(host, ports), self._loop)
            self.ports: Ports = start.result(_START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._end()

    def _end(self) -> None:
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:  # requests that a fault delays, for example
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(_settle())
        # Threads that look up the name of an identity provider.
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        self._loop.close()

    def call(self, work: Callable[[Service], T], seconds: float) -> T:
        """Call a function on the loop's thread; return its result or raise its exception."""
        if threading.current_thread() is self._thread:  # a program's callback calls the emulator
            return work(self._service)
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work(self._service))
            except BaseException as error:  # noqa: BLE001  (the caller raises it)
                future.set_exception(error)

        try:
            self._loop.call_soon_threadsafe(run)
            return future.result(seconds)
        except FutureTimeoutError:
            raise RuntimeError("the emulator did not answer in time, or is stopping") from None
        except RuntimeError as error:
            if self._loop.is_closed():
                raise RuntimeError("the emulator is not running") from error
            raise

    def stop(self) -> None:
        """End the service, its loop and its thread."""
        try:
            asyncio.run_coroutine_threadsafe(self._service.stop(), self._loop).result(_STOP_SECONDS)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_STOP_SECONDS)


def _check_application(database: Database, settings: Settings) -> None:
    # The JIDs in rosters and privacy lists hold the application's id and the domain.
    ours = f"{settings.app_id} at {settings.domain}"
    found = database.fact("application", ours)
    if found != ours:
        raise ArgumentValueError(f"The data is that of application {found}, not of {ours}")


async def _settle() -> None:
    # An aborted transport closes its socket one or two iterations of the loop later.
    for _ in range(5):
        await asyncio.sleep(0)
