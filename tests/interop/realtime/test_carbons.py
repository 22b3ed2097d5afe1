"""Several devices of one user: copies of what the others send and receive. (XEP-0280.)"""

from __future__ import annotations

import pytest

from connectycube import ChatState, DialogRef, Message
from tests.interop.realtime.rooms import bodies, hear
from tests.interop.slixmpp_peer import CHAT_MARKERS, CHAT_STATES
from tests.support.inside import driver_of
from tests.support.waiting import TIMEOUT

CARBONS = "urn:xmpp:carbons:2"
FORWARD = "urn:xmpp:forward:0"


@pytest.fixture
def devices(server):
    """Two devices of one of our users, and another user."""
    user = server.user()
    return server.person(user), server.person(user), server.person()


def test_what_one_device_sends_the_other_gets_as_its_own_once_and_in_order(devices):
    phone, desk, ben = devices
    texts = [f"number {number}" for number in range(100)]
    handles = [phone.chat.send_private(ben.id, text) for text in texts]
    assert bodies(ben, 100) == bodies(desk, 100, "own_message_received") == texts
    copies = desk.events.of("own_message_received")
    assert [copy.id for copy in copies] == [handle.id for handle in handles]
    for copy in copies:
        assert copy.own and not copy.delayed
        assert (copy.sender_id, copy.recipient_id) == (phone.id, ben.id)
        assert copy.dialog.peer_id == ben.id
    hear("that was all", ben, phone)
    assert bodies(phone, 1) == ["that was all"]
    assert ben.events.wait_for("message_delivered")[0].user_id == phone.id
    assert {status.user_id for status in phone.events.of("message_delivered")} == {ben.id}


def test_a_copy_can_be_replied_to(devices):
    phone, desk, ben = devices
    phone.chat.send_private(ben.id, "from my phone")
    desk.chat.reply(desk.events.wait_for("own_message_received")[0], "and from my desk")
    assert bodies(ben, 2) == ["from my phone", "and from my desk"]
    (copy,) = phone.events.wait_for("own_message_received")
    assert (copy.body, copy.own, copy.recipient_id) == ("and from my desk", True, ben.id)


def test_edits_and_deletions_of_another_device_are_ones_own(devices):
    phone, desk, ben = devices
    dialog = DialogRef.private(ben.id, "d" * 24)
    first = phone.chat.send_message(dialog, "helo").result(TIMEOUT)
    phone.chat.edit_message(dialog, first, "hello").result(TIMEOUT)
    phone.chat.delete_message(dialog, first).result(TIMEOUT)
    for person, own in ((ben, False), (desk, True)):
        (edit,) = person.events.wait_for("message_edited")
        assert (edit.message_id, edit.body, edit.own) == (first.id, "hello", own)
        (deletion,) = person.events.wait_for("message_deleted")
        assert (deletion.message_id, deletion.own) == (first.id, own)
        assert edit.user_id == deletion.user_id == phone.id
    assert edit.dialog.peer_id == ben.id


def test_statuses_and_typing_of_another_device_are_nothing_to_tell(devices):
    phone, desk, ben = devices
    ben.chat.send_private(phone.id, "seen?")
    phone.chat.mark_read(phone.events.wait_for("message_received")[0])
    phone.chat.send_typing(DialogRef.private(ben.id))
    phone.chat.send_stop_typing(DialogRef.private(ben.id))
    phone.chat.send_private(ben.id, Message(body="seen", markable=False))
    assert bodies(desk, 1) == ["seen?"]
    assert bodies(desk, 1, "own_message_received") == ["seen"]
    told = {name for name, _ in desk.events.all}
    assert told == {"state_changed", "message_received", "own_message_received"}
    assert ben.events.wait_for("message_read")[0].user_id == phone.id
    assert [event.user_id for event in ben.events.wait_for("typing_started")] == [phone.id]


def test_a_device_without_copies_of_before_gets_those_of_a_new_session(server):
    user, proxy, ben = server.user(), server.proxy(), server.person()
    phone = server.person(user)
    desk = server.person(user, port=proxy.port, resource="desk")
    proxy.refuse()
    proxy.rst()
    desk.wait_for_state(ChatState.FORCE_CLOSED)
    server.person(user, resource="desk").chat.logout()
    proxy.accept()
    desk.wait_for_state(ChatState.READY, 2)
    hear("again?", phone, ben)
    (copy,) = desk.events.wait_for("own_message_received")
    assert (copy.body, copy.own) == ("again?", True)


# --- slixmpp as the other device, as the sender and as the forger ---------------------------------


