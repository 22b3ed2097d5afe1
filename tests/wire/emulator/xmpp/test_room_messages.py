"""Messages in rooms: who may write, whom it reaches, what is kept."""

from __future__ import annotations

import pytest

from connectycube.emulator import Emulator
from tests.support.wire_client import CLIENT, Client, condition, param
from tests.wire.emulator.api.people import answered, make_private, make_public
from tests.wire.emulator.xmpp.in_rooms import group_chat, join, nick_of

BODY = f"{CLIENT}body"
SAVED = "<save_to_history>1</save_to_history>"
STATES = "http://jabber.org/protocol/chatstates"
CORRECTION = "urn:xmpp:message-correct:0"
DELETION = "urn:xmpp:message-delete:0"
MARKERS = "urn:xmpp:chat-markers:0"


def one_id(number):
    return f"{number:024x}"


class TestReach:
    def test_a_message_reaches_everybody_who_is_available_without_a_join(
        self, logged_in, people, group, room
    ):
        alice, phone, bob, eve = (
            logged_in("alice"),
            logged_in("alice", "phone"),
            logged_in("bob"),
            logged_in("eve"),
        )
        alice.send(group_chat(room, "hello all", id=one_id(1)))
        for client in (alice, phone, bob):
            message = client.message()
            assert message.get("from") == f"{room}/{people.alice.id}"
            assert (message.get("to"), message.get("type")) == (client.jid, "groupchat")
            assert message.findtext(BODY) == "hello all"
            assert message.get("id") == param(message, "message_id") == one_id(1)
            assert param(message, "dialog_id") == group["_id"]
            assert param(message, "save_to_history") == "1"
            assert int(param(message, "date_sent")) > 1_600_000_000
            assert all(found.tag != f"{CLIENT}message" for found in client.sync())
        assert eve.sync() == []

    def test_who_joined_gets_it_once_and_even_when_not_available(
        self, connect, logged_in, people, room
    ):
        alice = logged_in("alice")
        silent = connect().authenticated(people.bob.id)
        silent.bind()
        join(silent, room)
        join(alice, room)
        alice.send(group_chat(room, "one") + group_chat(room, "two"))
        for client in (silent, alice):
            assert [client.message().findtext(BODY) for _ in range(2)] == ["one", "two"]

    def test_with_a_negative_priority_one_gets_nothing(self, connect, logged_in, people, room):
        alice = logged_in("alice")
        negative = connect().authenticated(people.bob.id)
        negative.bind()
        negative.send("<presence><priority>-1</priority></presence>")
        negative.find(f"{CLIENT}presence")
        alice.send(group_chat(room))
        alice.message()
        assert negative.sync() == []

    def test_subscribers_of_a_public_dialog_get_its_messages(self, logged_in, people):
        made = make_public(people)
        answered(people.bob("POST", f"chat/Dialog/{made['_id']}/subscribe"))
        bob, carol = logged_in("bob"), logged_in("carol")
        bob.send(group_chat(made["xmpp_room_jid"], "hi"))
        assert bob.message().findtext(BODY) == "hi"
        assert carol.sync() == []

    def test_a_broadcast_reaches_every_user_and_its_readers_may_not_write(
        self, emulator, logged_in, people
    ):
        dialog = emulator.add_broadcast_dialog("News", people.alice.id, admins_ids=[people.bob.id])
        room = f"1_{dialog}@muc.localhost"
        bob, carol = logged_in("bob"), logged_in("carol")
        carol.send(group_chat(room, "me too"))
        assert condition(carol.message()) == "forbidden"
        carol.send(f"<message to='{room}' type='groupchat'><composing xmlns='{STATES}'/></message>")
        assert condition(carol.message()) == "forbidden"
        bob.send(group_chat(room, "news"))
        assert carol.message().findtext(BODY) == "news"
        assert [stored["message"] for stored in emulator.messages(dialog)] == ["news"]

    def test_a_room_block_hides_a_users_messages_unknown_to_the_user(self, logged_in, people, room):
        alice, bob, carol = (logged_in(name) for name in ("alice", "bob", "carol"))
        item = f"<item type='jid' value='muc.localhost/{people.alice.id}' action='deny' order='1'/>"
        for inner in (f"<list name='blocked'>{item}</list>", "<default name='blocked'/>"):
            query = f"<query xmlns='jabber:iq:privacy'>{inner}</query>"
            bob.send(f"<iq type='set' id='p'>{query}</iq>")
            assert bob.answer("p").get("type") == "result"
        bob.sync()
        alice.send(group_chat(room, "from alice"))
        carol.send(group_chat(room, "from carol", id="b" * 24))
        assert sorted(carol.message().findtext(BODY) for _ in range(2)) == [
            "from alice",
            "from carol",
        ]
        assert {alice.message().get("type") for _ in range(2)} == {"groupchat"}
        assert [found.findtext(BODY) for found in bob.sync()] == ["from carol"]

    def test_the_room_has_one_order_for_all(self, logged_in, room):
        clients = [logged_in(name) for name in ("alice", "bob", "carol")]
        for start, client in enumerate(clients):
            client.send(
                "".join(
                    group_chat(room, f"{start}.{n}", id=one_id(start * 1_000 + n))
                    for n in range(200)
                )
            )
        seen = [[client.message().findtext(BODY) for _ in range(600)] for client in clients]
        assert seen[0] == seen[1] == seen[2]
        for start in range(3):
            own = [body for body in seen[0] if body.startswith(f"{start}.")]
            assert own == [f"{start}.{n}" for n in range(200)]

    def test_the_echo_can_be_turned_off_for_the_connection_that_sent(self):
        with Emulator(room_echo=False) as emulator:
            alice = emulator.add_user("alice", "secret")
            room = f"1_{emulator.add_broadcast_dialog('News', alice)}@muc.localhost"
            with Client(emulator) as desk, Client(emulator) as phone:
                desk.log_in(alice)
                phone.log_in(alice)
                desk.send(group_chat(room))
                assert nick_of(phone.message()) == alice
                assert all(found.tag != f"{CLIENT}message" for found in desk.sync())


