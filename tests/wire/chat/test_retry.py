"""Receivers that fail for the moment, on the emulator: nothing is left undone, and nothing is done twice."""

from __future__ import annotations

import itertools
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectycube import Chat, ChatState, Handling, Limits, Message, NotConnectedError
from connectycube.cli import main
from connectycube.emulator import Emulator
from tests.support.durable_people import Bot, as_after_a_crash
from tests.support.inside import driver_of
from tests.support.people import PASSWORD, Person, logged_in, settled
from tests.support.waiting import TIMEOUT, Gate, wait_until

FAST = Handling(delay=0.01, max_delay=0.02)
LATER = Handling(delay=30.0)
REFUSED = ConnectionRefusedError("no database")
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """A service for all tests of this module."""
    with Emulator() as running:
        yield running


@pytest.fixture
def alice(alice: Person) -> Person:
    """Logged in already."""
    alice.login()
    return alice


def send(sender: Person, bot: Person, *bodies: str) -> None:
    for body in bodies:
        sender.chat.send_private(bot.id, body).result(TIMEOUT)


class Work:
    """A receiver whose database can be away; ``done`` has what it has done."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.done: list[str | None] = []
        self.failed = threading.Event()

    def __call__(self, chat: Chat, message: Message) -> None:
        if self.away:
            self.failed.set()
            raise REFUSED
        self.done.append(message.body)


def connected(bot: Person, *receivers: Callable[..., object]) -> None:
    for number, receiver in enumerate(receivers):
        bot.chat.message_received.connect(receiver, key=f"receiver {number}")


# --- in memory ---------------------------------------------------------------------------------------


def test_an_outage_of_what_a_receiver_needs_costs_no_message(alice, emulator):
    bot, work, witness = Person.new(emulator, handling=FAST), Work(away=True), Work()
    connected(bot, work, witness)
    bot.login()
    bodies = [str(number) for number in range(20)]
    send(alice, bot, *bodies[:10])
    assert work.failed.wait(TIMEOUT)
    assert work.done == []
    work.away = False
    send(alice, bot, *bodies[10:])
    wait_until(lambda: work.done == bodies)
    assert witness.done == bodies
    bot.chat.logout()


def test_one_worker_goes_on_with_other_conversations(alice, bob, emulator):
    bot = Person.new(emulator, handling=LATER)
    bob.login()

    @bot.chat.message_received.connect
    def work(chat: Chat, message: Message) -> None:
        if message.sender_id == alice.id:
            raise REFUSED

    bot.login()
    send(alice, bot, "one", "two")
    bot.events.wait_for("callback_failed")
    send(bob, bot, *"abc")
    bot.events.wait(lambda events: [*"abc"] == [each for each in bot.bodies if each in "abc"])
    assert "two" not in bot.bodies
    abandoned = bot.chat.logout(timeout=TIMEOUT)
    assert abandoned.queued == 2


def test_an_answer_of_an_attempt_that_failed_is_not_sent_again(alice, emulator):
    bot = Person.new(emulator, handling=FAST)
    attempts = []

    def answer_first(chat: Chat, message: Message) -> None:
        chat.reply(message, "from A").result(TIMEOUT)

    def answer_and_fail(chat: Chat, message: Message) -> None:
        attempts.append(chat.reply(message, "from B").id)
        if len(attempts) == 1:
            raise REFUSED

    connected(bot, answer_first, answer_and_fail)
    bot.login()
    send(alice, bot, "hello")
    wait_until(lambda: len(attempts) == 2)
    settled(bot, alice)
    assert alice.bodies == ["from A", "from B"]
    assert attempts[0] == attempts[1]
    assert alice.chat.statistics().repeated == 0, "nothing was repeated on the wire either"
    bot.chat.logout()


@pytest.mark.parametrize("own_id", [False, True], ids=["no id", "an id of its own"])
def test_an_answer_that_an_earlier_attempts_message_replaces_is_told(
    alice, emulator, caplog, own_id
):
    bot, attempts = Person.new(emulator, handling=FAST), []

    @bot.chat.message_received.connect(key="balance")
    def balance(chat: Chat, message: Message) -> None:
        attempts.append(message.id)
        if len(attempts) < 3:
            wait = Message(body="wait", id=secrets.token_hex(12)) if own_id else "wait"
            chat.reply(message, wait).result(TIMEOUT)
            raise REFUSED
        chat.reply(message, "your balance is 5").result(TIMEOUT)

    bot.login()
    send(alice, bot, "balance?")
    wait_until(lambda: len(attempts) == 3)
    assert bot.chat.wait_until_idle(TIMEOUT)
    settled(bot, alice)
    warnings = [each for each in caplog.messages if "was not sent: receiver balance" in each]
    assert alice.bodies == (["wait", "wait", "your balance is 5"] if own_id else ["wait"])
    assert len(warnings) == (0 if own_id else 1)
    assert own_id or "Message(id=secrets.token_hex(12)" in warnings[0]
    bot.chat.logout()


def test_what_a_manager_sends_takes_no_answers_place(alice, emulator, caplog):
    bot, attempts = Person.new(emulator, handling=FAST), []

    @bot.chat.around
    @contextmanager
    def excuse(chat: Chat, signal: str, event: Message, receiver: str) -> Iterator[None]:
        try:
            yield
        except ConnectionRefusedError:
            chat.reply(event, "wait").result(TIMEOUT)
            raise

    @bot.chat.message_received.connect(key="balance")
    def balance(chat: Chat, message: Message) -> None:
        attempts.append(chat.reply(message, "one moment").id)
        if len(attempts) < 3:
            raise REFUSED
        chat.reply(message, "your balance is 5").result(TIMEOUT)

    bot.login()
    send(alice, bot, "balance?")
    wait_until(lambda: len(attempts) == 3)
    assert bot.chat.wait_until_idle(TIMEOUT)
    settled(bot, alice)
    assert alice.bodies == ["one moment", "wait", "wait", "your balance is 5"]
    assert len(set(attempts)) == 1
    assert "was not sent" not in caplog.text
    bot.chat.logout()


def test_what_a_done_callback_sends_takes_no_answers_place(alice, emulator):
    bot, answers, told = Person.new(emulator, handling=FAST), [], []

    @bot.chat.message_received.connect(key="balance")
    def balance(chat: Chat, message: Message) -> None:
        first = chat.reply(message, "one moment")
        first.result(TIMEOUT)
        # Its outcome is known, so the callback is called here.
        first.add_done_callback(lambda handle: told.append(chat.reply(message, "sent").id))
        answers.append(chat.reply(message, "your balance is 5").id)
        if len(answers) < 2:
            raise REFUSED

    bot.login()
    send(alice, bot, "balance?")
    wait_until(lambda: len(answers) == 2)
    settled(bot, alice)
    assert alice.bodies == ["one moment", "sent", "your balance is 5", "sent"]
    assert answers[0] == answers[1] and told[0] != told[1]
    bot.chat.logout()


@pytest.mark.parametrize("is_destroyed", [False, True], ids=["logout", "destroy"])
def test_what_waits_for_one_user_never_reaches_another(alice, emulator, caplog, is_destroyed):
    bot, other, work = Person.new(emulator, handling=FAST), Person.new(emulator), Work(away=True)
    connected(bot, work)
    bot.login()
    send(alice, bot, "for the first user", "and its next")
    assert work.failed.wait(TIMEOUT)
    settled_but_waiting(bot, 2)
    abandoned = bot.chat.destroy() if is_destroyed else bot.chat.logout()
    assert abandoned.queued == 2
    connected(bot, work)
    work.away = False
    bot.chat.login(other.id, PASSWORD)
    send(alice, other, "for the second user")
    wait_until(lambda: "for the second user" in work.done)
    assert bot.chat.wait_until_idle(TIMEOUT)
    assert work.done == ["for the second user"]
    assert (
        f"abandoned: 2 queued events{'' if is_destroyed else f' of user {bot.id}'}" in caplog.text
    )
    bot.chat.logout()


@pytest.mark.parametrize("itself", [False, True], ids=["another thread", "the receiver"])
def test_a_receiver_of_one_user_sends_nothing_as_another(alice, emulator, itself):
    bot, other, gate = Person.new(emulator), Person.new(emulator), Gate()
    answers, refused = [], []

    def change() -> None:
        bot.chat.logout(timeout=0.1)
        bot.chat.login(other.id, PASSWORD)

    @bot.chat.message_received.connect
    def balance(chat: Chat, message: Message) -> None:
        gate()
        try:
            if itself:
                change()
            answers.append(chat.reply(message, "5").result(TIMEOUT))
        except NotConnectedError as error:
            refused.append(str(error))

    bot.login()
    send(alice, bot, "balance?")
    gate.wait_until_entered()
    if not itself:
        change()
    gate.open()
    assert bot.chat.wait_until_idle(TIMEOUT)
    if itself:
        assert len(answers) == 1
    else:
        words = (
            f"this receiver was called for user {bot.id}, and user {other.id} has logged in since"
        )
        assert (answers, refused) == ([], [words])
    bot.chat.logout()


def test_a_later_login_of_the_same_user_goes_on_with_what_waits(alice, emulator):
    bot, work = Person.new(emulator, handling=FAST), Work(away=True)
    connected(bot, work)
    bot.login()
    send(alice, bot, "one", "two")
    assert work.failed.wait(TIMEOUT)
    settled_but_waiting(bot, 2)
    bot.chat.logout()
    work.away = False
    bot.login()
    wait_until(lambda: work.done == ["one", "two"])
    bot.chat.logout()


def test_a_receiver_that_still_runs_at_the_login_of_another_runs_once(alice, emulator):
    bot, other, gate, attempts = (
        Person.new(emulator, handling=FAST),
        Person.new(emulator),
        Gate(),
        [],
    )

    @bot.chat.message_received.connect
    def work(chat: Chat, message: Message) -> None:
        attempts.append(message.body)
        gate(chat, message)
        raise REFUSED

    bot.login()
    send(alice, bot, "for the first user")
    gate.wait_until_entered()
    bot.chat.logout(timeout=0.0)
    bot.chat.login(other.id, PASSWORD)
    gate.open()
    assert bot.chat.wait_until_idle(TIMEOUT)
    assert attempts == ["for the first user"]
    bot.chat.logout()


def settled_but_waiting(bot: Person, queued: int) -> None:
    """Wait until the bot has so many events whose receiver is to run again, with all that follow."""
    bot.chat.ping(TIMEOUT)
    dispatcher = driver_of(bot.chat).dispatcher
    wait_until(lambda: dispatcher.queued == queued and not dispatcher._ready)


# --- durable -----------------------------------------------------------------------------------------


def test_the_next_process_runs_only_the_receiver_that_had_failed(make, alice):
    bot, first, work = make(handling=LATER), Work(), Work(away=True)
    connected(bot, first, work)
    bot.chat.login()
    send(alice, bot, "one", "two")
    assert work.failed.wait(TIMEOUT)
    bot.chat.ping(TIMEOUT)  # so that all of it has arrived
    assert not bot.chat.logout(timeout=TIMEOUT)
    assert (first.done, work.done) == (["one"], [])
    born, first, work = make(), Work(), Work()
    connected(born, first, work)
    born.chat.login()
    wait_until(lambda: work.done == ["one", "two"])
    assert first.done == ["two"]


def test_an_outage_over_several_restarts_costs_no_message(make, alice):
    done: list[str | None] = []
    for number in range(3):
        bot, work = make(handling=FAST), Work()
        work.done = done  # the same database
        connected(bot, work)
        bot.chat.login()
        send(alice, bot, f"{number} before")
        wait_until(lambda last=f"{number} before": last in done)
        work.away = True
        send(alice, bot, *(f"{number} {word}" for word in ("one", "two", "three")))
        assert work.failed.wait(TIMEOUT)
        bot.chat.ping(TIMEOUT)  # so that all of it has arrived
        assert not bot.chat.logout(timeout=TIMEOUT)
    bot, work = make(), Work()
    work.done = done
    connected(bot, work)
    bot.chat.login()
    words = ("before", "one", "two", "three")
    wait_until(lambda: len(done) == 12)
    assert done == [f"{number} {word}" for number in range(3) for word in words]


def test_the_same_process_goes_on_at_its_next_login(make, alice):
    bot, work = make(handling=LATER), Work(away=True)
    connected(bot, work)
    bot.chat.login()
    send(alice, bot, "one", "two")
    assert work.failed.wait(TIMEOUT)
    bot.chat.logout()
    work.away = False
    bot.chat.login()
    wait_until(lambda: work.done == ["one", "two"])


def test_two_receivers_answer_once_each_whenever_the_process_dies(make, alice, copy):
    gate, sent = Gate(), threading.Event()

    def answer(chat: Chat, message: Message) -> None:
        chat.reply(message, "from A").result(TIMEOUT)

    def answer_and_fail(chat: Chat, message: Message) -> None:
        chat.reply(message, "from B").result(TIMEOUT)
        if not message.redelivered and not sent.is_set():
            sent.set()
            gate(chat)
            raise REFUSED

    dead = make()
    connected(dead, answer, answer_and_fail)
    dead.chat.login()
    send(alice, dead, "hello")
    gate.wait_until_entered()
    as_after_a_crash(dead.path, copy)
    born = make(copy)
    connected(born, answer, answer_and_fail)
    born.chat.login()
    born.chat.send_private(alice.id, "the end").result(TIMEOUT)
    gate.open()
    settled(born)
    alice.events.wait(lambda events: "the end" in alice.bodies)
    assert sorted(alice.bodies) == ["from A", "from B", "the end"]


@pytest.fixture
def peer(emulator: Emulator) -> Iterator[Person]:
    """A user with REST and chat."""
    name = f"peer-{next(_numbers)}"
    emulator.add_user(name, "a password of the peer")
    person = Person.in_chat(emulator, name, "a password of the peer")
    yield person
    person.cube.close()


def test_every_event_that_the_file_covers_is_kept(make, peer, copy, emulator, stack):
    dead, gate = make(), Gate()
    dead.chat.message_received.connect(gate, key="gate")
    dead.chat.login()
    dialog = peer.cube.dialogs.create_private(dead.id)
    sent = peer.chat.send_message(dialog, "hello").result(TIMEOUT)
    gate.wait_until_entered()
    peer.chat.edit_message(dialog, sent, "hello!").result(TIMEOUT)
    peer.cube.messages.add_reaction(sent.id, "like")
    peer.chat.send_system_message(dead.id, {"k": "1"}).result(TIMEOUT)
    device = Person.in_chat(emulator, dead.name)
    stack.callback(device.cube.close)
    own = Message(body="of the other device", markable=False)  # so that no 'delivered' follows
    device.chat.send_private(peer.id, own).result(TIMEOUT)
    peer.chat.delete_message(dialog, sent).result(TIMEOUT)
    dead.chat.ping(TIMEOUT)
    as_after_a_crash(dead.path, copy)
    gate.open()
    born = make(copy).with_new_receivers()
    born.chat.login()
    born.events.wait_for("message_received")
    others = (
        "own_message_received",
        "system_message_received",
        "message_edited",
        "message_deleted",
    )
    for signal in others:
        [event] = born.events.wait_for(signal)
        assert type(event) is getattr(born.chat, signal).event
    [reaction] = born.events.wait_for("reaction_changed")
    assert reaction.added == ("like",)
    names = [name for name, _ in born.events.all if name.startswith("message_")]
    assert names == ["message_received", "message_edited", "message_deleted"]


def test_a_conversation_that_waits_never_closes_the_link(make, alice, bob):
    bot, work = make(handling=FAST, limits=Limits(queued_events=20)), Work(away=True)
    bob.login()
    connected(bot, work)
    bot.chat.login()
    bodies = [str(number) for number in range(60)]
    with bot.chat.events(bot.chat.message_received, TIMEOUT) as stream:
        for body in bodies:
            send(alice, bot, body)
            assert stream.next().body == body
            assert work.failed.wait(TIMEOUT)  # from then on its conversation waits
    assert driver_of(bot.chat).dispatcher.queued <= 20
    send(bob, bot, "of Bob")  # whose conversation waits, too
    work.away = False
    wait_until(lambda: len(work.done) == 61)
    assert [body for body in work.done if body != "of Bob"] == bodies
    assert ChatState.FORCE_CLOSED not in bot.states
    bot.chat.logout()
    store = bot.left()
    assert store.inbox() == []
    store.close()


def test_however_many_conversations_wait_the_link_stays(make, emulator):
    people = [Person.new(emulator) for _ in range(8)]
    bot, work = make(handling=FAST, limits=Limits(queued_events=10)), Work(away=True)
    connected(bot, work)
    done: dict[int | None, list[str | None]] = {person.id: [] for person in people}
    bot.chat.message_received.connect(
        lambda chat, message: done[message.sender_id].append(message.body), key="receiver 1"
    )
    with logged_in(*people, bot):
        bodies = [str(number) for number in range(12)]
        with bot.chat.events(bot.chat.message_received, TIMEOUT) as stream:
            for person in people:
                for body in bodies:
                    send(person, bot, body)
                    assert stream.next().body == body
                    assert work.failed.wait(TIMEOUT)
                work.failed.clear()
        assert driver_of(bot.chat).dispatcher.queued <= 10
        work.away = False
        assert bot.chat.wait_until_idle(TIMEOUT)
        assert done == {person.id: bodies for person in people}
        assert len(work.done) == 8 * 12
        assert ChatState.FORCE_CLOSED not in bot.states


def test_a_backlog_that_waits_is_left_in_the_file_and_keeps_its_order(make, alice, bob):
    bot, gate = make(handling=FAST, limits=Limits(queued_events=10)), Gate()
    bob.login()
    done: dict[int | None, list[str | None]] = {alice.id: [], bob.id: []}
    away = True

    @bot.chat.message_received.connect
    def work(chat: Chat, message: Message) -> None:
        if message.body == "first":
            gate(chat, message)
        if away:
            raise REFUSED
        done[message.sender_id].append(message.body)

    bot.chat.login()
    send(alice, bot, "first")
    gate.wait_until_entered()
    bodies = [str(number) for number in range(9)]
    send(alice, bot, *bodies)
    bot.chat.ping(TIMEOUT)
    gate.open()
    wait_until(lambda: driver_of(bot.chat).dispatcher.queued == 0)
    send(alice, bot, "last")
    send(bob, bot, *bodies)
    bot.chat.ping(TIMEOUT)
    assert ChatState.FORCE_CLOSED not in bot.states
    away = False
    assert bot.chat.wait_until_idle(TIMEOUT)
    assert done == {alice.id: ["first", *bodies, "last"], bob.id: bodies}
    bot.chat.logout()


@pytest.mark.parametrize("error", [REFUSED, ValueError("wrong")], ids=["transient", "permanent"])
def test_what_fails_during_the_close_is_before_its_later_events(make, alice, bob, error):
    bot, gate, runs = make(handling=FAST), Gate(), []
    bob.login()

    @bot.chat.message_received.connect
    def work(chat: Chat, message: Message) -> None:
        gate(chat, message)
        runs.append((message.body, message.redelivered))
        if message.body == "a" and not message.redelivered:
            chat.logout()
            raise error

    bot.chat.login()
    send(alice, bot, "a", "b", "c")
    send(bob, bot, "of Bob")
    gate.wait_until_entered()
    bot.chat.ping(TIMEOUT)
    gate.open()
    wait_until(lambda: bot.chat.state is ChatState.CLOSED and ("of Bob", False) in runs)
    wait_until(lambda: not driver_of(bot.chat).dispatcher.is_working)
    assert runs == [("a", False), ("of Bob", False)]
    bot.chat.login()
    wait_until(lambda: len(runs) == 5)
    assert runs[2:] == [("a", True), ("b", True), ("c", True)]
    bot.chat.logout()


@pytest.mark.parametrize("end", ["logout", "destroy"])
def test_what_the_file_keeps_is_not_abandoned(make, alice, end):
    bot, gate = make(), Gate()
    bot.chat.message_received.connect(gate)
    bot.chat.login()
    send(alice, bot, "one", "two", "three")
    gate.wait_until_entered()
    bot.chat.ping(TIMEOUT)
    abandoned = getattr(bot.chat, end)(timeout=0.2)
    gate.open()
    assert (abandoned.queued, abandoned.running) == (0, 1)


def test_what_stayed_in_the_file_is_there_for_the_next_process(make, alice):
    bot, work = make(handling=LATER, limits=Limits(queued_events=6)), Work(away=True)
    connected(bot, work)
    bot.chat.login()
    bodies = [str(number) for number in range(20)]
    send(alice, bot, *bodies)
    bot.chat.ping(TIMEOUT)
    assert not bot.chat.logout(timeout=TIMEOUT)
    born, work = make(limits=Limits(queued_events=6)), Work()
    connected(born, work)
    born.chat.login()
    send(alice, born, "new")
    wait_until(lambda: work.done == [*bodies, "new"])


# --- dead letters ------------------------------------------------------------------------------------


def give_up(bot: Bot, sender: Person) -> list[str]:
    """Let one of two receivers give a message up; return what they did afterwards."""
    done: list[str] = []

    @bot.chat.message_received.connect(key="broken")
    def broken(chat: Chat, message: Message) -> None:
        if not done:
            raise ValueError("wrong")
        done.append("broken")

    bot.chat.message_received.connect(lambda chat, message: done.append("other"), key="other")
    bot.chat.login()
    send(sender, bot, "hello")
    bot.events.wait_for("receiver_gave_up")
    wait_until(lambda: done == ["other"])
    return done


def test_what_is_given_up_is_a_dead_letter_and_leaves_the_inbox(make, alice):
    bot = make()
    give_up(bot, alice)
    [gave_up] = bot.events.of("receiver_gave_up")
    assert (gave_up.receiver, gave_up.signal, gave_up.attempts) == ("broken", "message_received", 1)
    [letter] = bot.chat.dead_letters()
    assert (letter.event.body, letter.receiver, str(letter.error)) == ("hello", "broken", "wrong")
    assert bot.chat.dead_letters().path == f"{bot.path}.dead"
    settled(bot)
    bot.chat.logout()
    store = bot.left()
    assert store.inbox() == []
    store.close()
    assert [each.id for each in bot.chat.dead_letters()] == [letter.id]


def test_a_retry_runs_the_receiver_of_the_letter_alone(make, alice):
    bot = make()
    done = give_up(bot, alice)
    [letter] = bot.chat.dead_letters()
    assert main(["dead", "retry", str(bot.path), str(letter.id)]) == 0
    wait_until(lambda: done == ["other", "broken"])
    settled(bot)
    assert list(bot.chat.dead_letters()) == []
    assert bot.bodies == ["hello"]


def test_a_letter_that_is_retried_while_nobody_runs_is_for_the_next_login(make, alice):
    bot = make()
    done = give_up(bot, alice)
    bot.chat.logout()
    letters = bot.chat.dead_letters()
    letters.retry(next(iter(letters)).id)
    bot.chat.login()
    wait_until(lambda: done == ["other", "broken"])


def test_a_retried_letter_stays_until_its_receiver_is_done_with_it(make, alice, copy):
    bot = make()
    give_up(bot, alice)
    letters = bot.chat.dead_letters()
    letters.retry(next(iter(letters)).id)
    bot.chat.logout()

    dying, away = make(path=bot.path, handling=LATER), Work(away=True)
    dying.chat.message_received.connect(away, key="broken")
    dying.chat.login()
    assert away.failed.wait(TIMEOUT)
    assert [letter.is_marked for letter in letters] == [True]
    as_after_a_crash(dying.path, copy)
    as_after_a_crash_of_letters(dying.path, copy)
    dying.chat.logout()

    without = make(path=copy)
    without.chat.message_received.connect(Work(), key="another")
    without.chat.login()
    settled(without)
    assert [letter.is_marked for letter in without.chat.dead_letters()] == [True]
    late = Work()
    without.chat.message_received.connect(late, key="broken")
    wait_until(lambda: late.done == ["hello"])
    settled(without)
    assert list(without.chat.dead_letters()) == []
    without.chat.logout()
    store = without.left()
    assert store.inbox() == []
    store.close()


def as_after_a_crash_of_letters(path: Path, copy: Path) -> None:
    shutil.copy(f"{path}.dead", f"{copy}.dead")


def test_an_error_of_which_no_text_can_be_made_keeps_the_event(make, alice):
    class Bad(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    bot, fails = make(), True

    @bot.chat.message_received.connect(key="broken")
    def broken(chat: Chat, message: Message) -> None:
        if fails:
            raise Bad

    bot.chat.login()
    send(alice, bot, "hello")
    bot.events.wait_for("callback_failed")
    settled(bot)
    assert not bot.chat.logout()
    store = bot.left()  # nobody has it open any more
    assert len(store.inbox()) + len(bot.chat.dead_letters()) == 1
    store.close()


@pytest.mark.parametrize("place", ["handled", "note_done"])
def test_a_defect_in_a_task_leaves_the_event_and_closes_the_file(make, alice, place, monkeypatch):
    bot = make()
    connected(bot, Work(), *([] if place == "handled" else [Work(away=True)]))

    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("a defect")

    bot.chat.login()
    monkeypatch.setattr(driver_of(bot.chat)._durability, place, fail)
    send(alice, bot, "hello")
    settled_but_defective(bot)
    bot.chat.logout()
    store = bot.left()
    assert [entry.event.body for entry in store.inbox()] == ["hello"]
    store.close()


def settled_but_defective(bot: Person) -> None:
    bot.chat.ping(TIMEOUT)
    wait_until(lambda: not driver_of(bot.chat)._durability._in_hand)


def test_an_event_whose_letter_cannot_be_written_is_left_to_the_next_login(make, alice, caplog):
    bot, fail = make(), True

    @bot.chat.message_received.connect(key="broken")
    def broken(chat: Chat, message: Message) -> None:
        if fail:
            raise ValueError("wrong")
        done.set()

    done = threading.Event()
    dead = bot.path.with_name("bot.db.dead")
    dead.mkdir()
    bot.chat.login()
    send(alice, bot, "hello")
    bot.events.wait_for("callback_failed")
    settled(bot)
    bot.chat.logout()
    assert "the event is left to the next login" in caplog.text
    dead.rmdir()
    fail = False
    bot.chat.login()
    assert done.wait(TIMEOUT)
