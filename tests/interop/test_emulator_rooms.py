"""The emulator's rooms, as clients that others wrote see them: slixmpp and the official JavaScript SDK."""

from __future__ import annotations

import pytest
import requests
from slixmpp.exceptions import IqError, PresenceError

from connectycube.emulator import Emulator
from tests.interop.javascript_peer import JavaScriptError
from tests.interop.slixmpp_peer import SlixmppPeer
from tests.support.mailbox import Mailbox
from tests.support.people import PASSWORD
from tests.support.waiting import TIMEOUT


class RoomPeer(SlixmppPeer):
    """A slixmpp user with its plugins of rooms; ``seen`` holds (event, nick) of every presence."""

    def _make_client(self):
        super()._make_client()
        self.seen = Mailbox(f"presences in rooms for {self.jid}")
        self.user_id = int(self.jid.partition("-")[0])
        for plugin in ("xep_0030", "xep_0045", "xep_0410"):
            self._client.register_plugin(plugin)

    def join(self, room, nick=None):
        """Join; return our presence, the subject and the nicks of those inside."""
        for event in ("got_online", "got_offline"):
            self._do(lambda event=event: self._watch(room, event))
        work = self._client.plugin["xep_0045"].join_muc_wait(
            room,
            str(nick or self.user_id),
            maxstanzas=0,
            timeout=TIMEOUT,
            # without it slixmpp 1.12, the last for Python 3.10, overlooks what is sent to us
            presence_options={"pfrom": self._client.boundjid},
        )
        presence, subject, occupants, history = self._await(work, TIMEOUT + 5)
        assert history == []
        return presence, subject, {one["muc"]["nick"] for one in occupants}

    def _watch(self, room, event):
        def note(presence):
            self.seen.put((event, presence["muc"]["nick"]))

        self._client.add_event_handler(f"muc::{room}::{event}", note)

    def leave(self, room):
        self._do(lambda: self._client.plugin["xep_0045"].leave_muc(room, str(self.user_id)))

    def roster(self, room):
        return set(self._client.plugin["xep_0045"].get_roster(room))

    def items(self, jid):
        work = self._client.plugin["xep_0030"].get_items(jid=jid, timeout=TIMEOUT)
        return {item[0] for item in self._await(work, TIMEOUT + 5)["disco_items"]["items"]}

    def information(self, jid):
        work = self._client.plugin["xep_0030"].get_info(jid=jid, timeout=TIMEOUT)
        return self._await(work, TIMEOUT + 5)["disco_info"]


def make_group(emulator, owner, *others):
    """Make a group of logins over REST; return its id and room."""
    with requests.Session() as http:
        http.trust_env = False
        user = {"login": owner, "password": PASSWORD}
        body = {"application_id": emulator.app_id, "auth_key": emulator.auth_key, "user": user}
        session = http.post(f"{emulator.api_url}/session", json=body, timeout=5).json()["session"]
        made = http.post(
            f"{emulator.api_url}/chat/Dialog",
            json={"type": 2, "name": "Friends", "occupants_ids": list(others)},
            headers={"CB-Token": session["token"]},
            timeout=5,
        ).json()
    return made["_id"], made["xmpp_room_jid"]