class TestJoinRequired:
    @pytest.fixture
    def emulator(self):
        with Emulator(join_required=True) as running:
            yield running

    def test_only_who_has_joined_writes_and_receives(self, emulator, logged_in, rest, people, room):
        alice, phone, bob = logged_in("alice"), logged_in("alice", "phone"), logged_in("bob")
        alice.send(group_chat(room, "too early"))
        assert condition(alice.message()) == "not-acceptable"
        join(alice, room)
        join(bob, room)
        alice.send(group_chat(room, "hello"))
        assert [client.message().findtext(BODY) for client in (alice, bob)] == ["hello"] * 2
        assert all(found.tag != f"{CLIENT}message" for found in phone.sync())
        dialog_id = room.partition("_")[2].partition("@")[0]
        body = {"chat_dialog_id": dialog_id, "message": "from REST", "send_to_chat": 1}
        answered(people.carol("POST", "chat/Message", json=body), 201)
        assert bob.message().findtext(BODY) == "from REST"
        assert all(found.tag != f"{CLIENT}message" for found in phone.sync())


class TestKinds:
    def test_what_asks_for_it_is_kept_once(self, emulator, logged_in, people, group, room):
        alice = logged_in("alice")
        params = "<colour>red</colour><dialog_id>wrong</dialog_id><attachment type='image' id='u'/>"
        for _ in range(2):
            alice.send(group_chat(room, "same", id=one_id(7), params=params))
        for _ in range(2):
            message = alice.message()
            assert message.get("id") == one_id(7)
            assert param(message, "dialog_id") == group["_id"]
        (stored,) = emulator.messages(group["_id"])
        assert (stored["_id"], stored["message"], stored["sender_id"]) == (
            one_id(7),
            "same",
            people.alice.id,
        )
        assert stored["colour"] == "red"
        assert stored["attachments"] == [{"type": "image", "id": "u"}]
        assert stored["read_ids"] == [people.alice.id]

    def test_given_date_is_kept_and_an_id_of_ones_own_stays(self, emulator, logged_in, group, room):
        alice = logged_in("alice")
        alice.send(group_chat(room, id="mine", params="<date_sent>1700000000</date_sent>"))
        message = alice.message()
        assert message.get("id") == "mine"
        (stored,) = emulator.messages(group["_id"])
        assert (stored["_id"], stored["date_sent"]) == (param(message, "message_id"), 1_700_000_000)

    def test_unsaved_and_self_destroying_messages_are_relayed_and_not_kept(
        self, emulator, logged_in, group, room
    ):
        alice, bob = logged_in("alice"), logged_in("bob")
        alice.send(group_chat(room, "unsaved").replace(SAVED, ""))
        destroy = "<destroy xmlns='urn:xmpp:message-destroy-after:0' after='5'/>"
        alice.send(group_chat(room, "gone soon", more=destroy))
        assert [bob.message().findtext(BODY) for _ in range(2)] == ["unsaved", "gone soon"]
        assert emulator.messages(group["_id"]) == []

    def test_a_subject_beside_a_body_is_part_of_the_message(self, logged_in, room):
        alice = logged_in("alice")
        alice.send(group_chat(room, more="<subject>about</subject>"))
        assert alice.message().findtext(f"{CLIENT}subject") == "about"

    @pytest.mark.parametrize(
        ("inner", "tag"),
        [
            (f"<composing xmlns='{STATES}'/>", f"{{{STATES}}}composing"),
            (f"<paused xmlns='{STATES}'/>", f"{{{STATES}}}paused"),
            (
                f"<body>new</body><replace xmlns='{CORRECTION}' id='{one_id(1)}' last='true'/>"
                f"<extraParams>{SAVED}</extraParams>",
                f"{{{CORRECTION}}}replace",
            ),
            (
                f"<remove xmlns='{DELETION}' id='{one_id(1)}'/><extraParams>{SAVED}</extraParams>",
                f"{{{DELETION}}}remove",
            ),
        ],
    )
    def test_what_is_no_message_of_its_own_is_relayed_as_it_is(
        self, emulator, logged_in, people, group, room, inner, tag
    ):
        alice, bob = logged_in("alice"), logged_in("bob")
        alice.send(f"<message to='{room}' type='groupchat' id='x'>{inner}</message>")
        for client in (alice, bob):
            message = client.message()
            assert message.get("from") == f"{room}/{people.alice.id}"
            assert message.find(tag) is not None
        assert emulator.messages(group["_id"]) == []

    def test_markers_go_to_the_sender_alone_and_are_kept(
        self, emulator, logged_in, people, group, room
    ):
        alice, bob, carol = (logged_in(name) for name in ("alice", "bob", "carol"))
        alice.send(group_chat(room, id=one_id(5)))
        for client in (alice, bob, carol):
            client.message()
        bob.send(
            f"<message to='{people.alice.id}-1@localhost' type='chat' id='{one_id(6)}'>"
            f"<displayed xmlns='{MARKERS}' id='{one_id(5)}'/></message>"
        )
        marker = alice.message()
        assert param(marker, "dialog_id") == group["_id"]
        (stored,) = emulator.messages(group["_id"])
        assert stored["read_ids"] == stored["delivered_ids"] == [people.alice.id, people.bob.id]
        assert carol.sync() == []


