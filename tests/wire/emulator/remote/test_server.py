"""The control API over HTTP, as a program in another language uses it."""

from __future__ import annotations

import argparse
import base64
import inspect
import json
import socket

import attrs
import pytest
import requests

from connectycube.cli.emulator import add_arguments
from connectycube.emulator import SWITCHES, Emulator, export_lines
from connectycube.emulator.control.faults import FAULTS
from connectycube.emulator.remote.verbs import VERBS
from connectycube.emulator.settings import Settings
from connectycube.errors import ArgumentTypeError, ArgumentValueError
from tests.support.wire_client import chat

DOCUMENT = {
    "users": [{"login": "carol", "password": "secret"}, {"login": "dave", "password": "secret"}],
    "messages": [{"dialog": ["carol", "dave"], "sender": "dave", "message": "Hello"}],
}


class Control:
    """Requests with the token; ``control("POST", "reset")`` returns the result."""

    def __init__(self, emulator):
        self.url = emulator.control_url
        self.headers = {"Authorization": f"Bearer {emulator.control_token}"}

    def ask(self, method, path, body=None, **headers):
        data = None if body is None else json.dumps(body)
        headers = {**self.headers, **headers}
        return requests.request(method, f"{self.url}/{path}", data=data, headers=headers, timeout=5)

    def __call__(self, method, path, body=None):
        answer = self.ask(method, path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def error(self, method, path, body=None):
        answer = self.ask(method, path, body)
        return answer.status_code, answer.json()["error"]


@pytest.fixture
def control(emulator):
    return Control(emulator)


class TestVerbs:
    def test_users_dialogs_and_messages_are_seeded(self, emulator, control):
        ids = [
            control("POST", "add_user", {"login": name, "password": "secret", "full_name": "N"})
            for name in ("alice", "bob")
        ]
        dialog = control(
            "POST",
            "add_dialog",
            {"kind": "group", "owner_id": ids[0], "occupants_ids": ids[1:], "name": "Hikers"},
        )
        messages = [{"sender_id": ids[1], "message": text} for text in ("one", "two")]
        added = control("POST", "add_messages", {"dialog_id": dialog, "messages": messages})
        found = control("POST", "messages", {"dialog_id": dialog})
        assert [one["_id"] for one in found] == added
        assert found == json.loads(json.dumps(emulator.messages(dialog)))

    def test_a_document_is_loaded_whole_or_not_at_all(self, emulator, control):
        loaded = control("POST", "load", DOCUMENT)
        carol, dave = loaded["users"]["carol"], loaded["users"]["dave"]
        assert loaded == {"users": {"carol": carol, "dave": dave}, "dialogs": {}, "messages": 1}
        dialog = control("POST", "private_dialog", {"user_id": carol, "other_id": dave})
        assert [one["message"] for one in emulator.messages(dialog)] == ["Hello"]
        status, error = control.error("POST", "load", DOCUMENT)
        assert (status, "users[0]" in error) == (422, True)

    def test_a_path_is_no_document(self, control, tmp_path):
        file = tmp_path / "people.json"
        file.write_text(json.dumps(DOCUMENT))
        assert control.error("POST", "load", str(file))[0] == 422

    def test_the_clock_is_read_and_moved(self, emulator, control):
        before = control("GET", "clock")
        assert before["advanced"] == 0
        after = control("POST", "clock/advance", {"seconds": 3600})
        assert after["advanced"] == emulator.clock.advanced == 3600
        assert 3600 <= after["time"] - before["time"] < 3660
        assert control.error("POST", "clock/advance", {"seconds": -1})[0] == 422

    def test_faults_are_started_listed_and_ended(self, emulator, control):
        first = control("POST", "faults", {"name": "rate_limit", "retry_after": 2, "times": 3})
        second = control("POST", "faults", {"text": "delay:seconds=0,user=alice"})
        assert (first["retry_after"], first["times"], first["used"]) == (2, 3, 0)
        assert requests.get(f"{emulator.api_url}/session", timeout=5).status_code == 429
        listed = control("GET", "faults")
        assert [fault["id"] for fault in listed] == [first["id"], second["id"]]
        assert listed[0]["used"] == 1
        assert control("DELETE", f"faults/{first['id']}")["id"] == first["id"]
        assert control.error("DELETE", f"faults/{first['id']}")[0] == 404
        assert control("DELETE", "faults") is None
        assert control("GET", "faults") == []
        assert emulator.faults.active == ()

    @pytest.mark.parametrize("name", ["refuse", "drop", "half_open"])
    def test_no_fault_reaches_the_control_api(self, emulator, control, name):
        emulator.faults.start(name)
        assert [fault["name"] for fault in control("GET", "faults")] == [name]
        control("DELETE", "faults")
        assert requests.get(f"{emulator.api_url}/session", timeout=5).status_code == 401

    def test_switches_are_set_all_or_none_and_act_at_once(self, emulator, control, connect):
        alice, bob = (emulator.add_user(name, "secret") for name in ("alice", "bob"))
        shown = control("PUT", "switches", {"offline_messages": False, "session_seconds": 60})
        assert (shown["offline_messages"], shown["session_seconds"]) == (False, 60)
        wrong = {"offline_messages": True, "room_echo": "no"}
        status, error = control.error("PUT", "switches", wrong)
        assert (status, "room_echo" in error) == (422, True)
        assert control("GET", "switches") == shown
        sender = connect().log_in(alice)
        sender.send(chat(bob))
        sender.sync()
        assert [one for one in connect().log_in(bob).sync() if one.tag.endswith("message")] == []

    def test_reset_empties_the_service_and_takes_switches_back(self, emulator, control):
        control("PUT", "switches", {"room_echo": False})
        control("POST", "add_user", {"login": "alice", "password": "secret"})
        control("POST", "clock/advance", {"seconds": 60})
        control("POST", "faults", {"name": "drop"})
        assert control("POST", "reset") is None
        assert control("GET", "switches")["room_echo"] is True
        assert control("GET", "clock")["advanced"] == 0
        assert control("GET", "faults") == []
        assert control("POST", "add_user", {"login": "alice", "password": "secret"}) == 1

    def test_chat_sessions_are_seen_and_cut(self, emulator, control, connect, alice):
        connect().log_in(alice, "phone").enable()
        (session,) = control("POST", "sessions", {"user_id": alice})
        assert (session["resource"], session["connected"]) == ("phone", True)
        assert control("POST", "cut") == 1
        assert control("POST", "forget_sessions") == 1
        assert control("POST", "sessions") == []

    def test_addresses_and_results_are_told(self, emulator, control):
        assert control("GET", "environment") == emulator.environment()
        assert (control("GET", "pushes"), control("GET", "reset_emails")) == ([], [])

    @pytest.mark.parametrize(
        ("method", "path", "body", "word"),
        [
            ("POST", "add_user", {"login": "alice"}, "password"),
            ("POST", "add_user", {"login": "al", "password": "secret"}, "login"),
            ("POST", "messages", {"dialog": "x"}, "dialog"),
            ("POST", "messages", {"dialog_id": ["x"]}, "dialog_id"),
            ("POST", "sessions", {"user_id": {}}, "user_id"),
            ("POST", "cut", {"user_id": 10**30}, "user_id"),
            ("POST", "kick", {"dialog_id": "x", "user_id": "1"}, "user_id"),
            ("POST", "add_dialog", {"kind": "group", "owner_id": 1, "occupants_ids": "12"}, "ids"),
            ("POST", "add_messages", {"dialog_id": "x", "messages": 5}, "dialog_id"),
            ("POST", "faults", {"retry_after": 2}, "name"),
            ("POST", "faults", {"name": "storm"}, "storm"),
            ("POST", "faults", {"name": "delay"}, "seconds"),
            ("POST", "clock/advance", {}, "seconds"),
            ("PUT", "switches", {"nonsense": 1}, "nonsense"),
            ("PUT", "switches", {"social_identity": "x"}, "function"),
            ("PUT", "switches", [], "object"),
            ("POST", "reset", {"all": True}, "all"),
        ],
    )
    def test_wrong_arguments_are_named(self, control, method, path, body, word):
        status, error = control.error(method, path, body)
        assert (status, word in error) == (422, True), error


class TestAccess:
    @pytest.mark.parametrize(
        "authorization",
        [None, "", "Bearer", "Bearer wrong", "Basic {token}", "{token}", "Bearer é"],
    )
    def test_the_token_is_needed(self, emulator, control, authorization):
        given = (authorization or "").format(token=emulator.control_token).encode()
        headers = {} if authorization is None else {"Authorization": given}
        for path in ("reset", "unknown"):
            answer = requests.post(f"{control.url}/{path}", headers=headers, timeout=5)
            assert answer.status_code == 401
            assert emulator.control_token not in answer.text

    def test_health_needs_no_token(self, control):
        answer = requests.get(f"{control.url}/health", timeout=5)
        assert (answer.status_code, answer.json()) == (200, {"result": "ok"})

    @pytest.mark.parametrize("origin", ["https://example.org", "http://localhost:3000", "null"])
    @pytest.mark.parametrize("path", ["reset", "health"])
    def test_a_page_of_another_origin_is_refused(self, control, origin, path):
        for method in ("GET", "POST", "OPTIONS"):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = control.ask(method, path, **asked)
            assert answer.status_code == 403
            assert not [
                name for name in answer.headers if name.lower().startswith("access-control")
            ]

    @pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "", "10.0.0.1:80"])
    def test_a_foreign_host_is_refused(self, control, host):
        assert control.ask("POST", "reset", Host=host).status_code in (400, 403)
        assert control.ask("GET", "health", Host=host).status_code in (400, 403)

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:80", "LOCALHOST:5"])
    def test_names_of_this_machine_are_accepted(self, control, host):
        assert control.ask("GET", "clock", Host=host).status_code == 200

    def test_it_is_on_the_loopback_address_alone(self):
        with Emulator(host="0.0.0.0") as emulator:
            assert emulator.control_url.startswith("http://127.0.0.1:")
            socket.create_connection(("127.0.0.2", emulator.api_port), 2).close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", emulator.control_port), 2)

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("GET", "unknown", None, 404),
            ("GET", "faults/1/2", None, 404),
            ("GET", "reset", None, 405),
            ("DELETE", "clock", None, 405),
        ],
    )
    def test_unknown_verbs_are_told_apart(self, control, method, path, body, status):
        assert control.error(method, path, body)[0] == status

    @pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000])
    def test_a_body_that_is_no_json_is_400(self, control, body):
        answer = requests.post(
            f"{control.url}/add_user", data=body, headers=control.headers, timeout=5
        )
        assert answer.status_code == 400

    def test_a_token_may_be_given_and_is_in_no_repr(self):
        with Emulator(control_token="t0ken") as emulator:
            assert Control(emulator)("GET", "faults") == []
            assert "t0ken" not in repr(emulator)
        with pytest.raises(ArgumentValueError, match="control_token"):
            Emulator(control_token="")


