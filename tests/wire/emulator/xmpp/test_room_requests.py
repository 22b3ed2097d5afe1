"""What rooms answer when they are asked."""

from __future__ import annotations

import pytest

from connectycube.emulator import Emulator
from tests.support.wire_client import Client, condition
from tests.wire.emulator.api.people import make_private, make_public
from tests.wire.emulator.xmpp.in_rooms import MUC, join

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
PING = "<ping xmlns='urn:xmpp:ping'/>"


def ask(client, to, payload, kind="get"):
    client.send(f"<iq type='{kind}' id='q' to='{to}'>{payload}</iq>")
    return client.answer("q")


def items(client, to):
    answer = ask(client, to, f"<query xmlns='{ITEMS}'/>")
    assert (answer.get("type"), answer.get("from")) == ("result", to)
    return [(found.get("jid"), found.get("name")) for found in answer.iter(f"{{{ITEMS}}}item")]


def information(client, to):
    answer = ask(client, to, f"<query xmlns='{INFO}'/>")
    assert answer.get("type") == "result"
    features = {found.get("var") for found in answer.iter(f"{{{INFO}}}feature")}
    (identity,) = answer.iter(f"{{{INFO}}}identity")
    return identity.attrib, features


class TestItems:
    def test_those_online_are_listed_once_each_joined_or_not(self, logged_in, people, room):
        alice = logged_in("alice")
        logged_in("bob")
        logged_in("bob")
        logged_in("eve")
        join(logged_in("carol"), room)
        expected = [people.alice.id, people.bob.id, people.carol.id]
        assert items(alice, room) == [(f"{room}/{user_id}", None) for user_id in sorted(expected)]

    def test_where_one_must_join_those_who_have_are_listed(self):
        with Emulator(join_required=True) as emulator:
            alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
            room = f"1_{emulator.add_broadcast_dialog('News', alice)}@muc.localhost"
            with Client(emulator) as one, Client(emulator) as other:
                join(one.log_in(alice), room)
                other.log_in(bob)
                assert items(other, room) == [(f"{room}/{alice}", None)]

    def test_the_domain_lists_the_rooms_of_ones_dialogs(self, logged_in, people, room):
        make_private(people)
        public = make_public(people, name="Square \x00")
        alice, eve = logged_in("alice"), logged_in("eve")
        assert items(alice, "muc.localhost") == [
            (room, "Friends"),
            (public["xmpp_room_jid"], "Square \ufffd"),
        ]
        assert items(eve, "muc.localhost") == []

    def test_the_server_says_where_the_rooms_are_and_an_account_does_not(self, logged_in, people):
        alice = logged_in("alice")
        assert items(alice, "localhost") == [("muc.localhost", None)]
        assert items(alice, f"{people.alice.id}-1@localhost") == []

    def test_strangers_are_told_nothing(self, logged_in, room):
        eve = logged_in("eve")
        for namespace in (ITEMS, INFO):
            assert condition(ask(eve, room, f"<query xmlns='{namespace}'/>")) == "forbidden"
        assert condition(ask(eve, room, PING)) == "forbidden"


class TestInformation:
    def test_a_group(self, logged_in, room):
        identity, features = information(logged_in("alice"), room)
        assert identity == {"category": "conference", "type": "text", "name": "Friends"}
        assert {MUC, "muc_membersonly", "muc_hidden", "muc_persistent"} <= features

    def test_a_public_dialog_shows_itself_to_everybody(self, logged_in, people):
        made = make_public(people)
        identity, features = information(logged_in("eve"), made["xmpp_room_jid"])
        assert identity["name"] == "Square"
        assert {"muc_public", "muc_membersonly"} <= features

    def test_a_broadcast_dialog_is_moderated(self, emulator, logged_in, people):
        dialog = emulator.add_broadcast_dialog("News", people.alice.id)
        _, features = information(logged_in("bob"), f"1_{dialog}@muc.localhost")
        assert {"muc_public", "muc_open", "muc_moderated"} <= features

    def test_the_domain_says_that_it_has_rooms(self, logged_in):
        identity, features = information(logged_in("alice"), "muc.localhost")
        assert identity["category"] == "conference"
        assert MUC in features


class TestPing:
    def test_who_is_inside_is_told_so(self, logged_in, people, room):
        alice = logged_in("alice")
        join(alice, room)
        assert ask(alice, f"{room}/{people.alice.id}", PING).get("type") == "result"

    def test_who_is_not_is_told_so_too(self, emulator, logged_in, people, group, room):
        alice, other = logged_in("alice"), logged_in("alice")
        join(other, room)
        own = f"{room}/{people.alice.id}"
        assert condition(ask(alice, own, PING)) == "not-acceptable"
        emulator.kick(group["_id"], people.alice.id)
        assert condition(ask(other, own, PING)) == "not-acceptable"

    def test_others_cannot_be_pinged_through_the_room(self, logged_in, people, room):
        alice = logged_in("alice")
        join(alice, room)
        answer = ask(alice, f"{room}/{people.bob.id}", PING)
        assert condition(answer) == "service-unavailable"

    def test_room_and_domain_answer(self, logged_in, people, room):
        alice = logged_in("alice")
        for to in (room, "muc.localhost"):
            assert ask(alice, to, PING).get("type") == "result"


@pytest.mark.parametrize(
    ("to", "kind", "payload", "expected"),
    [
        ("{room}", "set", f"<query xmlns='{MUC}#admin'/>", "not-allowed"),
        ("{room}", "set", f"<query xmlns='{MUC}#owner'/>", "not-allowed"),
        ("{room}", "get", f"<query xmlns='{MUC}#owner'/>", "not-allowed"),
        ("{room}", "get", "<query xmlns='jabber:iq:version'/>", "feature-not-implemented"),
        ("{room}", "set", f"<query xmlns='{INFO}'/>", "feature-not-implemented"),
        ("{room}/1", "get", f"<query xmlns='{INFO}'/>", "feature-not-implemented"),
        ("muc.localhost", "get", "<query xmlns='jabber:iq:search'/>", "feature-not-implemented"),
        ("1_abc@muc.localhost", "get", f"<query xmlns='{INFO}'/>", "item-not-found"),
        ("1_abc@muc.localhost", "get", f"<query xmlns='{ITEMS}'/>", "item-not-found"),
        ("1_abc@muc.localhost/1", "get", PING, "item-not-found"),
        ("{private}", "get", PING, "item-not-found"),
        ("@muc.localhost", "get", PING, "jid-malformed"),
        ("{room}", "get", "", "bad-request"),
    ],
)
def test_what_rooms_do_not_do_is_refused(logged_in, people, room, to, kind, payload, expected):
    private = f"1_{make_private(people)['_id']}@muc.localhost"
    answer = ask(logged_in("alice"), to.format(room=room, private=private), payload, kind)
    assert condition(answer) == expected


def test_results_and_errors_are_never_answered(logged_in, room):
    alice = logged_in("alice")
    alice.send(f"<iq type='result' id='a' to='{room}'/><iq type='error' id='b' to='{room}/1'/>")
    assert alice.sync() == []
