"""Users: sign-up, changes, passwords and every way to find them."""

from __future__ import annotations

import pytest
import requests

from connectycube.emulator import Emulator
from tests.support.wire_client import Client
from tests.wire.emulator.conftest import ManualClock, Rest


@pytest.fixture
def people(emulator):
    """Three users by login, with what they can be found by."""
    return {
        "alice": emulator.add_user(
            "alice",
            "secret",
            email="alice@example.org",
            full_name="Alice Hunter",
            phone="+6110797757",
            facebook_id="91234409",
            external_id="ext-1",
            tag_list="vip,dev",
        ),
        "bob": emulator.add_user(
            "bob", "secret", full_name="Bob Hunter", external_user_id=52, tag_list=["dev"]
        ),
        "carol": emulator.add_user("carol", "secret", full_name="Carol", twitter_id=835),
    }


class TestSignUp:
    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"tag_list": "a,b,c,d,e,f"}, "tag_list"),
            ({"full_name": 5}, "full_name"),
            ({"timezone": "far east"}, "timezone"),
            ({"external_user_id": 10**30}, "external_user_id"),
            ({"external_id": "ext-1"}, "external_id"),
            ({"email": "alice@example.org"}, "email"),
        ],
    )
    def test_a_wrong_field_is_named_and_makes_no_user(self, rest, people, fields, wrong):
        application = rest()
        body = {"user": {"login": "newcomer", "password": "x", **fields}}
        answer = application("POST", "users", json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [wrong])
        assert application("GET", "users/by_login?login=newcomer").status_code == 404

    def test_what_was_given_comes_back(self, rest):
        given = {
            "login": "Dacia",
            "email": "dacia@example.org",
            "facebook_id": 91234409,
            "full_name": "Dacia",
            "phone": "+6110797757",
            "website": "http://example.org",
            "custom_data": '{"a": 1}',
            "timezone": 180,
            "external_id": "x-9",
        }
        body = {"user": {**given, "password": "petU4or!"}}
        user = rest()("POST", "users", json=body).json()["user"]
        assert {name: user[name] for name in given} == {**given, "facebook_id": "91234409"}
        assert user["user_tags"] is None
        assert "password" not in user


class TestUpdate:
    def test_fields_change_and_null_empties(self, rest, people):
        hers = rest("alice")
        body = {"user": {"website": "http://a.example", "phone": None, "tag_list": "x"}}
        user = hers("PUT", f"users/{people['alice']}", json=body).json()["user"]
        assert (user["website"], user["phone"], user["user_tags"]) == (
            "http://a.example",
            None,
            "x",
        )
        assert user["full_name"] == "Alice Hunter"

    def test_updated_at_moves(self):
        clock = ManualClock()
        with Emulator(clock=clock) as emulator:
            user_id = emulator.add_user("alice", "secret")
            hers = Rest(emulator, "alice")
            with hers.http:
                clock.now += 60
                body = {"user": {"full_name": "A"}}
                user = hers("PUT", f"users/{user_id}", json=body).json()["user"]
        assert (user["created_at"], user["updated_at"]) == (
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:14:20Z",
        )

    def test_only_ones_own(self, rest, people):
        answer = rest("alice")("PUT", f"users/{people['bob']}", json={"user": {"phone": None}})
        assert answer.status_code == 403

    @pytest.mark.parametrize("old", [None, "wrong"])
    def test_a_new_password_needs_the_old_one(self, rest, people, old):
        hers = rest("alice")
        body = {"user": {"password": "new secret", "old_password": old}}
        answer = hers("PUT", f"users/{people['alice']}", json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["old_password"])

    def test_a_new_password_replaces_the_old_one(self, rest, people):
        hers = rest("alice")
        body = {"user": {"password": "new secret", "old_password": "secret"}}
        assert hers("PUT", f"users/{people['alice']}", json=body).status_code == 200
        login = {"login": "alice", "password": "secret"}
        assert hers("POST", "login", json=login).status_code == 401
        assert hers("POST", "login", json={**login, "password": "new secret"}).status_code == 202

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [({"login": "bob"}, "login"), ({"login": "x"}, "login"), ({"email": "x"}, "email")],
    )
    def test_what_sign_up_refuses_is_refused_here_too(self, rest, people, fields, wrong):
        answer = rest("alice")("PUT", f"users/{people['alice']}", json={"user": fields})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [wrong])

    def test_the_last_name_to_log_in_with_stays(self, rest, people):
        answer = rest("bob")("PUT", f"users/{people['bob']}", json={"user": {"login": None}})
        assert answer.status_code == 422

    def test_ones_own_external_id_may_be_sent_again(self, rest, people):
        body = {"user": {"external_id": "ext-1"}}
        assert rest("alice")("PUT", f"users/{people['alice']}", json=body).status_code == 200


