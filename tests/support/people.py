"""Users with chat connections, fixtures of them, and a way to wait for what their signals say."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from connectycube import Chat, ChatState, Config, ConnectyCube, ReconnectPolicy, Signal, User
from connectycube.chat.history_reader import History
from connectycube.emulator import Emulator
from tests.support.inside import driver_of, signals_of
from tests.support.proxy import FaultProxy
from tests.support.waiting import TIMEOUT, wait_until

PASSWORD = "correct horse battery staple 5ec4e7c0de"
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

    def wait(self, condition: Callable[[Events], Any], timeout: float = TIMEOUT) -> Any:
        """Wait until ``condition(self)`` is true; return it."""
        found: list[Any] = []

        def check() -> bool:
            found[:] = [condition(self)]
            return bool(found[0])

        with self._changed:
            if not self._changed.wait_for(check, timeout):
                raise TimeoutError(f"waited {timeout} s; so far: {self.all}")
        return found[0]

    def wait_for(self, name: str, count: int = 1, timeout: float = TIMEOUT) -> list[Any]:
        """Wait until a signal has spoken ``count`` times; return its events."""
        self.wait(lambda events: len(events.of(name)) >= count, timeout)
        return self.of(name)


class Person:
    """A user, their chat, and every event that it had.

    ``cube`` is the client whose chat it is; without one the chat stands alone, and REST is not asked.
    """

    def __init__(
        self,
        user_id: int,
        config: Config,
        *,
        password: str = PASSWORD,
        name: str = "",
        cube: ConnectyCube | None = None,
    ) -> None:
        self.id = user_id
        self.config = config
        self.password = password
        self.name = name
        self._cube = cube
        self.chat = Chat(config) if cube is None else cube.chat
        self.events = Events(*signals_of(self.chat))

    @classmethod
    def new(cls, emulator: Emulator, **options: Any) -> Person:
        """A new user of an emulator, whose chat stands alone and is not logged in."""
        name = f"person{next(_numbers)}"
        options.setdefault("reconnect", FAST)
        return cls(emulator.add_user(name, PASSWORD), emulator.config(**options), name=name)

    @classmethod
    def with_session(
        cls, emulator: Emulator, name: str, password: str = PASSWORD, **options: Any
    ) -> Person:
        """A user of an emulator whose client has a REST session; the chat is not logged in."""
        config = emulator.config(**{"reconnect": FAST, **options})
        cube = ConnectyCube(config=config)
        user = cube.login(login=name, password=password)
        assert user is not None and user.id is not None
        return cls(user.id, config, password=password, name=name, cube=cube)

    @classmethod
    def in_chat(
        cls, emulator: Emulator, name: str, password: str = PASSWORD, **options: Any
    ) -> Person:
        """A user of an emulator whose client has a REST session and is logged in to the chat."""
        person = cls.with_session(emulator, name, password, **options)
        person.login()
        return person

    @property
    def cube(self) -> ConnectyCube:
        """The client."""
        assert self._cube is not None, "this chat stands alone"
        return self._cube

    def login(self) -> User:
        """Log in to the chat."""
        return self.chat.login(self.id, self.password) if self._cube is None else self.chat.login()

    @property
    def bodies(self) -> list[str]:
        """The bodies of the messages received so far."""
        return [message.body for message in self.events.of("message_received")]

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
        person.chat.ping(TIMEOUT)
        dispatcher = driver_of(person.chat).dispatcher
        wait_until(lambda lanes=dispatcher._queues: not lanes, "idle receivers")


def give_stored_ids(chat: Chat, stored_ids: Callable[[Any, Any], Any]) -> None:
    """Let a chat that has no REST ask this for the messages that history holds; gaps stay unfilled."""
    driver_of(chat).history_reader._history = History(
        stored_ids=stored_ids,
        service_time=lambda: None,
        ask_time=lambda: None,
        changed_dialogs=lambda since: iter(()),
        messages=lambda dialog, since: iter(()),
    )


@contextmanager
def away(
    person: Any, emulator: Emulator, *, resumes: bool = False, settles: bool = True
) -> Iterator[None]:
    """Cut a person off for what happens meanwhile; their session is gone then, unless it is resumed.

    At the end their receivers have what the server sent, unless the caller has receivers that wait.
    """
    with person.chat.events(person.chat.state_changed, TIMEOUT) as changes:
        emulator.cut(person.id)
        changes.next(where=lambda change: change.state is ChatState.FORCE_CLOSED)
        if not resumes:
            emulator.forget_sessions(person.id)
        yield
        person.chat.relogin()
        back = ChatState.RESUMED if resumes else ChatState.READY
        changes.next(where=lambda change: change.state is back)
    if settles:
        settled(person)


@pytest.fixture
def alice(emulator: Emulator) -> Iterator[Person]:
    """A user with a chat connection, not logged in yet; logged out at the end."""
    person = Person.new(emulator)
    yield person
    person.chat.logout()


@pytest.fixture
def bob(emulator: Emulator) -> Iterator[Person]:
    """Another user."""
    person = Person.new(emulator)
    yield person
    person.chat.logout()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is entered here is left at the end of the test, the last first."""
    with ExitStack() as made:
        yield made


@pytest.fixture
def proxy(emulator: Emulator, stack: ExitStack) -> FaultProxy:
    """A proxy in front of the emulator's chat."""
    return stack.enter_context(FaultProxy("localhost", emulator.chat_port))


@pytest.fixture
def person(emulator: Emulator, proxy: FaultProxy, stack: ExitStack) -> Callable[..., Person]:
    """Make a user whose chat connects through the proxy."""

    def make(**options: Any) -> Person:
        options.setdefault("reconnect", FAST)
        made = Person.new(emulator, chat_port=proxy.port, **options)
        stack.callback(made.chat.logout, timeout=0.0)
        return made

    return make
