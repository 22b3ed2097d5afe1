"""The chat server, seen from raw connections."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.emulator import Emulator
from tests.support.waiting import wait_until
from tests.support.wire_client import (
    CLIENT,
    SASL,
    SM,
    STANZAS,
    STREAM,
    STREAMS,
    Client,
    chat,
    condition,
    param,
)
from tests.wire.emulator.conftest import ManualClock, Rest

MARKERS = "urn:xmpp:chat-markers:0"
BODY = f"{CLIENT}body"
SAVED = "<save_to_history>1</save_to_history>"


def one_id(number):
    return f"{number:024x}"


class TestStream:
    def test_header_names_the_domain_and_features_follow(self, connect):
        client = connect()
        features = client.open()
        assert [found.text for found in features.iter(f"{SASL}mechanism")] == ["PLAIN"]

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            ("<stream xmlns='jabber:client' to='localhost' version='1.0'>", "invalid-namespace"),
            (
                "<s:stream xmlns='jabber:server' xmlns:s='http://etherx.jabber.org/streams' "
                "to='localhost' version='1.0'>",
                "invalid-namespace",
            ),
            (
                "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' "
                "to='example.org' version='1.0'>",
                "host-unknown",
            ),
            (
                "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' "
                "to='localhost'>",
                "unsupported-version",
            ),
            ("GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
            ("<?xml version='1.0' encoding='latin-1'?><s/>", "unsupported-encoding"),
            ("<!DOCTYPE s [<!ENTITY a 'b'>]><s>", "restricted-xml"),
        ],
    )
    def test_bad_header_is_a_stream_error(self, connect, header, expected):
        client = connect()
        client.send(header)
        assert client.stream_error() == expected

    @pytest.mark.parametrize(
        ("bad", "expected"),
        [
            ("<message><body></message>", "not-well-formed"),
            ("<message><0>a</0></message>", "not-well-formed"),
            ("<message>\x01</message>", "not-well-formed"),
            ("<message>&unknown;</message>", "restricted-xml"),
            ("<!-- hello -->", "restricted-xml"),
            ("<message><?php ?></message>", "restricted-xml"),
            ("<message><x:body/></message>", "bad-namespace-prefix"),
            ("<message xmlns='jabber:server'/>", "invalid-namespace"),
            ("<frob/>", "unsupported-stanza-type"),
            ("hello", "bad-format"),
            ("<message from='9-1@localhost/x'/>", "invalid-from"),
            ("<a xmlns='urn:xmpp:sm:3' h='1'/>" * 2, "handled-count-too-high"),
            ("<message>" + "<x>" * 100, "policy-violation"),
        ],
    )
    def test_bad_input_ends_one_stream_and_no_other(self, connect, alice, bob, bad, expected):
        other = connect().log_in(bob)
        client = connect().log_in(alice)
        client.enable()
        client.send(bad)
        error = client.find(f"{STREAM}error")
        assert expected in [child.tag.split("}")[1] for child in error]
        assert client.next() is None
        assert other.sync() == []

    def test_stanza_before_bad_xml_is_still_handled(self, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        sender.send(chat(bob, "last words") + "</nonsense>")
        assert receiver.message().findtext(BODY) == "last words"
        assert sender.stream_error() == "not-well-formed"

    @pytest.mark.parametrize(
        "huge",
        [
            "<message><body>" + "x" * 30_000 + "</body></message>",
            "<message><body>" + "x" * 200_000,
            "<message id='" + "x" * 200_000,
            "<message>" + "<a/>" * 50_000,
        ],
    )
    def test_huge_stanza_is_a_policy_violation(self, huge):
        with Emulator(stanza_bytes=20_000) as emulator:
            user = emulator.add_user("alice", "secret")
            with Client(emulator) as client:
                client.log_in(user)
                with contextlib.suppress(OSError):  # it hangs up before it has read all of it
                    client.send(huge)
                error = client.next()  # which a reset may overtake
                assert error is None or error[0].tag == f"{STREAMS}policy-violation"
                assert client.next() is None
                assert emulator.sessions(user) == []
            with Client(emulator) as client:
                assert client.log_in(user).sync() == []

    def test_whitespace_between_stanzas_never_adds_up_to_a_huge_one(self):
        with Emulator(stanza_bytes=5_000) as emulator:
            user = emulator.add_user("alice", "secret")
            with Client(emulator) as client:
                client.log_in(user)
                for _ in range(5):
                    client.send(" " * 3_000)
                assert client.sync() == []

    def test_stanzas_split_anywhere_arrive_whole(self, connect, alice):
        client = connect().log_in(alice)
        for byte in "<iq type='get' id='é😀'><ping xmlns='urn:xmpp:ping'/></iq>".encode():
            client.send(bytes([byte]))
        assert client.answer("é😀").get("type") == "result"

    def test_close_is_answered_and_ends_the_session(self, emulator, connect, alice):
        client = connect().log_in(alice)
        client.enable()
        client.send("</stream:stream>")
        assert client.next() is None
        assert client.ended
        assert emulator.sessions() == []

    def test_client_that_never_binds_is_ended(self):
        with Emulator(handshake_seconds=0.05) as emulator, Client(emulator) as client:
            client.open()
            assert client.stream_error() == "connection-timeout"


class TestAuthentication:
    def test_password_and_live_session_token_open(self, connect, rest, alice):
        for password in ("secret", rest("alice").token):
            client = connect()
            client.open()
            assert client.authenticate(alice, password).tag == f"{SASL}success"

    def test_token_of_another_user_or_of_nobody_does_not(self, connect, rest, alice, bob):
        ended = rest("alice")
        ended("DELETE", "session")
        for password in (rest("bob").token, rest().token, ended.token, "wrong", ""):
            client = connect()
            client.open()
            failure = client.authenticate(alice, password)
            assert next(child.tag for child in failure) == f"{SASL}not-authorized"

    def test_token_opens_no_longer_than_it_lives(self):
        clock = ManualClock()
        with Emulator(clock=clock) as emulator:
            user = emulator.add_user("alice", "secret")
            with Rest(emulator, "alice").http as http:
                token = str(http.headers["CB-Token"])
            for later, answer in ((7100, "success"), (101, "failure")):
                clock.now += later
                with Client(emulator) as client:
                    client.open()
                    assert client.authenticate(user, token).tag == f"{SASL}{answer}"

    @pytest.mark.parametrize(
        ("authzid", "answer"),
        [
            ("", "success"),
            ("{me}-1@localhost", "success"),
            ("{me}-1@localhost/r", "failure"),
            ("{other}-1@localhost", "failure"),
            ("nonsense", "failure"),
        ],
    )
    def test_authzid_is_empty_or_ones_own_bare_jid(self, connect, alice, bob, authzid, answer):
        client = connect()
        client.open()
        authzid = authzid.format(me=alice, other=bob)
        assert client.authenticate(alice, "secret", authzid).tag == f"{SASL}{answer}"

    @pytest.mark.parametrize(
        "name", ["999-1", "{me}-2", "{me}", "alice", "", "٣-1", "9" * 50 + "-1"]
    )
    def test_unknown_names_are_not_authorized(self, connect, alice, name):
        client = connect()
        client.open()
        failure = client.authenticate(name.format(me=alice), "secret")
        assert failure[0].tag == f"{SASL}not-authorized"

    @pytest.mark.parametrize(
        ("auth", "expected"),
        [
            ("<auth xmlns='{}' mechanism='PLAIN'>%%%</auth>", "incorrect-encoding"),
            ("<auth xmlns='{}' mechanism='PLAIN'>YQ==</auth>", "malformed-request"),
            ("<auth xmlns='{}' mechanism='PLAIN'>/wD/AP8=</auth>", "malformed-request"),
            ("<auth xmlns='{}' mechanism='PLAIN'/>", "malformed-request"),
            ("<auth xmlns='{}' mechanism='SCRAM-SHA-1'>YQ==</auth>", "invalid-mechanism"),
            ("<abort xmlns='{}'/>", "aborted"),
            ("<response xmlns='{}'/>", "malformed-request"),
        ],
    )
    def test_what_is_wrong_is_named(self, connect, auth, expected):
        client = connect()
        client.open()
        client.send(auth.format(SASL[1:-1]))
        assert client.find(f"{SASL}failure")[0].tag == f"{SASL}{expected}"

    def test_third_failure_ends_the_stream(self, connect, alice):
        client = connect()
        client.open()
        for _ in range(3):
            client.authenticate(alice, "wrong")
        assert client.stream_error() == "policy-violation"

    def test_stanza_before_authentication_ends_the_stream(self, connect):
        client = connect()
        client.open()
        client.send("<presence/>")
        assert client.stream_error() == "not-authorized"

    def test_second_authentication_ends_the_stream(self, connect, alice):
        client = connect().log_in(alice)
        client.send(f"<auth xmlns='{SASL[1:-1]}' mechanism='PLAIN'/>")
        assert client.stream_error() == "policy-violation"


class TestBinding:
    def test_resource_is_the_requested_or_a_long_random_one(self, connect, alice):
        assert connect().authenticated(alice).bind("phone") == f"{alice}-1@localhost/phone"
        generated = {connect().authenticated(alice).bind() for _ in range(2)}
        assert len(generated) == 2
        assert all(len(jid.split("/")[1]) >= 16 for jid in generated)

    def test_same_resource_again_ends_the_older_with_conflict(self, emulator, connect, alice):
        older = connect().log_in(alice, "phone")
        older.enable()
        newer = connect().log_in(alice, "phone")
        assert older.stream_error() == "conflict"
        assert newer.sync() == []
        assert len(emulator.sessions(alice)) == 1

    def test_binding_twice_is_not_allowed(self, connect, alice):
        client = connect().log_in(alice)
        client.send(
            "<iq type='set' id='again'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
        )
        assert condition(client.answer("again")) == "not-allowed"

    def test_stanza_before_bind_is_refused(self, connect, alice):
        client = connect().authenticated(alice)
        client.send("<message to='2-1@localhost' id='m'><body>x</body></message>")
        refusal = client.message()
        assert condition(refusal) == "not-authorized"
        assert (
            refusal.findtext(f"{CLIENT}error/{STANZAS}text") == "You must bind the resource first"
        )


class TestRequests:
    @pytest.mark.parametrize(
        ("kind", "payload"),
        [
            ("get", "<ping xmlns='urn:xmpp:ping'/>"),
            ("set", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"),
            ("set", "<enable xmlns='urn:xmpp:carbons:2'/>"),
        ],
    )
    @pytest.mark.parametrize("to", ["", "to='localhost'"])
    def test_the_server_answers(self, connect, alice, kind, payload, to):
        client = connect().log_in(alice)
        client.send(f"<iq type='{kind}' id='q' {to}>{payload}</iq>")
        answer = client.answer("q")
        assert (answer.get("type"), answer.get("to")) == ("result", client.jid)

    def test_disco_names_what_is_there(self, connect, alice):
        client = connect().log_in(alice)
        namespace = "http://jabber.org/protocol/disco#info"
        client.send(f"<iq type='get' id='q' to='localhost'><query xmlns='{namespace}'/></iq>")
        found = {
            element.get("var") for element in client.answer("q").iter(f"{{{namespace}}}feature")
        }
        assert {"urn:xmpp:ping", "urn:xmpp:carbons:2", namespace} <= found

    def test_unknown_request_is_refused_by_name(self, connect, alice):
        client = connect().log_in(alice)
        client.send("<iq type='get' id='q'><query xmlns='jabber:iq:version'/></iq>")
        refusal = client.answer("q")
        assert condition(refusal) == "feature-not-implemented"
        assert "jabber:iq:version" in (refusal.findtext(f"{CLIENT}error/{STANZAS}text") or "")

    @pytest.mark.parametrize(
        ("iq", "expected"),
        [
            ("<iq type='get' id='q'/>", "bad-request"),
            ("<iq type='get' id='q'><a/><b/></iq>", "bad-request"),
            ("<iq type='frob' id='q'><a/></iq>", "bad-request"),
            ("<iq type='get' id='q' to='@'><a/></iq>", "jid-malformed"),
            ("<iq type='get' id='q' to='example.org'><a/></iq>", "remote-server-not-found"),
            ("<iq type='get' id='q' to='2-1@localhost'><a/></iq>", "service-unavailable"),
            ("<iq type='get' id='q' to='2-1@localhost/x'><a/></iq>", "service-unavailable"),
            ("<iq type='get' id='q' to='1_a@muc.localhost'><a/></iq>", "feature-not-implemented"),
        ],
    )
    def test_bad_requests_are_refused(self, connect, alice, iq, expected):
        client = connect().log_in(alice)
        client.send(iq)
        assert condition(client.answer("q")) == expected

    def test_requests_travel_between_full_jids_and_back(self, connect, alice, bob):
        asker, other = connect().log_in(alice), connect().log_in(bob)
        asker.send(f"<iq type='get' id='q' to='{other.jid}'><ping xmlns='urn:xmpp:ping'/></iq>")
        request = other.answer("q")
        assert request.get("from") == asker.jid
        other.send(f"<iq type='result' id='q' to='{asker.jid}'/>")
        assert asker.answer("q").get("from") == other.jid

    def test_results_without_a_request_are_ignored(self, connect, alice):
        client = connect().log_in(alice)
        client.send("<iq type='result' id='x'/><iq type='error' id='y' to='2-1@localhost/x'/>")
        assert client.sync() == []


class TestPresence:
    def test_own_resources_see_each_other_come_and_go(self, connect, alice):
        first = connect().log_in(alice, "first")
        second = connect().log_in(alice, "second")
        assert first.find(f"{CLIENT}presence").get("from") == second.jid
        assert [element.get("from") for element in second.sync()] == [first.jid]
        second.send("</stream:stream>")
        gone = first.find(f"{CLIENT}presence")
        assert (gone.get("from"), gone.get("type")) == (second.jid, "unavailable")

    def test_messages_reach_available_resources_alone(self, connect, alice, bob):
        sender = connect().log_in(alice)
        available = connect().log_in(bob)
        silent = connect().authenticated(bob)
        silent.bind()
        negative = connect().authenticated(bob)
        negative.bind()
        negative.send("<presence><priority>-1</priority></presence>")
        negative.find(f"{CLIENT}presence", lambda found: found.get("from") == negative.jid)
        left = connect().log_in(bob)
        left.send("<presence type='unavailable'/>")
        left.sync()
        sender.send(chat(bob, "who is there?"))
        assert available.message().findtext(BODY) == "who is there?"
        for other in (silent, negative, left):
            assert all(element.tag != f"{CLIENT}message" for element in other.sync())


class TestMessages:
    def test_message_gets_sender_dialog_id_and_date(self, emulator, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        sender.send(chat(bob, "hi", id=one_id(1)))
        message = receiver.message()
        dialog = emulator.private_dialog(alice, bob)
        assert message.get("from") == sender.jid
        assert message.get("id") == param(message, "message_id") == one_id(1)
        assert param(message, "dialog_id") == dialog
        assert param(message, "save_to_history") == "1"
        (stored,) = emulator.messages(dialog)
        assert stored["_id"] == one_id(1)
        assert stored["date_sent"] == int(param(message, "date_sent") or 0)
        assert (stored["sender_id"], stored["recipient_id"]) == (alice, bob)

    def test_given_date_is_kept_and_wrong_dialog_id_replaced(self, emulator, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        params = "<date_sent>1700000000123</date_sent><dialog_id>wrong</dialog_id>"
        sender.send(chat(bob, params=params))
        message = receiver.message()
        dialog = emulator.private_dialog(alice, bob)
        assert param(message, "date_sent") == "1700000000123"
        assert param(message, "dialog_id") == dialog
        assert emulator.messages(dialog)[0]["date_sent"] == 1_700_000_000

    def test_every_available_resource_gets_it(self, connect, alice, bob):
        sender = connect().log_in(alice)
        receivers = [connect().log_in(bob) for _ in range(3)]
        sender.send(chat(bob))
        assert [receiver.message().findtext(BODY) for receiver in receivers] == ["hello"] * 3

    def test_message_to_oneself_reaches_ones_resources_and_makes_no_dialog(
        self, emulator, connect, alice
    ):
        one, other = connect().log_in(alice), connect().log_in(alice)
        one.send(chat(alice, "note"))
        for client in (one, other):
            message = client.message()
            assert (message.findtext(BODY), message.get("type")) == ("note", "chat")
        assert emulator.private_dialog(alice, alice) is None

    def test_full_jid_reaches_one_resource_and_any_when_it_is_gone(self, connect, alice, bob):
        sender = connect().log_in(alice)
        one, other = connect().log_in(bob, "one"), connect().log_in(bob, "other")
        sender.send(chat(one.jid, "for one"))
        sender.send(chat(f"{bob}-1@localhost/gone", "for any"))
        assert [one.message().findtext(BODY) for _ in range(2)] == ["for one", "for any"]
        assert other.message().findtext(BODY) == "for any"

    def test_repeated_id_is_relayed_again_and_stored_once(self, emulator, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        for _ in range(2):
            sender.send(chat(bob, "same", id=one_id(7)))
        assert [receiver.message().get("id") for _ in range(2)] == [one_id(7)] * 2
        assert len(emulator.messages(emulator.private_dialog(alice, bob))) == 1

    def test_only_what_asks_for_it_is_stored(self, emulator, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        destroy = "<destroy xmlns='urn:xmpp:message-destroy-after:0' after='5'/>"
        sender.send(chat(bob, "gone soon", more=destroy))
        sender.send(chat(bob, "unsaved").replace(SAVED, ""))
        for _ in range(2):
            assert param(receiver.message(), "dialog_id")
        assert emulator.messages(emulator.private_dialog(alice, bob)) == []

    def test_edit_and_deletion_are_relayed_and_are_no_messages(self, emulator, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        for about in (
            f"<replace xmlns='urn:xmpp:message-correct:0' id='{one_id(1)}' last='true'/>",
            f"<remove xmlns='urn:xmpp:message-delete:0' id='{one_id(1)}'/>",
        ):
            sender.send(chat(bob, "new", id=one_id(2), more=about))
            assert receiver.message()[-1].get("id") == one_id(1)
        assert emulator.private_dialog(alice, bob) is None

    def test_custom_parameters_and_attachments_are_stored(self, emulator, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        params = (
            "<country>USA</country><nested><k>v</k><deep><x>1</x></deep></nested>"
            "<attachment type='image' uid='u1' size='5' url='http://x/?a&amp;b'/><empty/>"
        )
        sender.send(chat(bob, params=params))
        receiver.message()
        (stored,) = emulator.messages(emulator.private_dialog(alice, bob))
        assert stored["country"] == "USA"
        assert stored["nested"] == {"k": "v", "deep": {"x": "1"}}
        assert stored["empty"] == ""
        assert stored["attachments"] == [
            {"type": "image", "uid": "u1", "size": "5", "url": "http://x/?a&b"}
        ]
        assert "save_to_history" not in stored

    def test_message_without_an_object_id_gets_one(self, emulator, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        sender.send(chat(bob, id="my-own-id"))
        message = receiver.message()
        assert message.get("id") == "my-own-id"
        assert re.fullmatch("[0-9a-f]{24}", param(message, "message_id") or "")
        (stored,) = emulator.messages(emulator.private_dialog(alice, bob))
        assert stored["_id"] == param(message, "message_id")

    @pytest.mark.parametrize(
        ("to", "kind", "expected"),
        [
            ("999-1@localhost", "chat", "service-unavailable"),
            ("2-9@localhost", "chat", "service-unavailable"),
            ("nobody@localhost", "headline", "service-unavailable"),
            ("localhost", "chat", "service-unavailable"),
            ("1_abc@muc.localhost", "groupchat", "item-not-found"),
            ("2-1@localhost", "groupchat", "service-unavailable"),
            ("2-1@example.org", "chat", "remote-server-not-found"),
            ("@localhost", "chat", "jid-malformed"),
        ],
    )
    def test_message_to_nowhere_comes_back_as_an_error(
        self, connect, alice, bob, to, kind, expected
    ):
        client = connect().log_in(alice)
        client.send(f"<message id='m' to='{to}' type='{kind}'><body>x</body></message>")
        refusal = client.message()
        assert (refusal.get("id"), refusal.get("from")) == ("m", to)
        assert condition(refusal) == expected
        error = refusal.find(f"{CLIENT}error")
        assert error is not None
        assert error.get("code")

    def test_errors_are_never_answered(self, connect, alice):
        client = connect().log_in(alice)
        client.send("<message id='m' to='999-1@localhost' type='error'/>")
        assert client.sync() == []

    def test_markers_are_relayed_and_kept(self, emulator, connect, rest, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        sender.send(chat(bob, id=one_id(5)))
        receiver.message()
        dialog = emulator.private_dialog(alice, bob)
        for marker, field in (("received", "delivered_ids"), ("displayed", "read_ids")):
            receiver.send(
                f"<message to='{alice}-1@localhost' type='chat' id='{one_id(6)}'>"
                f"<{marker} xmlns='{MARKERS}' id='{one_id(5)}'/></message>"
            )
            seen = sender.message()
            found = seen.find(f"{{{MARKERS}}}{marker}")
            assert found is not None
            assert found.get("id") == one_id(5)
            assert param(seen, "dialog_id") == dialog
            assert emulator.messages(dialog)[0][field] == [alice, bob]
        assert len(emulator.messages(dialog)) == 1

    def test_marker_of_a_stranger_changes_nothing(self, emulator, connect, alice, bob):
        stranger = connect().log_in(emulator.add_user("mallory", "secret"))
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        sender.send(chat(bob, id=one_id(5)))
        receiver.message()
        stranger.send(
            f"<message to='{alice}-1@localhost' type='chat'>"
            f"<displayed xmlns='{MARKERS}' id='{one_id(5)}'/></message>"
        )
        stranger.sync()
        (stored,) = emulator.messages(emulator.private_dialog(alice, bob))
        assert stored["read_ids"] == stored["delivered_ids"] == [alice]

    def test_chat_states_and_headlines_are_relayed_as_they_are(self, emulator, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        states = "http://jabber.org/protocol/chatstates"
        sender.send(
            f"<message to='{bob}-1@localhost' type='chat'><composing xmlns='{states}'/></message>"
        )
        assert [child.tag for child in receiver.message()] == [f"{{{states}}}composing"]
        sender.send(
            f"<message to='{bob}-1@localhost' type='headline'><extraParams>"
            "<moduleIdentifier>SystemNotifications</moduleIdentifier><k>v</k></extraParams></message>"
        )
        assert param(receiver.message(), "k") == "v"
        assert emulator.private_dialog(alice, bob) is None

    def test_sent_copies_go_to_own_resources_that_asked(self, connect, alice, bob):
        sender, phone, deaf = (
            connect().log_in(alice, name) for name in ("sender", "phone", "deaf")
        )
        receiver = connect().log_in(bob)
        phone.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        phone.answer("c")
        sender.send(chat(bob, "from my desk"))
        receiver.message()
        copy = phone.message()
        path = "{urn:xmpp:carbons:2}sent/{urn:xmpp:forward:0}forwarded"
        inner = copy.find(f"{path}/{CLIENT}message")
        assert inner is not None
        assert copy.get("from") == f"{alice}-1@localhost"
        assert (inner.findtext(BODY), inner.get("from")) == ("from my desk", sender.jid)
        assert param(inner, "dialog_id")
        private = chat(bob, "psst", more="<private xmlns='urn:xmpp:carbons:2'/>")
        sender.send(private + chat(bob, "again"))
        assert "psst" not in "".join(phone.message().itertext())
        assert all(element.tag != f"{CLIENT}message" for element in deaf.sync())
        # what comes from others reaches every resource and is never copied
        receiver.send(chat(alice, "back"))
        assert phone.message().findtext(BODY) == "back"
        assert phone.sync() == []

    def test_message_by_rest_is_delivered_only_when_asked(
        self, emulator, connect, rest, alice, bob
    ):
        receiver, hers = connect().log_in(bob), rest("alice")
        hers("POST", "chat/Message", json={"recipient_id": bob, "message": "silent"})
        body = {
            "recipient_id": bob,
            "message": "lo\rud \x00",
            "send_to_chat": 1,
            "markable": 1,
            "attachments": [{"type": "image", "uid": "u"}],
            "k": {"a": 1},
            "not a name": "x",
        }
        stored = hers("POST", "chat/Message", json=body).json()
        message = receiver.message()
        assert message.get("from") == f"{alice}-1@localhost"
        assert message.get("id") == stored["_id"]
        assert message.findtext(BODY) == "lo\rud �"
        assert param(message, "dialog_id") == stored["chat_dialog_id"]
        assert message.find(f"{{{MARKERS}}}markable") is not None
        assert message.findtext(f"{CLIENT}extraParams/{CLIENT}k/{CLIENT}a") == "1"
        assert message.find(f"{CLIENT}extraParams/{CLIENT}attachment") is not None

    def test_two_thousand_messages_each_way_arrive_in_order(self, emulator, connect, alice, bob):
        one, other = connect().log_in(alice), connect().log_in(bob)
        for client, peer, start in ((one, bob, 0), (other, alice, 10_000)):
            client.send("".join(chat(peer, str(n), id=one_id(start + n)) for n in range(2_000)))
        for client in (one, other):
            bodies = [client.message().findtext(BODY) for _ in range(2_000)]
            assert bodies == [str(n) for n in range(2_000)]
        assert len(emulator.messages(emulator.private_dialog(alice, bob))) == 4_000


XML_TEXT = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"],
        include_characters="\t\n\r",
        exclude_characters="\ufffe\uffff",
    )
)


@pytest.fixture(scope="module")
def pair():
    with Emulator() as emulator:
        users = [emulator.add_user(name, "secret") for name in ("alice", "bob")]
        with Client(emulator) as one, Client(emulator) as other:
            yield emulator, one.log_in(users[0]), other.log_in(users[1]), users


@settings(max_examples=100)
@given(body=XML_TEXT, value=XML_TEXT)
def test_text_survives_relay_and_storage(pair, body, value):
    emulator, sender, receiver, (alice, bob) = pair
    entities = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;", "'": "&apos;"}
    params = f"<k>{escape(value, entities)}</k><attachment name='{escape(value, entities)}'/>"
    sender.send(chat(bob, escape(body, entities), id="x", params=params))
    message = receiver.message()
    assert (message.findtext(BODY) or "") == body
    assert (param(message, "k") or "") == value
    attachment = message.find(f"{CLIENT}extraParams/{CLIENT}attachment")
    assert attachment is not None
    assert attachment.get("name") == value
    stored = emulator.messages(emulator.private_dialog(alice, bob))[-1]
    assert (stored["message"], stored["k"]) == (body, value)
    assert stored["attachments"] == [{"name": value}]


class TestStreamManagement:
    def resume(self, connect, user, previous, handled):
        client = connect().authenticated(user)
        client.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{previous}' h='{handled}'/>")
        answer = client.next()
        assert answer is not None
        return client, answer

    def test_server_counts_what_it_handled(self, connect, alice, bob):
        client = connect().log_in(alice)
        client.enable()
        client.send(chat(bob) * 3 + "<r xmlns='urn:xmpp:sm:3'/>")
        assert client.find(f"{SM}a").get("h") == "3"

    def test_server_asks_and_accepts_the_answer(self, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        receiver.enable()
        sender.send(chat(bob))
        receiver.message()
        receiver.find(f"{SM}r")
        receiver.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
        sender.send(chat(bob))
        receiver.message()
        receiver.find(f"{SM}r")

    def test_resume_replays_what_was_not_handled_in_order(self, emulator, connect, alice, bob):
        sender, receiver = connect().log_in(alice), connect().log_in(bob)
        previous = receiver.enable()
        for number in range(5):
            sender.send(chat(bob, str(number), id=one_id(number)))
        for _ in range(5):
            receiver.message()
        receiver.send("<presence/>")
        assert emulator.cut(bob) == 1
        sender.send(chat(bob, "5", id=one_id(5)))
        sender.sync()
        assert emulator.sessions(bob)[0]["connected"] is False
        resumed, answer = self.resume(connect, bob, previous, 2)
        assert answer.tag == f"{SM}resumed"
        assert answer.get("previd") == previous
        assert answer.get("h") in ("0", "1")  # whether the presence beat the cut
        bodies = [resumed.message().findtext(BODY) for _ in range(4)]
        assert bodies == ["2", "3", "4", "5"]
        resumed.jid = receiver.jid
        sender.send(chat(bob, "6"))
        assert resumed.message().findtext(BODY) == "6"

    def test_resume_takes_the_session_from_a_link_that_still_seems_alive(
        self, emulator, connect, alice, bob
    ):
        old = connect().log_in(bob)
        previous = old.enable()
        resumed, answer = self.resume(connect, bob, previous, 0)
        assert answer.tag == f"{SM}resumed"
        assert old.stream_error() == "conflict"
        connect().log_in(alice).send(chat(bob, "still here"))
        assert resumed.message().findtext(BODY) == "still here"
        assert len(emulator.sessions(bob)) == 1

    def test_carbons_and_presence_survive_a_resumption(self, emulator, connect, alice, bob):
        phone = connect().log_in(alice, "phone")
        phone.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        phone.answer("c")
        previous = phone.enable()
        emulator.cut(alice)
        resumed, _ = self.resume(connect, alice, previous, 0)
        desk = connect().log_in(alice, "desk")
        desk.send(chat(bob))
        assert resumed.message().find("{urn:xmpp:carbons:2}sent") is not None

    @pytest.mark.parametrize("who", ["unknown", "another user", "forgotten"])
    def test_unknown_session_is_item_not_found_without_h(self, emulator, connect, alice, bob, who):
        client = connect().log_in(alice)
        previous = client.enable()
        emulator.cut(alice)
        if who == "forgotten":
            assert emulator.forget_sessions() == 1
        user = bob if who == "another user" else alice
        client, answer = self.resume(connect, user, "nonsense" if who == "unknown" else previous, 0)
        assert (answer.tag, answer.get("h")) == (f"{SM}failed", None)
        assert answer[0].tag == f"{STANZAS}item-not-found"
        assert client.bind()

    @pytest.mark.parametrize(
        ("who", "forget", "expected"),
        [("owner", False, "1"), ("owner", True, None), ("another", False, None)],
    )
    def test_expired_session_is_item_not_found_with_h_for_its_user(self, who, forget, expected):
        with Emulator(resume_seconds=1) as emulator:
            owner, another = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
            with Client(emulator) as client, Client(emulator) as again:
                client.log_in(owner)
                previous = client.enable()
                client.sync()
                emulator.cut(owner)
                wait_until(lambda: not emulator.sessions(owner))
                if forget:
                    emulator.forget_sessions(another)
                    emulator.forget_sessions(owner)
                again.authenticated(owner if who == "owner" else another)
                again.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{previous}' h='0'/>")
                failed = again.find(f"{SM}failed")
        assert failed[0].tag == f"{STANZAS}item-not-found"
        assert failed.get("h") == expected

    def test_h_beyond_what_was_sent_is_a_stream_error(self, emulator, connect, alice):
        client = connect().log_in(alice)
        previous = client.enable()
        emulator.cut(alice)
        client, answer = self.resume(connect, alice, previous, 1)
        assert [child.tag.split("}")[1] for child in answer][::2] == [
            "undefined-condition",
            "handled-count-too-high",
        ]

    @pytest.mark.parametrize("silent", [True, False], ids=["link lost", "link open"])
    def test_h_below_what_was_acknowledged_lets_the_client_go_on_anew(
        self, emulator, connect, alice, bob, silent
    ):
        sender, old = connect().log_in(alice), connect().log_in(bob, "phone")
        previous = old.enable()
        sender.send(chat(bob, "acknowledged"))
        old.message()
        old.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
        old.sync()  # its answer is not acknowledged
        old.send(chat(alice))
        old.sync()
        if silent:
            emulator.cut(bob)
        sender.send(chat(bob, "kept", id="bb" * 12))
        sender.sync()
        client, answer = self.resume(connect, bob, previous, 0)
        assert (answer.tag, answer[0].tag) == (f"{SM}failed", f"{STANZAS}item-not-found")
        assert answer.get("h") == "3"  # two requests and a message
        assert [one["resource"] for one in emulator.sessions(bob)] == []
        client.bind("phone")
        client.enable()
        client.send("<presence/>")
        assert client.message().findtext(BODY) == "kept"

    @pytest.mark.parametrize("h", ["", "x", "-1", "4294967296", "٣", "9" * 5000])
    def test_malformed_h_is_refused(self, emulator, connect, alice, h):
        client = connect().log_in(alice)
        previous = client.enable()
        emulator.cut(alice)
        client, answer = self.resume(connect, alice, previous, h)
        assert (answer.tag, answer[0].tag) == (f"{SM}failed", f"{STANZAS}bad-request")
        client.bind()
        client.enable()
        client.send(f"<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
        assert client.stream_error() == "bad-format"

    @pytest.mark.parametrize(
        "nonza",
        [
            "<enable xmlns='urn:xmpp:sm:3'/>" * 2,
            "<enable xmlns='urn:xmpp:sm:3'/><resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
            "<r xmlns='urn:xmpp:sm:3'/>",
            "<frob xmlns='urn:xmpp:sm:3'/>",
        ],
    )
    def test_nonzas_out_of_place_fail(self, connect, alice, nonza):
        client = connect().log_in(alice)
        client.send(nonza)
        assert client.find(f"{SM}failed")[0].tag == f"{STANZAS}unexpected-request"

    def test_session_without_resumption_ends_with_its_link(self, emulator, connect, alice):
        client = connect().log_in(alice)
        client.send("<enable xmlns='urn:xmpp:sm:3'/>")
        assert client.find(f"{SM}enabled").get("id") is None
        emulator.cut(alice)
        assert emulator.sessions(alice) == []

    def test_session_that_never_acknowledges_ends_at_the_bound(self):
        with Emulator(unacknowledged_stanzas=10) as emulator:
            users = [emulator.add_user(name, "secret") for name in ("alice", "bob")]
            with Client(emulator) as sender, Client(emulator) as receiver:
                sender.log_in(users[0])
                receiver.log_in(users[1]).enable()
                sender.send(chat(users[1]) * 11)
                assert receiver.stream_error() == "resource-constraint"
                assert emulator.sessions(users[1]) == []


class TestLinks:
    def test_cut_is_a_reset_of_the_users_links_alone(self, emulator, connect, alice, bob):
        cut, other = connect().log_in(alice), connect().log_in(bob)
        assert emulator.cut(alice) == 1
        assert cut.next() is None
        assert not cut.ended
        assert other.sync() == []
        assert emulator.cut() == 1
        assert emulator.cut() == 0

    def test_client_that_does_not_read_is_dropped_at_the_bound(self):
        with Emulator(unsent_bytes=200_000) as emulator:
            alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
            with Client(emulator) as sender, Client(emulator) as deaf:
                deaf.log_in(bob)
                sender.log_in(alice)
                large = chat(bob, "x" * 100_000).replace(SAVED, "")
                for _ in range(400):
                    sender.send(large)
                    if not emulator.sessions(bob):
                        break
                assert emulator.sessions(bob) == []
                assert sender.sync() == []

    def test_links_that_end_badly_leave_no_session(self, emulator, connect, alice, bob):
        other = connect().log_in(bob)
        client = connect().log_in(alice)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
        wait_until(lambda: not emulator.sessions(alice))
        assert other.sync() == []

    @pytest.mark.parametrize(
        "garbage", [b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"]
    )
    def test_no_tls_is_harmless(self, emulator, connect, alice, garbage):
        with socket.create_connection((emulator.host, emulator.chat_port), 5) as raw:
            raw.sendall(garbage)
            assert connect().log_in(alice).sync() == []
