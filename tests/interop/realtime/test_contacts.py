"""Contact list and presence. (RFC 6121.)"""

from __future__ import annotations

import pytest

from connectycube import ContactEvent, ContactListItem
from tests.support.people import settled

NOBODY = 999_999_999


def only(person):
    """The one contact in a person's list."""
    (contact,) = person.chat.contacts.list()
    return contact


@pytest.fixture
def friends(server):
    """Two of our users who are contacts of each other."""
    ana, ben = server.person(), server.person()
    ana.chat.contacts.add(ben.id, name="Ben")
    ben.events.wait_for("contact_requested")
    ben.chat.contacts.confirm(ana.id)
    ana.events.wait_for("contact_requested")
    ana.chat.contacts.confirm(ben.id)
    for person in (ana, ben):
        person.events.wait_for("contact_confirmed")
        comings(person)
    return ana, ben


def comings(person, count=1):
    """Wait until the person has seen others come so often; return these presences.

    (prosody says of who is there that they are not, before it says that they are.)
    """
    return person.events.wait(
        lambda events: (
            found
            if len(found := [p for p in events.of("presence_changed") if p.available]) >= count
            else None
        )
    )


def test_two_of_ours_become_contacts_and_see_each_other(friends):
    ana, ben = friends
    assert only(ana) == ContactListItem(user_id=ben.id, subscription="both", name="Ben")
    assert only(ben) == ContactListItem(user_id=ana.id, subscription="both")
    for person, other in ((ana, ben), (ben, ana)):
        assert comings(person)[0].user_id == other.id


def test_contacts_go_and_come_back(friends):
    ana, ben = friends
    seen = len(ana.events.of("presence_changed"))
    ben.chat.logout()
    ana.events.wait(lambda e: [p for p in e.of("presence_changed")[seen:] if not p.available])
    before = len(comings(ana))
    ben.login()
    assert comings(ana, before + 1)[-1].user_id == ben.id


def test_changes_of_the_list_are_told(friends):
    ana, ben = friends
    ana.chat.contacts.add(ben.id, name="Benjamin", groups=["chess", "a & b"])
    ana.events.wait(
        lambda e: [
            change
            for change in e.of("contact_list_changed")
            if (change.name, sorted(change.groups)) == ("Benjamin", ["a & b", "chess"])
        ]
    )
    assert only(ana).subscription == "both"


def test_who_is_removed_is_told_and_neither_sees_the_other(friends):
    ana, ben = friends
    ana.chat.contacts.remove(ben.id)
    ben.events.wait_for("contact_cancelled")
    ben.events.wait_for("contact_rejected")
    ana.events.wait(
        lambda e: [c for c in e.of("contact_list_changed") if c.subscription == "remove"]
    )
    assert ana.chat.contacts.list() == ()
    assert only(ben).subscription == "none"


def test_who_is_rejected_is_told(server):
    ana, ben = server.person(), server.person()
    ana.chat.contacts.add(ben.id)
    ben.events.wait_for("contact_requested")
    ben.chat.contacts.reject(ana.id)
    assert ana.events.wait_for("contact_rejected") == [ContactEvent(user_id=ben.id)]
    assert (only(ana).subscription, only(ana).pending) == ("none", False)


def test_one_who_does_not_exist_never_agrees_and_can_be_removed(server):
    ana = server.person()
    ana.chat.contacts.add(NOBODY)
    settled(ana)
    assert only(ana).subscription == "none"
    assert ana.events.of("contact_confirmed") == []
    ana.chat.contacts.remove(NOBODY)
    assert ana.chat.contacts.list() == ()


def test_jids_that_are_no_users_of_this_application_are_left_out(server):
    ours = server.user()
    peer = server.slixmpp(ours)
    for jid in ("someone@localhost", "5-8@localhost", "someone@elsewhere.example"):
        peer.ask(f"<iq type='set'><query xmlns='jabber:iq:roster'><item jid='{jid}'/></query></iq>")
    assert server.person(ours).chat.contacts.list() == ()


@pytest.mark.referee("slixmpp")
def test_slixmpp_asks_and_sees_us_come_and_go(server):
    ana, them = server.person(), server.user()
    peer = server.slixmpp(them)
    jid = f"{ana.id}-{ana.config.app_id}@localhost"
    peer.ask("<iq type='get'><query xmlns='jabber:iq:roster'/></iq>")
    peer.send_raw(f"<presence to='{jid}' type='subscribe'/>")
    assert ana.events.wait_for("contact_requested") == [ContactEvent(user_id=them.id)]
    ana.chat.contacts.confirm(them.id, mutual=False)
    peer.presences.wait_for(lambda p: p["type"] == "subscribed" and p["from"].bare == jid)
    came = peer.presences.wait_for(lambda p: p["type"] == "available" and p["from"].bare == jid)
    assert came["from"].resource
    ana.chat.logout()
    peer.presences.wait_for(lambda p: p["type"] == "unavailable" and p["from"].bare == jid)


@pytest.mark.referee("slixmpp")
def test_we_ask_slixmpp_and_read_its_presence(server):
    ana, them = server.person(), server.user()
    peer = server.slixmpp(them)
    jid = f"{ana.id}-{ana.config.app_id}@localhost"
    ana.chat.contacts.add(them.id)
    # (slixmpp agrees by itself, and asks the same)
    ana.events.wait_for("contact_confirmed")
    peer.send_raw("<presence><show>dnd</show><status>busy &amp; away</status></presence>")
    ana.events.wait(
        lambda e: [
            presence
            for presence in e.of("presence_changed")
            if (presence.user_id, presence.show, presence.status) == (them.id, "dnd", "busy & away")
        ]
    )
    peer.send_raw(f"<presence to='{jid}' type='unsubscribed'/>")
    ana.events.wait_for("contact_rejected")
