"""Sessions of every kind, as a client without our SDK sees them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
import requests

from connectycube.emulator import Emulator
from connectycube.errors import ArgumentTypeError
from tests.wire.emulator.conftest import ManualClock

FACEBOOK = {"provider": "facebook", "keys": {"token": "fb"}}
TWITTER = {"provider": "twitter", "keys": {"token": "tw", "secret": "s"}}
PHONE = {
    "provider": "firebase_phone",
    "firebase_phone": {"project_id": "p", "access_token": "t"},
}
EMAIL = {
    "provider": "firebase_email",
    "firebase_email": {"project_id": "p", "access_token": "t"},
}


def new_session(emulator, **more):
    body = {"application_id": 1, "auth_key": "key", **more}
    return requests.post(f"{emulator.api_url}/session", json=body, timeout=5)


def status_of(emulator, token):
    headers = {"CB-Token": token}
    return requests.get(f"{emulator.api_url}/session", headers=headers, timeout=5).status_code


class TestProviders:
    @pytest.mark.parametrize(
        ("request_body", "field"),
        [
            (FACEBOOK, "facebook_id"),
            (TWITTER, "twitter_id"),
            (PHONE, "phone"),
            (EMAIL, "email"),
        ],
        ids=["facebook", "twitter", "firebase_phone", "firebase_email"],
    )
    def test_the_same_keys_are_the_same_user(self, emulator, request_body, field):
        first = new_session(emulator, **request_body)
        again = new_session(emulator, **request_body)
        assert (first.status_code, again.status_code) == (201, 201)
        user = first.json()["session"]["user"]
        assert user[field]
        assert again.json()["session"]["user"]["id"] == user["id"]
        assert again.json()["session"]["token"] != first.json()["session"]["token"]

    def test_other_keys_are_another_user(self, emulator):
        users = {
            new_session(emulator, provider="facebook", keys={"token": token}).json()["session"][
                "user_id"
            ]
            for token in ("a", "b")
        }
        assert len(users) == 2

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"provider": "myspace"}, "provider"),
            ({"provider": 5}, "provider"),
            ({"provider": "facebook"}, "keys"),
            ({"provider": "facebook", "keys": {}}, "keys[token]"),
            ({"provider": "twitter", "keys": {"token": "t"}}, "keys[secret]"),
            (
                {"provider": "firebase_phone", "firebase_phone": {"access_token": "t"}},
                "firebase_phone[project_id]",
            ),
            (
                {"provider": "firebase_email", "firebase_email": {"project_id": "p"}},
                "firebase_email[access_token]",
            ),
        ],
    )
    def test_a_missing_key_is_named(self, emulator, body, field):
        answer = new_session(emulator, **body)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])

    def test_a_program_says_whose_keys_they_are(self):
        def identity(provider, keys):
            genuine = keys["token"] == "genuine"
            return {"facebook_id": 77, "full_name": "Fay"} if genuine else None

        with Emulator(social_identity=identity) as emulator:
            good = new_session(emulator, provider="facebook", keys={"token": "genuine"})
            bad = new_session(emulator, provider="facebook", keys={"token": "forged"})
        user = good.json()["session"]["user"]
        assert (user["facebook_id"], user["full_name"]) == ("77", "Fay")
        assert bad.status_code == 401

    @pytest.mark.parametrize("fields", [{}, {"full_name": "Fay"}, {"facebook_id": ""}, "77"])
    def test_an_identity_without_its_field_is_named(self, fields):
        with Emulator(social_identity=lambda provider, keys: fields) as emulator:
            answer = new_session(emulator, **FACEBOOK)
        assert answer.status_code == 422
        assert "facebook_id" in answer.json()["errors"]["base"][0]

    def test_an_application_that_makes_no_users_refuses_strangers(self):
        with Emulator(create_users_on_login=False) as emulator:
            assert new_session(emulator, **FACEBOOK).status_code == 401

    def test_an_application_session_is_upgraded(self, rest):
        application = rest()
        answer = application("POST", "login", json=FACEBOOK)
        assert answer.status_code == 202
        session = application("GET", "session").json()["session"]
        assert session["user_id"] == answer.json()["user"]["id"]

    def test_what_is_not_callable_is_refused(self):
        with pytest.raises(ArgumentTypeError, match="social_identity"):
            Emulator(social_identity="all")


class TestCustomIdentityProvider:
    @pytest.fixture
    def emulator(self):
        known = {"token-7": {"uid": 7, "full_name": "Seven"}}
        with Emulator(identity_provider=known.get) as running:
            yield running

    def test_the_token_is_a_login_with_or_without_a_password(self, emulator, rest):
        made = new_session(emulator, user={"login": "token-7"}).json()["session"]["user"]
        assert (made["external_id"], made["full_name"]) == ("7", "Seven")
        again = rest()("POST", "login", json={"login": "token-7", "password": "whatever"})
        assert again.json()["user"]["id"] == made["id"]

    def test_a_token_the_provider_refuses_makes_no_user(self, emulator, rest):
        expected = {"base": ["Custom Identity Provider responded with an error = 401"]}
        forged = {"login": "forged", "password": "x"}
        for answer in (new_session(emulator, user=forged), rest()("POST", "login", json=forged)):
            assert (answer.status_code, answer.json()["errors"]) == (422, expected)

    def test_a_provider_that_fails_is_quoted(self):
        def provider(token):
            raise TimeoutError("no answer")

        with Emulator(identity_provider=provider) as emulator:
            answer = new_session(emulator, user={"login": "token"})
        expected = "Custom Identity Provider responded with an error = TimeoutError: no answer"
        assert (answer.status_code, answer.json()["errors"]) == (422, {"base": [expected]})

    @pytest.mark.parametrize(
        "identity",
        [
            {},
            {"uid": None},
            {"uid": ""},
            {"id": 7},
            "7",
            {"uid": True},
            {"uid": 1.5},
            {"uid": ["a"]},
        ],
    )
    def test_an_identity_needs_a_uid(self, identity):
        with Emulator(identity_provider=lambda token: identity) as emulator:
            answer = new_session(emulator, user={"login": "token"})
        expected = {"base": ["Custom Identity Provider uid is required"]}
        assert (answer.status_code, answer.json()["errors"]) == (422, expected)

    @pytest.mark.parametrize("password", [{}, {"password": ""}, {"password": None}])
    def test_a_log_in_needs_a_password_of_any_kind(self, emulator, rest, password):
        answer = rest()("POST", "login", json={"login": "token-7", **password})
        expected = {"password": ["cannot be blank"]}
        assert (answer.status_code, answer.json()["errors"]) == (422, expected)

    def test_users_with_a_password_still_log_in(self, emulator):
        alice = emulator.add_user("alice", "secret")
        answer = new_session(emulator, user={"login": "alice", "password": "secret"})
        assert answer.json()["session"]["user_id"] == alice


class TestGuests:
    def test_a_guest_has_a_name_and_a_login_that_opens_nothing(self, emulator):
        answer = new_session(emulator, user={"guest": "1", "full_name": "Olof"})
        assert answer.status_code == 201
        user = answer.json()["session"]["user"]
        assert (user["full_name"], user["is_guest"]) == ("Olof", True)
        assert user["login"].startswith("guest_login_")
        attempt = new_session(emulator, user={"login": user["login"], "password": "x"})
        assert attempt.status_code == 401

    def test_a_guest_ends_after_a_day_however_busy(self):
        clock = ManualClock()
        with Emulator(clock=clock) as emulator:
            session = new_session(emulator, user={"guest": 1, "full_name": "O"}).json()["session"]
            for _ in range(23):
                clock.now += 3600
                assert status_of(emulator, session["token"]) == 200
            clock.now += 3601
            assert status_of(emulator, session["token"]) == 401
            token = new_session(emulator).json()["session"]["token"]
            gone = requests.get(
                f"{emulator.api_url}/users/{session['user_id']}",
                headers={"CB-Token": token},
                timeout=5,
            )
        assert gone.status_code == 404

    def test_who_logs_in_with_a_guests_session_outlives_the_guest(self):
        clock = ManualClock()
        with Emulator(clock=clock) as emulator:
            alice = emulator.add_user("alice", "secret")
            guest = new_session(emulator, user={"guest": "1"}).json()["session"]
            headers = {"CB-Token": guest["token"]}
            body = {"login": "alice", "password": "secret"}
            requests.post(f"{emulator.api_url}/login", json=body, headers=headers, timeout=5)
            clock.now += 86_400
            headers = {"CB-Token": new_session(emulator).json()["session"]["token"]}
            statuses = [
                requests.get(
                    f"{emulator.api_url}/users/{user}", headers=headers, timeout=5
                ).status_code
                for user in (alice, guest["user_id"])
            ]
        assert statuses == [200, 404]


class TestLife:
    def test_every_answer_tells_the_new_expiry(self):
        clock = ManualClock()
        with Emulator(clock=clock) as emulator:
            answer = new_session(emulator)
            headers = {"CB-Token": answer.json()["session"]["token"]}
            clock.now += 100
            later = requests.get(f"{emulator.api_url}/session", headers=headers, timeout=5)
        read = [
            datetime.strptime(each.headers["CB-Token-ExpirationDate"], "%Y-%m-%d %H:%M:%S UTC")
            .replace(tzinfo=timezone.utc)
            .timestamp()
            for each in (answer, later)
        ]
        assert read == [clock.now - 100 + 7200, clock.now + 7200]

    def test_one_of_my_sessions_is_ended_by_id(self, emulator, rest, alice, bob):
        first, second, other = rest("alice"), rest("alice"), rest("bob")
        session_id = second("GET", "session").json()["session"]["id"]
        assert other("DELETE", f"session/{session_id}").status_code == 404
        assert first("DELETE", f"session/{session_id}").status_code == 200
        assert first("DELETE", f"session/{session_id}").status_code == 404
        assert first("DELETE", "session/word").status_code == 404
        assert [status_of(emulator, each.token) for each in (first, second, other)] == [
            200,
            401,
            200,
        ]

    def test_the_removed_call_for_all_other_sessions_is_not_found(self, rest, alice):
        first, second = rest("alice"), rest("alice")
        assert first("DELETE", "session/list").status_code == 404
        assert second("GET", "session").status_code == 200
