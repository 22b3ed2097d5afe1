"""slixmpp as the other person, on prosody and on the emulator: it says what our stanzas are."""

from __future__ import annotations

import itertools

import pytest

from connectycube import Attachment, Chat, Config, DialogRef, Message
from tests.chat.people import FAST, PATIENCE, Events
from tests.interop.slixmpp_peer import CHAT_MARKERS, CHAT_STATES

APP = 7
PASSWORD = "correct horse battery staple"
CLIENT = "jabber:client"
_users = itertools.count(6001)

servers = pytest.mark.parametrize(
    "place",
    [
        pytest.param("emulator", marks=pytest.mark.referee("slixmpp")),
        pytest.param("prosody", marks=pytest.mark.referee("slixmpp", "prosody")),
    ],
)


@pytest.fixture
def meeting(place, request, slixmpp_on):
    """Our user's chat and events, and a slixmpp user, both logged in on the server of the test."""
    server = request.getfixturevalue(place)
    if place == "emulator":
        user_id = server.add_user(f"ours{next(_users)}", PASSWORD)
        config = server.config(reconnect=FAST)
        peer = slixmpp_on(server, f"theirs{next(_users)}")
    else:
        user_id = next(_users)
        server.add_user(f"{user_id}-{APP}", PASSWORD)
        config = Config(
            app_id=APP,
            auth_key="unused",
            chat_host="localhost",
            chat_port=server.port,
            ca_file=server.ca_file,
            reconnect=FAST,
        )
        peer = slixmpp_on(server, f"{next(_users)}-{APP}")
    chat = Chat(config)
    events = Events(*chat._signals())
    chat.login(user_id, PASSWORD)
    yield chat, events, peer, int(peer.jid.partition("-")[0])
    chat.logout()


def param(stanza, name):
    return stanza.xml.findtext(f"{{{CLIENT}}}extraParams/{{{CLIENT}}}{name}")


@servers
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


@servers
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


@servers
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


@servers
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


@servers
def test_slixmpp_gets_an_answer_to_its_ping(meeting):
    chat, _, peer, _ = meeting
    assert 0 <= peer.ping(chat._driver.core.jid) < 5
