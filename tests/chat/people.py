"""Users with chat connections for tests, and a way to wait for what their signals say."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from connectycube import Chat, ChatState, Config, ConnectyCube, ReconnectPolicy, Signal, User
from connectycube.chat.history import History
from connectycube.emulator import Emulator
from tests.support.waiting import wait_until

PATIENCE = 10.0
PASSWORD = "correct horse"
FAST = ReconnectPolicy(max_attempts=None, delay=0.02, max_delay=0.2)
SLOW = ReconnectPolicy(max_attempts=None, delay=60.0)  # who is cut off stays so until relogin()
_numbers = itertools.count(1)


class Events:
    """What the given signals of a chat said, in order: (signal name, event)."""

    def __init__(self, *signals: Signal) -> None:
        self.all: list[tuple[str, Any]] = []
        self._changed = threading.Condition()  # re-entrant: conditions may call our methods
        for signal in signals:
            signal.connect(self._recorder(signal.name))

    def _recorder(self, name: str) -> Callable[[Chat, Any], None]:
        def record(chat: Chat, event: Any) -> None:
            with self._changed:
                self.all.append((name, event))
                self._changed.notify_all()

        return record

    def of(self, name: str) -> list[Any]:
        """The events of one signal."""
        with self._changed:
            return [event for signal, event in self.all if signal == name]

    def wait(self, condition: Callable[[Events], Any], timeout: float = PATIENCE) -> Any:
        """Wait until ``condition(self)`` is true; return it."""
        found: list[Any] = []

        def check() -> bool:
            found[:] = [condition(self)]
            return bool(found[0])

        with self._changed:
            if not self._changed.wait_for(check, timeout):
                raise TimeoutError(f"waited {timeout} s; so far: {self.all}")
        return found[0]

    def wait_for(self, name: str, count: int = 1, timeout: float = PATIENCE) -> list[Any]:
        """Wait until a signal has spoken ``count`` times; return its events."""
        self.wait(lambda events: len(events.of(name)) >= count, timeout)
        return self.of(name)


class Participant:
    """A user with a chat connection and everything it said."""

    def __init__(self, user_id: int, password: str, config: Config) -> None:
        self.id = user_id
        self.password = password
        self.config = config
        self.chat = Chat(config)
        self.events = Events(*self.chat._signals())

    def login(self) -> User:
        """Log in to the chat."""
        return self.chat.login(self.id, self.password)

    @property
    def states(self) -> list[ChatState]:
        """The states entered so far, as the receivers saw them."""
        return [change.state for change in self.events.of("state_changed")]

    def wait_for_state(self, state: ChatState, count: int = 1) -> Any:
        """Wait until the state was entered ``count`` times; return the last of these changes."""

        def entered(events: Events) -> Any:
            changes = [e for e in events.of("state_changed") if e.state is state]
            return changes[count - 1] if len(changes) >= count else None

        return self.events.wait(entered)


class Person(Participant):
    """A new user of the emulator."""

    def __init__(self, emulator: Emulator, **options: Any) -> None:
        user_id = emulator.add_user(f"person{next(_numbers)}", PASSWORD)
        options.setdefault("reconnect", FAST)
        super().__init__(user_id, PASSWORD, emulator.config(**options))


class Somebody:
    """A user of the emulator with a client, logged in to REST and chat, and everything the chat said."""

    def __init__(
        self, emulator: Emulator, login: str, password: str = PASSWORD, **options: Any
    ) -> None:
        self.login = login
        options.setdefault("reconnect", FAST)
        self.cube = ConnectyCube(config=emulator.config(**options))
        self.cube.login(login=login, password=password)
        self.chat = self.cube.chat
        self.events = Events(*self.chat._signals())
        self.id = self.chat.login().id

    def bodies(self) -> list[str]:
        """The bodies of the messages received so far."""
        return [message.body for message in self.events.of("message_received")]


@contextmanager
def logged_in(*people: Person) -> Iterator[None]:
    """Log everybody in, and out at the end."""
    try:
        for person in people:
            person.login()
        yield
    finally:
        for person in people:
            person.chat.logout()


def settled(*people: Any) -> None:
    """Wait until the server has handled what everybody sent, and their receivers what the server sent."""
    for person in people:
        person.chat.ping(PATIENCE)
        dispatcher = person.chat._driver.dispatcher
        wait_until(lambda lanes=dispatcher._lanes: not lanes, PATIENCE, "idle receivers")


def give_stored_ids(chat: Chat, stored_ids: Callable[[Any, Any], Any]) -> None:
    """Let a chat that has no REST ask this for the messages that history holds; gaps stay unfilled."""
    chat._driver.historian._history = History(
        stored_ids=stored_ids,
        service_time=lambda: None,
        ask_time=lambda: None,
        changed_dialogs=lambda since: iter(()),
        messages=lambda dialog, since: iter(()),
    )


@contextmanager
def away(person: Any, emulator: Emulator, *, resumes: bool = False) -> Iterator[None]:
    """Cut a person off for what happens meanwhile; their session is gone then, unless it is resumed."""
    with person.chat.events(person.chat.state_changed, PATIENCE) as changes:
        emulator.cut(person.id)
        changes.next(where=lambda change: change.state is ChatState.FORCE_CLOSED)
        if not resumes:
            emulator.forget_sessions(person.id)
        yield
        person.chat.relogin()
        back = ChatState.RESUMED if resumes else ChatState.READY
        changes.next(where=lambda change: change.state is back)
    settled(person)
