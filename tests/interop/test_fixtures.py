"""The witnesses themselves: each understands the others without any code of this project between them."""

from __future__ import annotations

import pytest

from tests.faults.proxy import FaultProxy
from tests.interop.fixtures import PASSWORD
from tests.interop.slixmpp_peer import CHAT_MARKERS, CHAT_STATES, PeerError, SlixmppPeer

on_prosody = pytest.mark.referee("prosody", "slixmpp")


@on_prosody
def test_two_slixmpp_users_chat_on_prosody(prosody, slixmpp_on):
    alice, bob = slixmpp_on(prosody, "1001-1"), slixmpp_on(prosody, "1002-1")
    sent = alice.send_message(
        bob.jid, "  Grüße, <you> & 👋\t", markable=True, extra={"dialog_id": "d1"}
    )
    message = bob.messages.wait_for()
    assert (message["id"], message["body"]) == (sent, "  Grüße, <you> & 👋\t")
    assert message["from"].full == alice.full_jid
    assert message.xml.find(f"{{{CHAT_MARKERS}}}markable") is not None
    assert message.xml.findtext("{jabber:client}extraParams/{jabber:client}dialog_id") == "d1"


@on_prosody
def test_markers_chat_states_and_pings_pass_prosody(prosody, slixmpp_on):
    alice, bob = slixmpp_on(prosody, "1001-1"), slixmpp_on(prosody, "1002-1")
    bob.send_chat_state(alice.full_jid, "composing")
    assert alice.messages.wait_for().xml.find(f"{{{CHAT_STATES}}}composing") is not None
    bob.send_marker(alice.jid, "displayed", "m1", dialog_id="d1")
    message = alice.messages.wait_for()
    assert message.xml.find(f"{{{CHAT_MARKERS}}}displayed").get("id") == "m1"
    assert 0 < alice.ping() < 5


@on_prosody
def test_what_arrives_while_a_link_is_cut_comes_after_resumption(prosody, slixmpp_on):
    alice, bob = slixmpp_on(prosody, "1001-1"), slixmpp_on(prosody, "1002-1")
    bob.cut()
    alice.send_message(bob.jid, "while you were away")
    alice.ping()
    assert bob.reconnect() == "resumed"
    assert bob.messages.wait_for()["body"] == "while you were away"


@on_prosody
def test_without_stream_management_a_new_session_begins(prosody, slixmpp_on):
    peer = slixmpp_on(prosody, "1001-1", stream_management=False)
    peer.cut()
    assert peer.reconnect() == "ready"


@on_prosody
def test_through_the_fault_proxy_a_reset_is_seen_and_resumed(prosody, slixmpp_on):
    with FaultProxy(prosody.host, prosody.port) as proxy:
        peer = slixmpp_on(prosody, "1001-1", port=proxy.port)
        proxy.rst()
        peer.links.wait_for(lambda word: word == "disconnected")
        assert peer.reconnect() == "resumed"
        peer.stop()


@on_prosody
def test_a_wrong_password_is_refused(prosody):
    jid = prosody.add_user("1003-1", "another")
    peer = SlixmppPeer(jid, PASSWORD, host=prosody.host, port=prosody.port, ca_file=prosody.ca_file)
    with pytest.raises(PeerError, match="password"):
        peer.start()


@on_prosody
def test_a_killed_prosody_starts_again_on_the_same_port_with_its_accounts(own_prosody, slixmpp_on):
    peer = slixmpp_on(own_prosody, "1001-1")
    port = own_prosody.port
    own_prosody.kill()
    peer.links.wait_for(lambda word: word == "disconnected")
    own_prosody.start()
    assert own_prosody.port == port
    assert peer.reconnect() == "ready"


@on_prosody
def test_a_paused_prosody_answers_late_and_nothing_is_lost(own_prosody, slixmpp_on):
    alice, bob = slixmpp_on(own_prosody, "1001-1"), slixmpp_on(own_prosody, "1002-1")
    own_prosody.pause()
    alice.send_message(bob.jid, "hello?")
    with pytest.raises(TimeoutError):
        bob.messages.wait_for(timeout=0.1)
    own_prosody.resume()
    assert bob.messages.wait_for()["body"] == "hello?"