class TestSlixmpp:
    pytestmark = pytest.mark.referee("slixmpp")

    @pytest.fixture
    def emulator(self):
        with Emulator(room_subject=True) as running:
            yield running

    @pytest.fixture
    def meeting(self, emulator):
        """Two peers and the room of their group."""
        peers = []
        try:
            for name in ("alice", "bob"):
                user_id = emulator.add_user(name, PASSWORD)
                peer = RoomPeer(
                    f"{user_id}-{emulator.app_id}@{emulator.domain}",
                    PASSWORD,
                    host=emulator.host,
                    port=emulator.chat_port,
                    ca_file=emulator.ca_file,
                )
                peer.start()
                peers.append(peer)
            yield *peers, *make_group(emulator, "alice", peers[1].user_id)
        finally:
            for peer in peers:
                peer.stop()

    def test_join_talk_and_leave(self, emulator, meeting):
        alice, bob, dialog_id, room = meeting
        presence, subject, inside = alice.join(room)
        assert presence["muc"]["status_codes"] == {110}
        assert (presence["muc"]["affiliation"], presence["muc"]["role"]) == ("owner", "moderator")
        assert (subject["subject"], inside) == (None, {str(alice.user_id)})
        _, _, inside = bob.join(room)
        assert inside == {str(alice.user_id), str(bob.user_id)}
        alice.seen.wait_for(lambda entry: entry == ("got_online", str(bob.user_id)))

        text = "Grüße, <you> & 👋"
        sent = alice.send_message(room, text, type="groupchat", extra={"save_to_history": "1"})
        for peer in (alice, bob):
            message = peer.messages.wait_for(lambda found: found["id"] == sent)
            assert (message["body"], message["type"]) == (text, "groupchat")
            assert message["from"].full == f"{room}/{alice.user_id}"
        (stored,) = emulator.messages(dialog_id)
        assert (stored["_id"], stored["message"]) == (sent, text)

        bob.leave(room)
        alice.seen.wait_for(lambda entry: entry == ("got_offline", str(bob.user_id)))
        assert alice.roster(room) == {str(alice.user_id)}

    def test_a_wrong_nick_and_an_unknown_room_are_errors_that_slixmpp_names(self, meeting):
        alice, bob, _, room = meeting
        for place, nick, condition in (
            (room, bob.user_id, "conflict"),
            (room, "al", "not-acceptable"),
            (room.replace("1_", "9_", 1), None, "item-not-found"),
        ):
            with pytest.raises(PresenceError) as refused:
                alice.join(place, nick)
            assert refused.value.condition == condition

    def test_a_kick_is_seen_and_one_may_come_back(self, emulator, meeting):
        alice, bob, dialog_id, room = meeting
        alice.join(room)
        bob.join(room)
        emulator.kick(dialog_id, bob.user_id, reason="enough")
        gone = bob.presences.wait_for(
            lambda found: found["type"] == "unavailable" and 307 in found["muc"]["status_codes"]
        )
        assert {110, 307} == gone["muc"]["status_codes"]
        alice.seen.wait_for(lambda entry: entry == ("got_offline", str(bob.user_id)))
        assert bob.join(room)[2] == {str(alice.user_id), str(bob.user_id)}

    def test_what_and_who_is_there(self, meeting):
        alice, bob, _, room = meeting
        assert alice.items("muc.localhost") == {room}
        assert alice.items(room) == {f"{room}/{alice.user_id}", f"{room}/{bob.user_id}"}
        info = alice.information(room)
        assert ("conference", "text", None, "Friends") in info["identities"]
        assert "muc_membersonly" in info["features"]

    def test_a_self_ping_says_whether_one_is_inside(self, meeting):
        alice, _, _, room = meeting
        own = f"{room}/{alice.user_id}"
        with pytest.raises(IqError) as refused:
            alice.ping(own)
        assert refused.value.condition == "not-acceptable"
        alice.join(room)
        assert 0 <= alice.ping(own) < TIMEOUT


