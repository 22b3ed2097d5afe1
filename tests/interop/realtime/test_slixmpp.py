"""slixmpp as the other person: it says what our stanzas are."""

from __future__ import annotations

import pytest

from connectycube import Attachment, DialogRef, Message
from tests.interop.slixmpp_peer import CHAT_MARKERS, CHAT_STATES
from tests.support.inside import driver_of
from tests.support.waiting import TIMEOUT

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
    handle.result(TIMEOUT)

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
        driver_of(chat).core.session.jid,
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
    peer.send_chat_state(driver_of(chat).core.session.jid, "composing")
    assert events.wait_for("typing_started")[0].user_id == peer_id
    peer.send_chat_state(driver_of(chat).core.session.jid, "paused")
    assert events.wait_for("typing_stopped")[0].user_id == peer_id


def test_markers_from_slixmpp(meeting):
    chat, events, peer, peer_id = meeting
    handle = chat.send_private(peer_id, "hello")
    peer.messages.wait_for(lambda stanza: stanza["id"] == handle.id)
    peer.send_marker(driver_of(chat).core.session.jid, "received", handle.id, dialog_id="d" * 24)
    peer.send_marker(driver_of(chat).core.session.jid, "displayed", handle.id, dialog_id="d" * 24)
    delivered = events.wait_for("message_delivered")[0]
    read = events.wait_for("message_read")[0]
    assert (delivered.user_id, delivered.message_id) == (peer_id, handle.id)
    assert (read.user_id, read.message_id) == (peer_id, handle.id)


# --- in a room ------------------------------------------------------------------------------------


@pytest.fixture
def gathering(server):
    """Our user and a slixmpp user in a room, and its dialog."""
    ours, theirs = server.person(), server.user()
    dialog = server.room(ours, theirs)
    peer = server.slixmpp(theirs)
    peer.join(server.room_jid(dialog), str(theirs.id))
    ours.chat.join(dialog)
    return ours, peer, theirs.id, dialog


def test_what_slixmpp_sees_of_us_in_a_room(gathering, server):
    ours, peer, _, dialog = gathering
    room = server.room_jid(dialog)
    me = f"{room}/{ours.id}"
    peer.presences.wait_for(lambda presence: presence["from"].full == me)
    message = Message(
        body="Grüße, <you> & 👋",
        custom={"colour": "blue & <green>", "place": {"city": "Łódź"}},
        attachments=(Attachment(type="image", uid="u1"),),
    )
    handle = ours.chat.send_message(dialog, message)
    stanza = peer.messages.wait_for(lambda stanza: stanza["body"])
    assert (stanza["id"], stanza["type"], stanza["from"].full) == (handle.id, "groupchat", me)
    assert stanza["body"] == message.body
    assert param(stanza, "colour") == "blue & <green>"
    assert stanza.xml.find(f"{{{CLIENT}}}extraParams/{{{CLIENT}}}attachment").get("id") == "u1"
    assert stanza.xml.find(f"{{{CHAT_MARKERS}}}markable") is not None
    ours.chat.send_typing(dialog)
    typing = peer.messages.wait_for(lambda s: s.xml.find(f"{{{CHAT_STATES}}}composing") is not None)
    assert (typing["type"], typing["from"].full) == ("groupchat", me)
    ours.chat.leave(dialog)
    peer.presences.wait_for(
        lambda presence: presence["from"].full == me and presence["type"] == "unavailable"
    )


def test_what_we_see_of_slixmpp_in_a_room_and_the_markers_both_get(gathering, server):
    ours, peer, peer_id, dialog = gathering
    room = server.room_jid(dialog)
    sent = peer.send_message(
        room, " Здравствуй & <все>\t👋 ", type="groupchat", markable=True, extra={"colour": "red"}
    )
    peer.send_chat_state(room, "composing", type="groupchat")
    peer.send_chat_state(room, "paused", type="groupchat")
    (message,) = ours.events.wait_for("message_received")
    assert (message.id, message.body) == (sent, " Здравствуй & <все>\t👋 ")
    assert (message.sender_id, message.custom) == (peer_id, {"colour": "red"})
    assert message.dialog == DialogRef.room(dialog.id)
    for name in ("typing_started", "typing_stopped"):
        (typing,) = ours.events.wait_for(name)
        assert (typing.user_id, typing.dialog_id) == (peer_id, dialog.id)

    def marker(name):
        def matches(stanza):
            found = stanza.xml.find(f"{{{CHAT_MARKERS}}}{name}")
            return found is not None and found.get("id") == sent

        return peer.messages.wait_for(matches)

    ours.chat.mark_read(message)
    for name in ("received", "displayed"):
        stanza = marker(name)
        assert (stanza["type"], param(stanza, "dialog_id")) == ("chat", dialog.id)
        assert stanza["from"].full == driver_of(ours.chat).core.session.jid
    handle = ours.chat.send_message(dialog, "and mine?")
    peer.messages.wait_for(lambda stanza: stanza["id"] == handle.id)
    own = f"{ours.id}-{ours.config.app_id}@localhost"
    peer.send_marker(own, "received", handle.id, dialog_id=dialog.id)
    peer.send_marker(own, "displayed", handle.id, dialog_id=dialog.id)
    for name in ("message_delivered", "message_read"):
        (status,) = ours.events.wait_for(name)
        assert (status.user_id, status.message_id) == (peer_id, handle.id)
        assert status.dialog_id == dialog.id


def test_a_nick_that_is_no_user_is_nobody_to_us(server):
    ours, theirs = server.person(), server.user()
    dialog = server.room(ours, theirs)
    room = server.room_jid(dialog)
    ours.chat.join(dialog)
    peer = server.slixmpp(theirs)
    answer = peer.join(room, "a guest & 5")
    if not server.supports("nicks of one's choice"):
        assert (answer["type"], answer["error"]["condition"]) == ("error", "not-acceptable")
        return
    peer.send_message(room, "who am I?", type="groupchat", markable=True)
    # The room's words about itself are those of nobody, too.
    peer.send_raw(f"<message to='{ours.id}-7@localhost' type='chat'><body>I</body></message>")
    (message,) = ours.events.wait_for("message_received")
    assert (message.body, message.sender_id) == ("I", theirs.id)
    assert ours.events.of("occupant_joined") == []
    peer.send_raw(f"<presence to='{room}/a guest &amp; 5' type='unavailable'/>")
    peer.presences.wait_for(lambda presence: presence["type"] == "unavailable")
    ours.chat.ping()
    assert ours.events.of("occupant_left") == []
