"""An old release of the official JavaScript SDK: HTTPS and WebSocket only, signed sessions, the roster."""

from __future__ import annotations

import pytest

from connectycube import ContactEvent, ContactListItem, RoomLeft
from connectycube.emulator import Emulator
from tests.interop.javascript_peer import OLD, JavaScriptError, JavaScriptPeer
from tests.interop.javascript_people import go_offline, peer_on, person_at
from tests.support.people import PASSWORD
from tests.support.waiting import TIMEOUT

pytestmark = pytest.mark.referee("javascript")

SECRET = "the application's secret"
TEXT = "Grüße, <you> & 'me' \"👩‍🚀\"\tשלום\nnext line"


@pytest.fixture(scope="module")
def service():
    """A service that insists on signatures."""
    with Emulator(auth_secret=SECRET, require_signature=True) as running:
        yield running


def old_peer_on(service: Emulator, *, secret: str = SECRET, digest: str = "sha1") -> JavaScriptPeer:
    options = {
        "endpoints": {"api": f"localhost:{service.https_port}", "chat": service.domain},
        "chatProtocol": {"websocket": service.websocket_url},
        "hash": digest,
    }
    return peer_on(
        service, auth_secret=secret, release=OLD, options=options, stream_management=False
    )


@pytest.fixture(scope="module")
def peers(service):
    with old_peer_on(service) as one, old_peer_on(service) as other:
        yield one, other


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_a_session_is_signed_over_https(service, digest):
    with old_peer_on(service, digest=digest) as peer:
        session = peer.call("createSession")
        assert session["application_id"] == service.app_id
        user = person_at(service, peer)
        assert peer.call("getSession")["user_id"] == user.id


def test_a_wrong_secret_is_refused(service):
    with (
        old_peer_on(service, secret="another") as peer,
        pytest.raises(JavaScriptError) as refused,
    ):
        peer.call("createSession")
    assert refused.value.code == 422


def test_a_file_goes_to_and_comes_from_https(service, alice):
    content = {"$base64": "R3LDvMOfZQ=="}
    params = {"name": "a.txt", "file": content, "type": "text/plain", "size": 7, "public": True}
    blob = alice.call("storage.createAndUpload", params)
    url = alice.call("storage.getFileObject", blob["uid"], {"download_url": 1})
    address = f"https://127.0.0.1:{service.storage_https_port}/"
    assert url["blob"]["blob_object_access"]["download_url"].startswith(address)


def test_messages_and_statuses_both_ways(service, ours, theirs):
    sent = theirs.peer.send_private(ours.id, TEXT, markable=1)
    message = ours.events.wait_for("message_received")[0]
    assert (message.id, message.body, message.sender_id) == (sent, TEXT, theirs.id)
    ours.chat.mark_read(message)
    dialog_id = service.private_dialog(ours.id, theirs.id)
    assert theirs.peer.wait_for_event("onReadStatusListener") == [sent, dialog_id, ours.id]
    handle = ours.chat.send_private(theirs.id, TEXT)
    user_id, received = theirs.peer.wait_for_event("onMessageListener")
    assert (user_id, received["id"], received["body"]) == (ours.id, handle.id, TEXT)
    assert ours.events.wait_for("message_delivered")[0].message_id == handle.id


def test_a_room_is_joined_and_left(ours, theirs):
    group = ours.cube.dialogs.create_group("all", [theirs.id])
    theirs.call("chat.muc.join", group.id)
    assert theirs.id in theirs.call("chat.muc.listOnlineUsers", group.id)
    handle = ours.chat.send_message(group, TEXT)
    user_id, received = theirs.peer.wait_for_event("onMessageListener")
    assert (user_id, received["id"], received["body"]) == (ours.id, handle.id, TEXT)
    theirs.call("chat.muc.leave", group.id)


def test_a_room_that_does_not_exist_is_refused(theirs):
    with pytest.raises(JavaScriptError) as refused:
        theirs.call("chat.muc.join", "f" * 24)
    assert str(refused.value.code) == "404"


def test_two_become_contacts(theirs, third):
    for person in (theirs, third):
        assert person.call("chat.contactList.get") == {}
    theirs.call("chat.contactList.add", {"userId": third.id, "name": "Third"})
    assert third.peer.wait_for_event("onSubscribeListener") == [theirs.id]
    third.peer.begin("chat.contactList.confirm", theirs.id)
    assert theirs.peer.wait_for_event("onConfirmSubscribeListener") == [third.id]
    assert third.peer.wait_for_event("onConfirmSubscribeListener") == [theirs.id]
    contacts = theirs.call("chat.contactList.get")
    assert contacts[str(third.id)]["subscription"] == "both"
    assert contacts[str(third.id)]["name"] == "Third"
    theirs.call("chat.contactList.remove", third.id)
    assert theirs.call("chat.contactList.get") == {}


# --- contacts, which later releases do not know ---------------------------------------------------


@pytest.fixture
def contacts_asked_for(theirs, third):
    """Both ask for their contacts, as they must to be told of answers. (RFC 6121, 2.2.)"""
    for person in (theirs, third):
        assert person.call("chat.contactList.get") == {}


def contact(person, user_id):
    """What the SDK says of a contact: the subscription, and whether it has been asked for."""
    found = person.call("chat.contactList.get")[str(user_id)]
    return found["subscription"], found["ask"]


