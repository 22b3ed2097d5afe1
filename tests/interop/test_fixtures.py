"""The referees themselves: each understands the others without any code of this project between them."""

from __future__ import annotations

import os
import signal

import pytest

from tests.interop.javascript_peer import JavaScriptError, JavaScriptPeer, Release
from tests.interop.slixmpp_peer import CHAT_MARKERS, CHAT_STATES, PeerError, SlixmppPeer
from tests.support import components
from tests.support.people import PASSWORD
from tests.support.proxy import FaultProxy

on_prosody = pytest.mark.referee("prosody", "slixmpp")
javascript = pytest.mark.referee("javascript")


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


@javascript
def test_two_javascript_users_chat_on_the_emulator(emulator, javascript_on):
    alice, bob = javascript_on(emulator, "alice"), javascript_on(emulator, "bob")
    sent = alice.send_private(
        bob.user_id, "Grüße, <you> & 👋", {"save_to_history": 1, "color": "blue"}
    )
    error, message = alice.wait_for_event("onSentMessageCallback")
    assert (error, message["id"]) == (None, sent)
    user_id, message = bob.wait_for_event("onMessageListener")
    dialog_id = message["dialog_id"]
    assert (user_id, message["id"], message["body"]) == (alice.user_id, sent, "Grüße, <you> & 👋")
    assert message["extension"]["color"] == "blue"
    assert alice.wait_for_event("onDeliveredStatusListener") == [sent, dialog_id, bob.user_id]
    bob.read(alice.user_id, sent, dialog_id)
    assert alice.wait_for_event("onReadStatusListener") == [sent, dialog_id, bob.user_id]
    bob.typing(alice.user_id)
    assert alice.wait_for_event("onMessageTypingListener")[:2] == [True, bob.user_id]
    bob.typing(alice.user_id, stop=True)
    assert alice.wait_for_event("onMessageTypingListener")[:2] == [False, bob.user_id]


@javascript
def test_the_javascript_user_reads_dialogs_and_history_over_rest(emulator, javascript_on):
    alice, bob = javascript_on(emulator, "alice"), javascript_on(emulator, "bob")
    dialog = alice.call("chat.dialog.create", {"type": 3, "occupants_ids": [bob.user_id]})
    sent = alice.send_private(
        bob.user_id, "for the record", {"save_to_history": 1, "dialog_id": dialog["_id"]}
    )
    bob.wait_for_event("onMessageListener")
    assert [found["_id"] for found in bob.call("chat.dialog.list", {})["items"]] == [dialog["_id"]]
    stored = bob.call("chat.message.list", {"chat_dialog_id": dialog["_id"]})["items"]
    assert [(found["_id"], found["message"]) for found in stored] == [(sent, "for the record")]


@pytest.mark.referee("javascript", "slixmpp")
def test_javascript_and_slixmpp_users_chat_on_the_emulator(emulator, javascript_on, slixmpp_on):
    alice, bob = javascript_on(emulator, "alice"), slixmpp_on(emulator, "bob")
    alice_jid, bob_id = f"{alice.user_id}-1@localhost", int(bob.jid.partition("-")[0])
    sent = alice.send_private(bob_id, "from JavaScript")
    message = bob.messages.wait_for()
    assert (message["id"], message["body"]) == (sent, "from JavaScript")
    assert message["from"].bare == alice_jid
    sent = bob.send_message(alice_jid, "  from\tslixmpp ", markable=True)
    user_id, message = alice.wait_for_event("onMessageListener")
    assert (user_id, message["id"], message["body"]) == (bob_id, sent, "  from\tslixmpp ")
    marker = bob.messages.wait_for().xml.find(f"{{{CHAT_MARKERS}}}received")
    assert marker.get("id") == sent


@pytest.mark.referee("javascript", "prosody")
def test_two_javascript_users_chat_on_prosody(prosody, javascript_on):
    alice, bob = javascript_on(prosody, "1001-1"), javascript_on(prosody, "1002-1")
    sent = alice.send_private(bob.user_id, "hello", {"dialog_id": "d1"})
    user_id, message = bob.wait_for_event("onMessageListener")
    assert (user_id, message["id"], message["body"]) == (alice.user_id, sent, "hello")
    assert alice.wait_for_event("onDeliveredStatusListener") == [sent, "d1", bob.user_id]


@javascript
def test_the_javascript_user_comes_back_after_a_cut(emulator, javascript_on):
    alice = javascript_on(emulator, "alice")
    emulator.cut(alice.user_id)
    alice.wait_for_event("onDisconnectedListener")
    alice.wait_for_event("onReconnectListener")


@javascript
def test_what_the_javascript_sdk_rejects_is_raised_with_its_code_and_info(emulator, javascript_on):
    nobody = javascript_on(emulator, None)
    emulator.add_user("alice", PASSWORD)
    with pytest.raises(JavaScriptError) as raised:
        nobody.call("createSession", {"login": "alice", "password": "wrong"})
    assert raised.value.code == 401
    with pytest.raises(JavaScriptError, match=r"the SDK has no chat\.fly"):
        nobody.call("chat.fly")


@javascript
def test_the_javascript_user_is_refused_with_a_wrong_chat_password(emulator, javascript_on):
    nobody = javascript_on(emulator, None)
    user_id = emulator.add_user("alice", PASSWORD)
    with pytest.raises(JavaScriptError, match="not-authorized"):
        nobody.connect(user_id, "wrong")


@javascript
def test_a_javascript_process_that_dies_ends_all_waits_with_its_last_words(emulator, javascript_on):
    peer = javascript_on(emulator, None)
    os.kill(peer.call("version") and peer._process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="has ended"):
        peer.wait_for_event("onMessageListener")


@pytest.mark.parametrize(
    ("in_ci", "outcome"), [(True, pytest.fail.Exception), (False, pytest.skip.Exception)]
)
def test_a_missing_sdk_release_fails_in_ci_and_is_skipped_elsewhere(
    tmp_path, monkeypatch, in_ci, outcome
):
    monkeypatch.setattr(components, "IN_CI", in_ci)
    absent = JavaScriptPeer(
        app_id=1, chat_port=9, ca_file="none", release=Release("9.9.9", tmp_path)
    )
    with pytest.raises(outcome, match=r"connectycube@9\.9\.9 is missing.*make referees"):
        absent.start()
