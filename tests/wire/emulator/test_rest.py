"""The REST API, seen with requests."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import pytest
import requests

from connectycube.emulator import Emulator
from connectycube.errors import ArgumentValueError
from tests.wire.emulator.conftest import ManualClock

NO_SESSION = {"errors": {"base": ["Required session does not exist"]}}


def session_request(emulator, **more):
    return requests.post(
        f"{emulator.api_url}/session.json",
        json={"application_id": 1, "auth_key": "key", **more},
        timeout=5,
    )


def sign(body, secret, digest=hashlib.sha1):
    pairs = []
    for name, value in body.items():
        if isinstance(value, dict):
            pairs += [(f"{name}[{key}]", inner) for key, inner in value.items()]
        else:
            pairs.append((name, value))
    text = "&".join(f"{name}={value}" for name, value in sorted(pairs))
    return hmac.new(secret.encode(), text.encode(), digest).hexdigest()


class TestSessions:
    def test_user_session_has_token_user_and_expiry(self, emulator, alice):
        answer = session_request(emulator, user={"login": "alice", "password": "secret"})
        assert answer.status_code == 201
        session = answer.json()["session"]
        assert session["user_id"] == session["user"]["id"] == alice
        assert session["application_id"] == 1
        assert len(session["token"]) == 40
        assert "password" not in session["user"]
        expiry = datetime.strptime(
            answer.headers["CB-Token-ExpirationDate"], "%Y-%m-%d %H:%M:%S UTC"
        ).replace(tzinfo=timezone.utc)
        left = (expiry - datetime.now(timezone.utc)).total_seconds()
        assert 7100 < left <= 7200

    def test_application_session_has_no_user_and_may_not_chat(self, rest):
        application = rest()
        assert "user" not in application("GET", "session").json()["session"]
        answer = application("GET", "chat/Dialog")
        assert answer.status_code == 403
        assert answer.json() == {"errors": {"base": ["Forbidden. Need user."]}}

    def test_wrong_password_of_a_known_login_is_401(self, emulator, alice):
        answer = session_request(emulator, user={"login": "alice", "password": "wrong"})
        assert answer.status_code == 401
        assert "wrong" in answer.json()["errors"]["base"][0]

    def test_unknown_login_makes_the_user(self, emulator):
        made = session_request(emulator, user={"login": "carol", "password": "x"}).json()["session"]
        again = session_request(emulator, user={"login": "carol", "password": "x"}).json()[
            "session"
        ]
        assert made["user_id"] == again["user_id"] > 0

    def test_unknown_login_is_refused_when_the_application_forbids_it(self):
        with Emulator(create_users_on_login=False) as emulator:
            answer = session_request(emulator, user={"login": "carol", "password": "x"})
        assert answer.status_code == 401

    def test_email_logs_in(self, emulator):
        user = emulator.add_user("dave", "secret", email="dave@example.org")
        answer = session_request(emulator, user={"email": "dave@example.org", "password": "secret"})
        assert answer.json()["session"]["user_id"] == user

    @pytest.mark.parametrize("token", ["", "ff" * 20])
    def test_unknown_token_is_the_exact_401(self, emulator, token):
        answer = requests.get(f"{emulator.api_url}/session", headers={"CB-Token": token}, timeout=5)
        assert (answer.status_code, answer.json()) == (401, NO_SESSION)

    def test_session_expires_unless_used(self):
        clock = ManualClock()
        with Emulator(clock=clock) as emulator:
            token = session_request(emulator).json()["session"]["token"]

            def status():
                headers = {"CB-Token": token}
                return requests.get(
                    f"{emulator.api_url}/session", headers=headers, timeout=5
                ).status_code

            clock.now += 7000
            assert status() == 200
            clock.now += 7000
            assert status() == 200
            clock.now += 7201
            assert status() == 401

    def test_destroyed_session_is_gone(self, rest):
        application = rest()
        assert application("DELETE", "session").status_code == 200
        assert application("GET", "session").json() == NO_SESSION

    def test_login_and_logout_change_the_sessions_user(self, rest, alice):
        application = rest()
        assert (
            application("POST", "login", json={"login": "alice", "password": "no"}).status_code
            == 401
        )
        answer = application("POST", "login.json", json={"login": "alice", "password": "secret"})
        assert answer.json()["user"]["id"] == alice
        assert application("GET", "chat/Dialog").status_code == 200
        assert application("DELETE", "login").status_code == 200
        assert application("GET", "chat/Dialog").status_code == 403

    @pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha256])
    @pytest.mark.parametrize("user", [{}, {"user": {"password": "sécret &=", "login": "alice"}}])
    def test_signature_is_verified(self, digest, user):
        with Emulator(auth_secret="s3cret", require_signature=True) as emulator:
            body = {"application_id": 1, "auth_key": "key", "nonce": 7, **user}
            body["timestamp"] = int(emulator.clock.time())
            good = session_request(emulator, **{**body, "signature": sign(body, "s3cret", digest)})
            bad = session_request(emulator, **{**body, "signature": sign(body, "other", digest)})
            none = session_request(emulator)
        assert (good.status_code, bad.status_code, none.status_code) == (201, 422, 422)
        assert bad.json()["errors"] == {"base": ["Unexpected signature"]}
        assert list(none.json()["errors"]) == ["signature"]

    @pytest.mark.parametrize(
        ("off", "accepted"),
        [(-3600, False), (-310, False), (-200, True), (200, True), (310, False)],
    )
    def test_a_timestamp_far_from_the_services_time_is_refused(self, off, accepted):
        with Emulator(auth_secret="s3cret") as emulator:
            emulator.clock.advance(86_400)
            now = emulator.clock.time()
            body = {"application_id": 1, "auth_key": "key", "nonce": 7, "timestamp": int(now) + off}
            signature = sign(body, "s3cret", hashlib.sha1)
            answer = session_request(emulator, **{**body, "signature": signature})
        if accepted:
            assert answer.status_code == 201
            return
        assert (answer.status_code, answer.json()) == (
            422,
            {"errors": {"timestamp": ["invalid timestamp"]}},
        )
        date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        assert abs(date - now) < 30

    def test_how_far_a_timestamp_may_be_off_is_a_switch(self):
        with Emulator(auth_secret="s3cret", timestamp_seconds=10**10) as emulator:
            body = {"application_id": 1, "auth_key": "key", "nonce": 7, "timestamp": 1}
            body["signature"] = sign(body, "s3cret", hashlib.sha1)
            assert session_request(emulator, **body).status_code == 201

    def test_unsigned_request_is_accepted_although_there_is_a_secret(self):
        with Emulator(auth_secret="s3cret") as emulator:
            assert session_request(emulator).status_code == 201

    def test_signature_cannot_be_required_without_a_secret(self):
        with pytest.raises(ArgumentValueError, match="auth_secret"):
            Emulator(require_signature=True)

    @pytest.mark.parametrize(
        "change", [{"application_id": 2}, {"auth_key": "x"}, {"auth_key": None}]
    )
    def test_wrong_application_is_refused_by_field(self, emulator, change):
        answer = session_request(emulator, **change)
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == list(change)


class TestUsers:
    def test_sign_up_with_the_key_and_look_up(self, emulator, rest):
        answer = requests.post(
            f"{emulator.api_url}/users",
            json={
                "user": {
                    "login": "erin",
                    "password": "pw",
                    "email": "erin@example.org",
                    "tag_list": ["a", "b"],
                }
            },
            headers={"CB-AuthKey": "key"},
            timeout=5,
        )
        assert answer.status_code == 201
        user = answer.json()["user"]
        assert user["user_tags"] == "a,b"
        look_up = rest()
        for path in (
            f"users/{user['id']}.json",
            "users/by_login?login=erin",
            "users/by_email.json?email=erin%40example.org",
        ):
            assert look_up("GET", path).json()["user"]["login"] == "erin"

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("example.org", "http://example.org"),
            ("https://example.org", "https://example.org"),
            ("HTTP://example.org", "HTTP://example.org"),
            ("", None),
        ],
    )
    def test_a_website_without_a_scheme_gets_one(self, rest, alice, given, kept):
        answer = rest("alice")("PUT", f"users/{alice}", json={"user": {"website": given}})
        assert answer.json()["user"]["website"] == kept

    def test_sign_up_needs_key_or_session(self, emulator):
        body = {"user": {"login": "erin", "password": "pw"}}
        for headers in ({}, {"CB-AuthKey": "wrong"}):
            answer = requests.post(
                f"{emulator.api_url}/users", json=body, headers=headers, timeout=5
            )
            assert answer.status_code == 401

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"login": "alice", "password": "x"}, "login"),
            ({"login": "ab", "password": "x"}, "login"),
            ({"login": "x" * 71, "password": "x"}, "login"),
            ({"login": "erin"}, "password"),
            ({"email": "nonsense", "password": "x"}, "email"),
            ({"login": 5, "password": "x"}, "login"),
            ({"password": "x"}, "base"),
        ],
    )
    def test_wrong_fields_are_named(self, rest, alice, fields, wrong):
        answer = rest()("POST", "users", json={"user": fields})
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == [wrong]

    @pytest.mark.parametrize(
        "path", ["users/999", f"users/{'9' * 30}", "users/by_login?login=nobody"]
    )
    def test_unknown_user_is_404(self, rest, path):
        assert rest()("GET", path).status_code == 404


class TestDialogs:
    def test_private_dialog_is_one_for_both(self, rest, alice, bob):
        first = rest("alice")("POST", "chat/Dialog", json={"type": 3, "occupants_ids": [bob]})
        second = rest("bob")(
            "POST", "chat/Dialog.json", json={"type": 3, "occupants_ids": f"{alice}, {bob}"}
        )
        assert first.status_code == 201
        assert first.json()["_id"] == second.json()["_id"]
        assert first.json()["occupants_ids"] == [alice, bob]
        assert second.json()["name"] == "Alice"
        assert first.json()["user_id"] == second.json()["user_id"] == alice

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 422),
            ({"type": 3}, 422),
            ({"type": 3, "occupants_ids": []}, 422),
            ({"type": 3, "occupants_ids": [1]}, 422),
            ({"type": 3, "occupants_ids": ["x"]}, 422),
            ({"type": 3, "occupants_ids": [999]}, 404),
            ({"type": 9, "occupants_ids": [2]}, 422),
            ({"type": 2, "occupants_ids": [2]}, 422),
            ({"type": 1, "occupants_ids": [2], "name": "b"}, 403),
        ],
    )
    def test_bad_requests_are_refused(self, rest, alice, bob, body, status):
        answer = rest("alice")("POST", "chat/Dialog", json=body)
        assert answer.status_code == status
        assert answer.json()["errors"]

    def test_list_shows_last_message_and_unread_count_to_each(self, rest, alice, bob):
        hers, his = rest("alice"), rest("bob")
        sent = hers("POST", "chat/Message", json={"recipient_id": bob, "message": "hi"}).json()
        dialog = his("GET", "chat/Dialog").json()
        assert dialog["total_entries"] == 1
        (item,) = dialog["items"]
        assert item["last_message"] == "hi"
        assert item["last_message_id"] == sent["_id"]
        assert item["last_message_user_id"] == alice
        assert item["last_message_date_sent"] == sent["date_sent"]
        assert item["last_message_status"] is None
        assert item["unread_messages_count"] == 1
        mine = hers("GET", "chat/Dialog").json()["items"][0]
        assert (mine["unread_messages_count"], mine["last_message_status"]) == (0, "sent")

    def test_list_filters_counts_and_pages(self, emulator, rest, alice):
        hers = rest("alice")
        ids = []
        for name in ("bob", "carol", "dave"):
            other = emulator.add_user(name, "secret")
            answer = hers("POST", "chat/Dialog", json={"type": 3, "occupants_ids": [other]})
            ids.append(answer.json()["_id"])

        def found(query):
            return {item["_id"] for item in hers("GET", f"chat/Dialog?{query}").json()["items"]}

        assert found("type[in]=2%2C3") == set(ids)
        assert found("type=2") == set()
        assert found(f"_id[in]={ids[0]},{ids[2]}") == {ids[0], ids[2]}
        assert found("updated_at[gt]=4000000000") == set()
        assert found("updated_at[gte]=2020-01-01T00:00:00Z") == set(ids)
        assert len(found("limit=2")) == 2
        assert len(found("limit=2&skip=2")) == 1
        assert hers("GET", "chat/Dialog?count=1").json() == {"items": {"count": 3}}


class TestMessages:
    @pytest.fixture
    def dialog(self, rest, alice, bob):
        hers = rest("alice")
        answer = hers("POST", "chat/Dialog", json={"type": 3, "occupants_ids": [bob]})
        return answer.json()["_id"]

    def test_created_message_has_the_documented_fields_and_custom_ones(
        self, rest, alice, bob, dialog
    ):
        answer = rest("alice")(
            "POST",
            "chat/Message",
            json={
                "chat_dialog_id": dialog,
                "message": "where? 🗺",
                "attachments": {
                    "3": {"type": "image", "id": "9"},
                    "7": {"type": "video", "id": "1"},
                },
                "country": "USA",
            },
        )
        assert answer.status_code == 201
        message = answer.json()
        expected = {
            "chat_dialog_id": dialog,
            "message": "where? 🗺",
            "sender_id": alice,
            "recipient_id": bob,
            "attachments": [{"type": "image", "id": "9"}, {"type": "video", "id": "1"}],
            "country": "USA",
            "read_ids": [alice],
            "delivered_ids": [alice],
            "read": 0,
            "views_count": 0,
            "reactions": None,
        }
        assert {name: message[name] for name in expected} == expected
        assert len(message["_id"]) == 24
        assert message["created_at"].endswith("Z")

    def test_reading_marks_as_read_unless_asked_not_to(self, rest, alice, bob, dialog):
        hers, his = rest("alice"), rest("bob")
        hers("POST", "chat/Message", json={"chat_dialog_id": dialog, "message": "hi"})
        path = f"chat/Message.json?chat_dialog_id={dialog}"
        for _ in range(2):
            (message,) = his("GET", f"{path}&mark_as_read=0").json()["items"]
            assert message["read_ids"] == [alice]
        his("GET", path)
        (message,) = his("GET", f"{path}&mark_as_read=0").json()["items"]
        assert message["read_ids"] == message["delivered_ids"] == [alice, bob]
        assert message["read"] == 1
        assert his("GET", "chat/Dialog").json()["items"][0]["unread_messages_count"] == 0
        assert hers("GET", "chat/Dialog").json()["items"][0]["last_message_status"] == "read"

    def test_order_page_and_filters(self, rest, dialog):
        hers = rest("alice")
        ids = []
        for date_sent in (300, 100, 200, 200):
            body = {"chat_dialog_id": dialog, "message": f"m{date_sent}", "date_sent": date_sent}
            if date_sent == 300:
                body["attachments"] = [{"type": "image"}]
            ids.append(hers("POST", "chat/Message", json=body).json()["_id"])

        def found(query):
            answer = hers("GET", f"chat/Message?chat_dialog_id={dialog}&{query}")
            return [ids.index(item["_id"]) for item in answer.json()["items"]]

        assert found("") == [1, 2, 3, 0]
        assert found("sort_desc=date_sent") == [0, 3, 2, 1]
        assert found("sort_asc=date_sent&limit=2&skip=1") == [2, 3]
        assert found("date_sent[gt]=200") == [0]
        assert found("date_sent[gte]=200") == [2, 3, 0]
        assert found("date_sent[lt]=200") == [1]
        assert found("date_sent[lte]=200&date_sent[gt]=100") == [2, 3]
        assert found("date_sent[ne]=200") == [1, 0]
        assert found(f"_id={ids[2]}") == [2]
        assert found(f"_id[in]={ids[0]},{ids[1]}") == [1, 0]
        assert found(f"_id[in][]={ids[0]}&_id[in][]={ids[1]}") == [1, 0]
        assert found(f"_id[nin]={ids[0]},{ids[1]}") == [2, 3]
        assert found("message[ctn]=m2") == [2, 3]
        assert found("attachments.type=image") == [0]
        assert found("updated_at[gte]=1970-01-01T00:00:00Z") == [1, 2, 3, 0]
        assert found("updated_at[lt]=1000") == []
        count = hers("GET", f"chat/Message?chat_dialog_id={dialog}&count=1&date_sent=200").json()
        assert count == {"items": {"count": 2}}

    @pytest.mark.parametrize(
        "query",
        [
            "sender_id=x",
            "date_sent[foo]=1",
            "unheard=1",
            "limit=-1",
            f"limit={'9' * 5000}",
            "date_sent[gt]=nan",
            "sort_asc=body",
            "date_sent[gt]=",
        ],
    )
    def test_wrong_queries_are_named(self, rest, dialog, query):
        answer = rest("alice")("GET", f"chat/Message?chat_dialog_id={dialog}&{query}")
        assert answer.status_code == 422
        assert (
            next(iter(answer.json()["errors"])).split("[")[0] == query.split("=")[0].split("[")[0]
        )

    def test_milliseconds_are_stored_as_seconds(self, rest, dialog):
        answer = rest("alice")(
            "POST", "chat/Message", json={"chat_dialog_id": dialog, "date_sent": 1_700_000_000_123}
        )
        assert answer.json()["date_sent"] == 1_700_000_000

    def test_only_occupants_read_and_write(self, emulator, rest, dialog):
        emulator.add_user("mallory", "secret")
        stranger = rest("mallory")
        assert stranger("GET", f"chat/Message?chat_dialog_id={dialog}").status_code == 403
        body = {"chat_dialog_id": dialog, "message": "x"}
        assert stranger("POST", "chat/Message", json=body).status_code == 403
        assert stranger("GET", f"chat/Message?chat_dialog_id={'0' * 24}").status_code == 404

    def test_program_sees_what_is_stored(self, emulator, rest, alice, bob, dialog):
        rest("alice")("POST", "chat/Message", json={"recipient_id": bob, "message": "x"})
        assert emulator.private_dialog(bob, alice) == dialog
        assert [message["message"] for message in emulator.messages(dialog)] == ["x"]


class TestBadRequests:
    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (b"{", {}),
            (b"[]", {}),
            (b"\xff\xfe", {}),
            (b'{"x": NaN}', {}),
            (b'{"x": 1e999}', {}),
            (b'{"message": "\\ud800"}', {}),
            (b"[" * 100_000, {}),
            (b"a=1&a[b]=2", {"Content-Type": "application/x-www-form-urlencoded"}),
            (b"a=\xff", {"Content-Type": "application/x-www-form-urlencoded"}),
        ],
    )
    def test_bad_body_is_400(self, emulator, body, headers):
        answer = requests.post(f"{emulator.api_url}/session", data=body, headers=headers, timeout=5)
        assert answer.status_code == 400
        assert answer.json()["errors"]["base"]

    def test_form_is_read_as_an_object(self, emulator, alice):
        answer = requests.post(
            f"{emulator.api_url}/session",
            data={
                "application_id": "1",
                "auth_key": "key",
                "user[login]": "alice",
                "user[password]": "secret",
            },
            timeout=5,
        )
        assert answer.json()["session"]["user_id"] == alice

    def test_a_get_is_answered_by_the_parameters_of_its_body(self, rest, alice, bob):
        app = rest()
        found = app("GET", "users", data={"per_page": "1"}).json()
        assert (found["per_page"], len(found["items"])) == (1, 1)
        assert app("GET", "users/by_login", data="login=bob").json()["user"]["id"] == bob
        assert app("GET", "users/v2", json={"id": {"in": [alice]}}).json()["total_entries"] == 1

    def test_unknown_endpoint_is_501_and_named(self, emulator):
        answer = requests.get(f"{emulator.api_url}/whiteboards.json", timeout=5)
        assert answer.status_code == 501
        assert answer.json()["errors"]["base"] == [
            "The emulator does not implement GET /whiteboards"
        ]

    def test_wrong_method_is_405_with_allow(self, emulator):
        answer = requests.put(f"{emulator.api_url}/session", timeout=5)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "DELETE, GET, POST")

    def test_huge_body_is_413_and_the_next_call_works(self):
        with Emulator(body_bytes=1000) as emulator:
            answer = requests.post(f"{emulator.api_url}/session", data=b"x" * 2000, timeout=5)
            assert answer.status_code == 413
            assert session_request(emulator).status_code == 201

    @pytest.mark.parametrize("path", ["%ff", "users/%ff", "chat/Dialog?x=%ff", "../../etc/passwd"])
    def test_odd_paths_get_a_clear_error(self, rest, alice, path):
        answer = rest("alice")("GET", path)
        assert answer.status_code in (400, 501)
        assert answer.json()["errors"]["base"]
