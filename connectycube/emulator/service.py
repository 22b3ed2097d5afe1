"""Service: the parts of a running emulator, the listeners in front of them, and the thread they run on."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

from .accounts import Accounts
from .address_book import AddressBook
from .api import Api
from .api.http import HttpServer
from .clock import EmulatorClock
from .conversations import Conversations
from .events import Events
from .faults import Faults
from .pushes import Pushes
from .records import Records
from .settings import Settings
from .storage import Bucket, BucketServer, Files
from .store import Store
from .timers import Timers
from .xmpp import Exchange, TcpServer

__all__ = ["Ports", "Running", "Service", "origin"]

T = TypeVar("T")

Ports = tuple[int, int, int]
"""Of the REST API, the chat server and the storage bucket."""

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_CALL_SECONDS = 10.0


class Service:
    """The parts of a running service; to be touched on the loop's thread alone."""

    def __init__(
        self,
        settings: Settings,
        clock: EmulatorClock,
        faults: Faults,
        context: ssl.SSLContext,
        bucket_directory: str,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.store = Store()
        self.timers = Timers(loop, clock)
        self.pushes = Pushes(self.store.database, clock)
        self.accounts = Accounts(self.store, settings, clock)
        self.conversations = Conversations(self.store, settings, clock)
        self.exchange = Exchange(
            settings,
            clock,
            self.store,
            self.accounts,
            self.conversations,
            self.pushes,
            self.timers,
            faults,
        )
        self.bucket = Bucket(bucket_directory, clock)
        database, address_book = self.store.database, AddressBook(self.store.database)
        api = Api(
            store=self.store,
            accounts=self.accounts,
            conversations=self.conversations,
            chat=self.exchange,
            pushes=self.pushes,
            events=Events(database, clock, self.pushes, settings.app_id),
            files=Files(database, clock, self.bucket),
            address_book=address_book,
            records=Records(database, clock),
            online=self._online,
        )
        faults.user_with_login = self._user_with_login
        self.accounts.on_delete(self.pushes.forget_user)
        self.accounts.on_delete(address_book.forget_user)
        self.accounts.on_delete(self.conversations.store.forget_user)
        self.accounts.on_delete(self.exchange.forget_user)
        self.http = HttpServer(api, clock, self.timers, faults, body_bytes=settings.body_bytes)
        self.tcp = TcpServer(self.exchange, context)
        self.storage = BucketServer(self.bucket)

    def _user_with_login(self, login: str) -> int | None:
        user = self.store.user_by("login", login)
        return None if user is None else int(user["id"])

    def advance(self, seconds: float) -> None:
        """Move the clock forward and let happen what becomes due."""
        self.timers.advance(seconds)
        self.accounts.end_expired()

    def _online(self) -> list[int]:
        sessions = self.exchange.sessions()
        return sorted({session.user_id for session in sessions if session.link is not None})

    async def start(self, host: str, ports: Ports) -> Ports:
        """Listen; return the ports, free ones in place of 0."""
        started = (
            await self.http.start(host, ports[0]),
            await self.tcp.start(host, ports[1]),
            await self.storage.start(host, ports[2]),
        )
        self.bucket.url = origin(host, started[2])
        return started

    async def stop(self) -> None:
        """End every connection, stop listening and close the state."""
        try:
            self.exchange.shut_down()
        finally:  # whatever a client's last moment breaks, no socket stays open
            try:
                await asyncio.gather(self.http.stop(), self.tcp.stop(), self.storage.stop())
            finally:
                self.store.close()


class Running:
    """One run of the service, from a thread with its loop to the end of both."""

    def __init__(
        self,
        settings: Settings,
        clock: EmulatorClock,
        faults: Faults,
        host: str,
        ports: Ports,
        context: ssl.SSLContext,
        bucket_directory: str,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="connectycube-emulator", daemon=True)
        self._service = Service(settings, clock, faults, context, bucket_directory, self._loop)
        self._thread.start()
        try:
            start = asyncio.run_coroutine_threadsafe(self._service.start(host, ports), self._loop)
            self.ports = start.result(_START_SECONDS)
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
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(_settle())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        self._loop.close()

    def call(self, work: Callable[[Service], T]) -> T:
        """Run something on the loop's thread and return what it returns or raises."""
        if threading.current_thread() is self._thread:
            return work(self._service)
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work(self._service))
            except BaseException as error:  # noqa: BLE001  (it belongs to the caller)
                future.set_exception(error)

        try:
            self._loop.call_soon_threadsafe(run)
            return future.result(_CALL_SECONDS)
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


def origin(host: str, port: int) -> str:
    """Return the address of an HTTP port as clients have to write it."""
    # 0.0.0.0 is where to listen, not where to go
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


async def _settle() -> None:
    # A transport that is aborted closes its socket a turn or two of the loop later.
    for _ in range(5):
        await asyncio.sleep(0)
