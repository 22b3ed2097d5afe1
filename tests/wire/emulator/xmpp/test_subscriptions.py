"""Who asks for whose presence and who gets it, as raw connections see it."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator import Emulator
from connectycube.emulator.xmpp.element import Element
from connectycube.emulator.xmpp.subscriptions import KINDS, end_all, send
from tests.support.inside import on_emulator
from tests.support.wire_client import CLIENT, condition
from tests.wire.emulator.xmpp.test_roster import change, roster

PRESENCE = f"{CLIENT}presence"


def jid(user_id):
    return f"{user_id}-1@localhost"


def say(client, kind, user_id):
    client.send(f"<presence type='{kind}' to='{jid(user_id)}'/>")


def presence(client, kind, user_id):
    """Return the next presence of this type from this user."""
    return client.find(
        PRESENCE,
        lambda found: (
            found.get("type") == kind
            and (found.get("from") or "").partition("/")[0] == jid(user_id)
        ),
    )


def subscription(client, user_id):
    item = roster(client).get(jid(user_id))
    return None if item is None else (item.get("subscription"), item.get("ask"))


@pytest.fixture
def her(connect, alice):
    client = connect().log_in(alice)
    roster(client)
    return client


@pytest.fixture
def him(connect, bob):
    client = connect().log_in(bob)
    roster(client)
    return client


def befriend(one, other, one_id, other_id):
    """Give each side the other's presence."""
    for asking, answering, asker, asked in (
        (one, other, one_id, other_id),
        (other, one, other_id, one_id),
    ):
        say(asking, "subscribe", asked)
        presence(answering, "subscribe", asker)
        say(answering, "subscribed", asker)
        presence(asking, None, asked)


def test_a_request_an_approval_and_the_presence_that_follows(her, him, alice, bob):
    say(her, "subscribe", bob)
    request = presence(him, "subscribe", alice)
    assert (request.get("from"), request.get("to")) == (jid(alice), jid(bob))
    assert subscription(her, bob) == ("none", "subscribe")
    assert subscription(him, alice) is None
    say(him, "subscribed", alice)
    assert presence(her, "subscribed", bob).get("from") == jid(bob)
    assert presence(her, None, bob).get("from") == him.jid
    assert subscription(her, bob) == ("to", None)
    assert subscription(him, alice) == ("from", None)


def test_each_step_is_pushed_to_both_rosters(her, him, alice, bob):
    befriend(her, him, alice, bob)
    assert subscription(her, bob) == subscription(him, alice) == ("both", None)
    say(her, "unsubscribe", bob)
    pushes = [
        element[0][0].get("subscription") for element in him.sync() if element.tag == f"{CLIENT}iq"
    ]
    assert pushes == ["to"]
    assert subscription(him, alice) == ("to", None)


def test_a_denied_request_leaves_nothing(her, him, alice, bob):
    say(her, "subscribe", bob)
    presence(him, "subscribe", alice)
    say(him, "unsubscribed", alice)
    presence(her, "unsubscribed", bob)
    assert subscription(her, bob) == ("none", None)
    assert subscription(him, alice) is None


def test_a_request_waits_for_who_is_offline_and_until_it_is_answered(connect, her, alice, bob):
    say(her, "subscribe", bob)
    her.send(f"<presence type='subscribe' to='{jid(bob)}'><status>again</status></presence>")
    her.sync()
    for _ in range(2):
        with connect().log_in(bob) as client:
            requests = [found for found in client.sync() if found.get("type") == "subscribe"]
            assert [found.get("from") for found in requests] == [jid(alice)]
    client = connect().log_in(bob)
    say(client, "subscribed", alice)
    client.sync()
    assert all(found.get("type") != "subscribe" for found in connect().log_in(bob).sync())


def test_a_request_of_who_is_approved_already_is_answered_by_the_server(her, him, alice, bob):
    befriend(her, him, alice, bob)
    him.sync()
    say(her, "subscribe", bob)
    assert subscription(her, bob) == ("both", None)
    assert him.sync() == []


