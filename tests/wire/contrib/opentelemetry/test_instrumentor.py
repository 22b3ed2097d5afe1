"""Spans and metrics of clients that talk to the emulator: names, parents, links; nothing secret in any."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from connectycube import Chat, ChatState, Config, ConnectyCube, Fleet, Handling, Message
from connectycube.contrib.opentelemetry import ConnectyCubeInstrumentor
from tests.support.people import PASSWORD, Person, settled
from tests.support.telemetry import telemetry
from tests.support.waiting import TIMEOUT, Gate, wait_until

BODY = "the text of a message"


@pytest.fixture
def exported():
    with telemetry() as made:
        yield made


@pytest.fixture
def propagating():
    with telemetry(propagate=True) as made:
        yield made


@pytest.fixture
def people(emulator):
    """Make people with a session and a chat; they end with the test."""
    made = []

    def make(name, **options):
        emulator.add_user(name, PASSWORD)
        made.append(Person.in_chat(emulator, name, **options))
        return made[-1]

    yield make
    for person in made:
        person.cube.close()


def trace_of(span):
    return span.context.trace_id, span.context.span_id


def test_names_and_kinds_are_those_of_the_conventions(exported, people):
    anna, bruno = people("anna-login"), people("bruno-login")
    group = anna.cube.dialogs.create_group("a name", [bruno.id])
    anna.chat.send_private(bruno.id, BODY).result(TIMEOUT)
    anna.chat.send_message(group, BODY).result(TIMEOUT)
    bruno.events.wait_for("message_received", 2)
    kinds = {
        "POST /session": SpanKind.CLIENT,
        "POST /chat/Dialog": SpanKind.CLIENT,
        "send private": SpanKind.PRODUCER,
        "send group": SpanKind.PRODUCER,
        "process private": SpanKind.CONSUMER,
        "process group": SpanKind.CONSUMER,
        "state_changed": SpanKind.INTERNAL,
    }
    assert {name: exported.named(name)[0].kind for name in kinds} == kinds
    sent = exported.named("send group")[0]
    assert sent.attributes["messaging.message.conversation_id"] == group.id
    assert not any(group.id in span.name for span in exported.spans)
    received = exported.named("process group")[0]
    assert received.attributes["messaging.message.id"] == sent.attributes["messaging.message.id"]
    assert not received.links


def test_calls_belong_to_the_span_of_their_caller(exported, people):
    anna, bruno = people("anna-login"), people("bruno-login")
    here = []

    @bruno.chat.message_received.connect
    def answer(chat, message):
        here.append(trace_of_current())
        chat.reply(message, "an answer")
        bruno.cube.dialogs.count()

    with exported.tracer.start_as_current_span("the page") as page:
        anna.cube.dialogs.count()
        anna.chat.send_private(bruno.id, BODY).result(TIMEOUT)
    anna.events.wait_for("message_received")
    bruno.cube.close()
    of_receiver = next(
        span
        for span in exported.named("process private")
        if span.attributes["connectycube.receiver"].endswith("answer")
    )
    asked = exported.named("GET /chat/Dialog", 2)
    sent = exported.named("send private", 2)
    parents = {span.parent.span_id for span in (*asked, *sent)}
    assert parents == {page.get_span_context().span_id, of_receiver.context.span_id}
    assert here == [trace_of(of_receiver)]


def trace_of_current():
    where = trace.get_current_span().get_span_context()
    return where.trace_id, where.span_id


def test_a_done_callback_is_linked_to_its_message(exported, people):
    anna, bruno = people("anna-login"), people("bruno-login")
    anna.chat.send_private(bruno.id, BODY).add_done_callback(lambda handle: None)
    (called,) = exported.named("done_callback")
    (sent,) = exported.named("send private")
    (link,) = called.links
    assert (link.context.trace_id, link.context.span_id) == trace_of(sent)


def test_a_receiver_is_linked_to_its_sender_if_asked_for(propagating, people):
    anna, bruno = people("anna-login"), people("bruno-login")
    with propagating.tracer.start_as_current_span("the page") as page:
        anna.chat.send_private(bruno.id, BODY, colour="blue").result(TIMEOUT)
    (message,) = bruno.events.wait_for("message_received")
    assert message.custom.keys() == {"colour", "traceparent"}
    (sent,) = propagating.named("send private")
    (received,) = propagating.named("process private")
    (link,) = received.links
    assert (link.context.trace_id, link.context.span_id) == trace_of(sent)
    assert sent.parent.span_id == page.get_span_context().span_id
    assert received.parent is None


def test_members_of_a_fleet_are_watched_and_linked_as_chats_are(propagating, people, emulator):
    anna, logins = people("anna-login"), ("bert-login", "bodo-login")
    for login in logins:
        emulator.add_user(login, PASSWORD)
    with ConnectyCube(config=emulator.config()) as cube, Fleet(cube) as fleet:
        for login in logins:
            fleet.add({"login": login, "password": PASSWORD}).result(TIMEOUT)
        points = propagating.points()["connectycube.connections"]
        ready = [point for point in points if point.attributes["connectycube.state"] == "ready"]
        assert [point.value for point in ready] == [3]

        @fleet.message_received.connect(key="answer")
        def answer(chat, message):
            chat.reply(message, "an answer")

        for chat in fleet:
            anna.chat.send_private(chat.user, BODY).result(TIMEOUT)
        anna.events.wait_for("message_received", 2)
        received = propagating.named("process private", 4)
        sent = propagating.named("send private", 4)
        by_span = {span.context.span_id: span for span in sent}
        asked = [by_span[span.links[0].context.span_id] for span in received]
        assert {*map(id, asked)} == {*map(id, sent)}, "each receiver is linked to its message"
        answered = [span for span in sent if span.parent is not None]
        inside = [span for span in received if "answer" in span.attributes["connectycube.receiver"]]
        assert {span.parent.span_id for span in answered} == {
            span.context.span_id for span in inside
        }
        fleet.remove(logins[0])
        states = {
            point.attributes["connectycube.state"]: point.value
            for point in propagating.points()["connectycube.connections"]
        }
        assert states["ready"] == 2


def test_nothing_travels_to_others_unless_asked_for(exported, people):
    anna, bruno = people("anna-login"), people("bruno-login")
    anna.chat.send_private(bruno.id, BODY).result(TIMEOUT)
    (message,) = bruno.events.wait_for("message_received")
    assert message.custom == {}


def test_a_chat_that_was_there_before_sends_as_it_did(people):
    anna, bruno = people("anna-login"), people("bruno-login")
    with telemetry(propagate=True) as made:
        anna.chat.send_private(bruno.id, BODY).result(TIMEOUT)
        anna.chat.send_system_message(bruno.id, {"colour": "blue"}).result(TIMEOUT)
        (message,) = bruno.events.wait_for("message_received")
        (system,) = bruno.events.wait_for("system_message_received")
        assert (message.custom, system.custom) == ({}, {"colour": "blue"})
        assert made.spans == []


def test_system_messages_are_linked_too(propagating, people):
    anna, bruno = people("anna-login"), people("bruno-login")
    anna.chat.send_system_message(bruno.id, {"colour": "blue"}).result(TIMEOUT)
    (message,) = bruno.events.wait_for("system_message_received")
    assert message.custom.keys() == {"colour", "traceparent"}
    (sent,) = propagating.named("send system")
    (received,) = propagating.named("process system")
    (link,) = received.links
    assert (link.context.trace_id, link.context.span_id) == trace_of(sent)


@pytest.mark.parametrize("arguments", [("",), (Message(),), ("hello", 5)])
def test_a_wrong_message_is_refused_as_ever(propagating, people, arguments):
    anna = people("anna-login")
    keywords = {"custom": arguments[1]} if len(arguments) > 1 else {}
    with pytest.raises((TypeError, ValueError)):
        anna.chat.send_private(7, arguments[0], **keywords)


def test_a_message_that_is_refused_ends_its_span_as_an_error(propagating, people):
    anna = people("anna-login")
    with pytest.raises(ValueError, match="XML"):
        anna.chat.send_private(7, "\x00")
    (span,) = propagating.named("send")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "ArgumentValueError"


def test_a_forwarded_message_names_its_new_sender(propagating, people):
    anna, bruno = people("anna-login"), people("bruno-login")
    anna.chat.send_private(bruno.id, BODY).result(TIMEOUT)
    (message,) = bruno.events.wait_for("message_received")
    bruno.chat.send_private(anna.id, message).result(TIMEOUT)
    (forwarded,) = anna.events.wait_for("message_received")
    first, second = propagating.named("send private", 2)
    assert message.custom["traceparent"].split("-")[2] == f"{first.context.span_id:016x}"
    assert forwarded.custom["traceparent"].split("-")[2] == f"{second.context.span_id:016x}"


def test_a_repeated_receiver_sends_its_answer_once_and_warns_of_none(propagating, people, caplog):
    quick = Handling(delay=0.01, max_delay=0.05)
    anna, bruno = people("anna-login"), people("bruno-login", handling=quick)
    attempts = []

    @bruno.chat.message_received.connect
    def answer(chat, message):
        chat.reply(message, "an answer")
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionRefusedError

    anna.chat.send_private(bruno.id, BODY).result(TIMEOUT)
    anna.events.wait_for("message_received")
    wait_until(lambda: len(attempts) == 3, "three attempts")
    settled(anna, bruno)
    assert len(anna.bodies) == 1
    assert len(propagating.named("send private", 2)) == 2  # the message and its one answer
    assert "was not sent" not in caplog.text


def test_nothing_secret_or_written_is_in_any_attribute(propagating, people, emulator):
    anna, bruno = people("anna-login"), people("bruno-login")
    anna.cube.users.update(anna.id, phone="+380501234567", full_name="Anna Anders")
    anna.cube.users.get_by(login="bruno-login")

    @bruno.chat.message_received.connect
    def fail(chat, message):
        raise ValueError(message.body)

    anna.chat.send_private(bruno.id, BODY, secret=BODY).result(TIMEOUT)
    bruno.events.wait_for("receiver_gave_up")
    settled(anna, bruno)
    text = propagating.text()
    token = anna.cube.session.token
    secrets = (
        BODY,
        PASSWORD,
        token,
        "-login",
        "380501234567",
        "Anders",
        emulator.config().auth_key,
    )
    assert [secret for secret in secrets if secret in text] == []
    assert "ValueError" in text


def test_numbers_are_of_all_chats_of_the_process(exported, people):
    anna, bruno = people("anna-login"), people("bruno-login")
    with Gate() as gate:
        bruno.chat.message_received.connect(gate)
        for _ in range(3):
            anna.chat.send_private(bruno.id, BODY).result(TIMEOUT)
        gate.wait_until_entered()
        settled(anna)
        wait_until(
            lambda: exported.value_of("connectycube.queue.events") == 2, "two events that wait"
        )
        assert exported.value_of("connectycube.queue.age") > 0
        assert exported.value_of("connectycube.queue.size") > 0
        assert exported.value_of("connectycube.receivers.running") == 1
        assert exported.value_of("connectycube.outbound.unacknowledged") == 0
        assert exported.value_of("connectycube.durable.inbox") == 0
        (states,) = exported.points()["connectycube.connections"]
        assert (states.value, states.attributes) == (2, {"connectycube.state": "ready"})
    bruno.events.wait_for("message_received", 3)
    exported.named("process private", 6)
    (sends,) = exported.points()["messaging.client.operation.duration"]
    assert sends.count == 3
    requests = exported.points()["http.client.request.duration"]
    assert {"POST", "GET"} >= {point.attributes["http.request.method"] for point in requests}


def test_durable_boxes_are_counted(exported, people, tmp_path):
    anna, bruno = people("anna-login"), people("bruno-login", durable=tmp_path / "bot.db")
    with Gate() as gate:
        bruno.chat.message_received.connect(gate, key="gate")
        anna.chat.send_private(bruno.id, BODY).result(TIMEOUT)
        gate.wait_until_entered()
        assert exported.value_of("connectycube.durable.inbox") == 1
    wait_until(lambda: exported.value_of("connectycube.durable.inbox") == 0, "an empty inbox")


def test_a_reconnection_is_counted_by_its_reason(exported, emulator, people):
    carla = people("carla-login")
    emulator.cut(carla.id)
    carla.wait_for_state(ChatState.RESUMED)
    wait_until(lambda: "connectycube.reconnects" in exported.points(), "a reconnection")
    (point,) = exported.points()["connectycube.reconnects"]
    assert point.value == 1
    assert point.attributes == {
        "error.type": type(carla.chat.statistics().last_reason).__qualname__,
        "connectycube.resumed": True,
    }


def test_uninstrument_leaves_nothing_behind(emulator, people):
    before = Config.__init__, Chat.send_message, Chat.send_system_message
    with telemetry(propagate=True) as made:
        anna, bruno = people("anna-login"), people("bruno-login")
        assert made.points()["connectycube.connections"]
        ConnectyCubeInstrumentor().uninstrument()
        settled(anna, bruno)
        count = len(made.spans)
        anna.chat.send_private(bruno.id, BODY).result(TIMEOUT)
        (message,) = bruno.events.wait_for("message_received")
        anna.cube.dialogs.count()
        settled(anna, bruno)
        assert len(made.spans) == count
        assert "connectycube.connections" not in made.points()
    assert message.custom == {}
    assert (Config.__init__, Chat.send_message, Chat.send_system_message) == before
    with ConnectyCube(config=emulator.config()) as cube:
        assert cube.config.observer is None


def test_it_can_be_turned_on_again(emulator, people):
    with telemetry():
        people("anna-login")
    with telemetry() as second:
        people("bruno-login")
        assert second.named("POST /session")
        (states,) = second.points()["connectycube.connections"]
        assert states.value == 1
