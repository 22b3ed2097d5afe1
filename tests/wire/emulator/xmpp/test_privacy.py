"""Privacy lists: what they are and whom they stop, as raw connections see it."""

from __future__ import annotations

import pytest

from connectycube.emulator import Emulator
from tests.support.inside import on_emulator
from tests.support.wire_client import CLIENT, Client, chat, condition
from tests.wire.emulator.xmpp.test_roster import change as change_roster
from tests.wire.emulator.xmpp.test_roster import roster
from tests.wire.emulator.xmpp.test_subscriptions import befriend, jid, presence, say

PRIVACY = "{jabber:iq:privacy}"
MESSAGE, IQ = f"{CLIENT}message", f"{CLIENT}iq"
EVERYTHING_IN = "<message/><presence-in/><presence-out/><iq/>"


def ask(client, inner="", kind="get"):
    client.send(f"<iq type='{kind}' id='p'><query xmlns='jabber:iq:privacy'>{inner}</query></iq>")
    return client.answer("p")


def tell(client, inner):
    answer = ask(client, inner, "set")
    assert answer.get("type") == "result", condition(answer)


def refused(client, inner, kind="set"):
    return condition(ask(client, inner, kind))


def names(client):
    return [(found.tag.removeprefix(PRIVACY), found.get("name")) for found in ask(client)[0]]


def items(client, name):
    found = ask(client, f"<list name='{name}'/>").find(f"{PRIVACY}query/{PRIVACY}list")
    return [(item.attrib, [child.tag.removeprefix(PRIVACY) for child in item]) for item in found]


def deny(*what, only="", action="deny"):
    """Write a list of items about JIDs."""
    return "".join(
        f"<item type='jid' value='{value}' action='{action}' order='{order}'>{only}</item>"
        for order, value in enumerate(what, 1)
    )


def block(client, inner, kind="default", name="blocked"):
    """Make a list and let it count."""
    tell(client, f"<list name='{name}'>{inner}</list>")
    tell(client, f"<{kind} name='{name}'/>")
    client.sync()


@pytest.fixture
def her(connect, alice):
    return connect().log_in(alice, "her")


@pytest.fixture
def him(connect, bob):
    return connect().log_in(bob, "him")