class TestRefusedMessages:
    @pytest.mark.parametrize(
        ("to", "kind", "inner", "expected"),
        [
            ("{room}/{bob}", "chat", "<body>x</body>", "feature-not-implemented"),
            ("{room}/{bob}", "groupchat", "<body>x</body>", "bad-request"),
            ("{room}", "chat", "<body>x</body>", "bad-request"),
            ("{room}", "normal", "<body>x</body>", "bad-request"),
            ("{room}", "headline", "<body>x</body>", "bad-request"),
            ("{room}", "groupchat", "<subject>new</subject>", "forbidden"),
            ("muc.localhost", "groupchat", "<body>x</body>", "item-not-found"),
            ("9_abc@muc.localhost", "groupchat", "<body>x</body>", "item-not-found"),
            ("nonsense@muc.localhost", "groupchat", "<body>x</body>", "item-not-found"),
        ],
    )
    def test_what_no_room_takes_comes_back(
        self, emulator, logged_in, people, group, room, to, kind, inner, expected
    ):
        alice, bob = logged_in("alice"), logged_in("bob")
        to = to.format(room=room, bob=people.bob.id)
        alice.send(f"<message id='m' to='{to}' type='{kind}'>{inner}</message>")
        refusal = alice.message()
        assert (refusal.get("id"), refusal.get("from")) == ("m", to)
        assert condition(refusal) == expected
        assert bob.sync() == []
        assert emulator.messages(group["_id"]) == []

    def test_a_stranger_is_forbidden(self, emulator, logged_in, group, room):
        eve, bob = logged_in("eve"), logged_in("bob")
        eve.send(group_chat(room))
        assert condition(eve.message()) == "forbidden"
        assert bob.sync() == []
        assert emulator.messages(group["_id"]) == []

    def test_a_private_dialog_has_no_room(self, logged_in, people):
        alice = logged_in("alice")
        alice.send(group_chat(f"1_{make_private(people)['_id']}@muc.localhost"))
        assert condition(alice.message()) == "item-not-found"

    def test_errors_are_never_answered(self, logged_in, room):
        alice = logged_in("alice")
        for to in (room, f"{room}/1", "nowhere@muc.localhost"):
            alice.send(f"<message to='{to}' type='error'><body>x</body></message>")
        assert alice.sync() == []
