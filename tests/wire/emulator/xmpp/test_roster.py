"""The contact list, as raw connections see it."""

from __future__ import annotations

import pytest

from tests.support.wire_client import CLIENT, condition

ROSTER = "{jabber:iq:roster}"


def items(query):
    return {found.get("jid"): found for found in query.iter(f"{ROSTER}item")}


def roster(client):
    client.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
    return items(client.answer("roster"))


def change(client, inner):
    client.send(f"<iq type='set' id='set'><query xmlns='jabber:iq:roster'>{inner}</query></iq>")
    return client.answer("set")


def pushed(client):
    """Return the item of the next push."""
    push = client.find(f"{CLIENT}iq", lambda found: found.get("type") == "set")
    assert (push.get("to"), push.get("from")) == (client.jid, None)
    (item,) = items(push).values()
    return item


def test_a_new_roster_is_empty(connect, alice):
    assert roster(connect().log_in(alice)) == {}


def test_a_contact_is_added_renamed_and_put_into_groups(connect, alice, bob):
    client = connect().log_in(alice)
    jid = f"{bob}-1@localhost"
    assert change(client, f"<item jid='{jid}' name='Bob'/>").get("type") == "result"
    item = roster(client)[jid]
    assert item.attrib == {"jid": jid, "name": "Bob", "subscription": "none"}
    groups = "<group>Friends &amp; Co</group><group>Work</group>"
    change(client, f"<item jid='{jid.upper()}/phone' name='Robert'>{groups}</item>")
    (item,) = roster(client).values()
    assert (item.get("jid"), item.get("name")) == (jid, "Robert")
    assert [group.text for group in item] == ["Friends & Co", "Work"]
    change(client, f"<item jid='{jid}'/>")
    assert (roster(client)[jid].get("name"), list(roster(client)[jid])) == (None, [])


def test_contacts_elsewhere_can_be_listed(connect, alice):
    client = connect().log_in(alice)
    change(client, "<item jid='somebody@example.org' name='Far away'/>")
    assert list(roster(client)) == ["somebody@example.org"]


def test_changes_are_pushed_to_who_asked_for_the_roster_alone(connect, alice, bob):
    writer, reader, stranger = (connect().log_in(alice, name) for name in "wrs")
    roster(reader)
    change(writer, f"<item jid='{bob}-1@localhost' name='Bob'/>")
    assert pushed(reader).get("name") == "Bob"
    change(writer, f"<item jid='{bob}-1@localhost' subscription='remove'/>")
    assert pushed(reader).get("subscription") == "remove"
    assert roster(reader) == {}
    assert all(element.tag != f"{CLIENT}iq" for element in stranger.sync())


def test_a_client_cannot_set_a_subscription(connect, alice, bob):
    client = connect().log_in(alice)
    change(client, f"<item jid='{bob}-1@localhost' subscription='both' ask='subscribe'/>")
    assert roster(client)[f"{bob}-1@localhost"].attrib["subscription"] == "none"


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("", "bad-request"),
        ("<item jid='2-1@localhost'/><item jid='3-1@localhost'/>", "bad-request"),
        ("<frob jid='2-1@localhost'/>", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='@'/>", "bad-request"),
        ("<item jid='2-1@localhost'><group>a</group><group>a</group></item>", "bad-request"),
        ("<item jid='2-1@localhost'><group/></item>", "not-acceptable"),
        (f"<item jid='2-1@localhost' name='{'x' * 1024}'/>", "not-acceptable"),
        (f"<item jid='2-1@localhost'><group>{'x' * 1024}</group></item>", "not-acceptable"),
        ("<item jid='1-1@localhost'/>", "not-allowed"),
        ("<item jid='2-1@localhost' subscription='remove'/>", "item-not-found"),
    ],
)
def test_bad_changes_are_refused_and_change_nothing(connect, alice, inner, expected):
    client = connect().log_in(alice)
    assert condition(change(client, inner)) == expected
    assert roster(client) == {}


def test_nobody_reads_or_changes_the_roster_of_somebody_else(connect, alice, bob):
    client = connect().log_in(alice)
    for kind in ("get", "set"):
        query = "<query xmlns='jabber:iq:roster'><item jid='x@localhost'/></query>"
        client.send(f"<iq type='{kind}' id='q' to='{bob}-1@localhost'>{query}</iq>")
        assert condition(client.answer("q")) == "service-unavailable"


def test_the_roster_outlives_the_session(connect, alice, bob):
    with connect().log_in(alice) as client:
        change(client, f"<item jid='{bob}-1@localhost' name='Bob'/>")
    assert roster(connect().log_in(alice))[f"{bob}-1@localhost"].get("name") == "Bob"