class TestLists:
    def test_nobody_has_any_at_first(self, her):
        assert names(her) == []

    def test_one_is_made_read_replaced_and_removed(self, her, bob):
        one_way = (
            f"<item type='jid' value='{jid(bob)}' action='deny' order='2'>{EVERYTHING_IN}</item>"
            "<item action='allow' order='7' value='ignored'/>"
            "<item type='subscription' value='none' action='deny' order='1'/>"
        )
        tell(her, f"<list name='a &amp; b'>{one_way}</list>")
        assert names(her) == [("list", "a & b")]
        assert items(her, "a &amp; b") == [
            ({"type": "subscription", "value": "none", "action": "deny", "order": "1"}, []),
            (
                {"type": "jid", "value": jid(bob), "action": "deny", "order": "2"},
                ["message", "presence-in", "presence-out", "iq"],
            ),
            ({"action": "allow", "order": "7"}, []),
        ]
        tell(her, "<list name='a &amp; b'><item action='deny' order='0'/></list>")
        assert items(her, "a &amp; b") == [({"action": "deny", "order": "0"}, [])]
        tell(her, "<list name='a &amp; b'/>")
        assert names(her) == []

    def test_active_is_of_a_session_and_default_of_all(self, connect, her, alice, bob):
        for name in ("one", "two"):
            tell(her, f"<list name='{name}'>{deny(jid(bob))}</list>")
        tell(her, "<active name='one'/>")
        tell(her, "<default name='two'/>")
        lists = [("list", "one"), ("list", "two")]
        assert names(her) == [("active", "one"), ("default", "two"), *lists]
        other = connect().log_in(alice, "other")
        assert names(other) == [("default", "two"), *lists]
        tell(her, "<active/>")
        assert names(her) == [("default", "two"), *lists]

    def test_the_default_list_outlives_the_session_and_the_active_one_does_not(
        self, connect, alice, bob
    ):
        with connect().log_in(alice) as client:
            block(client, deny(jid(bob)))
            tell(client, "<active name='blocked'/>")
            client.send("</stream:stream>")
            assert client.next() is None
        client = connect().log_in(alice)
        assert names(client) == [("default", "blocked"), ("list", "blocked")]
        tell(client, "<default/>")
        assert names(client) == [("list", "blocked")]

    def test_every_connected_resource_is_told_of_a_change(self, connect, her, alice, bob):
        other = connect().log_in(alice, "other")
        for inner in (deny(jid(bob)), ""):
            tell(her, f"<list name='l'>{inner}</list>")
            push = other.find(IQ)
            assert (push.get("type"), push.get("to")) == ("set", other.jid)
            assert [found.attrib for found in push.iter(f"{PRIVACY}list")] == [{"name": "l"}]

    @pytest.mark.parametrize(
        ("inner", "expected"),
        [
            ("<list name='none'/>", "item-not-found"),
            ("<list name='a'/><list name='b'/>", "bad-request"),
            ("<list/>", "bad-request"),
            ("<active name='a'/>", "bad-request"),
        ],
    )
    def test_bad_questions_are_refused(self, her, inner, expected):
        assert refused(her, inner, "get") == expected

    @pytest.mark.parametrize(
        ("inner", "expected"),
        [
            ("", "bad-request"),
            ("<frob/>", "bad-request"),
            ("<active/><default/>", "bad-request"),
            ("<active name='none'/>", "item-not-found"),
            ("<default name='none'/>", "item-not-found"),
            ("<list name='none'/>", "item-not-found"),
            ("<list><item action='deny' order='1'/></list>", "bad-request"),
            ("<list name=''/>", "bad-request"),
        ],
    )
    def test_bad_changes_are_refused(self, her, inner, expected):
        assert refused(her, inner) == expected
        assert names(her) == []

    @pytest.mark.parametrize(
        ("item", "expected"),
        [
            ("<item action='deny' order='1'/><item action='allow' order='1'/>", "bad-request"),
            ("<item order='1'/>", "bad-request"),
            ("<item action='frob' order='1'/>", "bad-request"),
            ("<item action='deny'/>", "bad-request"),
            ("<item action='deny' order='-1'/>", "bad-request"),
            ("<item action='deny' order='x'/>", "bad-request"),
            ("<item action='deny' order='4294967296'/>", "bad-request"),
            ("<item action='deny' order='1'><frob/></item>", "bad-request"),
            ("<frob action='deny' order='1'/>", "bad-request"),
            ("<item type='frob' value='x' action='deny' order='1'/>", "bad-request"),
            ("<item type='jid' value='@' action='deny' order='1'/>", "bad-request"),
            ("<item type='jid' action='deny' order='1'/>", "bad-request"),
            ("<item type='subscription' value='x' action='deny' order='1'/>", "bad-request"),
            ("<item type='group' value='x' action='deny' order='1'/>", "item-not-found"),
        ],
    )
    def test_bad_items_are_refused_and_change_nothing(self, her, item, expected):
        tell(her, "<list name='l'><item action='allow' order='1'/></list>")
        assert refused(her, f"<list name='l'>{item}</list>") == expected
        assert items(her, "l") == [({"action": "allow", "order": "1"}, [])]

    def test_a_list_in_use_by_another_resource_is_not_removed_or_replaced(
        self, connect, her, alice, bob
    ):
        for name in ("one", "two"):
            tell(her, f"<list name='{name}'>{deny(jid(bob))}</list>")
        tell(her, "<default name='one'/>")
        other = connect().log_in(alice, "other")
        for change in ("<list name='one'/>", "<default name='two'/>", "<default/>"):
            assert refused(her, change) == "conflict"
        tell(her, "<default name='one'/>")  # which changes nothing
        tell(other, "<active name='two'/>")
        assert refused(her, "<list name='two'/>") == "conflict"
        tell(her, "<default/>")
        tell(her, "<list name='one'/>")
        other.send("</stream:stream>")
        while other.next() is not None:
            pass
        tell(her, "<list name='two'/>")
        assert names(her) == []

    def test_one_may_remove_the_list_one_uses_alone(self, her, bob):
        block(her, deny(jid(bob)))
        tell(her, "<active name='blocked'/>")
        tell(her, "<list name='blocked'/>")
        assert names(her) == []