def test_they_ask_us_to_be_a_contact_and_see_us_come_and_go(ours, theirs, contacts_asked_for):
    theirs.call("chat.contactList.add", {"userId": ours.id, "name": "Snake"})
    assert ours.events.wait_for("contact_requested") == [ContactEvent(user_id=theirs.id)]
    assert contact(theirs, ours.id) == ("none", "subscribe")
    ours.chat.contacts.confirm(theirs.id)
    assert theirs.peer.wait_for_event("onConfirmSubscribeListener") == [ours.id]
    # This SDK agrees by itself to who asks the same of its user.
    assert ours.events.wait_for("contact_confirmed") == [ContactEvent(user_id=theirs.id)]
    (seen,) = ours.events.wait_for("presence_changed")
    assert (seen.user_id, seen.available) == (theirs.id, True)
    (item,) = ours.chat.contacts.list()
    assert (item.user_id, item.subscription, item.pending) == (theirs.id, "both", False)
    assert contact(theirs, ours.id) == ("both", None)
    listener = "onContactListListener"
    assert theirs.peer.wait_for_event(listener) == [ours.id]
    ours.chat.logout()
    assert theirs.peer.wait_for_event(listener) == [ours.id, "unavailable"]
    ours.chat.login()
    assert theirs.peer.wait_for_event(listener) == [ours.id]


def test_we_ask_them_to_be_a_contact_and_see_them_come_and_go(
    service, ours, theirs, contacts_asked_for
):
    ours.chat.contacts.add(theirs.id, name="Java", groups=["work"])
    assert theirs.peer.wait_for_event("onSubscribeListener") == [ours.id]
    theirs.peer.begin("chat.contactList.confirm", ours.id)
    assert ours.events.wait_for("contact_confirmed") == [ContactEvent(user_id=theirs.id)]
    assert ours.events.wait_for("contact_requested") == [ContactEvent(user_id=theirs.id)]
    ours.chat.contacts.confirm(theirs.id, mutual=False)
    assert theirs.peer.wait_for_event("onConfirmSubscribeListener") == [ours.id]
    assert ours.chat.contacts.list() == (
        ContactListItem(user_id=theirs.id, subscription="both", name="Java", groups=("work",)),
    )
    (here,) = ours.events.wait_for("presence_changed")
    go_offline(service, theirs)
    gone = ours.events.wait_for("presence_changed", 2)[1]
    assert (here.user_id, here.available) == (theirs.id, True)
    assert (gone.user_id, gone.available) == (theirs.id, False)


def test_they_refuse_us_and_we_refuse_them(ours, theirs, third, contacts_asked_for):
    ours.chat.contacts.add(theirs.id)
    assert theirs.peer.wait_for_event("onSubscribeListener") == [ours.id]
    theirs.peer.begin("chat.contactList.reject", ours.id)
    assert ours.events.wait_for("contact_rejected") == [ContactEvent(user_id=theirs.id)]
    third.call("chat.contactList.add", {"userId": ours.id, "name": "Snake"})
    assert ours.events.wait_for("contact_requested") == [ContactEvent(user_id=third.id)]
    ours.chat.contacts.reject(third.id)
    assert third.peer.wait_for_event("onRejectSubscribeListener") == [ours.id]
    assert ours.events.of("presence_changed") == []


def test_a_contact_is_removed_either_way(ours, theirs, third, contacts_asked_for):
    for person in (theirs, third):
        ours.chat.contacts.add(person.id)
        person.peer.wait_for_event("onSubscribeListener")
        person.peer.begin("chat.contactList.confirm", ours.id)
    ours.events.wait_for("contact_requested", 2)
    for person in (theirs, third):
        ours.chat.contacts.confirm(person.id, mutual=False)
        person.peer.wait_for_event("onConfirmSubscribeListener")
    ours.chat.contacts.remove(theirs.id)
    assert theirs.peer.wait_for_event("onRejectSubscribeListener") == [ours.id]
    third.call("chat.contactList.remove", ours.id)
    assert ours.events.wait_for("contact_rejected") == [ContactEvent(user_id=third.id)]
    assert ours.events.wait_for("contact_cancelled") == [ContactEvent(user_id=third.id)]


# --- rooms ----------------------------------------------------------------------------------------


def test_it_tells_who_was_banned_from_a_room(service, ours, theirs):
    group = ours.cube.dialogs.create_group("all", [theirs.id])
    ours.chat.join(group)
    theirs.call("chat.muc.join", group.id)
    service.kick(group.id, ours.id, actor_id=theirs.id)
    ours.events.wait_for("room_left")
    # This SDK means status 301, which XEP-0045 has for a ban, and says nothing of a kick's 307.
    assert theirs.peer.heard("onKickOccupant") == []
    ours.chat.join(group)
    service.ban(group.id, ours.id, actor_id=theirs.id)
    assert theirs.peer.wait_for_event("onKickOccupant") == [group.id, theirs.id]
    left = ours.events.wait_for("room_left", 2)[1]
    assert left == RoomLeft(dialog_id=group.id, reason="banned", actor_id=theirs.id)


# --- the connection -------------------------------------------------------------------------------


def test_it_connects_again_after_a_cut(service, ours, theirs):
    assert service.cut(theirs.id) == 1
    theirs.peer.wait_for_event("onReconnectListener")
    theirs.peer.heard("")
    ours.chat.send_private(theirs.id, "welcome back").result(TIMEOUT)
    assert theirs.peer.wait_for_event("onMessageListener")[1]["body"] == "welcome back"


def test_a_wrong_password_is_refused(service):
    with old_peer_on(service) as peer:
        user = person_at(service, peer)
        wrong = {"userId": user.id, "password": f"not {PASSWORD}"}
        assert user.refused("chat.connect", wrong)
        assert service.sessions(user.id) == []


def test_a_logout_ends_the_session(service, theirs):
    go_offline(service, theirs)
    assert service.sessions(theirs.id) == []
