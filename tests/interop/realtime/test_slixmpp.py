"""slixmpp as the other person: it says what our stanzas are."""

from __future__ import annotations

import pytest

from connectycube import Attachment, DialogRef, Message
from tests.chat.people import PATIENCE
from tests.interop.slixmpp_peer import CHAT_MARKERS, CHAT_STATES

pytestmark = pytest.mark.referee("slixmpp")

CLIENT = "jabber:client"


@pytest.fixture
def meeting(server):
    """Our user's chat and events, and a slixmpp user, both logged in."""
    ours, theirs = server.person(), server.user()
    return ours.chat, ours.events, server.slixmpp(theirs), theirs.id


def param(stanza, name):
    return stanza.xml.findtext(f"{{{CLIENT}}}extraParams/{{{CLIENT}}}{name}")


def test_what_slixmpp_reads_of_our_message(meeting):
    chat, _, peer, peer_id = meeting
    message = Message(
        body="Grüße, <you> & 👋 — ]]> 'x' \"y\"",
        custom={"colour": "blue & <green>"},
        attachments=(Attachment(type="image", uid="u1", size=5.0, data='{"a": "b c"}'),),
    )
    handle = chat.send_message(DialogRef.private(peer_id, "d" * 24), message)
    handle.result(PATIENCE)

    stanza = peer.messages.wait_for(lambda stanza: stanza["id"] == handle.id)
    assert stanza["type"] == "chat"
    assert stanza["body"] == message.body
    assert stanza["from"].bare.startswith(f"{chat.user.id}-")
    assert param(stanza, "colour") == "blue & <green>"
    assert param(stanza, "save_to_history") == "1"
    assert param(stanza, "date_sent") == str(int(handle.message.date_sent.timestamp()))
    attachment = stanza.xml.find(f"{{{CLIENT}}}extraParams/{{{CLIENT}}}attachment")
    assert attachment.attrib == {
        "id": "u1",
        "uid": "u1",
        "type": "image",
        "size": "5.0",
        "data": '{"a": "b c"}',
    }
    assert stanza.xml.find(f"{{{CHAT_MARKERS}}}markable") is not None


def test_what_we_read_of_slixmpps_message_and_the_marker_it_gets(meeting):
    chat, events, peer, peer_id = meeting
    sent = peer.send_message(
        chat._driver.core.jid,
        " Здравствуй & <привет>\t👋 ",
        markable=True,
        extra={"dialog_id": "d" * 24, "colour": "red"},
    )
    message = events.wait_for("message_received")[0]
    assert (message.id, message.body) == (sent, " Здравствуй & <привет>\t👋 ")
    assert (message.sender_id, message.markable) == (peer_id, True)
    assert message.custom == {"colour": "red"}
    assert message.dialog == DialogRef.private(peer_id, message.dialog_id)

    def is_received(stanza):
        marker = stanza.xml.find(f"{{{CHAT_MARKERS}}}received")
        return marker is not None and marker.get("id") == sent

    peer.messages.wait_for(is_received)
    chat.mark_read(message)
    peer.messages.wait_for(lambda s: s.xml.find(f"{{{CHAT_MARKERS}}}displayed") is not None)


def test_typing_both_ways(meeting):
    chat, events, peer, peer_id = meeting
    chat.send_typing(DialogRef.private(peer_id))
    peer.messages.wait_for(lambda s: s.xml.find(f"{{{CHAT_STATES}}}composing") is not None)
    chat.send_stop_typing(DialogRef.private(peer_id))
    peer.messages.wait_for(lambda s: s.xml.find(f"{{{CHAT_STATES}}}paused") is not None)
    peer.send_chat_state(chat._driver.core.jid, "composing")
    assert events.wait_for("typing_started")[0].user_id == peer_id
    peer.send_chat_state(chat._driver.core.jid, "paused")
    assert events.wait_for("typing_stopped")[0].user_id == peer_id


def test_markers_from_slixmpp(meeting):
    chat, events, peer, peer_id = meeting
    handle = chat.send_private(peer_id, "hello")
    peer.messages.wait_for(lambda stanza: stanza["id"] == handle.id)
    peer.send_marker(chat._driver.core.jid, "received", handle.id, dialog_id="d" * 24)
    peer.send_marker(chat._driver.core.jid, "displayed", handle.id, dialog_id="d" * 24)
    delivered = events.wait_for("message_delivered")[0]
    read = events.wait_for("message_read")[0]
    assert (delivered.user_id, delivered.message_id) == (peer_id, handle.id)
    assert (read.user_id, read.message_id) == (peer_id, handle.id)