class TestMessages:
    def test_who_is_blocked_gets_an_error_and_nothing_is_stored(
        self, emulator, her, him, alice, bob
    ):
        block(her, deny(jid(bob), only=EVERYTHING_IN))
        him.send(chat(alice, "can you hear me?", id="ab" * 12))
        error = him.message()
        assert (error.get("id"), condition(error)) == ("ab" * 12, "service-unavailable")
        assert error.get("from") == jid(alice)
        assert her.sync() == []
        assert emulator.private_dialog(alice, bob) is None

    def test_one_way_the_blocker_still_writes(self, her, him, bob):
        block(her, deny(jid(bob), only=EVERYTHING_IN))
        her.send(chat(bob, "goodbye"))
        assert him.message().findtext(f"{CLIENT}body") == "goodbye"

    def test_both_ways_the_blocker_cannot_write_either(self, emulator, her, him, alice, bob):
        block(her, deny(jid(bob)))
        her.send(chat(bob, "goodbye", id="cd" * 12))
        error = her.message()
        assert (error.get("id"), condition(error)) == ("cd" * 12, "not-acceptable")
        him.send(chat(alice))
        assert condition(him.message()) == "service-unavailable"
        assert emulator.private_dialog(alice, bob) is None

    def test_typing_and_markers_are_stopped_too(self, her, him, alice, bob):
        block(her, deny(jid(bob), only="<message/>"))
        for inner in (
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            f"<received xmlns='urn:xmpp:chat-markers:0' id='{'ab' * 12}'/>",
        ):
            him.send(f"<message type='chat' to='{jid(alice)}'>{inner}</message>")
            assert condition(him.message()) == "service-unavailable"
        assert her.sync() == []

    def test_an_error_to_a_blocker_is_dropped(self, her, him, alice, bob):
        block(her, deny(jid(bob)))
        him.send(f"<message type='error' to='{her.jid}'/>")
        assert him.sync() == her.sync() == []

    def test_the_default_list_counts_also_when_nobody_is_connected(self, connect, him, alice, bob):
        with connect().log_in(alice) as client:
            block(client, deny(jid(bob)))
        him.send(chat(alice))
        assert condition(him.message()) == "service-unavailable"

    def test_a_list_that_is_neither_active_nor_default_stops_nobody(self, her, him, alice, bob):
        tell(her, f"<list name='l'>{deny(jid(bob))}</list>")
        him.send(chat(alice, "hello"))
        assert her.message().findtext(f"{CLIENT}body") == "hello"

    def test_each_session_has_its_own_active_list(self, connect, her, him, alice, bob):
        block(her, deny(jid(bob)), "active")
        open_one = connect().log_in(alice, "open")
        him.send(chat(alice, "hello"))
        assert open_one.message().findtext(f"{CLIENT}body") == "hello"
        assert all(element.tag != MESSAGE for element in her.sync())
        him.send(chat(her.jid, "hello"))
        assert condition(him.message()) == "service-unavailable"

    def test_the_first_item_that_fits_decides(self, her, him, alice, bob):
        rules = deny(jid(bob), action="allow") + "<item action='deny' order='9'/>"
        block(her, rules)
        him.send(chat(alice, "hello"))
        assert her.message().findtext(f"{CLIENT}body") == "hello"
        block(her, "<item action='deny' order='0'/>" + deny(jid(bob), action="allow"))
        him.send(chat(alice, "hello"))
        assert condition(him.message()) == "service-unavailable"

    @pytest.mark.parametrize(
        ("value", "stopped"),
        [
            ("2-1@localhost", True),
            ("2-1@localhost/him", True),
            ("2-1@localhost/elsewhere", False),
            ("2-1@LOCALHOST", True),
            ("localhost", True),
            ("localhost/him", True),
            ("3-1@localhost", False),
            ("host", False),
            ("muc.localhost/2", False),
        ],
    )
    def test_a_jid_names_one_or_many(self, her, him, alice, value, stopped):
        block(her, deny(value, only="<message/>"))
        him.send(chat(alice, "hello"))
        him.sync() if stopped else him.send("<presence/>")
        assert any(element.tag == MESSAGE for element in her.sync()) is not stopped

    def test_a_group_and_a_subscription_are_those_of_the_roster_now(self, her, him, alice, bob):
        change_roster(her, f"<item jid='{jid(bob)}'><group>Enemies</group></item>")
        block(her, "<item type='group' value='Enemies' action='deny' order='1'/>")
        him.send(chat(alice))
        assert condition(him.message()) == "service-unavailable"
        change_roster(her, f"<item jid='{jid(bob)}'><group>Friends</group></item>")
        him.send(chat(alice, "thanks"))
        assert her.message().findtext(f"{CLIENT}body") == "thanks"
        block(
            her, "<item type='subscription' value='none' action='deny' order='1'><message/></item>"
        )
        him.send(chat(alice))
        assert condition(him.message()) == "service-unavailable"
        say(her, "subscribe", bob)
        presence(him, "subscribe", alice)
        say(him, "subscribed", alice)
        him.sync()
        him.send(chat(alice, "thanks again"))
        assert her.message().findtext(f"{CLIENT}body") == "thanks again"

    def test_ones_own_resources_always_reach_each_other(self, connect, her, alice):
        block(her, "<item action='deny' order='1'/>")
        other = connect().log_in(alice, "other")
        assert any(found.get("from") == other.jid for found in her.sync())
        other.send(chat(alice, "note to myself"))
        assert her.message().findtext(f"{CLIENT}body") == "note to myself"
        other.send(f"<iq type='get' id='x' to='{her.jid}'><ping xmlns='urn:xmpp:ping'/></iq>")
        assert her.answer("x").get("from") == other.jid

    def test_what_rest_sends_does_not_reach_a_blocker_either(self, rest, her, alice, bob):
        block(her, deny(jid(bob), only=EVERYTHING_IN))
        his = rest("bob")
        body = {"recipient_id": alice, "message": "psst", "send_to_chat": 1}
        assert his("POST", "chat/Message", json=body).status_code == 201
        assert his("POST", "chat/Message/system", json={"recipientId": alice}).status_code == 201
        assert her.sync() == []

    def test_a_blocked_message_is_not_kept_for_later(self):
        with Emulator() as emulator:
            alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
            with Client(emulator) as client:
                block(client.log_in(alice), deny(jid(bob)))
            with Client(emulator) as him:
                him.log_in(bob).send(chat(alice))
                assert condition(him.message()) == "service-unavailable"
            with Client(emulator) as client:
                assert all(found.tag != MESSAGE for found in client.log_in(alice).sync())


