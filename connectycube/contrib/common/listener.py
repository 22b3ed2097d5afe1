"""A listener of any framework: one user's chat in this process, under a lease, until a signal."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from attrs import define, field

from connectycube import Chat, Config, ConnectyCube, Lease, LeaseLostError, NotConnectedError, User

from .health import HealthFile, HealthServer, health_of

__all__ = ["AnnouncedLease", "BaseListener", "HeldElsewhereError"]


class HeldElsewhereError(Exception):
    """Another process listens, and this one is not to wait."""


class AnnouncedLease:
    """A lease that tells when another process has it.

    Args:
        lease: The lease.
        on_held: Called with the holder when the lease is refused, and not again until it was acquired. What
            it raises ends the login.
    """

    def __init__(self, lease: Lease, on_held: Callable[[str | None], object]) -> None:
        self._lease = lease
        self._on_held = on_held
        self.is_awaited: bool = False
        """Whether another holder had it when it was last asked for."""

    @property
    def name(self) -> str:
        """The name of the lease."""
        return self._lease.name

    @property
    def seconds(self) -> float | None:
        """For how long a holder has the lease."""
        return self._lease.seconds

    @property
    def held_by(self) -> str | None:
        """The holder that the last refused ``acquire`` has found."""
        return self._lease.held_by

    def acquire(self, holder: str) -> int | None:
        """Take the lease, or tell who has it and return None."""
        number = self._lease.acquire(holder)
        was_awaited, self.is_awaited = self.is_awaited, number is None
        if self.is_awaited and not was_awaited:
            self._on_held(self._lease.held_by)
        return number

    def renew(self, holder: str) -> bool:
        """Hold the lease longer; False if another holder has it."""
        return self._lease.renew(holder)

    def release(self, holder: str) -> None:
        """Give the lease back."""
        self._lease.release(holder)


@define(kw_only=True)
class BaseListener(ABC):
    """One user's chat that listens until a signal, or until ``end()`` is called.

    It also ends when the chat has failed for good.

    Args:
        waits: Whether it waits while another process has the lease, and ends otherwise.
        health_file: A file that says whether it works; None: no file.
        health_address: Host and port of a page that says whether it works; None: no page.
        say: Called with a sentence for people.
    """

    waits: bool = True
    health_file: str | None = None
    health_address: tuple[str, int] | None = None
    say: Callable[[str], object]
    ready: threading.Event = field(factory=threading.Event, init=False)
    """Is set while the user is logged in to the chat."""
    _stop: threading.Event = field(factory=threading.Event, init=False)
    _returned: threading.Event = field(factory=threading.Event, init=False)
    _is_ended: bool = field(default=False, init=False)
    _chat: Chat | None = field(default=None, init=False)

    # --- what a framework says of it ---

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the listener in its health."""

    @property
    @abstractmethod
    def config(self) -> Config:
        """The configuration of its client."""

    @property
    @abstractmethod
    def credentials(self) -> Mapping[str, Any]:
        """The arguments of ``client.login()``."""

    @abstractmethod
    def lease(self) -> Lease | None:
        """Return the lease that the listener needs for its login.

        Returns:
            The lease; None: it logs in without one.
        """

    @abstractmethod
    def connect(self, client: ConnectyCube, chat: Chat, ends: ExitStack) -> list[str]:
        """Connect the handlers; ``run()`` calls it before the login to the chat.

        Args:
            client: The client, with a REST session.
            chat: Its chat, which is not logged in yet.
            ends: Gets the steps to be made after the logout.

        Returns:
            The names of the handlers, for people.
        """

    def begin_chores(self, ends: ExitStack) -> None:  # noqa: B027 - not every listener has chores
        """Begin the work beside the handlers, once the user is logged in to the chat.

        Args:
            ends: Gets the steps to be made after the logout.
        """

    @property
    def for_whom(self) -> str:
        """The end of the sentence that another process listens."""
        return ""

    def subject(self, user: User) -> str:
        """Return the subject of the sentence that the user listens.

        Args:
            user: The logged-in user.

        Returns:
            The subject, such as "user 7".
        """
        return f"user {user.id}"

    # --- from the first login to the last logout ---

    def run(self, signals: Iterable[int] = ()) -> None:
        """Listen until one of the signals arrives, ``end()`` is called, or the chat has failed for good.

        Args:
            signals: Numbers of signals of the operating system, for the main thread alone.

        Raises:
            LeaseStoreError: Another process listens, and ``waits`` is False (the cause is a
                HeldElsewhereError); or the store of the lease cannot be used.
            ConnectyCubeError: The user could not log in, or the chat failed for good.
            OSError: The health file or another file of the listener cannot be written.
        """
        numbers = tuple(signals)
        try:
            while not self._is_ended:
                try:
                    self._listen(numbers)
                    return
                except LeaseLostError as error:
                    self.say(f"{error}; waiting for it")
        except NotConnectedError:
            if not self._is_ended:  # end() logs out while the login stands by
                raise
        finally:
            self._returned.set()

    def end(self) -> None:
        """Let ``run()`` log out and return; from any thread, also before ``run()``."""
        self._is_ended = True
        self._stop.set()
        chat = self._chat
        if chat is not None and not self.ready.is_set():
            chat.logout()

    def close(self) -> None:
        """Let ``run()`` log out, and wait until it has returned.

        The wait is at most ``Config.timeouts.logout`` seconds.
        """
        self.end()
        self._returned.wait(self.config.timeouts.logout)

    def _listen(self, signals: tuple[int, ...]) -> None:
        with ConnectyCube(config=self.config) as client, ExitStack() as ends:
            client.login(**self.credentials)
            chat = self._chat = client.chat
            ends.callback(self._forget_chat)
            names = self.connect(client, chat, ends)
            lease = self._announced_lease()
            for health in self._health(chat, lease):
                # Before the login: a listener that stands by for the lease is healthy, too.
                health.start()
                ends.callback(health.close)
            user = self._log_in(chat, lease)
            self.begin_chores(ends)
            self.say(f"{self.subject(user)} listens; handlers: {', '.join(names) or 'none'}")
            self.ready.set()
            chat.wait(signals=signals, stop=self._stop)

    def _forget_chat(self) -> None:
        self._chat = None
        self.ready.clear()

    def _announced_lease(self) -> AnnouncedLease | None:
        lease = self.lease()
        return None if lease is None else AnnouncedLease(lease, self._held_elsewhere)

    def _log_in(self, chat: Chat, lease: AnnouncedLease | None) -> User:
        if lease is None:
            return chat.login()
        return chat.login(exclusive=lease, timeout=math.inf)

    def _held_elsewhere(self, holder: str | None) -> None:
        text = f"{holder or 'another process'} listens{self.for_whom}"
        if not self.waits:
            raise HeldElsewhereError(text)
        self.say(f"{text}; waiting")

    def _health(
        self, chat: Chat, lease: AnnouncedLease | None
    ) -> Iterator[HealthFile | HealthServer]:
        health = partial(health_of, self.name, chat, lease)
        if self.health_file is not None:
            yield HealthFile(self.health_file, health)
        if self.health_address is not None:
            yield HealthServer(self.health_address, health)