class TestNothingDrifts:
    def test_each_verb_of_a_program_is_a_verb_of_the_control_api(self):
        members = {name for name in vars(Emulator) if not name.startswith("_")}
        addresses = {name for name in members if name.endswith(("_url", "_port"))} | {
            *("app_id", "auth_key", "auth_secret", "admin_key", "domain", "host", "ca_file"),
            "control_token",
        }
        life = {"start", "stop", "config"}
        beside = {"health", "events", "forms", "exports"}
        paths = {verb.path.partition("/")[0] for verb in VERBS} - beside
        assert paths == (members - addresses - life - {"set_switches"})

    def test_each_switch_is_an_option_and_a_value_of_the_control_api(self, emulator, control):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        options = set(vars(parser.parse_args([])))
        as_text = {name for name, switch in SWITCHES.items() if switch.is_text}
        keywords = set(inspect.signature(Settings).parameters)
        application = {"app_id", "auth_key", "auth_secret", "admin_key", "domain"}
        assert keywords - application == set(SWITCHES)
        assert as_text <= options
        assert set(control("GET", "switches")) == as_text
        assert set(emulator.switches) == set(SWITCHES)
        assert set(SWITCHES) - as_text == {"social_identity", "identity_provider"}

    def test_a_value_is_the_same_by_program_text_and_json(self, emulator, control):
        for name, switch in SWITCHES.items():
            if not switch.is_text or name == "require_signature":
                continue
            value = switch.default if switch.default is not None else ["a", "b"]
            text = ",".join(value) if isinstance(value, list) else str(value)
            text = {"True": "yes", "False": "no"}.get(text, text)
            assert switch.from_text(text) == value
            assert control("PUT", "switches", {name: value})[name] == value
            emulator.set_switches(**{name: value})
            assert emulator.switches[name] == value

    def test_options_of_ports_are_those_of_the_emulator(self):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        ports = {name for name in vars(parser.parse_args([])) if name.endswith("_port")}
        assert ports == {n for n in inspect.signature(Emulator).parameters if n.endswith("_port")}