class TestPresence:
    @pytest.fixture
    def friends(self, her, him, alice, bob):
        befriend(her, him, alice, bob)
        her.sync(), him.sync()

    @pytest.mark.parametrize("kind", ["default", "active"])
    def test_who_blocks_presence_sees_the_other_go_and_come_back(
        self, friends, her, him, bob, kind
    ):
        tell(her, f"<list name='l'>{deny(jid(bob), only='<presence-in/>')}</list>")
        query = f"<query xmlns='jabber:iq:privacy'><{kind} name='l'/></query>"
        her.send(f"<iq type='set' id='p'>{query}</iq>")
        assert presence(her, "unavailable", bob).get("from") == him.jid
        her.answer("p")
        him.send("<presence><show>away</show></presence>")
        him.sync()
        assert her.sync() == []
        her.send(f"<iq type='set' id='p'><query xmlns='jabber:iq:privacy'><{kind}/></query></iq>")
        assert presence(her, None, bob).findtext(f"{CLIENT}show") == "away"

    def test_who_hides_presence_is_gone_for_the_other_alone(
        self, connect, friends, her, him, alice, bob
    ):
        block(her, deny(jid(bob), only="<presence-out/>"))
        assert presence(him, "unavailable", alice).get("from") == her.jid
        her.send("<presence><show>away</show></presence>")
        her.sync()
        assert him.sync() == []
        assert all(found.get("from") != her.jid for found in connect().log_in(bob).sync())
        him.send("<presence><show>dnd</show></presence>")
        her.find(f"{CLIENT}presence", lambda found: found.findtext(f"{CLIENT}show") == "dnd")

    def test_directed_presence_is_refused_or_dropped(self, her, him, alice, bob):
        block(her, deny(jid(bob), only="<presence-out/><presence-in/>"))
        her.send(f"<presence id='p' to='{jid(bob)}'/>")
        assert condition(her.find(f"{CLIENT}presence")) == "not-acceptable"
        him.send(f"<presence to='{jid(alice)}'/>")
        assert him.sync() == her.sync() == []

    def test_subscriptions_pass_unless_everything_is_blocked(self, her, him, alice, bob):
        block(her, deny(jid(bob), only=EVERYTHING_IN))
        say(him, "subscribe", alice)
        presence(her, "subscribe", bob)
        say(her, "unsubscribed", bob)
        block(her, deny(jid(bob)))
        say(him, "subscribe", alice)
        him.sync()
        assert her.sync() == []
        say(her, "subscribe", bob)
        assert condition(her.find(f"{CLIENT}presence")) == "not-acceptable"
        assert roster(her) == {}


