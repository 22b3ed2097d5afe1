"""Relays and workers on each engine, with a real chat: what handlers see, and what follows on errors."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from connectycube import (
    ArgumentTypeError,
    ArgumentValueError,
    ConnectyCube,
    DialogRef,
    Handling,
    Message,
)
from connectycube.contrib.opentelemetry import traced_worker
from connectycube.contrib.relay import Engine, EngineUnavailableError, Relay, Worker
from connectycube.contrib.relay.envelope import Envelope
from connectycube.contrib.relay.topics import events_topic
from tests.support.people import PASSWORD, Person
from tests.support.telemetry import Telemetry, telemetry
from tests.support.waiting import TIMEOUT, wait_until

FAST = Handling(delay=0.01, max_delay=0.05)
PARTITIONS = 4
_logins = itertools.count(1)


@pytest.fixture
def at_work() -> Iterator[Callable[[Worker], Worker]]:
    """Run a worker on a thread until the end of the test."""
    running: list[tuple[Worker, threading.Thread]] = []

    def begin(worker: Worker) -> Worker:
        thread = threading.Thread(target=worker.run)
        thread.start()
        running.append((worker, thread))
        return worker

    yield begin
    for worker, thread in running:
        worker.stop()
        thread.join(TIMEOUT)
        assert not thread.is_alive()


@pytest.fixture
def new_worker(new_engine: Callable[..., Engine]) -> Callable[..., Worker]:
    def make(**options: object) -> Worker:
        options = {"handling": FAST, "partitions": PARTITIONS, **options}
        return Worker(new_engine(), **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def hand_over(engine: Engine) -> Callable[..., None]:
    """Add events as a relay does, without a chat."""
    topic = events_topic(("workers",), PARTITIONS, 100_000)
    engine.declare(topic)

    def add(*bodies: str, key: str = "user:3") -> None:
        for body in bodies:
            message = Message(id=f"{next(_logins):024x}", body=body, dialog=DialogRef.private(3))
            envelope = Envelope(f"event-{body}", 7, "message_received", key, message)
            engine.add(topic, key, envelope.id, envelope.to_json())

    return add


class Seen:
    """What a handler was called with, and what it is to raise."""

    def __init__(self, *errors: Exception | None) -> None:
        self.calls: list[tuple[str | None, int, bool]] = []
        self._errors = [*errors]

    def __call__(self, event, context):
        self.calls.append((event.body, context.attempt, context.repeated))
        error = self._errors.pop(0) if self._errors else None
        if error is not None:
            raise error

    def wait(self, count):
        wait_until(lambda: len(self.calls) >= count, f"{count} calls of {self.calls}")
        return self.calls


def test_events_are_handled_in_order(hand_over, new_worker, at_work):
    worker, seen = new_worker(), Seen()
    worker.on("message_received")(seen)
    hand_over("a", "b", "c")
    at_work(worker)
    assert [body for body, *_ in seen.wait(3)] == ["a", "b", "c"]
    assert seen.calls[0] == ("a", 1, False)


def test_an_error_that_passes_is_repeated_before_later_events(hand_over, new_worker, at_work):
    worker, seen = new_worker(), Seen(ConnectionRefusedError(), ConnectionRefusedError())
    worker.on("message_received")(seen)
    hand_over("a", "b")
    at_work(worker)
    assert seen.wait(4)[:4] == [
        ("a", 1, False),
        ("a", 2, True),
        ("a", 3, True),
        ("b", 1, seen.calls[3][2]),
    ]


def test_another_error_is_a_dead_letter_at_once(hand_over, new_worker, at_work, engine, caplog):
    worker, seen = new_worker(), Seen(ValueError("on purpose"))
    worker.on("message_received")(seen)
    hand_over("a", "b")
    at_work(worker)
    seen.wait(2)
    (letter,) = wait_until(engine.letters)
    assert (letter.event_id, letter.error, letter.attempts) == (
        "event-a",
        "ValueError: on purpose",
        1,
    )
    assert "event event-a of message_received is a dead letter after 1 attempts" in caplog.text
    engine.retry_letters([letter.id])
    assert seen.wait(3)[2][0] == "a"


def test_the_last_attempt_ends_in_a_dead_letter(hand_over, new_worker, at_work, engine):
    worker, seen = new_worker(attempts=3), Seen(*[ConnectionRefusedError("away")] * 5)
    worker.on("message_received")(seen)
    hand_over("a")
    at_work(worker)
    (letter,) = wait_until(engine.letters)
    assert letter.attempts == len(seen.calls) == 3


def test_an_envelope_that_cannot_be_read_is_a_dead_letter(engine, hand_over, new_worker, at_work):
    topic = events_topic(("workers",), PARTITIONS, 100_000)
    for number, body in enumerate((b"{}", b"\xff\xfe", b'{"schema": 2}')):
        engine.add(topic, "user:3", f"bad-{number}", body)
    hand_over("good")
    worker, seen = new_worker(), Seen()
    worker.on("message_received")(seen)
    at_work(worker)
    seen.wait(1)
    letters = wait_until(lambda: len(found := engine.letters()) == 3 and found)
    assert [letter.body for letter in letters] == [b"{}", b"\xff\xfe", b'{"schema": 2}']
    assert "schema 2, and this release reads 1" in letters[2].error


def test_an_event_without_a_handler_is_passed_over(hand_over, new_worker, at_work):
    worker = new_worker()
    worker.on("message_edited")(lambda event, context: None)
    hand_over("a")
    at_work(worker)
    wait_until(lambda: worker.counts.handled == 1)


def test_context_managers_are_around_each_call(hand_over, new_worker, at_work):
    worker, seen, entered = new_worker(), Seen(ConnectionRefusedError()), []

    @worker.around
    @contextmanager
    def around(event, context):
        entered.append(context.attempt)
        yield

    worker.on("message_received")(seen)
    hand_over("a")
    at_work(worker)
    seen.wait(2)
    assert entered == [1, 2]


def test_a_dialog_that_fails_delays_no_other_partition(hand_over, new_worker, at_work):
    worker = new_worker(handling=Handling(delay=30, max_delay=60))
    seen = Seen(ConnectionRefusedError())
    worker.on("message_received")(seen)
    hand_over("first", key="user:0")
    at_work(worker)
    seen.wait(1)
    for number in range(1, 20):
        hand_over(f"other {number}", key=f"user:{number}")
    assert len(seen.wait(10)) >= 10


def test_wrong_arguments_of_a_worker_name_themselves(new_engine):
    engine = new_engine()
    with pytest.raises(ArgumentValueError, match="did you mean"):
        Worker(engine).on("mesage_received")
    with pytest.raises(ArgumentValueError, match="group"):
        Worker(engine, group="two words")
    with pytest.raises(ArgumentTypeError, match="groups must be several names"):
        Relay(engine, groups="workers")
    worker = Worker(engine)
    worker.on("message_received")(Seen())
    with pytest.raises(ArgumentValueError, match="a worker of another group"):
        worker.on("message_received")(lambda event, context: None)
    with pytest.raises(ArgumentTypeError, match="handler"):
        worker.on("message_edited")(lambda event: None)


# --- with a chat ------------------------------------------------------------------------------------


@pytest.fixture
def alice(emulator) -> Iterator[Person]:
    emulator.add_user("relay-alice", PASSWORD)
    person = Person.in_chat(emulator, "relay-alice")
    with person.cube:
        yield person


@pytest.fixture
def relayed(emulator, new_engine) -> Iterator[Callable[..., Person]]:
    """A bot whose chat is attached to a relay, and logged in."""
    ends: list[Callable[[], object]] = []
    emulator.add_user("relay-bot", PASSWORD)

    def begin(signals=("message_received",), has_cursor=False, engine=None, **options):
        relay = Relay(engine or new_engine(), partitions=PARTITIONS, **options)
        store = {"cursor_store": relay.cursor("bot")} if has_cursor else {}
        bot = Person.with_session(emulator, "relay-bot", **store)
        relay.attach(bot.chat, signals)
        bot.login()
        ends.extend((relay.close, bot.cube.close))
        return bot

    yield begin
    for end in reversed(ends):
        end()


@pytest.mark.parametrize("has_cursor", [False, True])
def test_an_answer_comes_back_through_the_outbox(alice, relayed, new_worker, at_work, has_cursor):
    worker = new_worker()

    @worker.on("message_received")
    def answer(message, context):
        context.reply(f"re: {message.body}", number=1)
        context.reply("and another")

    at_work(worker)
    bot = relayed(has_cursor=has_cursor)
    alice.chat.send_private(bot.id, "hello")
    first, second = alice.events.wait_for("message_received", 2)
    assert (first.body, first.custom["number"], second.body) == ("re: hello", "1", "and another")


def test_a_repeated_answer_has_the_same_id(alice, relayed, new_worker, at_work):
    worker, ids = new_worker(), []

    @worker.on("message_received")
    def answer(message, context):
        ids.append(context.reply("once"))
        if context.attempt < 3:
            raise ConnectionRefusedError

    at_work(worker)
    bot = relayed()
    alice.chat.send_private(bot.id, "hello")
    wait_until(lambda: len(ids) == 3)
    alice.chat.send_private(bot.id, "again")
    received = alice.events.wait_for("message_received", 2)
    wait_until(lambda: len(ids) == 6)
    assert [message.id for message in received] == [ids[0], ids[3]]
    assert len({*ids}) == 2


def test_an_answer_over_rest_is_sent_once(alice, relayed, emulator, new_worker, at_work):
    worker, sent = new_worker(), []
    with ConnectyCube(config=emulator.config()) as client:
        client.login(login="relay-bot", password=PASSWORD)

        @worker.on("message_received")
        def answer(message, context):
            sent.append(context.reply_over_rest(client, "once").id)
            if context.attempt < 3:
                raise ConnectionRefusedError

        at_work(worker)
        bot = relayed()
        alice.chat.send_private(bot.id, "hello")
        wait_until(lambda: len(sent) == 3)
        (message,) = alice.events.wait_for("message_received")
        assert {*sent} == {message.id}
        assert message.custom["in_reply_to"]


def test_an_event_that_was_added_without_a_word_is_known_as_repeated(
    alice, relayed, new_engine, new_worker, at_work, monkeypatch
):
    engine, worker, seen = new_engine(), new_worker(), Seen()
    add, answers = engine.add, [EngineUnavailableError("the answer was lost"), None]

    def lose_the_first_answer(topic, key, event_id, body):
        answer = answers.pop(0)
        add(topic, key, f"{event_id}{len(answers)}", body)  # as with an engine that knows no ids
        if answer is not None:
            raise answer
        return True

    monkeypatch.setattr(engine, "add", lose_the_first_answer)
    worker.on("message_received")(seen)
    bot = relayed(engine=engine)
    alice.chat.send_private(bot.id, "hello")
    wait_until(lambda: not answers)
    at_work(worker)
    assert [repeated for _, _, repeated in seen.wait(2)] == [False, True]


def test_the_trace_of_a_message_reaches_the_handler(alice, relayed, new_worker, at_work):
    worker, traces = new_worker(), []
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    worker.on("message_received")(lambda event, context: traces.append(context.traceparent))
    at_work(worker)
    bot = relayed()
    alice.chat.send_private(bot.id, "hello", custom={"traceparent": trace})
    alice.chat.send_private(bot.id, "hello", custom={"traceparent": "nonsense"})
    wait_until(lambda: len(traces) == 2)
    assert traces == [trace, None]


@pytest.fixture
def exported() -> Iterator[Telemetry]:
    """Spans of each client that the test makes after it."""
    with telemetry(propagate=True) as made:
        yield made


def test_a_handler_is_linked_to_the_span_of_the_sender(
    exported, alice, relayed, new_worker, at_work
):
    worker, seen = traced_worker(new_worker(), tracer_provider=exported.tracers), Seen()
    worker.on("message_received")(seen)
    at_work(worker)
    bot = relayed()
    alice.chat.send_private(bot.id, "hello")
    seen.wait(1)
    (sent,) = exported.named("send private")

    def of_handler():
        spans = exported.named("process private")
        return [span for span in spans if "connectycube.receiver" not in span.attributes]

    (received,) = wait_until(of_handler)
    (link,) = received.links
    assert link.context.span_id == sent.context.span_id


def test_an_answer_that_cannot_be_sent_is_a_dead_letter(
    alice, relayed, engine, new_worker, at_work, caplog
):
    worker = new_worker()
    worker.on("message_received")(
        lambda event, context: context.send(DialogRef(id="0" * 24), "lost")
    )
    at_work(worker)
    bot = relayed()
    with caplog.at_level(logging.CRITICAL, logger="connectycube.relay"):
        alice.chat.send_private(bot.id, "hello")
        (letter,) = wait_until(engine.letters)
    assert letter.topic == f"outbox.{bot.id}"


def test_other_signals_are_handed_over_too(alice, relayed, new_worker, at_work):
    worker, seen = new_worker(), []
    worker.on("message_edited")(lambda event, context: seen.append((event.body, context.bot)))
    at_work(worker)
    bot = relayed(signals=("message_received", "message_edited"))
    dialog = alice.cube.dialogs.create_private(bot.id)
    message = alice.chat.send_message(dialog, "helo").result(TIMEOUT)
    alice.chat.edit_message(dialog, message.id, "hello")
    wait_until(lambda: seen == [("hello", bot.id)])