def test_subscribers_see_a_contact_come_change_and_go(connect, her, him, alice, bob):
    befriend(her, him, alice, bob)
    second = connect().log_in(bob, "second")
    assert presence(her, None, bob).get("to") == jid(alice)
    second.send("<presence><show>away</show></presence>")
    assert presence(her, None, bob).findtext(f"{CLIENT}show") == "away"
    second.send("<presence type='unavailable'><status>bye</status></presence>")
    gone = presence(her, "unavailable", bob)
    assert (gone.get("from"), gone.findtext(f"{CLIENT}status")) == (second.jid, "bye")


def test_a_contact_that_closes_its_stream_or_is_lost_is_unavailable(
    emulator, connect, her, him, alice, bob
):
    befriend(her, him, alice, bob)
    second = connect().log_in(bob, "second")
    presence(her, None, bob)
    second.send("</stream:stream>")
    assert presence(her, "unavailable", bob).get("from") == second.jid
    him.enable()
    emulator.cut(bob)
    assert her.sync() == []
    emulator.forget_sessions(bob)
    assert presence(her, "unavailable", bob).get("from") == him.jid


def test_who_comes_sees_the_contacts_that_are_there(connect, her, him, alice, bob):
    befriend(her, him, alice, bob)
    him.send("<presence><show>dnd</show></presence>")
    him.sync()
    second = connect().log_in(alice, "second")
    shown = presence(second, None, bob)
    assert (shown.get("from"), shown.findtext(f"{CLIENT}show")) == (him.jid, "dnd")


def test_presence_goes_one_way_when_the_subscription_does(connect, her, him, alice, bob):
    say(her, "subscribe", bob)
    presence(him, "subscribe", alice)
    say(him, "subscribed", alice)
    presence(her, None, bob)
    him.sync()
    her.send("<presence><show>away</show></presence>")
    her.sync()
    assert him.sync() == []


@pytest.mark.parametrize("kind", ["unsubscribe", "unsubscribed"])
def test_a_subscription_that_ends_takes_the_contact_out_of_sight(her, him, alice, bob, kind):
    befriend(her, him, alice, bob)
    her.sync(), him.sync()
    asking, other, other_id = (her, him, bob) if kind == "unsubscribe" else (him, her, alice)
    say(asking, kind, other_id)
    asking.sync(), other.sync()  # what ends is her view of him
    him.send("<presence><show>away</show></presence>")
    him.sync()
    assert her.sync() == []
    assert subscription(her, bob) == ("from", None)
    assert subscription(him, alice) == ("to", None)


def test_the_end_of_a_subscription_is_told_and_followed_by_unavailable(her, him, alice, bob):
    befriend(her, him, alice, bob)
    say(her, "unsubscribe", bob)
    presence(him, "unsubscribe", alice)
    assert presence(her, "unavailable", bob).get("from") == him.jid


def test_who_is_removed_from_a_roster_loses_both_directions(her, him, alice, bob):
    befriend(her, him, alice, bob)
    change(her, f"<item jid='{jid(bob)}' subscription='remove'/>")
    presence(him, "unavailable", alice)
    assert subscription(her, bob) is None
    assert subscription(him, alice) == ("none", None)


def test_removing_a_contact_withdraws_the_request(connect, her, alice, bob):
    say(her, "subscribe", bob)
    change(her, f"<item jid='{jid(bob)}' subscription='remove'/>")
    assert all(found.get("type") != "subscribe" for found in connect().log_in(bob).sync())


def test_an_answer_nobody_asked_for_reaches_nobody(her, him, alice, bob):
    for kind in ("subscribed", "unsubscribed", "unsubscribe"):
        say(him, kind, alice)
    him.sync()
    assert her.sync() == []
    assert subscription(her, bob) is subscription(him, alice) is None


