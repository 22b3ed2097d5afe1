"""Messages over REST that name the span of their sender, and the receivers that are linked to it."""

from __future__ import annotations

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from connectycube import ArgumentTypeError, ArgumentValueError, ConnectyCube, Message, NotFoundError
from connectycube.contrib.opentelemetry import ConnectyCubeInstrumentor
from tests.support.people import PASSWORD, Person
from tests.support.telemetry import telemetry

BODY = "the text of a message"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def propagating():
    with telemetry(propagate=True) as made:
        yield made


@pytest.fixture
def anna(emulator, propagating):
    """A client with a session and no chat; it is watched."""
    emulator.add_user("anna-login", PASSWORD)
    with ConnectyCube(config=emulator.config()) as cube:
        cube.login(login="anna-login", password=PASSWORD)
        yield cube


@pytest.fixture
def bruno(emulator, propagating):
    emulator.add_user("bruno-login", PASSWORD)
    person = Person.in_chat(emulator, "bruno-login")
    with person.cube:
        yield person


def where(context):
    return context.trace_id, context.span_id


@pytest.mark.parametrize("place", ["user", "private", "id", "group"])
def test_a_receiver_is_linked_to_a_message_over_rest(propagating, anna, bruno, place):
    to = {
        "user": lambda: bruno.id,
        "private": lambda: anna.dialogs.create_private(bruno.id),
        "id": lambda: anna.dialogs.create_private(bruno.id).id,
        "group": lambda: anna.dialogs.create_group("a name", [bruno.id]),
    }[place]()
    kind = "group" if place == "group" else "private"
    with propagating.tracer.start_as_current_span("the page") as page:
        made = anna.messages.create(to, BODY, send_to_chat=True, colour="blue")
    (message,) = bruno.events.wait_for("message_received")
    assert message.custom.keys() == {"colour", "traceparent"}
    (sent,) = propagating.named(f"send {kind}")
    (received,) = propagating.named(f"process {kind}")
    (link,) = received.links
    assert where(link.context) == where(sent.context)
    assert received.parent is None
    assert (sent.kind, where(sent.parent)) == (SpanKind.PRODUCER, where(page.get_span_context()))
    assert sent.attributes["messaging.message.id"] == made.id
    assert sent.attributes["messaging.message.conversation_id"] == made.dialog_id
    (request,) = propagating.named("POST /chat/Message")
    assert where(request.parent) == where(sent.context)


def test_a_system_message_over_rest_is_linked_too(propagating, anna, bruno):
    anna.messages.create_system(bruno.id, {"colour": "blue"})
    (message,) = bruno.events.wait_for("system_message_received")
    assert message.custom.keys() == {"colour", "traceparent"}
    (sent,) = propagating.named("send system")
    (received,) = propagating.named("process system")
    assert where(received.links[0].context) == where(sent.context)


@pytest.mark.parametrize("given", [{"custom": {"traceparent": TRACE}}, {"traceparent": TRACE}])
def test_a_parameter_of_the_application_is_kept(anna, bruno, given):
    anna.messages.create(bruno.id, BODY, send_to_chat=True, **given)
    (message,) = bruno.events.wait_for("message_received")
    assert message.custom == {"traceparent": TRACE}


def test_a_message_that_is_forwarded_over_rest_names_its_new_sender(propagating, anna, bruno):
    anna.messages.create(
        bruno.id, Message(body=BODY, custom={"traceparent": TRACE}), send_to_chat=True
    )
    (message,) = bruno.events.wait_for("message_received")
    assert message.custom["traceparent"] != TRACE
    (sent,) = propagating.named("send private")
    assert f"{sent.context.span_id:016x}" in message.custom["traceparent"]


def test_what_rest_refuses_is_a_span_with_its_error(propagating, anna):
    with pytest.raises(NotFoundError):
        anna.messages.create("0" * 24, BODY)
    (failed,) = propagating.named("send")
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes["error.type"] == "NotFoundError"
    assert not failed.events


@pytest.mark.parametrize(
    ("custom", "error"), [(5, ArgumentTypeError), ({"a b": 1}, ArgumentValueError)]
)
def test_a_wrong_parameter_is_refused_as_ever(anna, custom, error):
    for call in (anna.messages.create, anna.messages.create_system):
        with pytest.raises(error, match="custom"):
            call(1, BODY, custom=custom) if call.__name__ == "create" else call(1, custom)


def test_other_calls_of_messages_are_as_ever(anna, bruno):
    dialog = anna.dialogs.create_private(bruno.id)
    made = anna.messages.create(dialog, BODY)
    assert [each.id for each in anna.messages.list(dialog).items] == [made.id]
    assert {"create", "create_system", "list", "iter"} <= {*dir(anna.messages)}


def test_a_client_that_was_there_before_creates_as_it_did(emulator):
    for login in ("anna-login", "bruno-login"):
        emulator.add_user(login, PASSWORD)
    with ConnectyCube(config=emulator.config()) as cube:
        bruno = cube.login(login="bruno-login", password=PASSWORD)
        cube.login(login="anna-login", password=PASSWORD)
        with telemetry(propagate=True) as made:
            assert "traceparent" not in cube.messages.create(bruno.id, BODY).custom
            assert made.spans == []


@pytest.mark.parametrize("propagate", [False, True])
def test_without_propagation_nothing_is_added_nor_after_its_end(emulator, propagate):
    for login in ("anna-login", "bruno-login"):
        emulator.add_user(login, PASSWORD)
    before = vars(ConnectyCube)["messages"]
    with telemetry(propagate=propagate), ConnectyCube(config=emulator.config()) as cube:
        bruno = cube.login(login="bruno-login", password=PASSWORD)
        cube.login(login="anna-login", password=PASSWORD)
        messages = cube.messages
        if propagate:
            assert "traceparent" in messages.create(bruno.id, BODY).custom
            ConnectyCubeInstrumentor().uninstrument()
        assert "traceparent" not in messages.create(bruno.id, BODY).custom
        assert "traceparent" not in cube.messages.create(bruno.id, BODY).custom
    assert vars(ConnectyCube)["messages"] is before
