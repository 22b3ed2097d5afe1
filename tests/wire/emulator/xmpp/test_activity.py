"""Last activity, subscriptions to it, and clients that are not in use."""

from __future__ import annotations

import itertools

import pytest

from connectycube.emulator import Emulator
from tests.support.inside import on_emulator
from tests.support.wire_client import CLIENT, STANZAS, Client, chat, condition
from tests.wire.emulator.conftest import ManualClock
from tests.wire.emulator.xmpp.test_privacy import block, deny
from tests.wire.emulator.xmpp.test_subscriptions import jid

LAST = "{jabber:iq:last}query"
CLIENT_STATE = "urn:xmpp:csi:0"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(clock):
    with Emulator(clock=clock) as running:
        yield running


@pytest.fixture
def her(connect, alice):
    return connect().log_in(alice)


@pytest.fixture
def him(connect, bob):
    return connect().log_in(bob)


def last(client, to):
    client.send(f"<iq type='get' id='last' {to}><query xmlns='jabber:iq:last'/></iq>")
    return client.answer("last")


def seconds(client, user_id):
    answer = last(client, f"to='{jid(user_id)}'")
    assert answer.get("from") == jid(user_id)
    return answer[0].get("seconds")


def leave(client):
    client.send("</stream:stream>")
    while client.next() is not None:
        pass


class TestLastActivity:
    def test_it_counts_from_the_end_of_the_last_resource(self, clock, connect, her, him, bob):
        second = connect().log_in(bob)
        clock.now += 50
        assert seconds(her, bob) == "0"
        leave(second)
        assert seconds(her, bob) == "0"
        leave(him)
        her.sync()  # the emulator has taken note
        clock.now += 42.9
        assert seconds(her, bob) == "42"
        connect().log_in(bob)
        assert seconds(her, bob) == "0"

    def test_who_has_just_left_is_not_online(self, her, him, bob):
        leave(him)
        assert seconds(her, bob) == "1"

    def test_who_says_to_be_unavailable_is_away(self, clock, her, him, bob):
        him.send("<presence type='unavailable'/>")
        him.sync()
        clock.now += 5
        assert seconds(her, bob) == "5"

    @pytest.mark.parametrize(
        ("to", "words"),
        [
            ("2-1@localhost", "has never logged in"),
            ("999-1@localhost", "There is no user"),
            ("2-7@localhost", "There is no user"),
            ("nobody@localhost", "There is no user"),
        ],
    )
    def test_who_was_never_there_is_not_found(self, her, bob, to, words):
        refusal = last(her, f"to='{to}'")
        assert condition(refusal) == "item-not-found"
        assert words in (refusal.findtext(f"{CLIENT}error/{STANZAS}text") or "")

    def test_the_server_says_how_long_it_runs(self, clock, her):
        clock.now += 3600
        assert last(her, "to='localhost'")[0].get("seconds") == "3600"

    def test_ones_own_is_0_while_one_is_there(self, her):
        assert last(her, "")[0].get("seconds") == "0"

    def test_a_full_jid_answers_for_itself(self, her, him):
        her.send(f"<iq type='get' id='q' to='{him.jid}'><query xmlns='jabber:iq:last'/></iq>")
        assert him.answer("q").find(LAST) is not None


class TestSubscription:
    def subscribe(self, client, user_jid, enable="true"):
        namespace = "https://connectycube.com/protocol/status_streaming"
        inner = f"<subscribe xmlns='{namespace}' user_jid='{user_jid}' enable='{enable}'/>"
        client.send(f"<iq type='set' id='s'>{inner}</iq>")
        return client.answer("s")

    def pushed(self, client):
        """Return of whom, and how many seconds, the next push is."""
        push = client.find(f"{CLIENT}iq")
        assert (push.get("type"), push.get("to")) == ("result", client.jid)
        assert push.get("id")
        return push.get("from"), push.find(LAST).get("seconds")

    def test_a_session_learns_that_somebody_comes_and_goes(self, connect, her, bob):
        assert self.subscribe(her, jid(bob)).get("type") == "result"
        him = connect().log_in(bob)
        assert self.pushed(her) == (jid(bob), "0")
        second = connect().log_in(bob)
        leave(him)
        assert her.sync() == []
        leave(second)
        assert self.pushed(her) == (jid(bob), "1")

    def test_it_ends_when_asked_and_with_the_session(self, connect, her, alice, bob):
        self.subscribe(her, jid(bob))
        self.subscribe(her, jid(bob), "false")
        other = connect().log_in(alice)
        self.subscribe(other, jid(bob))
        leave(other)
        connect().log_in(bob)
        assert all(found.find(LAST) is None for found in her.sync())
        assert connect().log_in(alice).sync() != []
        leave(connect().log_in(bob))
        assert all(found.find(LAST) is None for found in her.sync())

    def test_whom_somebody_hides_from_learns_nothing(self, connect, her, him, alice, bob):
        self.subscribe(him, jid(alice))
        block(her, deny(jid(bob), only="<presence-out/>"))
        leave(her)
        assert him.sync() == []

    @pytest.mark.parametrize(
        ("user_jid", "enable", "expected"),
        [
            ("", "true", "jid-malformed"),
            ("@", "true", "jid-malformed"),
            ("999-1@localhost", "true", "item-not-found"),
            ("2-1@example.org", "true", "item-not-found"),
            ("2-1@localhost", "", "bad-request"),
            ("2-1@localhost", "maybe", "bad-request"),
        ],
    )
    def test_bad_subscriptions_are_refused(self, her, bob, user_jid, enable, expected):
        assert condition(self.subscribe(her, user_jid, enable)) == expected