@pytest.mark.parametrize("kind", KINDS)
def test_presence_to_who_does_not_exist_is_ignored(her, kind):
    say(her, kind, 999)
    her.send(f"<presence type='{kind}' to='nobody@localhost'/>")
    her.send("<presence to='999-1@localhost'/>")
    assert all(element.get("type") != "error" for element in her.sync())
    expected = ("none", "subscribe") if kind == "subscribe" else None
    assert subscription(her, 999) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_subscribes_to_oneself(her, alice, kind):
    her.send(f"<presence type='{kind}' to='{her.jid}'/><presence type='{kind}'/>")
    say(her, kind, alice)
    assert her.sync() == []
    assert roster(her) == {}


@pytest.mark.parametrize(
    ("stanza", "expected"),
    [
        ("<presence id='p' type='subscribe' to='x@example.org'/>", "remote-server-not-found"),
        ("<presence id='p' type='subscribe' to='@'/>", "jid-malformed"),
        ("<presence id='p' to='@'/>", "jid-malformed"),
        ("<presence id='p' type='frob'/>", "bad-request"),
        ("<presence id='p' type='frob' to='2-1@localhost'/>", "bad-request"),
    ],
)
def test_bad_presence_is_refused(her, stanza, expected):
    her.send(stanza)
    refusal = her.find(PRESENCE)
    assert (refusal.get("id"), condition(refusal)) == ("p", expected)


def test_presence_can_be_directed_to_a_stranger_who_learns_the_end_of_it(connect, her, him, alice):
    him.send(f"<presence to='{jid(alice)}'><show>chat</show></presence>")
    shown = her.find(PRESENCE)
    assert (shown.get("from"), shown.findtext(f"{CLIENT}show")) == (him.jid, "chat")
    him.send("<presence><show>away</show></presence>")
    him.sync()
    assert her.sync() == []
    him.send("<presence type='unavailable'/>")
    assert her.find(PRESENCE).attrib == {
        "type": "unavailable",
        "from": him.jid,
        "to": jid(alice),
    }


def test_a_probe_shows_those_one_may_see_alone(her, him, alice, bob):
    say(her, "probe", bob)
    assert her.sync() == []
    befriend(her, him, alice, bob)
    her.sync()
    say(her, "probe", bob)
    assert her.find(PRESENCE).get("from") == him.jid


def test_a_deleted_user_leaves_the_rosters_of_others(emulator, rest, her, him, alice, bob):
    befriend(her, him, alice, bob)
    assert rest("bob")("DELETE", f"users/{bob}").status_code == 200
    presence(her, "unavailable", bob)
    assert subscription(her, bob) == ("none", None)


@pytest.fixture(scope="module")
def service():
    """The inside of an emulator with two users, to be used on its own thread."""
    with Emulator() as emulator:
        for name in ("alice", "bob"):
            emulator.add_user(name, "secret")
        yield partial(on_emulator, emulator)


steps = st.lists(st.tuples(st.booleans(), st.sampled_from((*KINDS, "remove"))), max_size=20)


@given(steps)
def test_whatever_two_people_do_their_rosters_agree(service, done):
    users = (1, 2)

    def act(server):
        hub = server.hub
        for user_id in users:
            server.forget_user(user_id)
        for second, kind in done:
            user_id, other = users[second], jid(users[not second])
            contact = hub.rosters.contact(user_id, other)
            if kind != "remove":
                stanza = Element("presence", "jabber:client", {"type": kind})
                send(hub, user_id, other, stanza)
            elif contact.listed:
                end_all(hub, user_id, contact)
                hub.rosters.remove(user_id, other)
            yield [
                hub.rosters.contact(one, jid(two)).state for one, two in (users, reversed(users))
            ]

    for one, other in service(lambda running: list(act(running.chat_server))):
        assert (one.to, one.from_, one.asks, one.asked) == (
            other.from_,
            other.to,
            other.asked,
            other.asks,
        )
