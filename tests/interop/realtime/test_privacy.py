"""Privacy lists and blocking (XEP-0016), on the servers that have them."""

from __future__ import annotations

import pytest

from connectycube import PrivacyItem, PrivacyListNames, StanzaError
from connectycube._deadline import Deadline
from tests.support.inside import driver_of
from tests.support.waiting import TIMEOUT

with_lists = pytest.mark.parametrize(
    "running",
    ["emulator", pytest.param("ejabberd", marks=pytest.mark.referee("ejabberd"))],
    indirect=True,
    scope="session",
)


@pytest.fixture
def two(server):
    """Two of our users."""
    return server.person(), server.person()


def test_a_server_without_privacy_lists_says_so(server):
    ana = server.person()
    if server.supports("privacy lists"):
        assert ana.chat.privacy.names() == PrivacyListNames()
        return
    with pytest.raises(StanzaError) as caught:
        ana.chat.privacy.block(5)
    assert caught.value.condition == "service-unavailable"


@with_lists
def test_a_block_ends_private_messages_until_it_is_taken_back(two):
    ana, ben = two
    ana.chat.privacy.block(ben.id)
    assert ana.chat.privacy.blocked() == (ben.id,)
    assert ana.chat.privacy.names() == PrivacyListNames(default="blocked", names=("blocked",))
    handle = ben.chat.send_private(ana.id, "not heard")
    failure = ben.events.wait_for("message_failed")[0]
    assert failure.message_id == handle.id
    ana.chat.privacy.unblock(ben.id)
    assert ana.chat.privacy.blocked() == ()
    ben.chat.send_private(ana.id, "heard").result(TIMEOUT)
    assert [m.body for m in ana.events.wait_for("message_received")] == ["heard"]


@with_lists
def test_only_a_mutual_block_refuses_the_blockers_own_messages(two):
    ana, ben = two
    ana.chat.privacy.block(ben.id)
    refused = ana.chat.send_private(ben.id, "to one whom I block")
    assert ana.events.wait_for("message_failed")[0].message_id == refused.id
    ana.chat.privacy.block(ben.id, mutual=False)
    ana.chat.send_private(ben.id, "one way").result(TIMEOUT)
    assert [m.body for m in ben.events.wait_for("message_received")] == ["one way"]


@with_lists
def test_lists_are_made_changed_put_in_force_and_removed(two):
    ana, ben = two
    privacy = ana.chat.privacy
    items = (PrivacyItem(ben.id, "deny", False), PrivacyItem(999_999_990))
    privacy.create("a list & more", items)
    assert privacy.names() == PrivacyListNames(names=("a list & more",))
    assert privacy.get("a list & more") == items
    privacy.set_default("a list & more")
    assert privacy.names().default == "a list & more"
    privacy.update("a list & more", [PrivacyItem(ben.id, "allow")])
    assert privacy.names().default == "a list & more"
    assert privacy.get("a list & more") == (PrivacyItem(ben.id, "allow"),)
    ben.chat.send_private(ana.id, "allowed").result(TIMEOUT)
    ana.events.wait_for("message_received")
    privacy.remove("a list & more")
    assert privacy.names() == PrivacyListNames()


@with_lists
def test_what_is_not_there_is_item_not_found(two):
    ana, _ = two
    for call in (ana.chat.privacy.get, ana.chat.privacy.set_default):
        with pytest.raises(StanzaError) as caught:
            call("nothing")
        assert caught.value.condition == "item-not-found"


@with_lists
def test_rules_of_other_programs_are_kept(two):
    ana, ben = two
    peer_rules = (
        "<item type='subscription' value='both' action='allow' order='3'><message/></item>"
        "<item type='jid' value='elsewhere.example' action='deny' order='5'/>"
    )
    privacy = ana.chat.privacy

    def ask(payload):
        xml = f"<query xmlns='jabber:iq:privacy'>{payload}</query>"
        driver_of(ana.chat).request("set", None, xml, Deadline(TIMEOUT))

    ask(f"<list name='theirs'>{peer_rules}</list>")
    ask("<default name='theirs'/>")
    before = privacy._rules("theirs", Deadline(TIMEOUT))
    privacy.block(ben.id)
    assert privacy._rules("theirs", Deadline(TIMEOUT))[2:] == before
    privacy.unblock(ben.id)
    assert privacy._rules("theirs", Deadline(TIMEOUT)) == before


@with_lists
def test_blocks_of_one_device_hold_for_another(two, server):
    ana, ben = two
    ana.chat.privacy.block(999_999_990)
    user = type(server.user())(ana.id, "same", ana.password)
    other = server.person(user)
    other.chat.privacy.block(ben.id)
    assert ana.chat.privacy.blocked() == (ben.id, 999_999_990)
    ben.chat.send_private(ana.id, "not heard")
    ben.events.wait_for("message_failed")


@with_lists
@pytest.mark.referee("slixmpp")
def test_slixmpp_is_not_heard_while_it_is_blocked_and_is_told_so(server):
    ana, them = server.person(), server.user()
    peer = server.slixmpp(them)
    ana_jid = ana.chat._addresses.user(ana.id)
    ana.chat.privacy.block(them.id)
    peer.send_message(ana_jid, "not heard")
    refusal = peer.messages.wait_for(lambda stanza: stanza["type"] == "error", TIMEOUT)
    assert refusal["error"]["condition"] == "service-unavailable"
    refused = ana.chat.send_private(them.id, "to one whom I block")
    assert ana.events.wait_for("message_failed")[0].message_id == refused.id
    ana.chat.privacy.unblock(them.id)
    peer.send_message(ana_jid, "heard")
    assert [m.body for m in ana.events.wait_for("message_received")] == ["heard"]
    assert [stanza["body"] for stanza in peer.messages.all() if stanza["type"] == "chat"] == []