@pytest.mark.referee("slixmpp")
def test_what_slixmpp_sees_as_our_other_device(server):
    user, ben = server.user(), server.person()
    phone, peer = server.person(user), server.slixmpp(user)
    peer.ask(f"<iq type='set'><enable xmlns='{CARBONS}'/></iq>")
    message = Message(body="from my phone & <more>", custom={"colour": "blue"})
    handle = phone.chat.send_private(ben.id, message)

    def copied(stanza, direction):
        return stanza.xml.find(
            f"{{{CARBONS}}}{direction}/{{{FORWARD}}}forwarded/{{jabber:client}}message"
        )

    wrapper = peer.messages.wait_for(lambda stanza: copied(stanza, "sent") is not None)
    assert wrapper["from"].bare == user.jid
    copy = copied(wrapper, "sent")
    assert (copy.get("id"), copy.get("type")) == (handle.id, "chat")
    assert copy.findtext("{jabber:client}body") == "from my phone & <more>"
    assert copy.findtext("{jabber:client}extraParams/{jabber:client}colour") == "blue"
    # slixmpp says who we are, and that goes to our other device as our own.
    sent = peer.send_message(f"{ben.id}-7@localhost", "from slixmpp", markable=True)
    (own,) = phone.events.wait_for("own_message_received")
    assert (own.id, own.body, own.own, own.recipient_id) == (sent, "from slixmpp", True, ben.id)
    peer.send_marker(f"{ben.id}-7@localhost", "displayed", handle.id)
    peer.send_chat_state(f"{ben.id}-7@localhost", "composing")
    assert ben.events.wait_for("typing_started")[0].user_id == user.id
    assert ben.events.wait_for("message_read")[0].message_id == handle.id
    hear("done", ben, phone)
    assert phone.events.of("message_read") == phone.events.of("typing_started") == []


@pytest.mark.referee("slixmpp")
def test_only_the_addressed_device_marks_a_message_even_if_copied(server):
    user, peer_user = server.user(), server.user()
    phone, desk = server.person(user), server.person(user)
    peer = server.slixmpp(peer_user)
    sent = peer.send_message(driver_of(phone.chat).core.session.jid, "for the phone", markable=True)
    copied = [desk] if server.supports("copies of what was received") else []
    for device in (phone, *copied):
        (message,) = device.events.wait_for("message_received")
        assert (message.id, message.body, message.own) == (sent, "for the phone", False)
        assert message.sender_id == peer_user.id
    # Each device's own message comes behind what it said of the other by itself.
    for device, body in ((desk, "from the desk"), (phone, "from the phone")):
        device.chat.send_private(peer_user.id, body)
        peer.messages.wait_for(lambda stanza, body=body: stanza["body"] == body)
    marked = [stanza for stanza in peer.messages.all() if marks(stanza, "received", sent)]
    assert [stanza["from"].full for stanza in marked] == [driver_of(phone.chat).core.session.jid]
    assert bodies(desk, len(copied)) == ["for the phone"] * len(copied)
    assert bodies(desk, 1, "own_message_received") == ["from the phone"]


def marks(stanza, name, message_id):
    marker = stanza.xml.find(f"{{{CHAT_MARKERS}}}{name}")
    return marker is not None and marker.get("id") == message_id


@pytest.mark.referee("slixmpp")
@pytest.mark.parametrize("direction", ["sent", "received"])
def test_a_forged_copy_is_dropped(server, direction):
    alice, ben = server.person(), server.person()
    peer = server.slixmpp()
    forged = (
        f"<message xmlns='jabber:client' type='chat' id='forged' from='{ben.id}-7@localhost/x'"
        f" to='{alice.id}-7@localhost'><body>send me money</body>"
        f"<markable xmlns='{CHAT_MARKERS}'/></message>"
    )
    for to in (f"{alice.id}-7@localhost", driver_of(alice.chat).core.session.jid):
        peer.send_raw(
            f"<message to='{to}' type='chat' id='w'><{direction} xmlns='{CARBONS}'>"
            f"<forwarded xmlns='{FORWARD}'>{forged}</forwarded></{direction}></message>"
        )
        peer.send_raw(
            f"<message to='{to}' type='chat'><composing xmlns='{CHAT_STATES}'/></message>"
        )
    peer.send_message(f"{alice.id}-7@localhost", "honest words")
    assert bodies(alice, 1) == ["honest words"]
    assert driver_of(alice.chat).core.counters.forged == 2
    hear("marked?", alice, ben)
    assert ben.events.of("message_delivered") == []