class TestSwitchesOfAProgram:
    def test_wrong_switches_change_nothing(self, emulator):
        before = emulator.switches
        with pytest.raises(ArgumentTypeError, match="room_echo"):
            emulator.set_switches(offline_messages=False, room_echo="no")
        with pytest.raises(ArgumentValueError, match="nonsense"):
            emulator.set_switches(nonsense=True)
        with pytest.raises(ArgumentValueError, match="auth_secret"):
            emulator.set_switches(require_signature=True)
        assert emulator.switches == before

    def test_the_switches_of_the_start_come_back_with_reset(self):
        with Emulator(room_echo=False) as emulator:
            emulator.set_switches(room_echo=True, list_users_v1=False)
            emulator.reset()
            assert (emulator.switches["room_echo"], emulator.switches["list_users_v1"]) == (
                False,
                True,
            )

    def test_bounds_of_requests_follow_the_switch(self, emulator):
        emulator.set_switches(body_bytes=10)
        answer = requests.post(f"{emulator.api_url}/session", data=b"x" * 11, timeout=5)
        assert answer.status_code == 413


class TestWhatAPageNeeds:
    def test_users_and_dialogs_are_listed_as_rest_has_them(
        self, emulator, control, rest, alice, bob
    ):
        dialog = emulator.add_dialog("private", alice, [bob])
        assert control("GET", "users") == emulator.users()
        client = rest("alice")
        assert client("GET", f"users/{alice}").json()["user"].keys() == emulator.users()[0].keys()
        (listed,) = client("GET", "chat/Dialog").json()["items"]
        assert control("GET", "dialogs") == emulator.dialogs() == [listed]
        assert listed["_id"] == dialog

    def test_a_message_is_sent_in_the_name_of_a_user(self, emulator, control, connect, alice, bob):
        dialog = emulator.add_dialog("private", alice, [bob])
        receiver = connect().log_in(bob)
        body = {"dialog_id": dialog, "sender_id": alice, "body": "Hello", "custom": {"a": "b"}}
        sent = control("POST", "send_message", body)
        assert (sent["message"], sent["a"], sent["sender_id"]) == ("Hello", "b", alice)
        message = receiver.message()
        assert message.get("id") == sent["_id"]
        assert control("POST", "messages", {"dialog_id": dialog}) == [sent]

    @pytest.mark.parametrize(
        ("change", "word"),
        [
            ({"dialog_id": "0" * 24}, "does not exist"),
            ({"sender_id": 99}, "not an occupant"),
            ({"body": ""}, "body"),
            ({"body": 5}, "body"),
            ({"custom": "x"}, "custom"),
            ({"sender_id": "1"}, "sender_id"),
        ],
    )
    def test_a_message_that_nobody_may_send_is_refused(
        self, emulator, control, alice, bob, change, word
    ):
        dialog = emulator.add_dialog("private", alice, [bob])
        body = {"dialog_id": dialog, "sender_id": alice, "body": "Hello", **change}
        status, error = control.error("POST", "send_message", body)
        assert (status, word in error) == (422, True), error
        assert emulator.messages(dialog) == []

    def test_the_newest_messages_are_enough(self, emulator, control, alice, bob):
        dialog = emulator.add_dialog("private", alice, [bob])
        emulator.add_messages(dialog, [{"sender_id": alice, "message": str(n)} for n in range(9)])
        newest = control("POST", "messages", {"dialog_id": dialog, "limit": 2})
        assert [one["message"] for one in newest] == ["7", "8"]
        assert control.error("POST", "messages", {"dialog_id": dialog, "limit": 0})[0] == 422

    def test_one_connection_of_a_user_is_cut(self, emulator, control, connect, alice):
        for resource in ("phone", "desk"):
            connect().log_in(alice, resource).enable()
        assert control("POST", "cut", {"user_id": alice, "resource": "phone"}) == 1
        sessions = {one["resource"]: one["connected"] for one in emulator.sessions()}
        assert sessions == {"phone": False, "desk": True}
        assert control("POST", "cut", {"user_id": alice, "resource": "nowhere"}) == 0

    def test_the_forms_have_every_fault_and_every_switch(self, emulator, control):
        forms = control("GET", "forms")
        assert [form["name"] for form in forms["faults"]] == list(FAULTS)
        for form in forms["faults"]:
            kind = FAULTS[form["name"]]
            assert (form["meaning"], form["sides"]) == (kind.meaning, list(kind.sides))
            assert [one["name"] for one in form["parameters"]] == list(kind.parameters)
        assert {form["name"]: form["default"] for form in forms["switches"]} == control(
            "GET", "switches"
        )
        types = {
            one["type"]
            for form in (*forms["faults"], forms)
            for one in form.get("parameters", forms["switches"])
        }
        assert types == {"number", "whole number", "boolean", "choice", "texts"}

    def test_each_fault_can_be_started_from_its_form(self, emulator, control):
        values = {"number": 1.5, "whole number": 501, "boolean": True, "text": "x"}
        for form in control("GET", "forms")["faults"]:
            given = {
                one["name"]: one["choices"][0] if one["choices"] else values[one["type"]]
                for one in form["parameters"]
            }
            started = control("POST", "faults", {"name": form["name"], **given})
            assert {name: started[name] for name in given} == given
            control("DELETE", "faults")

    def test_the_exports_are_those_of_the_command(self, emulator, control):
        assert control("GET", "exports") == export_lines(emulator)
        with Emulator(ui_port=0) as other:
            assert f"export CONNECTYCUBE_UI_URL='{other.ui_url}'" in export_lines(other)

    def test_a_state_is_saved_and_loaded(self, emulator, control):
        control("POST", "load", DOCUMENT)
        saved = control("GET", "save")
        assert saved == emulator.save()
        control("POST", "reset")
        assert control("POST", "load", saved)["messages"] == 1
        assert control("GET", "save") == saved


