"""The list of what the emulator covers says what it does."""

from __future__ import annotations

import pytest

from connectycube.emulator import coverage, coverage_text
from connectycube.emulator.api.routing import ROUTES
from connectycube.emulator.coverage import MISSING
from connectycube.emulator.xmpp.requests import REQUESTS

from .client import condition
from .xmpp.test_room_requests import INFO

TEXT = "{urn:ietf:params:xml:ns:xmpp-stanzas}text"


def test_every_route_and_request_is_listed_once():
    names = [(entry.wire, entry.name) for entry in coverage()]
    assert len(names) == len(set(names))
    assert {("REST", f"{route.method} /{route.pattern}") for route in ROUTES} <= set(names)
    for found in REQUESTS.values():
        assert ("chat", f"iq {found.type} <{found.name}/> in {found.namespace}") in names


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
