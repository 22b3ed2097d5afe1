"""Several listeners of one user: one of them is connected, and another one when its lease is over."""

from __future__ import annotations

import json
import math
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connectycube import (
    ArgumentTypeError,
    ArgumentValueError,
    ChatAuthenticationError,
    ChatError,
    ChatState,
    FileLease,
    LeaseHeldError,
    LeaseLostError,
    LeaseStoreError,
    NotConnectedError,
    SqlLease,
)
from connectycube.chat.lease import hold as hold_module
from connectycube.emulator import Emulator
from tests.support.inside import hold_of, stands_by
from tests.support.people import PASSWORD, Person, settled
from tests.support.waiting import TIMEOUT, Gate, wait_until

SECONDS = 6.0  # of a lease whose loss is not waited for
SHORT = 2.0


class Database:
    """A database of leases in one file, which can be away, or hang."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hangs = threading.Event()
        self._goes_on = threading.Event()
        self.is_away = False
        self.failures = 0
        self.hanging = 0

    def connect(self) -> sqlite3.Connection:
        if self.is_away:
            self.failures += 1
            raise sqlite3.OperationalError("the database is away")
        if self._hangs.is_set():
            self.hanging += 1
            assert self._goes_on.wait(TIMEOUT * 3)
        return sqlite3.connect(self._path, timeout=TIMEOUT)

    def hang(self) -> None:
        """Let every connection wait until ``go_on()``."""
        self._hangs.set()

    def go_on(self) -> None:
        self._hangs.clear()
        self._goes_on.set()

    def lease(self, seconds: float = SECONDS) -> SqlLease:
        return SqlLease(self.connect, "bot", seconds)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path, timeout=TIMEOUT)) as connection, connection:
            return connection.execute(statement).fetchall()

    @property
    def row(self) -> tuple[str, int, float]:
        """The holder, the number, and until when, as the database has them."""
        (found,) = self.execute("SELECT holder, fencing, until FROM connectycube_lease")
        return found

    def give_away(self) -> None:
        """Let another process have the lease, as if it had expired."""
        self.execute(
            "UPDATE connectycube_lease SET holder = 'another', fencing = fencing + 1, until = 9e9"
        )

    def free(self) -> None:
        self.execute("UPDATE connectycube_lease SET until = 0")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "lease.db")
    yield made
    made.go_on()


@pytest.fixture
def listener(emulator: Emulator, tmp_path: Path) -> Iterator[Callable[..., Person]]:
    """Make clients of one user, none of them logged in to the chat."""
    emulator.add_user("bot", PASSWORD)
    made: list[Person] = []

    def new(**options: Any) -> Person:
        made.append(Person.with_session(emulator, "bot", **options))
        return made[-1]

    yield new
    for bot in made:
        bot.cube.close()


@pytest.fixture(params=["file", "table"])
def lease(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Callable[[], Any]:
    """Make objects of one lease, as each process has its own."""
    if request.param == "file":
        return partial(FileLease, tmp_path / "bot.lease")
    return database.lease


class Login(threading.Thread):
    """A login on a thread of its own, and what came of it."""

    def __init__(self, bot: Person, lease: Any, timeout: float = math.inf) -> None:
        super().__init__()
        self._bot, self._lease, self._timeout = bot, lease, timeout
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._bot.chat.login(exclusive=self._lease, timeout=self._timeout)
        except Exception as error:
            self.error = error

    def finish(self) -> BaseException | None:
        self.join(TIMEOUT)
        assert not self.is_alive()
        return self.error


def suspend(bot: Person, seconds: float) -> None:
    """Let the clock of the lease be later, as after a stopped process or a suspended machine."""
    hold = hold_of(bot.chat)
    hold.now = lambda: hold_module.clock() + seconds


def loss_of(bot: Person) -> Exception | None:
    change = bot.wait_for_state(ChatState.CLOSED)
    reason: Exception | None = change.reason
    return reason


# --- one of several is connected --------------------------------------------------------------------


def test_a_second_listener_is_refused_at_its_deadline(listener, lease):
    first, second = listener(), listener()
    first.chat.login(exclusive=lease())
    with pytest.raises(LeaseHeldError, match="is held by process") as caught:
        second.chat.login(exclusive=lease(), timeout=0.3)
    assert caught.value.holder == hold_of(first.chat).holder
    assert second.chat.state is ChatState.IDLE
    assert second.chat.fencing is None
    assert first.chat.is_ready


def test_a_logout_lets_the_next_listener_in_at_once(listener, lease, alice):
    first, second = listener(), listener()
    first.chat.login(exclusive=lease())
    standby = Login(second, lease())
    first.chat.logout()
    assert standby.finish() is None
    assert second.chat.is_ready
    assert (first.chat.fencing, second.chat.fencing) == (1, 2)


def test_a_listener_that_stands_by_gets_no_message(listener, lease, alice):
    first, second = listener(), listener()
    first.chat.login(exclusive=lease())
    standby = Login(second, lease())
    alice.login()
    alice.chat.send_private(first.id, "one")
    first.events.wait_for("message_received")
    first.chat.logout()
    assert standby.finish() is None
    alice.chat.send_private(first.id, "two")
    second.events.wait_for("message_received")
    assert (first.bodies, second.bodies) == (["one"], ["two"])


def test_the_same_listener_stands_by_again_after_its_logout(listener, lease):
    bot, mine = listener(), lease()
    for number in (1, 2, 3):
        bot.chat.login(exclusive=mine)
        assert bot.chat.fencing == number
        bot.chat.logout()


def test_a_login_while_connected_returns_at_once(listener, lease):
    bot, mine = listener(), lease()
    bot.chat.login(exclusive=mine)
    bot.chat.login(exclusive=mine)
    bot.chat.login()
    assert bot.chat.fencing == 1


def test_logins_of_several_threads_share_one_lease(listener, lease):
    first, bot, mine = listener(), listener(), lease()
    first.chat.login(exclusive=lease())
    logins = [Login(bot, mine) for _ in range(4)]
    first.chat.logout()
    assert [login.finish() for login in logins] == [None] * 4
    assert bot.chat.fencing == 2


def test_a_connection_without_the_lease_is_not_taken_for_one_with_it(listener, lease):
    bot = listener()
    bot.chat.login()
    with pytest.raises(ChatError, match="connected without a lease: log out first"):
        bot.chat.login(exclusive=lease())
    assert bot.chat.is_ready
    bot.chat.logout()
    mine = lease()
    bot.chat.login(exclusive=mine)
    with pytest.raises(ChatError, match="log out first"):
        bot.chat.login(exclusive=lease())
    assert bot.chat.is_ready


def test_without_a_lease_there_is_no_fencing_number(listener, lease):
    bot = listener()
    bot.chat.login(exclusive=lease())
    bot.chat.logout()
    assert bot.chat.fencing == 1  # a receiver that still runs is of that login
    bot.chat.login()
    assert bot.chat.fencing is None


# --- the end of standing by -------------------------------------------------------------------------


def test_a_logout_on_another_thread_ends_the_wait(listener, lease):
    first, second = listener(), listener()
    first.chat.login(exclusive=lease())
    standby = Login(second, lease())
    wait_until(lambda: stands_by(second.chat))
    second.chat.logout()
    error = standby.finish()
    assert isinstance(error, NotConnectedError)
    assert "stood by" in str(error)
    first.chat.logout()
    first.chat.login(exclusive=lease(), timeout=TIMEOUT)


def test_an_interrupt_ends_the_wait_and_leaves_the_lease(listener, lease):
    first, second = listener(), listener()
    first.chat.login(exclusive=lease())
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        wait_until(lambda: stands_by(second.chat))
        signal.pthread_kill(main, signal.SIGINT)

    interrupt = threading.Thread(target=press)
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        second.chat.login(exclusive=lease(), timeout=math.inf)
    interrupt.join()
    first.chat.logout()
    first.chat.login(exclusive=lease(), timeout=TIMEOUT)


def test_a_failed_login_gives_the_lease_back(listener, lease):
    first, second = listener(), listener()
    with pytest.raises(ChatAuthenticationError):
        first.chat.login(first.id, "a wrong password", exclusive=lease())
    second.chat.login(exclusive=lease(), timeout=TIMEOUT)


def test_what_is_wrong_with_a_login_is_raised_before_the_wait(listener, lease):
    first, second = listener(), listener()
    first.chat.login(exclusive=lease())
    with pytest.raises(ArgumentValueError, match="password must be given"):
        second.chat.login(second.id, exclusive=lease(), timeout=math.inf)


def test_a_final_failure_gives_the_lease_back(listener, lease, emulator):
    first, second = listener(), listener()
    first.chat.login(exclusive=lease(), resource="one")
    standby = Login(second, lease())
    third = listener()
    third.chat.login(resource="one")  # which ends the first connection for good
    assert standby.finish() is None
    assert first.chat.state is ChatState.CLOSED
    assert second.chat.is_ready


def test_the_lease_is_kept_until_the_receivers_have_returned(listener, lease, alice, stack):
    first, second = listener(), listener()
    gate = stack.enter_context(Gate())
    first.chat.message_received.connect(gate)
    first.chat.login(exclusive=lease(), resource="one")
    alice.login()
    alice.chat.send_private(first.id, "one")
    gate.wait_until_entered()
    listener().chat.login(resource="one")  # ends the first connection, not its receiver
    wait_until(lambda: first.chat.state is ChatState.CLOSED)
    with pytest.raises(LeaseHeldError):
        second.chat.login(exclusive=lease(), timeout=0.5)
    gate.open()
    second.chat.login(exclusive=lease(), timeout=TIMEOUT)


def test_a_logout_waits_no_longer_for_a_receiver_than_it_was_told(listener, lease, alice, stack):
    first, second = listener(), listener()
    gate = stack.enter_context(Gate())
    first.chat.message_received.connect(gate)
    first.chat.login(exclusive=lease())
    alice.login()
    alice.chat.send_private(first.id, "one")
    alice.chat.send_private(first.id, "two").result()
    gate.wait_until_entered()
    settled(alice)
    first.chat.logout(timeout=0.2)
    second.chat.login(exclusive=lease(), timeout=TIMEOUT)
    gate.open()
    assert first.chat.wait_until_idle(TIMEOUT)
    assert first.bodies in (["one"], [])  # "two" is for the next holder


def test_relogin_does_not_go_round_the_lease(listener, lease):
    bot = listener()
    bot.chat.login(exclusive=lease())
    bot.chat.logout()
    with pytest.raises(NotConnectedError, match=r"call chat\.login\(exclusive=…\)"):
        bot.chat.relogin()
    assert bot.chat.state is ChatState.CLOSED


def test_a_lost_link_keeps_the_lease(listener, lease, emulator):
    first, second = listener(), listener()
    first.chat.login(exclusive=lease())
    emulator.cut(first.id)
    first.wait_for_state(ChatState.FORCE_CLOSED)
    with pytest.raises(LeaseHeldError):
        second.chat.login(exclusive=lease(), timeout=0.2)
    first.chat.wait_until_ready()
    assert first.chat.fencing == 1


# --- arguments --------------------------------------------------------------------------------------


class Badly:
    """A lease of an application, with a wrong length."""

    name = "own"
    held_by = None

    def __init__(self, seconds: object) -> None:
        self.seconds = seconds

    def acquire(self, holder: str) -> int | None:
        raise AssertionError

    def renew(self, holder: str) -> bool:
        raise AssertionError

    def release(self, holder: str) -> None:
        raise AssertionError


class Coroutine(Badly):
    async def acquire(self, holder: str) -> int | None:  # type: ignore[override]
        return 1


class Narrow(Badly):
    def renew(self) -> bool:  # type: ignore[override]
        return True


@pytest.mark.parametrize(
    ("exclusive", "error", "words"),
    [
        (Coroutine(5.0), ArgumentTypeError, "exclusive.acquire .* is a coroutine function"),
        (Narrow(5.0), ArgumentTypeError, "exclusive.renew .* cannot be called as"),
        (True, ArgumentTypeError, "exclusive must be a Lease, such as .*, not bool"),
        ("bot.lease", ArgumentTypeError, "exclusive must be a Lease.*not str"),
        (FileLease, ArgumentTypeError, "exclusive must be a Lease.*not FileLease"),
        (Badly("x"), ArgumentTypeError, "exclusive.seconds must be a number"),
        (Badly(-1), ArgumentValueError, "exclusive.seconds must be at least"),
    ],
)
def test_what_is_no_lease_is_named(alice, exclusive, error, words):
    with pytest.raises(error, match=words):
        alice.chat.login(alice.id, PASSWORD, exclusive=exclusive)


def test_only_a_login_with_a_lease_may_wait_for_ever(alice, lease):
    with pytest.raises(ArgumentValueError, match="timeout must be finite"):
        alice.chat.login(alice.id, PASSWORD, timeout=math.inf)
    with pytest.raises(ArgumentValueError, match="timeout must be finite"):
        alice.chat.login(alice.id, PASSWORD, exclusive=lease(), timeout=-math.inf)


def test_a_file_that_is_no_lease_ends_the_login_at_once(alice, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(LeaseStoreError, match="not that of a lease"):
        alice.chat.login(alice.id, PASSWORD, exclusive=FileLease(path), timeout=math.inf)


def test_a_defect_of_connect_ends_the_login_at_once(alice):
    def connect() -> object:
        raise KeyError("DATABASE_URL")

    with pytest.raises(LeaseStoreError, match="DATABASE_URL") as caught:
        alice.chat.login(alice.id, PASSWORD, exclusive=SqlLease(connect, "bot"), timeout=math.inf)
    assert isinstance(caught.value.__cause__, KeyError)


# --- the database -----------------------------------------------------------------------------------


def test_a_database_that_is_away_at_the_login_is_asked_again(listener, database, caplog):
    bot = listener()
    database.is_away = True
    login = Login(bot, database.lease(0.6))
    wait_until(lambda: database.failures > 8)
    database.is_away = False
    assert login.finish() is None
    warnings = [each.message for each in caplog.records if "cannot be asked for" in each.message]
    assert len(warnings) == 1


def test_a_database_that_is_away_until_the_deadline_is_the_error(listener, database):
    database.is_away = True
    with pytest.raises(LeaseStoreError, match="the database is away") as caught:
        listener().chat.login(exclusive=database.lease(), timeout=0.2)
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


def test_nobody_notices_a_database_that_is_away_for_less_than_the_lease(listener, database):
    bot, mine = listener(), database.lease()
    bot.chat.login(exclusive=mine)
    until = database.row[2]
    database.is_away = True
    wait_until(lambda: database.failures > 1)  # after a third of the lease
    database.is_away = False
    wait_until(lambda: database.row[2] > until)
    assert bot.chat.is_ready
    assert bot.states == [ChatState.CONNECTING, ChatState.AUTHENTICATED, ChatState.READY]


def test_a_database_that_is_away_for_longer_ends_the_connection_in_time(listener, database):
    bot = listener()
    bot.chat.login(exclusive=database.lease(SHORT))
    database.is_away = True
    with pytest.raises(LeaseLostError, match=r"could not be renewed in time.*is away"):
        bot.chat.wait()
    assert bot.chat.state is ChatState.CLOSED
    bot.wait_for_state(ChatState.CLOSED)
    closing, closed = bot.events.of("state_changed")[-2:]
    assert (closing.state, closed.state) == (ChatState.CLOSING, ChatState.CLOSED)
    assert isinstance(closing.reason, LeaseLostError)
    assert closed.reason is closing.reason


def test_the_server_hears_of_the_end_before_the_lease_expires(listener, database, emulator):
    bot = listener()
    bot.chat.login(exclusive=database.lease(60.0))
    suspend(bot, 57.0)  # behind nine tenths, before the end
    with pytest.raises(LeaseLostError):
        bot.chat.ping()
    loss_of(bot)
    assert [change.state for change in bot.events.of("state_changed")][-2:] == [
        ChatState.CLOSING,
        ChatState.CLOSED,
    ]
    wait_until(lambda: emulator.sessions(bot.id) == [])  # none is left that waits to be resumed


def test_a_database_that_hangs_does_not_hold_up_the_connection(listener, database, alice):
    bot = listener()
    bot.chat.login(exclusive=database.lease(SHORT))
    alice.login()
    database.hang()
    wait_until(lambda: database.hanging)
    alice.chat.send_private(bot.id, "are you there?")
    bot.events.wait_for("message_received")
    assert isinstance(loss_of(bot), LeaseLostError)
    bot.chat.logout()
    database.go_on()
    wait_until(lambda: database.row[2] == 0)  # what was renewed too late is given back


def test_a_logout_does_not_wait_for_a_database_that_hangs(listener, database):
    bot = listener()
    bot.chat.login(exclusive=database.lease(SECONDS))
    database.hang()
    began = time.monotonic()
    bot.chat.logout(timeout=0.3)
    assert time.monotonic() - began < TIMEOUT / 2
    assert bot.chat.state is ChatState.CLOSED


def test_a_lease_that_another_process_has_taken_ends_the_connection(listener, database):
    bot = listener()
    bot.chat.login(exclusive=database.lease(0.9))
    database.give_away()
    reason = loss_of(bot)
    assert isinstance(reason, LeaseLostError)
    assert "another process has taken" in str(reason) or "in time" in str(reason)
    with pytest.raises(LeaseLostError):
        bot.chat.send_private(bot.id + 1, "too late")
    assert database.row[0] == "another"


def test_after_a_loss_a_new_login_stands_by_again(listener, database):
    bot, mine = listener(), database.lease(0.9)
    bot.chat.login(exclusive=mine)
    database.give_away()
    loss_of(bot)
    again = Login(bot, mine)
    wait_until(lambda: stands_by(bot.chat))
    assert again.is_alive()
    database.free()
    assert again.finish() is None
    assert bot.chat.fencing == 3


def test_a_file_that_is_removed_ends_the_connection(listener, tmp_path, monkeypatch):
    monkeypatch.setattr(hold_module, "_UNLIMITED_CHECKED_EVERY", 0.05)
    bot, path = listener(), tmp_path / "bot.lease"
    bot.chat.login(exclusive=FileLease(path))
    path.unlink()
    assert isinstance(loss_of(bot), LeaseLostError)


# --- a process that was stopped ---------------------------------------------------------------------


def test_after_the_lease_no_receiver_is_called_and_nothing_is_sent(
    listener, database, alice, stack
):
    bot, gate, results = listener(), stack.enter_context(Gate()), []

    @bot.chat.message_received.connect
    def answer(chat, message):
        gate()
        try:
            chat.reply(message, "an answer")
        except ChatError as error:
            results.append(error)

    bot.chat.login(exclusive=database.lease())
    alice.login()
    for body in ("one", "two", "three"):
        alice.chat.send_private(bot.id, body).result()
    gate.wait_until_entered()
    bot.chat.ping()
    suspend(bot, 100.0)
    database.give_away()
    gate.open()
    assert isinstance(loss_of(bot), LeaseLostError)
    assert bot.chat.wait_until_idle(TIMEOUT)
    (error,) = results
    assert isinstance(error, LeaseLostError)
    settled(alice)
    assert alice.bodies == []


def test_a_receiver_of_the_old_lease_does_not_send_under_the_new_one(
    listener, database, alice, stack
):
    bot, gate, results = listener(), stack.enter_context(Gate()), []

    @bot.chat.message_received.connect
    def answer(chat, message):
        if message.body == "slow":
            gate()
        results.append(chat.fencing)
        chat.reply(message, f"answer to {message.body}")

    mine = database.lease()
    bot.chat.login(exclusive=mine)
    alice.login()
    alice.chat.send_private(bot.id, "slow").result()
    gate.wait_until_entered()
    bot.chat.ping()  # the message is acknowledged, or the server would send it again
    suspend(bot, 100.0)
    with pytest.raises(LeaseLostError):
        bot.chat.ping()
    bot.chat.login(exclusive=mine, timeout=TIMEOUT)
    gate.open()
    assert bot.chat.wait_until_idle(TIMEOUT)
    alice.chat.send_private(bot.id, "fast").result()
    alice.events.wait_for("message_received")
    assert alice.bodies == ["answer to fast"]
    assert results == [1, 2]


def test_a_second_receiver_is_not_called_once_the_lease_is_over(listener, database, alice):
    bot, called = listener(), []

    @bot.chat.message_received.connect
    def first(chat, message):
        called.append("first")
        suspend(bot, 100.0)

    @bot.chat.message_received.connect
    def second(chat, message):
        called.append("second")

    bot.chat.login(exclusive=database.lease())
    alice.login()
    alice.chat.send_private(bot.id, "one").result()
    assert isinstance(loss_of(bot), LeaseLostError)
    assert bot.chat.wait_until_idle(TIMEOUT)
    assert called == ["first"]


def test_a_stream_gives_no_event_once_the_lease_is_over(listener, database, alice):
    bot = listener()
    received, changed = bot.chat.message_received, bot.chat.state_changed
    with bot.chat.events(received) as events, bot.chat.events(changed) as changes:
        bot.chat.login(exclusive=database.lease())
        alice.login()
        for body in ("one", "two"):
            alice.chat.send_private(bot.id, body).result()
        bot.events.wait_for("message_received", 2)
        assert events.next().body == "one"
        suspend(bot, 100.0)
        with pytest.raises(LeaseLostError):
            events.next()
        with pytest.raises(LeaseLostError):
            bot.chat.ping()
        closed = changes.next(where=lambda change: change.state is ChatState.CLOSED)
        assert isinstance(closed.reason, LeaseLostError)


def test_what_came_while_another_had_the_lease_is_not_handled_again(listener, database, alice):
    first, second = listener(), listener()
    mine = database.lease()
    first.chat.login(exclusive=mine)
    alice.login()
    suspend(first, 100.0)
    with pytest.raises(LeaseLostError):
        first.chat.ping()
    second.chat.login(exclusive=database.lease(), timeout=TIMEOUT)
    alice.chat.send_private(first.id, "one").result()
    second.events.wait_for("message_received")
    second.chat.logout()
    first.chat.login(exclusive=mine, timeout=TIMEOUT)
    alice.chat.send_private(first.id, "two").result()
    first.events.wait_for("message_received")
    assert (first.bodies, second.bodies) == (["two"], ["one"])


# --- with what a listener keeps ---------------------------------------------------------------------


class Cursors:
    """A cursor store in memory, which several listeners share."""

    def __init__(self) -> None:
        self.text = "null"
        self.saves = 0

    def load(self) -> Any:
        return json.loads(self.text)

    def save(self, value: Any) -> None:
        self.saves += 1
        self.text = json.dumps(value)


@pytest.mark.parametrize("kept", ["cursor", "durable"])
def test_two_listeners_in_turn_handle_each_message_once(
    listener, lease, alice, tmp_path, emulator, kept
):
    options = (
        {"cursor_store": Cursors()} if kept == "cursor" else {"durable": str(tmp_path / "bot.db")}
    )
    bots = [listener(**options), listener(**options)]
    leases = [lease(), lease()]
    alice.login()
    turns = [0, 1, 0, 1, 0]
    for turn, who in enumerate(turns):
        bots[who].chat.login(exclusive=leases[who])
        alice.chat.send_private(bots[0].id, f"live {turn}").result()
        bots[who].events.wait(lambda _, who=who, turn=turn: f"live {turn}" in bots[who].bodies)
        bots[who].chat.logout()
        alice.chat.send_private(bots[0].id, f"away {turn}").result()
    bots[1].chat.login(exclusive=leases[1])
    bots[1].events.wait(lambda _: "away 4" in bots[1].bodies)
    assert bots[0].bodies == ["live 0", "away 1", "live 2", "away 3", "live 4"]
    assert bots[1].bodies == ["away 0", "live 1", "away 2", "live 3", "away 4"]


def test_a_lost_lease_saves_no_cursor_any_more(listener, database, alice, stack):
    store, gate = Cursors(), stack.enter_context(Gate())
    bot = listener(cursor_store=store)
    bot.chat.message_received.connect(gate)
    bot.chat.login(exclusive=database.lease())
    alice.login()
    alice.chat.send_private(bot.id, "one").result()
    gate.wait_until_entered()
    wait_until(lambda: store.saves)
    suspend(bot, 100.0)
    before = store.text
    gate.open()
    loss_of(bot)
    assert bot.chat.wait_until_idle(TIMEOUT)
    bot.chat.logout()
    assert store.text == before


def test_an_event_is_left_to_the_next_holder_of_the_file(
    listener, database, alice, stack, tmp_path
):
    options = {"durable": str(tmp_path / "bot.db")}
    first, second = listener(**options), listener(**options)
    gate = stack.enter_context(Gate())
    first.chat.message_received.connect(gate)
    first.chat.login(exclusive=database.lease())
    alice.login()
    for body in ("one", "two"):
        alice.chat.send_private(first.id, body).result()
    gate.wait_until_entered()
    first.chat.ping()
    suspend(first, 100.0)
    gate.open()
    loss_of(first)
    assert first.chat.wait_until_idle(TIMEOUT)
    second.chat.login(exclusive=database.lease(), timeout=TIMEOUT)
    second.events.wait(lambda _: "two" in second.bodies)
    assert "two" not in first.bodies