class TestJavaScript:
    pytestmark = pytest.mark.referee("javascript")

    @pytest.fixture
    def meeting(self, emulator, javascript_on):
        """Two peers, both online, and their group."""
        alice, bob = (javascript_on(emulator, name) for name in ("alice", "bob"))
        return alice, bob, *make_group(emulator, "alice", bob.user_id)

    def test_a_message_is_written_and_read_without_a_join(self, emulator, meeting):
        alice, bob, dialog_id, _ = meeting
        extension = {"save_to_history": 1, "place": {"city": "Köln"}}
        message = {"type": "groupchat", "body": "Grüße <&> 👋", "extension": extension}
        sent = alice.call("chat.send", dialog_id, message)
        for peer in (alice, bob):
            user_id, received = peer.wait_for_event("onMessageListener")
            assert user_id == alice.user_id
            assert (received["id"], received["body"]) == (sent, message["body"])
            assert (received["type"], received["dialog_id"]) == ("groupchat", dialog_id)
            assert received["extension"]["place"] == {"city": "Köln"}
            assert received["extension"]["message_id"] == sent
        delivered = alice.wait_for_event("onDeliveredStatusListener")
        assert delivered == [sent, dialog_id, bob.user_id]
        (stored,) = emulator.messages(dialog_id)
        assert stored["delivered_ids"] == [alice.user_id, bob.user_id]

    def test_typing_edit_and_delete(self, meeting):
        alice, bob, dialog_id, _ = meeting
        alice.call("chat.sendIsTypingStatus", dialog_id)
        assert bob.wait_for_event("onMessageTypingListener") == [True, alice.user_id, dialog_id]
        alice.call("chat.sendIsStopTypingStatus", dialog_id)
        assert bob.wait_for_event("onMessageTypingListener") == [False, alice.user_id, dialog_id]
        original = "ab" * 12
        edit = {
            "to": dialog_id,
            "dialogId": dialog_id,
            "originMessageId": original,
            "body": "new",
            "last": True,
        }
        alice.call("chat.editMessage", edit)
        edited = bob.wait_for_event("onMessageUpdateListener")
        assert edited[:5] == [original, True, "new", dialog_id, alice.user_id]
        delete = {"to": dialog_id, "dialogId": dialog_id, "messageId": original}
        alice.call("chat.deleteMessage", delete)
        deleted = bob.wait_for_event("onMessageDeleteListener")
        assert deleted == [original, dialog_id, alice.user_id]

    def test_what_is_done_over_rest(self, meeting):
        alice, bob, dialog_id, _ = meeting
        body = {"chat_dialog_id": dialog_id, "message": "over REST", "send_to_chat": 1}
        stored = alice.call("chat.message.create", body)
        user_id, received = bob.wait_for_event("onMessageListener")
        assert (user_id, received["id"], received["body"]) == (
            alice.user_id,
            stored["_id"],
            "over REST",
        )
        bob.call("chat.message.addReaction", stored["_id"], "🔥")
        expected = [stored["_id"], bob.user_id, dialog_id, "🔥", None]
        assert alice.wait_for_event("onMessageReactionsListener") == expected
        alice.call("chat.message.delete", stored["_id"], {"force": 1})
        deleted = bob.wait_for_event("onMessageDeleteListener")
        assert deleted == [stored["_id"], dialog_id, alice.user_id]

    def test_who_is_online_comes_and_goes(self, meeting):
        alice, bob, dialog_id, _ = meeting
        online = alice.call("chat.muc.listOnlineUsers", dialog_id)
        assert online == [alice.user_id, bob.user_id]
        # This SDK overlooks the answer to its own join and leave, so that nobody can wait for these calls.
        alice.begin("chat.muc.join", dialog_id)
        alice.call("chat.muc.listOnlineUsers", dialog_id)
        bob.begin("chat.muc.join", dialog_id)
        assert alice.wait_for_event("onJoinOccupant") == [dialog_id, bob.user_id]
        bob.begin("chat.muc.leave", dialog_id)
        assert alice.wait_for_event("onLeaveOccupant") == [dialog_id, bob.user_id]

    def test_a_refused_join_rejects_with_its_code(self, emulator, meeting):
        alice, _, _, _ = meeting
        with pytest.raises(JavaScriptError) as refused:
            alice.call("chat.muc.join", "f" * 24)
        assert refused.value.code == "404"

    def test_a_refused_message_is_told_by_its_id(self, meeting):
        alice, _, _, _ = meeting
        message = {"type": "groupchat", "body": "x", "extension": {}}
        sent = alice.call("chat.send", "f" * 24, message)
        assert alice.wait_for_event("onMessageErrorListener")[0] == sent