class TestInactive:
    @pytest.fixture
    def pushes(self, emulator, alice, bob):
        """Count the pushes that a message to bob causes."""
        device = {
            "channel": "gcm",
            "environment": "development",
            "platform": "android",
            "udid": "phone",
            "token": "token",
        }
        on_emulator(emulator, lambda service: service.pushes.subscribe(bob, device))
        numbers = itertools.count(1)
        with Client(emulator) as sender:
            sender.log_in(alice)

            def count():
                before = len(emulator.pushes)
                sender.send(chat(bob, "hello", id=f"{next(numbers):024x}"))
                sender.sync()
                return len(emulator.pushes) - before

            yield count

    def mark(self, client, enable):
        mobile = f"<mobile xmlns='http://tigase.org/protocol/mobile#v2' enable='{enable}'/>"
        client.send(f"<iq type='set' id='m'>{mobile}</iq>")
        return client.answer("m")

    def test_an_inactive_client_gets_the_message_and_the_push(self, him, pushes):
        assert pushes() == 0
        assert self.mark(him, "true").get("type") == "result"
        him.sync()
        assert pushes() == 1
        assert him.message().findtext(f"{CLIENT}body") == "hello"
        self.mark(him, "false")
        assert pushes() == 0

    def test_one_active_client_is_enough_to_get_no_push(self, connect, him, bob, pushes):
        second = connect().log_in(bob)
        self.mark(him, "true")
        assert pushes() == 0
        self.mark(second, "true")
        assert pushes() == 1

    def test_client_state_indication_does_the_same(self, him, pushes):
        him.send(f"<inactive xmlns='{CLIENT_STATE}'/>")
        him.sync()
        assert pushes() == 1
        him.send(f"<active xmlns='{CLIENT_STATE}'/>")
        him.sync()
        assert pushes() == 0

    def test_the_mark_outlives_the_link_and_the_indication_does_not(
        self, emulator, connect, bob, pushes
    ):
        for inactive, expected in (
            (f"<inactive xmlns='{CLIENT_STATE}'/>", 0),
            (
                "<iq type='set' id='m'>"
                "<mobile xmlns='http://tigase.org/protocol/mobile#v2' enable='true'/></iq>",
                1,
            ),
        ):
            him = connect().log_in(bob)
            previous = him.enable()
            him.send(inactive)
            him.sync()
            assert pushes() == 1
            emulator.cut(bob)
            again = connect().authenticated(bob)
            again.send(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{previous}'/>")
            assert again.find("{urn:xmpp:sm:3}resumed") is not None
            assert pushes() == expected
            leave(again)

    def test_who_blocks_the_sender_gets_no_push(self, him, alice, pushes):
        self.mark(him, "true")
        block(him, deny(jid(alice)))
        assert pushes() == 0

    def test_client_state_indication_is_offered_and_bounded(self, connect, him, alice):
        client = connect()
        client.open()
        client.authenticate(alice, "secret")
        assert client.open().find(f"{{{CLIENT_STATE}}}csi") is not None
        client.send(f"<inactive xmlns='{CLIENT_STATE}'/>")
        assert client.stream_error() == "not-authorized"
        him.send(f"<frob xmlns='{CLIENT_STATE}'/>")
        assert him.stream_error() == "unsupported-stanza-type"

    @pytest.mark.parametrize("enable", ["", "maybe", "TRUE"])
    def test_a_bad_switch_is_refused(self, him, enable):
        assert condition(self.mark(him, enable)) == "bad-request"


def test_disco_names_what_is_here(her):
    namespace = "http://jabber.org/protocol/disco#info"
    her.send(f"<iq type='get' id='q' to='localhost'><query xmlns='{namespace}'/></iq>")
    found = {element.get("var") for element in her.answer("q").iter(f"{{{namespace}}}feature")}
    assert {
        "jabber:iq:roster",
        "jabber:iq:privacy",
        "jabber:iq:last",
        "http://tigase.org/protocol/mobile#v2",
        "https://connectycube.com/protocol/status_streaming",
    } <= found