class TestDelete:
    def test_only_oneself_and_with_all_sessions(self, rest, people):
        hers, again, his = rest("alice"), rest("alice"), rest("bob")
        assert his("DELETE", f"users/{people['alice']}").status_code == 403
        assert hers("DELETE", f"users/{people['alice']}").status_code == 200
        assert again("GET", "session").status_code == 401
        assert his("GET", f"users/{people['alice']}").status_code == 404

    def test_by_external_id(self, rest, people):
        assert rest("bob")("DELETE", "users/external/ext-1").status_code == 403
        assert rest("alice")("DELETE", "users/external/ext-1").status_code == 200
        assert rest("bob")("GET", f"users/{people['alice']}").status_code == 404


class TestPasswordReset:
    def test_the_email_is_noted_however_it_is_asked_for(self, emulator, rest, people):
        application = rest()
        path = "users/password/reset"
        email = "alice@example.org"
        assert application("GET", f"{path}?email={email}").status_code == 200
        assert application("POST", path, json={"email": email}).status_code == 200
        assert emulator.reset_emails == [email, email]

    def test_nobody_logged_in_needs_only_the_key(self, emulator, people):
        answer = requests.get(
            f"{emulator.api_url}/users/password/reset?email=alice@example.org",
            headers={"CB-AuthKey": "key"},
            timeout=5,
        )
        assert answer.status_code == 200

    def test_unknown_and_missing_addresses_are_refused(self, emulator, rest, people):
        application = rest()
        assert application("GET", "users/password/reset?email=x@example.org").status_code == 404
        assert application("GET", "users/password/reset").status_code == 422
        assert application("POST", "users/password/reset", json={"email": 1}).status_code == 422
        assert emulator.reset_emails == []


class TestOne:
    @pytest.mark.parametrize(
        ("path", "login"),
        [
            ("users/by_email?email=alice%40example.org", "alice"),
            ("users/by_facebook_id?facebook_id=91234409", "alice"),
            ("users/by_twitter_id?twitter_id=835", "carol"),
            ("users/by_phone?phone=%2B6110797757", "alice"),
            ("users/phone?phone=%2B6110797757", "alice"),
            ("users/external/ext-1", "alice"),
            ("users/external/52.json", "bob"),
        ],
    )
    def test_found(self, rest, people, path, login):
        assert rest()("GET", path).json()["user"]["login"] == login

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("users/by_facebook_id?facebook_id=1", 404),
            (f"users/external/{'9' * 40}", 404),
            (f"users/external/{'0' * 18}52{'0' * 20}", 404),
            ("users/by_twitter_id", 422),
        ],
    )
    def test_not_found(self, rest, people, path, status):
        assert rest()("GET", path).status_code == status


class TestVersion2:
    @pytest.mark.parametrize(
        ("query", "logins"),
        [
            ("login=alice", ["alice"]),
            ("login[in][]=alice&login[in][]=carol", ["alice", "carol"]),
            ("user_tags=dev", ["alice", "bob"]),
            ("user_tags[in][]=vip&user_tags[in][]=none", ["alice"]),
            ("user_tags=dev&user_tags[nin][]=vip", ["bob"]),
            ("full_name[start_with]=alic", ["alice"]),
            ("full_name[start_with]=ALICE", ["alice"]),
            ("login[in][]=alice&login[in][]=bob&login[nin][]=bob", ["alice"]),
            ("user_tags=dev&sort_desc=login", ["bob", "alice"]),
            ("user_tags=dev&limit=1&offset=1", ["bob"]),
            ("user_tags=dev&created_at[gt]=2020-01-01T00:00:00Z", ["alice", "bob"]),
            ("user_tags=dev&created_at[lte]=1000", []),
            ("external_id=ext-1&phone=%2B6110797757", ["alice"]),
            ("phone=%2B6110797757&last_request_at[lt]=2020-01-01", []),
            ("twitter_id=835&login[nin][]=alice", ["carol"]),
        ],
    )
    def test_finds(self, rest, people, query, logins):
        answer = rest()("GET", f"users/v2?{query}").json()
        assert [user["login"] for user in answer["items"]] == logins
        assert answer["skip"] == (1 if "offset" in query else 0)

    def test_ids_in_both_forms(self, rest, people):
        alice, bob = people["alice"], people["bob"]
        answer = rest()("GET", f"users/v2.json?id[in][]={alice}&id[in][]={bob}").json()
        assert [user["id"] for user in answer["items"]] == [alice, bob]
        assert (answer["limit"], answer["total_entries"]) == (100, 2)
        assert rest()("GET", f"users/v2?id={bob}").json()["items"][0]["login"] == "bob"

    def test_a_prefix_finds_five_at_most(self, emulator, rest):
        for number in range(7):
            emulator.add_user(f"crowd{number}", "secret")
        answer = rest()("GET", "users/v2?login[start_with]=crowd&limit=50").json()
        assert (len(answer["items"]), answer["limit"], answer["total_entries"]) == (5, 5, 7)

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("", "base"),
            ("login[nin][]=alice", "base"),
            ("user_tags[nin][]=guest", "base"),
            ("last_request_at=2017-07-06T11:21:41Z", "base"),
            ("created_at[gte]=2019-11-06T09:21:41Z", "base"),
            ("login[start_with]=vip", "login"),
            ("login[gt]=a", "login[gt]"),
            ("id[start_with]=1234", "id[start_with]"),
            ("password=x", "password"),
            ("login[like]=x", "login[like]"),
            ("id=x", "id"),
            ("id=1&limit=101", "limit"),
            ("id=1&limit=0", "limit"),
            ("id=1&offset=-1", "offset"),
            (f"id=1&offset={'0' * 20}{'9' * 20}", "offset"),
            ("id=1&sort_asc=password", "sort_asc"),
        ],
    )
    def test_refuses_what_the_rules_forbid(self, rest, people, query, field):
        answer = rest()("GET", f"users/v2?{query}")
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])


