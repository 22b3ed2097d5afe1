"""The list of what the emulator covers says what it does."""

from __future__ import annotations

import re

import pytest
import requests
from attrs import fields

from connectycube.emulator import coverage, coverage_text
from connectycube.emulator.api.routing import ROUTES
from connectycube.emulator.coverage import MISSING, TRANSPORTS
from connectycube.emulator.net.ports import Ports
from connectycube.emulator.settings import Settings
from connectycube.emulator.xmpp.content import KINDS
from connectycube.emulator.xmpp.presence import PRESENCES
from connectycube.emulator.xmpp.requests import REQUESTS
from connectycube.emulator.xmpp.room_requests import ROOM_REQUESTS
from connectycube.emulator.xmpp.stream import HANDLED
from tests.support.paths import ROOT
from tests.support.wire_client import condition
from tests.wire.emulator.xmpp.test_room_requests import INFO

TEXT = "{urn:ietf:params:xml:ns:xmpp-stanzas}text"


def test_every_route_and_request_is_listed_once():
    names = [(entry.wire, entry.name) for entry in coverage()]
    assert len(names) == len(set(names))
    assert {("REST", f"{route.method} /{route.pattern}") for route in ROUTES} <= set(names)
    for found in REQUESTS.values():
        assert ("chat", f"iq {found.type} <{found.name}/> in {found.namespace}") in names


def test_every_kind_of_message_presence_question_and_element_is_listed():
    names = {entry.name for entry in coverage() if entry.wire == "chat"}
    for kind in KINDS:
        assert any(
            name.startswith("message with")
            and name.endswith(f" in {kind.namespace}")
            and all(f"<{one}/>" in name for one in kind.names)
            for name in names
        ), kind
    assert {f"presence {kind or 'available'}" for kind in PRESENCES} <= names
    rooms = {"domain": "the rooms' domain", "room": "a room", "occupant": "an occupant"}
    asked = {f"iq {kind} in {space} to {rooms[place]}" for place, kind, space in ROOM_REQUESTS}
    assert asked <= names
    assert {f"<{one}/> in {space}" for space, those in HANDLED.items() for one in those} <= names


def test_every_port_that_chat_is_spoken_on_is_listed():
    others = {"api", "https", "storage", "storage_https", "control", "ui"}
    assert {entry.name for entry in fields(Ports)} == others | set(TRANSPORTS)


@pytest.mark.parametrize(
    ("name", "namespace"),
    [(name, namespace) for namespace, names in HANDLED.items() for name in names],
)
def test_an_element_that_is_listed_is_known(connect, alice, name, namespace):
    client = connect()
    if "sasl" in namespace:
        client.open()
    else:
        client.log_in(alice)
    client.send(f"<{name} xmlns='{namespace}' h='0'/><frob xmlns='x:y'/>")
    texts = []
    while (element := client.next()) is not None:
        texts += [found.text for found in element.iter() if found.text]
    assert not any(f"<{name}/>" in text for text in texts), texts
    assert any("<frob/> is not known here" in text for text in texts)


def test_what_is_listed_as_missing_from_the_chat_is_not_offered(connect, emulator, alice, bob):
    compress = connect()
    features = compress.open()
    assert not [one for one in features.iter() if "compress" in one.tag or "rosterver" in one.tag]
    compress.send(
        "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>"
    )
    assert compress.stream_error() == "unsupported-stanza-type"
    post = requests.post(emulator.websocket_url.replace("ws:", "http:"), data=b"<body/>", timeout=5)
    assert post.status_code == 426


def test_a_message_with_unknown_elements_is_relayed_as_it_is(connect, alice, bob):
    writer, reader = connect().log_in(alice), connect().log_in(bob)
    amp = "<amp xmlns='http://jabber.org/protocol/amp'><rule action='drop'/></amp>"
    writer.send(
        f"<message to='{bob}-1@localhost' type='chat' id='a'>{amp}<x xmlns='y:z'/></message>"
    )
    received = reader.message()
    assert received.find("{http://jabber.org/protocol/amp}amp")[0].get("action") == "drop"
    assert received.find("{y:z}x") is not None


def unknowns():
    """Give each row of the page's table of what nobody knows: the question, and what stands for it."""
    page = (ROOT / "docs" / "emulator" / "coverage.md").read_text()
    table = page.partition("<!-- unknown: tests")[2].partition("<!-- unknown: end -->")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return [(row[0], re.findall("`([^`]+)`", row[2])) for row in rows[2:]]


@pytest.mark.parametrize(("question", "places"), unknowns())
def test_what_nobody_knows_is_inferred_or_has_a_switch(question, places):
    switches = {entry.name for entry in fields(Settings)}
    inferred = {entry.name for entry in coverage() if entry.state == "inferred"}
    assert places, question
    assert set(places) <= switches | inferred


def test_an_entry_has_a_note_exactly_if_it_is_not_simply_implemented():
    for entry in coverage():
        assert bool(entry.note) == (entry.state != "implemented"), entry
    assert {entry.state for entry in coverage()} == {"implemented", "inferred", "missing"}


def test_the_text_has_a_line_for_each_and_their_sums():
    lines = coverage_text().splitlines()
    assert len(lines) == len(coverage()) + 2
    assert lines[-1].endswith(f" {len(MISSING)} missing")


@pytest.mark.parametrize(
    "entry", [entry for entry in MISSING if entry.wire == "REST"], ids=lambda entry: entry.name
)
def test_what_is_listed_as_missing_answers_501_and_names_it(rest, emulator, alice, entry):
    method, path = entry.name.replace("{id}", "abc").split(" /")
    answer = rest("alice")(method, path, json={})
    assert answer.status_code == 501
    assert answer.json()["errors"]["base"] == [f"The emulator does not implement {method} /{path}"]


@pytest.mark.parametrize("to", ["", "to='localhost'", "to='1-1@localhost'", "to='muc.localhost'"])
def test_an_unknown_request_is_feature_not_implemented_and_named(connect, alice, to):
    client = connect().log_in(alice)
    client.send(f"<iq type='get' id='q' {to}><vCard xmlns='vcard-temp'/></iq>")
    refusal = client.answer("q")
    assert condition(refusal) == "feature-not-implemented"
    assert "does not implement IQ get of <vCard/> in vcard-temp" in refusal.find(f".//{TEXT}").text


def test_a_presence_of_an_unknown_type_is_refused_and_named(connect, alice):
    client = connect().log_in(alice)
    client.send(
        f"<presence id='q' type='invisible'/><iq type='get' id='i'><query xmlns='{INFO}'/></iq>"
    )
    refusal = client.next()
    assert condition(refusal) == "bad-request"
    assert "invisible" in refusal.find(f".//{TEXT}").text
