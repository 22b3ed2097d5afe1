"""Who comes into a room, is there and goes, as those inside see it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.emulator import Emulator
from tests.support.waiting import wait_until
from tests.support.wire_client import CLIENT, SM, STANZAS, Client, condition
from tests.wire.emulator.api.people import answered, make_group, make_private, make_public
from tests.wire.emulator.xmpp.in_rooms import (
    MUC,
    PRESENCE,
    USER,
    group_chat,
    item,
    join,
    join_stanza,
    nick_of,
    presences,
    statuses,
)

OTHER_APP = "9_{}@muc.localhost"


@pytest.fixture
def broadcast(emulator, people):
    """A broadcast dialog of alice, with bob as admin."""
    return emulator.add_broadcast_dialog("News", people.alice.id, admins_ids=[people.bob.id])


class TestJoin:
    def test_the_first_sees_oneself_alone_with_the_joins_id_and_110(self, logged_in, people, room):
        alice = logged_in("alice")
        (own,) = join(alice, room, id="first:join")
        assert own.get("from") == f"{room}/{people.alice.id}"
        assert own.get("to") == alice.jid
        assert (own.get("id"), own.get("type"), statuses(own)) == ("first:join", None, ["110"])
        assert item(own) == ("owner", "moderator")
        assert alice.sync() == []  # no history and no subject

    def test_who_comes_later_sees_the_others_first_and_they_see_the_newcomer(
        self, logged_in, people, room
    ):
        alice, bob, carol = (logged_in(name) for name in ("alice", "bob", "carol"))
        join(alice, room)
        join(bob, room)
        seen = join(carol, room)
        assert [nick_of(one) for one in seen] == [
            people.alice.id,
            people.bob.id,
            people.carol.id,
        ]
        assert [item(one) for one in seen] == [
            ("owner", "moderator"),
            ("admin", "moderator"),
            ("member", "participant"),
        ]
        assert statuses(seen[0]) == statuses(seen[1]) == []
        assert seen[0].get("id") is None
        assert presences(bob) == [(people.carol.id, "available", [])]
        assert presences(alice) == [
            (people.bob.id, "available", []),
            (people.carol.id, "available", []),
        ]

    def test_show_and_status_of_who_joins_are_seen(self, logged_in, room):
        alice, bob = logged_in("alice"), logged_in("bob")
        join(alice, room, more="<show>away</show><status>lunch</status>")
        seen = join(bob, room)[0]
        assert seen.findtext(f"{CLIENT}show") == "away"
        assert seen.findtext(f"{CLIENT}status") == "lunch"
        assert seen.find(f"{{{MUC}}}x") is None
        alice.send(f"<presence id='p' to='{room}/{nick_of(seen)}'><show>dnd</show></presence>")
        assert bob.find(PRESENCE).findtext(f"{CLIENT}show") == "dnd"
        own = alice.find(PRESENCE, lambda found: found.get("id") == "p")
        assert (statuses(own), own.findtext(f"{CLIENT}show")) == (["110"], "dnd")

    def test_resources_of_a_user_share_the_nick_and_are_one_occupant(self, logged_in, people, room):
        bob = logged_in("bob")
        join(bob, room)
        phone, desk = logged_in("alice", "phone"), logged_in("alice", "desk")
        join(phone, room)
        assert [nick_of(seen) for seen in join(desk, room)] == [people.bob.id, people.alice.id]
        assert presences(bob) == [(people.alice.id, "available", [])]
        phone.send(f"<presence type='unavailable' to='{room}/{people.alice.id}'/>")
        assert phone.find(PRESENCE, lambda found: found.get("type") is not None) is not None
        assert presences(bob) == []
        desk.send(f"<presence type='unavailable' to='{room}/{people.alice.id}'/>")
        desk.find(PRESENCE, lambda found: found.get("type") is not None)
        assert presences(bob) == [(people.alice.id, "unavailable", [])]

    def test_joining_twice_is_answered_twice_and_told_once(self, logged_in, people, room):
        alice, bob = logged_in("alice"), logged_in("bob")
        join(bob, room)
        for number in (1, 2):
            seen = join(alice, room, id=f"join-{number}")
            assert [nick_of(one) for one in seen] == [people.bob.id, people.alice.id]
            assert seen[-1].get("id") == f"join-{number}"
        assert presences(bob) == [(people.alice.id, "available", [])]

    def test_a_resource_that_is_not_available_may_join(self, connect, people, room):
        client = connect().authenticated(people.alice.id)
        client.bind()
        assert len(join(client, room)) == 1

    def test_a_public_dialog_takes_its_subscribers(self, logged_in, people):
        made = make_public(people)
        room, path = made["xmpp_room_jid"], f"chat/Dialog/{made['_id']}/subscribe"
        bob = logged_in("bob")
        bob.send(join_stanza(room, people.bob.id))
        assert condition(bob.find(PRESENCE)) == "registration-required"
        answered(people.bob("POST", path))
        assert item(join(bob, room)[-1]) == ("member", "participant")

    def test_a_broadcast_dialog_takes_everybody_as_readers(self, emulator, logged_in, broadcast):
        room = f"1_{broadcast}@muc.localhost"
        found = [item(join(logged_in(name), room)[-1]) for name in ("alice", "bob", "carol")]
        assert found == [("owner", "moderator"), ("admin", "moderator"), ("member", "visitor")]

    def test_with_the_switch_a_subject_ends_the_join(self):
        with Emulator(room_subject=True) as emulator:
            alice = emulator.add_user("alice", "secret")
            room = f"1_{emulator.add_broadcast_dialog('News', alice)}@muc.localhost"
            with Client(emulator) as client:
                client.log_in(alice)
                join(client, room)
                (subject,) = client.sync()
        assert (subject.get("from"), subject.get("type")) == (room, "groupchat")
        assert [child.tag for child in subject] == [f"{CLIENT}subject"]


class TestRefusedPresence:
    def refused(self, client, stanza):
        client.send(stanza)
        error = client.find(PRESENCE, lambda found: found.get("type") == "error")
        assert error.find(f"{{{MUC}}}x") is not None
        assert error.findtext(f"{CLIENT}error/{STANZAS}text")
        assert client.sync() == []
        return error

    def condition(self, error):
        (found,) = [
            child.tag.removeprefix(STANZAS)
            for child in error.find(f"{CLIENT}error")
            if not child.tag.endswith("}text")
        ]
        return found

    @pytest.mark.parametrize(
        ("nick", "expected"),
        [
            ("{bob}", "conflict"),
            ("999999", "not-acceptable"),
            ("alice", "not-acceptable"),
            ("0{alice}", "not-acceptable"),
            ("{alice} ", "not-acceptable"),
            ("{alice}/x", "not-acceptable"),
            ("٣", "not-acceptable"),
            ("9" * 3000, "not-acceptable"),
        ],
    )
    def test_the_nick_is_ones_own_id(self, logged_in, people, room, nick, expected):
        alice = logged_in("alice")
        nick = nick.format(alice=people.alice.id, bob=people.bob.id)
        error = self.refused(alice, join_stanza(room, nick, id="x:join"))
        assert (error.get("id"), error.get("from")) == ("x:join", f"{room}/{nick}")
        assert self.condition(error) == expected
        assert error.find(f"{CLIENT}error").get("code") in ("409", "406")
        (own,) = join(alice, room)
        assert own.get("type") is None
        error = self.refused(alice, f"<presence to='{room}/{nick}'/>")
        assert self.condition(error) == expected

    @pytest.mark.parametrize(
        ("stanza", "expected"),
        [
            (f"<presence to='{{room}}'><x xmlns='{MUC}'/></presence>", "jid-malformed"),
            ("<presence to='{room}/{nick}'/>", "not-acceptable"),
            ("<presence to='{room}/{nick}'><x xmlns='jabber:x:muc'/></presence>", "not-acceptable"),
            (
                f"<presence to='{{room}}/{{nick}}'><x xmlns='{MUC}#user'/></presence>",
                "not-acceptable",
            ),
            ("<presence to='{room}/{nick}' type='unavailable'/>", "not-acceptable"),
            ("<presence to='{room}' type='unavailable'/>", "not-acceptable"),
            ("<presence to='{room}/{nick}' type='subscribe'/>", "bad-request"),
            ("<presence to='{room}/{nick}' type='nonsense'/>", "bad-request"),
            (f"<presence to='muc.localhost'><x xmlns='{MUC}'/></presence>", "item-not-found"),
            (
                f"<presence to='9_abc@muc.localhost/{{nick}}'><x xmlns='{MUC}'/></presence>",
                "item-not-found",
            ),
            (
                f"<presence to='1_{'f' * 24}@muc.localhost/{{nick}}'><x xmlns='{MUC}'/></presence>",
                "item-not-found",
            ),
            (
                f"<presence to='1_@muc.localhost/{{nick}}'><x xmlns='{MUC}'/></presence>",
                "item-not-found",
            ),
        ],
    )
    def test_what_is_no_join_is_refused(self, logged_in, people, room, stanza, expected):
        alice = logged_in("alice")
        error = self.refused(alice, stanza.format(room=room, nick=people.alice.id))
        assert self.condition(error) == expected

    def test_a_private_dialog_has_no_room(self, logged_in, people):
        room = f"1_{make_private(people)['_id']}@muc.localhost"
        error = self.refused(logged_in("alice"), join_stanza(room, people.alice.id))
        assert self.condition(error) == "item-not-found"

    def test_a_stranger_is_told_how_to_come_in(self, logged_in, people, room):
        error = self.refused(logged_in("eve"), join_stanza(room, people.eve.id))
        assert self.condition(error) == "registration-required"
        assert error.find(f"{CLIENT}error").get("code") == "407"

    def test_malformed_addresses_are_refused_and_the_rest_goes_on(self, logged_in, people, room):
        alice = logged_in("alice")
        for to in ("@muc.localhost/1", f"{room}/", f"{room}/{'x' * 4000}"):
            alice.send(f"<presence to='{to}' id='p'><x xmlns='{MUC}'/></presence>")
            assert condition(alice.find(PRESENCE)) == "jid-malformed"
        assert len(join(alice, room)) == 1

    def test_errors_and_probes_are_never_answered(self, logged_in, people, room):
        alice = logged_in("alice")
        for kind in ("error", "probe"):
            alice.send(f"<presence type='{kind}' to='{room}/{people.alice.id}'/>")
        assert alice.sync() == []


class TestLeave:
    def test_both_sides_learn_it(self, logged_in, people, room):
        alice, bob = logged_in("alice"), logged_in("bob")
        join(alice, room)
        join(bob, room)
        alice.sync()
        bob.send(
            f"<presence id='l' type='unavailable' to='{room}/{people.bob.id}'>"
            "<status>bye</status></presence>"
        )
        own, seen = bob.find(PRESENCE), alice.find(PRESENCE)
        assert (own.get("id"), own.get("type"), statuses(own)) == ("l", "unavailable", ["110"])
        assert (nick_of(seen), seen.get("type"), statuses(seen)) == (
            people.bob.id,
            "unavailable",
            [],
        )
        assert item(seen) == item(own) == ("admin", "none")
        assert seen.findtext(f"{CLIENT}status") == "bye"
        assert len(join(bob, room)) == 2

    @pytest.mark.parametrize("how", ["unavailable", "end", "cut"])
    def test_who_goes_offline_leaves(self, emulator, logged_in, people, room, how):
        alice, bob = logged_in("alice"), logged_in("bob")
        join(alice, room)
        join(bob, room)
        if how == "cut":
            emulator.cut(people.bob.id)
        else:
            bob.send(
                "<presence type='unavailable'/>" if how == "unavailable" else "</stream:stream>"
            )
        gone = alice.find(PRESENCE, lambda found: found.get("type") == "unavailable")
        assert nick_of(gone) == people.bob.id
        if how == "unavailable":
            assert statuses(bob.find(PRESENCE)) == ["110"]
            assert len(join(bob, room)) == 2

    def test_a_link_that_comes_back_in_time_has_never_left(
        self, emulator, connect, logged_in, people, room
    ):
        alice, bob = logged_in("alice"), logged_in("bob")
        previous = bob.enable()
        join(bob, room)
        join(alice, room)
        emulator.cut(people.bob.id)
        alice.send(group_chat(room, "while you were away"))
        alice.message()
        again = connect().authenticated(people.bob.id)
        again.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{previous}' h='1'/>")
        again.find(f"{SM}resumed")
        assert nick_of(again.find(PRESENCE)) == people.alice.id
        assert again.message().findtext(f"{CLIENT}body") == "while you were away"
        again.jid = bob.jid
        assert presences(alice) == []
        alice.send(f"<presence type='unavailable' to='{room}/{people.alice.id}'/>")
        assert presences(again) == [(people.alice.id, "unavailable", [])]

    def test_one_that_does_not_has(self, emulator, logged_in, people, room):
        alice, bob = logged_in("alice"), logged_in("bob")
        bob.enable()
        join(bob, room)
        join(alice, room)
        emulator.cut(people.bob.id)
        assert presences(alice) == []
        emulator.forget_sessions(people.bob.id)
        assert presences(alice) == [(people.bob.id, "unavailable", [])]

    def test_a_session_replaced_by_one_of_the_same_resource_has_left(self, logged_in, people, room):
        alice = logged_in("alice")
        join(alice, room)
        old = logged_in("bob", "phone")
        join(old, room)
        logged_in("bob", "phone")
        assert presences(alice) == [
            (people.bob.id, "available", []),
            (people.bob.id, "unavailable", []),
        ]

    def test_a_session_that_ends_at_the_bound_while_it_is_told_harms_nobody(self):
        with Emulator(unacknowledged_stanzas=3) as emulator:
            users = [emulator.add_user(f"user{number}", "secret") for number in range(6)]
            room = f"1_{emulator.add_broadcast_dialog('News', users[0])}@muc.localhost"
            with Client(emulator) as watcher, Client(emulator) as deaf:
                watcher.log_in(users[0])
                join(watcher, room)
                deaf.log_in(users[1])
                deaf.enable()
                join(deaf, room)
                for user_id in users[2:]:
                    with Client(emulator) as visitor:
                        visitor.log_in(user_id)
                        join(visitor, room)
                        visitor.send("</stream:stream>")
                        while visitor.next() is not None:
                            pass
                assert deaf.stream_error() == "resource-constraint"
                seen = presences(watcher)
        assert (users[1], "unavailable", []) in seen
        assert seen.count((users[5], "unavailable", [])) == 1

    def test_a_session_that_ends_at_the_bound_while_it_joins_has_come_and_gone(self):
        with Emulator(unacknowledged_stanzas=3) as emulator:
            users = [emulator.add_user(f"user{number}", "secret") for number in range(6)]
            room = f"1_{emulator.add_broadcast_dialog('News', users[0])}@muc.localhost"
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(Client(emulator)) for _ in users]
                for client, user_id in zip(clients, users, strict=True):
                    client.log_in(user_id)
                for client in clients[:-1]:
                    join(client, room)
                clients[0].sync()
                clients[-1].enable()
                clients[-1].send(join_stanza(room, users[-1]))
                assert clients[-1].stream_error() == "resource-constraint"
                assert presences(clients[0]) == [
                    (users[-1], "available", []),
                    (users[-1], "unavailable", []),
                ]

    def test_a_session_that_ends_at_its_bound_in_leaving_leaves_all_rooms(self, caplog):
        with Emulator(unacknowledged_stanzas=4) as emulator:
            alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
            dialogs = [emulator.add_broadcast_dialog(f"News {n}", alice) for n in range(6)]
            with Client(emulator) as leaver, Client(emulator) as witness:
                leaver.log_in(alice)
                witness.log_in(bob)
                leaver.enable()
                for count, dialog_id in enumerate(dialogs, 1):
                    room = f"1_{dialog_id}@muc.localhost"
                    join(witness, room)
                    join(leaver, room)
                    leaver.send(f"<a xmlns='urn:xmpp:sm:3' h='{2 * count}'/>")
                assert presences(witness) == [(alice, "available", [])]
                leaver.send("<presence type='unavailable'/>")
                assert leaver.stream_error() == "resource-constraint"
                assert presences(witness) == [(alice, "unavailable", [])] * 6
        assert "the emulator failed" not in caplog.text


class TestFromRest:
    def test_who_is_removed_leaves_with_301_then_321_and_the_actor(
        self, logged_in, people, group, room
    ):
        alice, carol = logged_in("alice"), logged_in("carol")
        join(alice, room)
        join(carol, room)
        alice.sync()
        body = {"pull_all": {"occupants_ids": [people.carol.id]}}
        answered(people.bob("PUT", f"chat/Dialog/{group['_id']}", json=body))
        own, seen = carol.find(PRESENCE), alice.find(PRESENCE)
        assert (nick_of(own), own.get("type"), statuses(own)) == (
            people.carol.id,
            "unavailable",
            ["301", "321", "110"],
        )
        assert statuses(seen) == ["321"]
        assert item(seen) == ("none", "none")
        actor = own.find(f"{USER}x/{USER}item/{USER}actor")
        assert actor.attrib == {
            "jid": f"{people.bob.id}-1@localhost",
            "nick": str(people.bob.id),
        }
        carol.send(join_stanza(room, people.carol.id))
        assert condition(carol.find(PRESENCE)) == "registration-required"

    @pytest.mark.parametrize("how", ["delete", "unsubscribe", "pull"])
    def test_who_leaves_over_rest_leaves_the_room(self, logged_in, people, how):
        made = make_public(people) if how == "unsubscribe" else make_group(people)
        path, room = f"chat/Dialog/{made['_id']}", made["xmpp_room_jid"]
        if how == "unsubscribe":
            answered(people.bob("POST", f"{path}/subscribe"))
        alice, bob = logged_in("alice"), logged_in("bob")
        join(alice, room)
        join(bob, room)
        alice.sync()
        if how == "delete":
            answered(people.bob("DELETE", path))
        elif how == "unsubscribe":
            answered(people.bob("DELETE", f"{path}/subscribe"))
        else:
            body = {"pull_all": {"occupants_ids": [people.bob.id]}}
            people.bob("PUT", path, json=body)
        own = bob.find(PRESENCE, lambda found: found.get("type") is not None)
        assert (nick_of(own), statuses(own)) == (people.bob.id, ["110"])
        assert own.find(f"{USER}x/{USER}item/{USER}actor") is None
        assert presences(alice) == [(people.bob.id, "unavailable", [])]

    def test_a_dialog_deleted_for_everybody_is_destroyed(self, logged_in, people, group, room):
        clients = {name: logged_in(name) for name in ("alice", "bob", "carol")}
        for client in clients.values():
            join(client, room)
        for client in clients.values():
            client.sync()
        answered(people.alice("DELETE", f"chat/Dialog/{group['_id']}?force=1"))
        for name, client in clients.items():
            (seen,) = client.sync()
            assert (nick_of(seen), seen.get("type")) == (getattr(people, name).id, "unavailable")
            assert statuses(seen) == ["110"]
            assert item(seen) == ("none", "none")
            assert seen.find(f"{USER}x/{USER}destroy") is not None
        clients["bob"].send(join_stanza(room, people.bob.id))
        assert condition(clients["bob"].find(PRESENCE)) == "item-not-found"

    def test_many_dialogs_deleted_at_once_are_each_destroyed(self, logged_in, people):
        made = [make_group(people) for _ in range(2)]
        bob = logged_in("bob")
        for dialog in made:
            join(bob, dialog["xmpp_room_jid"])
        people.alice("DELETE", f"chat/Dialog/{made[0]['_id']},{made[1]['_id']}?force=1")
        rooms = [seen.get("from").partition("/")[0] for seen in bob.sync()]
        assert rooms == [dialog["xmpp_room_jid"] for dialog in made]

    def test_a_new_role_is_shown(self, logged_in, people, group, room):
        alice, carol = logged_in("alice"), logged_in("carol")
        join(alice, room)
        join(carol, room)
        alice.sync()
        body = {"push_all": {"admins_ids": [people.carol.id]}}
        answered(people.alice("PUT", f"chat/Dialog/{group['_id']}/admins", json=body))
        own, seen = carol.find(PRESENCE), alice.find(PRESENCE)
        assert (nick_of(own), item(own), statuses(own)) == (
            people.carol.id,
            ("admin", "moderator"),
            ["110"],
        )
        assert (nick_of(seen), item(seen), statuses(seen)) == (
            people.carol.id,
            ("admin", "moderator"),
            [],
        )

    def test_what_does_not_concern_those_inside_is_not_shown(self, logged_in, people, group, room):
        alice = logged_in("alice")
        join(alice, room)
        path = f"chat/Dialog/{group['_id']}"
        body = {"name": "New", "pull_all": {"occupants_ids": [people.carol.id]}}
        answered(people.alice("PUT", path, json=body))
        answered(people.dave("DELETE", path))
        people.eve("DELETE", f"{path}?force=1")
        assert alice.sync() == []

    def test_a_user_who_is_deleted_leaves(self, logged_in, people, room):
        alice, carol = logged_in("alice"), logged_in("carol")
        join(alice, room)
        join(carol, room)
        alice.sync()
        answered(people.carol("DELETE", f"users/{people.carol.id}"))
        assert presences(alice) == [(people.carol.id, "unavailable", [])]


class TestKickAndBan:
    @pytest.fixture
    def inside(self, logged_in, room):
        """Clients of alice and carol in the room."""
        clients = logged_in("alice"), logged_in("carol")
        for client in clients:
            join(client, room)
        clients[0].sync()
        return clients

    def test_a_kick_tells_everybody_who_and_why_and_one_may_come_back(
        self, emulator, people, inside, group, room
    ):
        alice, carol = inside
        assert emulator.kick(
            group["_id"], people.carol.id, actor_id=people.bob.id, reason="be \x00 nice"
        )
        own, seen = carol.find(PRESENCE), alice.find(PRESENCE)
        assert (own.get("type"), statuses(own)) == ("unavailable", ["307", "110"])
        assert (seen.get("type"), statuses(seen)) == ("unavailable", ["307"])
        assert item(seen) == ("member", "none")
        inner = seen.find(f"{USER}x/{USER}item")
        assert inner.find(f"{USER}actor").get("nick") == str(people.bob.id)
        assert inner.findtext(f"{USER}reason") == "be \ufffd nice"
        assert emulator.kick(group["_id"], people.carol.id) is False
        assert len(join(carol, room)) == 2

    def test_a_ban_holds_whatever_is_done_over_rest_until_it_is_taken_back(
        self, emulator, people, inside, group, room
    ):
        alice, carol = inside
        assert emulator.ban(group["_id"], people.carol.id)
        own, seen = carol.find(PRESENCE), alice.find(PRESENCE)
        assert (statuses(own), statuses(seen)) == (["301", "110"], ["301"])
        assert item(seen) == ("outcast", "none")
        actor = own.find(f"{USER}x/{USER}item/{USER}actor")
        assert actor.get("jid") == f"{people.alice.id}-1@localhost"
        carol.send(join_stanza(room, people.carol.id))
        assert condition(carol.find(PRESENCE)) == "forbidden"
        carol.send(group_chat(room))
        assert condition(carol.message()) == "forbidden"
        body = {"push_all": {"occupants_ids": [people.carol.id]}}
        answered(people.alice("PUT", f"chat/Dialog/{group['_id']}", json=body))
        carol.send(join_stanza(room, people.carol.id))
        assert condition(carol.find(PRESENCE)) == "forbidden"
        carol.send(group_chat(room))
        assert condition(carol.message()) == "forbidden"
        alice.send(group_chat(room))
        alice.message()
        assert carol.sync() == []
        assert emulator.unban(group["_id"], people.carol.id) is True
        assert emulator.unban(group["_id"], people.carol.id) is False
        assert len(join(carol, room)) == 2

    def test_a_ban_keeps_a_reader_from_a_broadcast_dialog(
        self, emulator, logged_in, people, broadcast
    ):
        room = f"1_{broadcast}@muc.localhost"
        alice, carol = logged_in("alice"), logged_in("carol")
        join(carol, room)
        assert emulator.ban(broadcast, people.carol.id)
        assert presences(carol) == [(people.carol.id, "unavailable", ["301", "110"])]
        carol.send(join_stanza(room, people.carol.id))
        assert condition(carol.find(PRESENCE)) == "forbidden"
        alice.send(group_chat(room))
        alice.message()
        assert carol.sync() == []

    def test_who_was_not_inside_can_be_banned(self, emulator, people, group):
        assert emulator.ban(group["_id"], people.dave.id) is False
        assert people.dave("GET", f"chat/Message?chat_dialog_id={group['_id']}").status_code == 403

    def test_there_must_be_a_room(self, emulator, people):
        private = make_private(people)["_id"]
        for dialog_id in (private, "f" * 24):
            for expel in (emulator.kick, emulator.ban):
                with pytest.raises(ValueError, match="dialog_id"):
                    expel(dialog_id, people.bob.id)


def test_sessions_that_end_at_once_leave_empty_rooms(emulator, logged_in, people, room):
    names = ("alice", "bob", "carol", "dave")
    for name in names:
        join(logged_in(name), room)
    emulator.cut()
    wait_until(lambda: not emulator.sessions())
    assert [nick_of(seen) for seen in join(logged_in("alice"), room)] == [people.alice.id]


# --- whatever is sent ------------------------------------------------------------------------------

NAMES = st.sampled_from(["presence", "message", "iq"])
TYPES = st.sampled_from(
    [None, "", "unavailable", "groupchat", "chat", "headline", "error", "get", "set", "subscribe"]
)
ADDRESSES = st.sampled_from(
    [
        *("muc.localhost", "muc.localhost/1", "@muc.localhost", "/", "", "MUC.LOCALHOST"),
        *("1_@muc.localhost/1", "_x@muc.localhost/1", "1_{}@muc.localhost/\U0001f600"),
        *("{}@muc.localhost", "1_{}@muc.localhost", "1_{}@muc.localhost/", "1_{}@muc.localhost/1"),
        *("1_{}@muc.localhost/2", "1_{}@muc.localhost/1/1", "1_{}@MUC.localhost/1", "x" * 5000),
    ]
)
INNER = st.lists(
    st.sampled_from(
        [
            f"<x xmlns='{MUC}'/>",
            f"<x xmlns='{MUC}'><history maxstanzas='-1'/><password>p</password></x>",
            f"<x xmlns='{MUC}#user'><invite to='2-1@localhost'/></x>",
            f"<query xmlns='{MUC}#admin'><item nick='2' role='none'/></query>",
            "<query xmlns='http://jabber.org/protocol/disco#items' node='x'/>",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            "<ping xmlns='urn:xmpp:ping'/>",
            "<body/>",
            "<body>\U0001f600</body>",
            "<subject>s</subject>",
            "<extraParams/>",
            "<extraParams><save_to_history>1</save_to_history><date_sent>x</date_sent></extraParams>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>",
            "<replace xmlns='urn:xmpp:message-correct:0'/>",
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            "<show>away</show>",
        ]
    ),
    max_size=3,
)
STANZAS_SENT = st.lists(st.tuples(NAMES, TYPES, ADDRESSES, INNER), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def sender_and_witness():
    with Emulator() as emulator:
        users = [emulator.add_user(name, "secret") for name in ("alice", "bob")]
        dialog_id = emulator.add_broadcast_dialog("News", users[0])
        with Client(emulator) as sender, Client(emulator) as witness:
            sender.log_in(users[0])
            witness.log_in(users[1])
            join(witness, f"1_{dialog_id}@muc.localhost")
            yield sender, witness, dialog_id


@settings(max_examples=200)
@given(sent=STANZAS_SENT)
def test_whatever_comes_is_answered_or_relayed_and_ends_nobodys_stream(sender_and_witness, sent):
    sender, witness, dialog_id = sender_and_witness
    for name, kind, to, inner in sent:
        known = "" if kind is None else f" type='{kind}'"
        address = to.format(dialog_id)
        sender.send(f"<{name} id='f' to='{address}'{known}>{''.join(inner)}</{name}>")
    sender.sync()
    witness.sync()