class TestVersion1:
    @pytest.mark.parametrize(
        ("query", "logins"),
        [
            ("", ["alice", "bob", "carol"]),
            ("filter[]=string+login+eq+bob", ["bob"]),
            ("filter[]=string%20login%20in%20alice,carol", ["alice", "carol"]),
            ("filter[ne]=string+login+ne+bob", ["alice", "carol"]),
            ("filter[]=number+id+between+1,2", ["alice", "bob"]),
            ("filter[]=number+id+gt+1&filter[]=number+id+le+2", ["bob"]),
            ("filter[]=date+created_at+gt+2020-01-01", ["alice", "bob", "carol"]),
            ("filter[]=date+created_at+lt+2020.01.01", []),
            ("filter[]=string+full_name+eq+Alice+Hunter", ["alice"]),
            ("filter[]=number+facebook_id+eq+91234409", ["alice"]),
            ("order=desc+string+login", ["carol", "bob", "alice"]),
            ("per_page=2&page=2", ["carol"]),
        ],
    )
    def test_finds(self, rest, people, query, logins):
        answer = rest()("GET", f"users?{query}").json()
        assert [item["user"]["login"] for item in answer["items"]] == logins

    @pytest.mark.parametrize(
        "query",
        [
            "filter[]=id",
            "filter[]=number+id+like+1",
            "filter[]=number+id+eq+x",
            "filter[]=number+id+between+1",
            "filter[]=string+custom_data+eq+x",
            "order=login",
            "per_page=101",
            "page=0",
        ],
    )
    def test_refuses_what_it_cannot_read(self, rest, query):
        answer = rest()("GET", f"users?{query}")
        assert answer.status_code == 422
        assert next(iter(answer.json()["errors"])) == query.split("[")[0].split("=")[0]

    def test_an_application_may_forbid_it(self):
        with Emulator(list_users_v1=False) as emulator:
            application = Rest(emulator)
            with application.http:
                assert application("GET", "users").status_code == 403

    def test_full_name_and_tags_are_paged(self, rest, people):
        found = rest()("GET", "users/by_full_name?full_name=alice%20hunter").json()
        assert [item["user"]["login"] for item in found["items"]] == ["alice"]
        found = rest()("GET", "users/by_tags?tags=vip,dev&per_page=1&page=2").json()
        assert [item["user"]["login"] for item in found["items"]] == ["bob"]
        assert (found["current_page"], found["per_page"], found["total_entries"]) == (2, 1, 2)


class TestOnline:
    def test_who_is_connected_to_the_chat(self, emulator, rest, people):
        application = rest()
        assert application("GET", "users/online?count=true").json() == {"count": 0}
        with Client(emulator) as client:
            client.log_in(people["bob"])
            assert application("GET", "users/online?count=true").json() == {"count": 1}
            (user,) = application("GET", "users/online?limit=10&offset=0").json()["users"]
            assert user["login"] == "bob"
            assert application("GET", "users/online?offset=1").json() == {"users": []}