class TestExchanges:
    def test_they_are_recorded_between_begin_and_end(self, emulator, control, rest):
        rest()
        assert control("GET", "exchanges") == {"recording": False, "active": False, "left_out": 0}
        assert control("PUT", "exchanges", {"recording": True})["recording"] is True
        rest()("GET", "session")
        control("PUT", "exchanges", {"recording": False})
        rest()
        found = control("POST", "exchanges", {})
        assert [one["what"] for one in found] == ["POST /session", "GET /session"]
        one = control("GET", f"exchanges/{found[1]['id']}")
        assert one == found[1]
        assert one["curl"].startswith(f"curl --request GET {emulator.api_url}/session --header")
        assert '--header "CB-Token: $CB_TOKEN"' in one["curl"]
        (brief,) = control("POST", "exchanges", {"after": found[0]["id"], "brief": True})
        assert (brief["id"], "answer" in brief) == (one["id"], False)
        assert control("DELETE", "exchanges") is None
        assert control("POST", "exchanges", {}) == []

    @pytest.mark.parametrize("part", ["7", "x", "0", "-1", "9" * 30])
    def test_an_exchange_that_is_not_there_is_404(self, control, part):
        assert control.error("GET", f"exchanges/{part}")[0] == 404

    @pytest.mark.parametrize(
        ("method", "body"),
        [
            *(("PUT", body) for body in ({}, {"recording": 1}, {"recording": True, "a": 1}, [])),
            *(("POST", body) for body in ({"side": "x"}, {"brief": 1}, {"user": 1}, {"limit": 0})),
        ],
    )
    def test_wrong_arguments_are_refused(self, control, method, body):
        assert control.error(method, "exchanges", body)[0] == 422

    def test_no_secret_is_in_the_log(self, emulator, rest, connect, alice):
        emulator.exchanges.record()
        try:
            client = rest("alice")
            client("GET", f"users/{alice}")
            client(
                "PUT",
                f"users/{alice}",
                json={"user": {"password": "n3w", "old_password": "secret"}},
            )
            connect().authenticated(alice, "n3w")
        finally:
            emulator.exchanges.stop()
        shown = str([attrs.asdict(one) for one in emulator.exchanges.find()])
        for secret in ("secret", "n3w", client.token, base64.b64encode(b"n3w").decode()[:3]):
            assert f"'{secret}'" not in shown
            assert f'"{secret}"' not in shown
        assert client.token not in shown
        assert ">***</auth>" in shown

    def test_faults_and_answers_that_never_come_are_in_the_log(self, emulator, rest, alice):
        client = rest("alice")
        emulator.exchanges.record()
        emulator.faults.rate_limit(times=1)
        assert client("GET", "session").status_code == 429
        emulator.faults.drop(on="rest", times=1)
        with pytest.raises(requests.ConnectionError):
            client("GET", "session")
        emulator.exchanges.stop()
        found = emulator.exchanges.find()
        assert [(one.status, one.user_id) for one in found] == [(429, alice), (None, alice)]

    def test_a_file_is_in_the_log_by_its_size(self, emulator, rest):
        client = rest()
        emulator.exchanges.record()
        requests.get(f"{emulator.storage_url}/nowhere/x?token=abc", timeout=5)
        emulator.exchanges.stop()
        (one,) = emulator.exchanges.find(side="storage")
        assert (one.what, one.about, one.status) == ("GET /nowhere/x", "token=***", 404)
        assert client.token

    def test_a_stanza_that_a_fault_withholds_is_not_in_the_log(self, emulator, connect, alice, bob):
        receiver = connect().log_in(bob)
        sender = connect().log_in(alice)
        emulator.exchanges.record()
        emulator.faults.half_open(user="bob")
        sender.send(chat(bob))
        sender.sync()
        emulator.exchanges.stop()
        outgoing = [one for one in emulator.exchanges.find(user_id=bob) if one.direction == "out"]
        assert outgoing == []
        assert receiver.jid