class TestRequests:
    def test_a_blocked_request_comes_back_as_if_nobody_was_there(self, her, him, bob):
        block(her, deny(jid(bob), only="<iq/>"))
        him.send(f"<iq type='get' id='x' to='{her.jid}'><ping xmlns='urn:xmpp:ping'/></iq>")
        assert condition(him.answer("x")) == "service-unavailable"
        him.send(f"<iq type='result' id='x' to='{her.jid}'/>")
        assert him.sync() == her.sync() == []
        her.send(f"<iq type='get' id='y' to='{him.jid}'><ping xmlns='urn:xmpp:ping'/></iq>")
        assert him.answer("y").get("from") == her.jid

    def test_one_does_not_ask_whom_one_has_blocked(self, her, him, bob):
        block(her, deny(jid(bob)))
        her.send(f"<iq type='get' id='y' to='{him.jid}'><ping xmlns='urn:xmpp:ping'/></iq>")
        assert condition(her.answer("y")) == "not-acceptable"
        assert him.sync() == []

    def test_the_last_activity_of_a_blocker_is_not_told(self, her, him, alice, bob):
        block(her, deny(jid(bob), only="<iq/>"))
        him.send(f"<iq type='get' id='x' to='{jid(alice)}'><query xmlns='jabber:iq:last'/></iq>")
        assert condition(him.answer("x")) == "service-unavailable"


def test_an_item_of_the_rooms_domain_is_about_a_user_in_every_room(emulator, her, alice):
    block(her, deny("muc.localhost/2", only=EVERYTHING_IN))

    def allows(jid):
        return on_emulator(
            emulator, lambda service: service.hub.privacy.allows(alice, jid, "message")
        )

    assert not allows(f"1_{'ab' * 12}@muc.localhost/2")
    assert allows(f"1_{'ab' * 12}@muc.localhost/3")
    assert allows("2-1@localhost/him")


def test_the_lists_of_a_deleted_user_are_forgotten(emulator, rest, her, alice, bob):
    block(her, deny(jid(bob)))
    rest("alice")("DELETE", f"users/{alice}")
    assert names(her) == []
